// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Sets of seats as 256-bit words.
library Seats {
    function has(uint256 set, uint256 seat) internal pure returns (bool) {
        return (set >> seat) & 1 == 1;
    }

    function add(uint256 set, uint256 seat) internal pure returns (uint256) {
        return set | (1 << seat);
    }

    function remove(uint256 set, uint256 seat) internal pure returns (uint256) {
        return set & ~(1 << seat);
    }

    /// @notice Number of seats in the set.
    function count(uint256 set) internal pure returns (uint256 n) {
        unchecked {
            while (set != 0) {
                set &= set - 1;
                ++n;
            }
        }
    }

    /// @notice Lowest seat of a set that is not empty.
    function lowest(uint256 set) internal pure returns (uint256 seat) {
        unchecked {
            uint256 bit = set & (~set + 1);
            if (bit >= 1 << 128) (seat, bit) = (seat + 128, bit >> 128);
            if (bit >= 1 << 64) (seat, bit) = (seat + 64, bit >> 64);
            if (bit >= 1 << 32) (seat, bit) = (seat + 32, bit >> 32);
            if (bit >= 1 << 16) (seat, bit) = (seat + 16, bit >> 16);
            if (bit >= 1 << 8) (seat, bit) = (seat + 8, bit >> 8);
            if (bit >= 1 << 4) (seat, bit) = (seat + 4, bit >> 4);
            if (bit >= 1 << 2) (seat, bit) = (seat + 2, bit >> 2);
            if (bit >= 1 << 1) ++seat;
        }
    }

    /// @notice Rank of a seat: how many seats of the set come before it.
    function rank(uint256 set, uint256 seat) internal pure returns (uint256) {
        return count(set & ((1 << seat) - 1));
    }
}
