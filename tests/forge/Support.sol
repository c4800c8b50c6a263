// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the fuzz tests share: expansion of a seed into bytes and numbers.
abstract contract Support {
    error Unequal(string what, uint256 left, uint256 right);

    function _word(uint256 seed, string memory label, uint256 i) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, label, i)));
    }

    function _stream(uint256 seed, string memory label, uint256 size) internal pure returns (bytes memory out) {
        uint256 start = _word(seed, label, size);
        out = new bytes(size + 32);
        assembly ("memory-safe") {
            mstore(0, start)
            for { let i := 0 } lt(i, size) { i := add(i, 32) } {
                mstore(0x20, i)
                mstore(add(add(out, 0x20), i), keccak256(0, 0x40))
            }
            mstore(out, size)
        }
    }

    /// @dev One of: any bytes, all 0x00 behind the exponent, all 0xff.
    function _updateLeaf(uint256 seed, uint256 i) internal pure returns (bytes memory leaf) {
        leaf = _stream(_word(seed, "leaf", i), "bytes", 257);
        uint256 kind = _word(seed, "kind", i) % 6;
        if (kind > 1) return leaf;
        for (uint256 k = 1; k < 257; ++k) {
            leaf[k] = kind == 0 ? bytes1(0x00) : bytes1(0xff);
        }
        if (uint8(leaf[0]) % 2 == 0) leaf[0] = 0xff;
    }

    function _equal(string memory what, uint256 left, uint256 right) internal pure {
        if (left != right) revert Unequal(what, left, right);
    }

    function _true(string memory what, bool value) internal pure {
        _equal(what, value ? 1 : 0, 1);
    }
}
