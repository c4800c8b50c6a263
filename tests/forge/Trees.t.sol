// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {VectorHarness} from "../../contracts/test/VectorHarness.sol";
import {Support} from "./Support.sol";

/// @title A proof opens its leaf at its place, and no changed bit of it opens anything.
contract TreesTest is Support {
    struct Tree {
        uint256 depth;
        uint256 index;
        bytes[] leaves;
        bytes32[] digests;
        uint256[] sums;
        bytes32[] proof;
        bytes siblings;
        bytes claims;
    }

    VectorHarness private _harness;

    function setUp() public {
        _harness = new VectorHarness();
    }

    function testProofs(uint256 seed, uint8 count, uint256 index, uint256 flip) public view {
        Tree memory t = _plant(seed, 1 + (count % 12), index, 8);
        _grow(t, false);
        bytes32 root = t.digests[0];
        bytes memory leaf = t.leaves[t.index];
        _true("opens", _harness.verify(root, t.index, leaf, t.proof, t.depth));
        uint256 other = _other(seed, t);
        _true("place", !_harness.verify(root, other, leaf, t.proof, t.depth));
        bytes32 wrong = bytes32(uint256(root) ^ (1 << (flip & 255)));
        _true("root", !_harness.verify(wrong, t.index, leaf, t.proof, t.depth));
        _true("leaf", !_harness.verify(root, t.index, _flipped(leaf, flip), t.proof, t.depth));
        if (t.depth == 0) return;
        t.proof[(flip >> 8) % t.depth] ^= bytes32(1 << (flip & 255));
        _true("proof", !_harness.verify(root, t.index, leaf, t.proof, t.depth));
    }

    function testSums(uint256 seed, uint8 count, uint256 index, uint256 flip) public view {
        Tree memory t = _plant(seed, 1 + (count % 5), index, 257);
        _grow(t, true);
        bytes32 root = t.digests[0];
        bytes memory leaf = t.leaves[t.index];
        (bool ok, uint256 ssq) = _harness.verifySum(root, t.index, leaf, t.siblings, t.depth);
        _true("opens", ok);
        _equal("ssq", ssq, t.sums[0]);
        bool honest;
        (ok, honest, ssq) = _harness.openSum(root, t.index, leaf, t.claims, t.depth);
        _true("opens with claims", ok && honest);
        _equal("claimed ssq", ssq, t.sums[0]);
        (ok,) = _harness.verifySum(root, _other(seed, t), leaf, t.siblings, t.depth);
        _true("place", !ok);
        (ok,) = _harness.verifySum(root, t.index, _flipped(leaf, flip), t.siblings, t.depth);
        _true("leaf", !ok);
        if (t.depth == 0) return;
        (ok,) = _harness.verifySum(root, t.index, leaf, _flipped(t.siblings, flip), t.depth);
        _true("siblings", !ok);
        (ok,,) = _harness.openSum(root, t.index, leaf, _flipped(t.claims, flip), t.depth);
        _true("claims", !ok);
    }

    /// @dev Any bytes instead of a proof are answered, never refused.
    function testNoise(bytes32 root, uint256 index, bytes memory noise, uint8 depth) public view {
        bytes memory leaf = _updateLeaf(index, 0);
        bytes32[] memory proof = new bytes32[](noise.length / 32);
        _true("verify", !_harness.verify(root, index, noise, proof, depth));
        (bool ok,) = _harness.verifySum(root, index, leaf, noise, noise.length / 44);
        _true("verifySum", !ok);
        (ok,,) = _harness.openSum(root, index, leaf, noise, noise.length / 56);
        _true("openSum", !ok);
    }

    function _plant(uint256 seed, uint256 count, uint256 index, uint256 size) private pure returns (Tree memory t) {
        t.index = index % count;
        t.leaves = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            t.leaves[i] = size == 257 ? _updateLeaf(seed, i) : _stream(_word(seed, "leaf", i), "bytes", size);
            t.leaves[i][1] = bytes1(uint8(i)); // no two leaves are equal
        }
        while (1 << t.depth < count) ++t.depth;
        t.digests = new bytes32[](1 << t.depth);
        t.sums = new uint256[](1 << t.depth);
        t.proof = new bytes32[](t.depth);
    }

    /// @dev Build the levels in place and keep the proof of `index`; in the end digests[0] and sums[0] are the root's.
    function _grow(Tree memory t, bool summed) private view {
        uint256 width = t.digests.length;
        for (uint256 i = 0; i < width; ++i) {
            bool padding = i >= t.leaves.length;
            if (padding) t.digests[i] = sha256(hex"02");
            else t.digests[i] = sha256(bytes.concat(hex"00", t.leaves[i]));
            if (!padding && summed) (, t.sums[i]) = _harness.sumLeafNode(t.leaves[i]);
        }
        for (uint256 level = 0; level < t.depth; ++level) {
            uint256 own = t.index >> level;
            t.proof[level] = t.digests[own ^ 1];
            t.siblings = abi.encodePacked(t.siblings, t.digests[own ^ 1], uint96(t.sums[own ^ 1]));
            t.claims =
                abi.encodePacked(t.claims, t.digests[own ^ 1], uint96(t.sums[own ^ 1]), uint96(t.sums[own]));
            width /= 2;
            for (uint256 i = 0; i < width; ++i) {
                bytes memory node = abi.encodePacked(hex"01", t.digests[2 * i], t.digests[2 * i + 1]);
                if (summed) node = abi.encodePacked(node, uint96(t.sums[2 * i]), uint96(t.sums[2 * i + 1]));
                t.digests[i] = sha256(node);
                t.sums[i] = t.sums[2 * i] + t.sums[2 * i + 1];
            }
        }
    }

    /// @dev Another place: in the tree if it has one, or far outside.
    function _other(uint256 seed, Tree memory t) private pure returns (uint256) {
        if (t.depth == 0 || seed % 2 == 0) return t.index + (1 << (t.depth + (seed % 100)));
        return t.index ^ (1 << (seed % t.depth));
    }

    function _flipped(bytes memory data, uint256 flip) private pure returns (bytes memory out) {
        out = bytes.concat(data);
        out[(flip >> 8) % out.length] ^= bytes1(uint8(1 << (flip & 7)));
    }
}
