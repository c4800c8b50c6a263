// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Swap-or-not permutation; docs/protocol.md section 5, consensus-specs `compute_shuffled_index`.
library Shuffle {
    uint256 internal constant ROUNDS = 90;

    /// @notice Where the permutation keyed by `seed` sends `index` of 0..count-1.
    function shuffle(uint256 index, uint256 count, bytes32 seed) internal pure returns (uint256) {
        for (uint256 round = 0; round < ROUNDS; ++round) {
            uint256 pivot = _littleEndian64(sha256(abi.encodePacked(seed, uint8(round)))) % count;
            uint256 flip = (pivot + count - index) % count;
            uint256 position = index > flip ? index : flip;
            bytes32 source = sha256(abi.encodePacked(seed, uint8(round), _littleEndian32(uint32(position / 256))));
            uint8 b = uint8(source[(position % 256) / 8]);
            if ((b >> (position % 8)) & 1 == 1) index = flip;
        }
        return index;
    }

    /// @notice Segment of the trainer of `rank`: neighbours in rank train neighbouring segments, so that every segment
    /// gets its share of the roster, and the seed turns the wheel.
    function segmentOf(bytes32 seed, uint256 rank, uint256 segments) internal pure returns (uint256) {
        if (segments == 1) return 0;
        return (rank + uint256(sha256(abi.encodePacked(seed, "segment"))) % segments) % segments;
    }

    function _littleEndian64(bytes32 word) private pure returns (uint256 value) {
        for (uint256 i = 0; i < 8; ++i) {
            value |= uint256(uint8(word[i])) << (8 * i);
        }
    }

    function _littleEndian32(uint32 value) private pure returns (bytes4) {
        return bytes4((value >> 24) | ((value >> 8) & 0xff00) | ((value << 8) & 0xff0000) | (value << 24));
    }
}
