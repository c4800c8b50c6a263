// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DenseInt8, WeightedSum} from "./DenseInt8.sol";

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
        uint256[32] memory means = DenseInt8.means(sum);
        for (uint256 i = 0; i < 32; ++i) {
            if (rule.momentum) _stepWithMomentum(leaf, means, i, rule);
            else _step(leaf, means, i, rule.lr);
        }
    }

    /// @dev Word i of the leaf: 8 elements. Element r has its d in lane 2 * (i mod 4) + r / 4 of word
    /// 4 * (i / 4) + r mod 4. A word gives its highest element and takes the new one at its lower end, 8 times.
    function _step(bytes memory leaf, uint256[32] memory means, uint256 i, uint256 lr) private pure {
        uint256 bias = DenseInt8.MEAN_BIAS;
        // Assembly because this runs 256 times a leaf; values stay below 2^35 before they saturate.
        assembly ("memory-safe") {
            let place := add(add(leaf, 0x20), shl(5, i))
            let thetas := mload(place)
            let first := add(means, shl(5, and(i, 28)))
            let shift := sub(224, shl(6, and(i, 3)))
            for { let r := 0 } lt(r, 8) { r := add(r, 1) } {
                let word := mload(add(first, shl(5, and(r, 3))))
                let d := sub(and(shr(sub(shift, shl(3, and(r, 4))), word), 0xffffffff), bias)
                let x := add(sar(224, thetas), sar(8, add(mul(lr, d), 128)))
                if xor(signextend(3, x), x) { x := xor(0x7fffffff, sar(255, x)) }
                thetas := or(shl(32, thetas), and(x, 0xffffffff))
            }
            mstore(place, thetas)
        }
    }

    /// @dev The same with momentum, which lies LEAF_BYTES behind.
    function _stepWithMomentum(bytes memory leaf, uint256[32] memory means, uint256 i, MergeRule memory rule)
        private
        pure
    {
        (uint256 lr, uint256 mu) = (rule.lr, rule.mu);
        uint256 nesterov = rule.nesterov ? 1 : 0;
        uint256 bias = DenseInt8.MEAN_BIAS;
        assembly ("memory-safe") {
            let place := add(add(leaf, 0x20), shl(5, i))
            let thetas := mload(place)
            let momenta := mload(add(place, 1024))
            let first := add(means, shl(5, and(i, 28)))
            let shift := sub(224, shl(6, and(i, 3)))
            for { let r := 0 } lt(r, 8) { r := add(r, 1) } {
                let word := mload(add(first, shl(5, and(r, 3))))
                let d := sub(and(shr(sub(shift, shl(3, and(r, 4))), word), 0xffffffff), bias)
                let x := add(sar(8, add(mul(mu, sar(224, momenta)), 128)), d)
                if xor(signextend(3, x), x) { x := xor(0x7fffffff, sar(255, x)) }
                momenta := or(shl(32, momenta), and(x, 0xffffffff))
                if nesterov { x := add(sar(8, add(mul(mu, x), 128)), d) }
                x := add(sar(224, thetas), sar(8, add(mul(lr, x), 128)))
                if xor(signextend(3, x), x) { x := xor(0x7fffffff, sar(255, x)) }
                thetas := or(shl(32, thetas), and(x, 0xffffffff))
            }
            mstore(place, thetas)
            mstore(add(place, 1024), momenta)
        }
    }
}
