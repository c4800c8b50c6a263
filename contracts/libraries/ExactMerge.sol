// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {WeightedSum} from "./DenseInt8.sol";

/// @notice How the mean update moves the model; `lr` and `mu` in 1/256.
struct MergeRule {
    uint256 lr;
    uint256 mu;
    bool nesterov;
    bool momentum;
}

/// @title The merge of one chunk; docs/protocol.md section 2.
library ExactMerge {
    /// @notice Bytes of a model leaf without momentum; with it, twice as many.
    uint256 internal constant LEAF_BYTES = 1024;

    error WrongModelLeaf(uint256 size);

    /// @notice The model leaf that follows `oldLeaf` when the weighted sum of its updates is merged.
    function merge(WeightedSum memory sum, bytes calldata oldLeaf, MergeRule memory rule)
        internal
        pure
        returns (bytes memory leaf)
    {
        if (oldLeaf.length != (rule.momentum ? 2 * LEAF_BYTES : LEAF_BYTES)) revert WrongModelLeaf(oldLeaf.length);
        leaf = oldLeaf;
        // A segment without an included update stays as it is, momentum too.
        if (sum.updates == 0) return leaf;
        for (uint256 i = 0; i < 32; ++i) {
            if (rule.momentum) _mergeWithMomentum(leaf, sum, i, rule);
            else _merge(leaf, sum, i, int256(rule.lr));
        }
    }

    /// @dev Word i of the leaf, 8 elements; values stay far within int256.
    function _merge(bytes memory leaf, WeightedSum memory sum, uint256 i, int256 lr) private pure {
        unchecked {
            uint256 thetas = _load(leaf, i);
            uint256 out;
            for (uint256 r = 0; r < 8; ++r) {
                int256 d = _mean(sum, i, r);
                out = (out << 32) | _sat32((int256(thetas) >> 224) + ((lr * d + 128) >> 8));
                thetas <<= 32;
            }
            _store(leaf, i, out);
        }
    }

    /// @dev The same with momentum, which lies LEAF_BYTES, 32 words, behind.
    function _mergeWithMomentum(bytes memory leaf, WeightedSum memory sum, uint256 i, MergeRule memory rule)
        private
        pure
    {
        unchecked {
            uint256 thetas = _load(leaf, i);
            uint256 momenta = _load(leaf, i + 32);
            uint256 out;
            uint256 outMomenta;
            (int256 lr, int256 mu) = (int256(rule.lr), int256(rule.mu));
            for (uint256 r = 0; r < 8; ++r) {
                int256 d = _mean(sum, i, r);
                uint256 m = _sat32(((mu * (int256(momenta) >> 224) + 128) >> 8) + d);
                outMomenta = (outMomenta << 32) | m;
                int256 s = int256(int32(uint32(m)));
                if (rule.nesterov) s = ((mu * s + 128) >> 8) + d;
                out = (out << 32) | _sat32((int256(thetas) >> 224) + ((lr * s + 128) >> 8));
                thetas <<= 32;
                momenta <<= 32;
            }
            _store(leaf, i, out);
            _store(leaf, i + 32, outMomenta);
        }
    }

    /// @dev d of element 8i + r: lane 2 * (i mod 4) + r / 4 of the sum's word 4 * (i / 4) + r mod 4.
    function _mean(WeightedSum memory sum, uint256 i, uint256 r) private pure returns (int256 d) {
        uint256[64] memory lanes = sum.lanes;
        uint256 bias = sum.bias;
        assembly ("memory-safe") {
            let ptr := add(lanes, shl(5, or(and(i, not(3)), and(r, 3))))
            let shift := sub(224, shl(5, or(shl(1, and(i, 3)), shr(2, r))))
            let low := and(shr(shift, mload(ptr)), 0xffffffff)
            let high := and(shr(shift, mload(add(ptr, 1024))), 0xffffffff)
            d := sar(16, sub(add(add(low, shl(8, high)), 0x8000), bias))
        }
    }

    /// @dev Saturated to int32, as its 32 bits.
    function _sat32(int256 x) private pure returns (uint256) {
        if (x > type(int32).max) return 0x7fffffff;
        if (x < type(int32).min) return 0x80000000;
        return uint32(int32(x));
    }

    function _load(bytes memory leaf, uint256 i) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(leaf, 0x20), shl(5, i)))
        }
    }

    function _store(bytes memory leaf, uint256 i, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(leaf, 0x20), shl(5, i)), word)
        }
    }
}
