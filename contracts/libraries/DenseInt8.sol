// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Weighted sum of update leaves, 32 bits an element, 8 elements a word. Leaf word i (32 elements) fills words
/// 4i..4i+3: lane t, from the left, of word 4i+s is element 32i+4t+s. Exponents 0..7 add up in words 0..31, exponents
/// 8..15 in words 32..63, in units of 2^8: each lane is at most 65536 * 255 * 2^7 < 2^31.
struct WeightedSum {
    uint256 updates;
    uint256 weight;
    uint256 bias;
    uint256[64] lanes;
}

/// @title Update leaves `e:uint8 | 256 x (q+128):uint8`; docs/protocol.md sections 2 and 3.
/// @notice Any 257 bytes decode.
library DenseInt8 {
    uint256 internal constant LEAF_BYTES = 257;
    uint256 internal constant ELEMENTS = 256;
    /// @notice Largest sum of weights.
    uint256 internal constant WEIGHT_ONE = 65536;

    /// @dev The lowest byte of each 32-bit lane.
    uint256 private constant LOW_BYTES = 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
    uint256 private constant ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;

    error WrongUpdateLeaf(uint256 size);
    error WeightsTooLarge(uint256 sum);

    /// @notice The leaf's exponent, 0..15.
    function exponent(bytes calldata leaf) internal pure returns (uint256) {
        _checkSize(leaf);
        return uint8(leaf[0]) & 15;
    }

    /// @notice The leaf's i-th q.
    function quantum(bytes calldata leaf, uint256 i) internal pure returns (int256) {
        _checkSize(leaf);
        return int256(uint256(uint8(leaf[1 + i]))) - 128;
    }

    /// @notice Sum of (q * 2^e)^2 over the leaf.
    function ssq(bytes calldata leaf) internal pure returns (uint256 sum) {
        uint256 e = exponent(leaf);
        // With u = q + 128: sum q^2 = sum u^2 - 256 * sum u + 256 * 128^2. A word times itself with its lanes in
        // reverse has the sum of the squares of its lanes in its highest lane (8 squares a MUL); no lane below it
        // reaches 2^32, so nothing is carried into it.
        assembly ("memory-safe") {
            let squares := 0
            let linear := 0
            for { let i := 1 } lt(i, 257) { i := add(i, 32) } {
                let word := calldataload(add(leaf.offset, i))
                let back := or(shr(128, word), shl(128, word))
                let mask := 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff
                back := or(and(shr(64, back), mask), shl(64, and(back, mask)))
                mask := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
                back := or(and(shr(32, back), mask), shl(32, and(back, mask)))
                for { let shift := 0 } lt(shift, 32) { shift := add(shift, 8) } {
                    let lanes := and(shr(shift, word), LOW_BYTES)
                    linear := add(linear, lanes)
                    squares := add(squares, shr(224, mul(lanes, and(shr(shift, back), LOW_BYTES))))
                }
            }
            linear := shr(224, mul(linear, ONES))
            sum := shl(shl(1, e), sub(add(squares, shl(22, 1)), shl(8, linear)))
        }
    }

    /// @notice Add `weight` times the leaf's values.
    function add(WeightedSum memory sum, bytes calldata leaf, uint256 weight) internal pure {
        uint256 e = exponent(leaf);
        if (weight > WEIGHT_ONE || sum.weight + weight > WEIGHT_ONE) revert WeightsTooLarge(sum.weight + weight);
        sum.weight += weight;
        sum.bias += (weight << e) << 7;
        ++sum.updates;
        uint256[64] memory lanes = sum.lanes;
        // 8 elements a MUL. Bytes are q + 128, so that no lane is negative; `bias` keeps what that adds to each.
        assembly ("memory-safe") {
            let factor := shl(and(e, 7), weight)
            let ptr := add(lanes, shl(7, and(e, 8)))
            for { let i := 1 } lt(i, 257) { i := add(i, 32) } {
                let word := calldataload(add(leaf.offset, i))
                mstore(ptr, add(mload(ptr), mul(and(shr(24, word), LOW_BYTES), factor)))
                ptr := add(ptr, 32)
                mstore(ptr, add(mload(ptr), mul(and(shr(16, word), LOW_BYTES), factor)))
                ptr := add(ptr, 32)
                mstore(ptr, add(mload(ptr), mul(and(shr(8, word), LOW_BYTES), factor)))
                ptr := add(ptr, 32)
                mstore(ptr, add(mload(ptr), mul(and(word, LOW_BYTES), factor)))
                ptr := add(ptr, 32)
            }
        }
    }

    function _checkSize(bytes calldata leaf) private pure {
        if (leaf.length != LEAF_BYTES) revert WrongUpdateLeaf(leaf.length);
    }
}
