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

    /// @notice What `means` adds to each d so that no lane is negative.
    uint256 internal constant MEAN_BIAS = 1 << 23;

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
    // slither-disable-next-line divide-before-multiply: divisions of all ones make masks, without remainder
    function ssq(bytes calldata leaf) internal pure returns (uint256 sum) {
        uint256 e = exponent(leaf);
        uint256 all = _allOnes();
        // With u = q + 128: sum q^2 = sum u^2 - 256 * sum u + 256 * 128^2. A word times itself with its 32-bit lanes in
        // reverse has the sum of the squares of its lanes in its highest lane (8 squares a MUL); no lane below it
        // reaches 2^32, so nothing is carried into it.
        assembly ("memory-safe") {
            let ones := div(all, 0xffffffff)
            let lowBytes := mul(ones, 0xff)
            let low32 := div(all, 0x100000001)
            let low64 := div(all, 0x10000000000000001)
            let linear := 0
            for { let i := 1 } lt(i, 257) { i := add(i, 32) } {
                let word := calldataload(add(leaf.offset, i))
                let back := or(shr(128, word), shl(128, word))
                back := or(and(shr(64, back), low64), shl(64, and(back, low64)))
                back := or(and(shr(32, back), low32), shl(32, and(back, low32)))
                let lanes := and(word, lowBytes)
                let squares := shr(224, mul(lanes, and(back, lowBytes)))
                linear := add(linear, lanes)
                lanes := and(shr(8, word), lowBytes)
                squares := add(squares, shr(224, mul(lanes, and(shr(8, back), lowBytes))))
                linear := add(linear, lanes)
                lanes := and(shr(16, word), lowBytes)
                squares := add(squares, shr(224, mul(lanes, and(shr(16, back), lowBytes))))
                linear := add(linear, lanes)
                lanes := and(shr(24, word), lowBytes)
                squares := add(squares, shr(224, mul(lanes, and(shr(24, back), lowBytes))))
                linear := add(linear, lanes)
                sum := add(sum, squares)
            }
            linear := shr(224, mul(linear, ones))
            sum := shl(shl(1, e), sub(add(sum, shl(22, 1)), shl(8, linear)))
        }
    }

    /// @notice Add `weight` times the leaf's values.
    // slither-disable-next-line divide-before-multiply: divisions of all ones make masks, without remainder
    function add(WeightedSum memory sum, bytes calldata leaf, uint256 weight) internal pure {
        uint256 e = exponent(leaf);
        if (weight > WEIGHT_ONE || sum.weight + weight > WEIGHT_ONE) revert WeightsTooLarge(weight);
        uint256 all = _allOnes();
        uint256[64] memory lanes = sum.lanes;
        unchecked {
            sum.weight += weight;
            sum.bias += (weight << e) << 7;
            ++sum.updates;
        }
        // 8 elements a MUL. Bytes are q + 128, so that no lane is negative; `bias` keeps what that adds to each.
        assembly ("memory-safe") {
            let lowBytes := mul(div(all, 0xffffffff), 0xff)
            let factor := shl(and(e, 7), weight)
            let ptr := add(lanes, shl(7, and(e, 8)))
            for { let i := 1 } lt(i, 257) { i := add(i, 32) } {
                let word := calldataload(add(leaf.offset, i))
                mstore(ptr, add(mload(ptr), mul(and(shr(24, word), lowBytes), factor)))
                ptr := add(ptr, 32)
                mstore(ptr, add(mload(ptr), mul(and(shr(16, word), lowBytes), factor)))
                ptr := add(ptr, 32)
                mstore(ptr, add(mload(ptr), mul(and(shr(8, word), lowBytes), factor)))
                ptr := add(ptr, 32)
                mstore(ptr, add(mload(ptr), mul(and(word, lowBytes), factor)))
                ptr := add(ptr, 32)
            }
        }
    }

    /// @notice d + MEAN_BIAS of every element, in the places of WeightedSum; d = (D + 2^15) >> 16.
    // slither-disable-next-line divide-before-multiply: divisions of all ones make masks, without remainder
    function means(WeightedSum memory sum) internal pure returns (uint256[32] memory result) {
        uint256[64] memory lanes = sum.lanes;
        uint256 offset = (MEAN_BIAS << 16) + (1 << 15) - sum.bias;
        uint256 all = _allOnes();
        // 4 elements an addition: a sum needs 40 bits, so the even and the odd lanes are widened to 64 bits in turn.
        // `bias` is at most 2^38, so the offset keeps lanes positive, and shifting them is to floor.
        assembly ("memory-safe") {
            let low := div(all, 0x100000001)
            offset := mul(offset, div(all, 0xffffffffffffffff))
            for { let i := 0 } lt(i, 1024) { i := add(i, 32) } {
                let small := mload(add(lanes, i))
                let large := mload(add(lanes, add(i, 1024)))
                let even := add(add(and(shr(32, small), low), shl(8, and(shr(32, large), low))), offset)
                let odd := add(add(and(small, low), shl(8, and(large, low))), offset)
                mstore(add(result, i), or(shl(32, and(shr(16, even), low)), and(shr(16, odd), low)))
            }
        }
    }

    /// @dev 2^256 - 1, of which masks are made. The optimizer does not see that, since it does not know how little
    /// calldata there is: a mask it knows it would copy from the code at every use, at ten times the price.
    function _allOnes() private pure returns (uint256 all) {
        assembly ("memory-safe") {
            all := not(shr(64, calldatasize()))
        }
    }

    function _checkSize(bytes calldata leaf) private pure {
        if (leaf.length != LEAF_BYTES) revert WrongUpdateLeaf(leaf.length);
    }
}
