// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MergeRule} from "../../contracts/libraries/ExactMerge.sol";
import {VectorHarness} from "../../contracts/test/VectorHarness.sol";
import {Support} from "./Support.sol";

/// @title The merge in lanes equals the rule as docs/protocol.md section 2 writes it.
contract ExactMergeTest is Support {
    VectorHarness private _harness;

    function setUp() public {
        _harness = new VectorHarness();
    }

    function testMergeIsTheRule(uint256 seed, uint8 count, uint16 lr, uint8 mu, bool momentum, bool nesterov)
        public
        view
    {
        MergeRule memory rule = MergeRule({
            lr: 1 + (lr % 1024),
            mu: momentum ? mu : 0,
            nesterov: momentum && nesterov,
            momentum: momentum
        });
        bytes[] memory leaves = new bytes[](count % 7);
        for (uint256 k = 0; k < leaves.length; ++k) {
            leaves[k] = _updateLeaf(seed, k);
        }
        uint256[] memory weights = _weights(seed, leaves.length);
        bytes memory old = _oldLeaf(seed, momentum ? 2048 : 1024);
        (bytes memory given,,) = _harness.merge(leaves, weights, old, rule);
        bytes memory expected = leaves.length == 0 ? old : _naive(leaves, weights, old, rule);
        _equal("leaf", uint256(keccak256(given)), uint256(keccak256(expected)));
    }

    function testSsqIsTheSum(uint256 seed) public view {
        bytes memory leaf = _updateLeaf(seed, 0);
        (, uint256 given) = _harness.sumLeafNode(leaf);
        uint256 expected;
        for (uint256 i = 0; i < 256; ++i) {
            int256 value = _value(leaf, i);
            expected += uint256(value * value);
        }
        _equal("ssq", given, expected);
    }

    function _naive(bytes[] memory leaves, uint256[] memory weights, bytes memory old, MergeRule memory rule)
        private
        pure
        returns (bytes memory out)
    {
        out = new bytes(old.length);
        for (uint256 i = 0; i < 256; ++i) {
            int256 total = 0;
            for (uint256 k = 0; k < leaves.length; ++k) {
                total += int256(weights[k]) * _value(leaves[k], i);
            }
            int256 d = _floor(total + 32768, 65536);
            int256 s = d;
            if (rule.momentum) {
                int256 m = _sat32(_floor(int256(rule.mu) * _int32(old, 256 + i) + 128, 256) + d);
                s = rule.nesterov ? _floor(int256(rule.mu) * m + 128, 256) + d : m;
                _put(out, 256 + i, m);
            }
            _put(out, i, _sat32(_int32(old, i) + _floor(int256(rule.lr) * s + 128, 256)));
        }
    }

    function _value(bytes memory leaf, uint256 i) private pure returns (int256) {
        return (int256(uint256(uint8(leaf[1 + i]))) - 128) * int256(2 ** (uint256(uint8(leaf[0])) % 16));
    }

    /// @dev Largest integer that is not above a / b.
    function _floor(int256 a, int256 b) private pure returns (int256) {
        return a % b < 0 ? a / b - 1 : a / b;
    }

    function _sat32(int256 x) private pure returns (int256) {
        if (x > 2147483647) return 2147483647;
        return x < -2147483648 ? -2147483648 : x;
    }

    function _int32(bytes memory leaf, uint256 i) private pure returns (int256) {
        uint32 value;
        for (uint256 b = 0; b < 4; ++b) {
            value = value * 256 + uint8(leaf[4 * i + b]);
        }
        return int32(value);
    }

    function _put(bytes memory leaf, uint256 i, int256 value) private pure {
        bytes4 raw = bytes4(uint32(int32(value)));
        for (uint256 b = 0; b < 4; ++b) {
            leaf[4 * i + b] = raw[b];
        }
    }

    /// @dev Weights that add up to at most 65536; every fourth time one has all of it.
    function _weights(uint256 seed, uint256 count) private pure returns (uint256[] memory weights) {
        weights = new uint256[](count);
        uint256 left = 65536;
        for (uint256 k = 0; k < count; ++k) {
            bool all = _word(seed, "all", k) % 4 == 0;
            weights[k] = all ? left : _word(seed, "weight", k) % (left + 1);
            left -= weights[k];
        }
    }

    /// @dev Any integers, with the ends of int32 among them.
    function _oldLeaf(uint256 seed, uint256 size) private pure returns (bytes memory leaf) {
        leaf = _stream(seed, "old", size);
        for (uint256 i = 0; i < size / 4; ++i) {
            uint8 kind = uint8(leaf[4 * i + 3]) % 8;
            if (kind == 0) _put(leaf, i, type(int32).max);
            if (kind == 1) _put(leaf, i, type(int32).min);
            if (kind == 2) _put(leaf, i, int256(_int32(leaf, i)) >> 12);
        }
    }
}
