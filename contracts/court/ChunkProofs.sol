// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ChunkProof} from "../interfaces/IMergeCourt.sol";
import {DenseInt8, WeightedSum} from "../libraries/DenseInt8.sol";
import {ExactMerge, MergeRule} from "../libraries/ExactMerge.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Merkle} from "../libraries/Merkle.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {RunParams} from "../types/Types.sol";
import {CourtMoney} from "./CourtMoney.sol";

/// @title What a chunk's leaf has to be: computed from the opened updates and the old leaf.
abstract contract ChunkProofs is CourtMoney {
    /// @dev Where a chunk lies: its segment, its leaf in an update of that segment, and the depth of such an update.
    struct Place {
        uint256 segment;
        uint256 index;
        uint256 depth;
    }

    /// @dev What `feed` left, by prover, run, round, inputs hash and chunk: keccak256 of the accumulator. It may stay,
    /// since the same updates have the same sum.
    mapping(bytes32 key => bytes32 digest) private _accumulators;

    /// @dev Node of the chunk's leaf as the merge rule wants it. The place behind the last chunk holds EMPTY.
    function _rightNode(
        address run,
        uint32 round,
        RunParams memory p,
        bytes32 inputsHash,
        bytes32 parentRoot,
        ChunkProof calldata proof
    ) internal view returns (bytes32) {
        Place memory place = _placeOf(p.segmentEnds, proof.chunk);
        _requireInputs(proof.inputs, inputsHash, place.segment);
        bytes32 oldNode = Merkle.leafNode(proof.oldLeaf);
        if (!Merkle.verify(parentRoot, proof.chunk, oldNode, proof.oldSiblings, _depthOf(p.chunks))) {
            revert WrongOldLeaf(proof.chunk);
        }
        WeightedSum memory sum = _resume(_keyOf(run, round, inputsHash, proof.chunk), proof.accumulator);
        uint256 expected = Inputs.count(proof.inputs) - sum.updates;
        if (proof.openings.length != expected) revert WrongOpenings(proof.openings.length, expected);
        _add(sum, proof, place);
        // A segment without an included update stays as it is, momentum too.
        if (sum.updates == 0) return oldNode;
        MergeRule memory rule = MergeRule(p.lr, p.mu, p.nesterov, p.momentum);
        return Merkle.leafNodeOf(ExactMerge.merge(sum, proof.oldLeaf, rule));
    }

    /// @dev Add a part of a chunk's updates, and remember the sum.
    function _feed(address run, uint32 round, RunParams memory p, ChunkProof calldata proof) internal {
        // Check
        Place memory place = _placeOf(p.segmentEnds, proof.chunk);
        bytes32 key = _keyOf(run, round, sha256(proof.inputs), proof.chunk);
        WeightedSum memory sum = _resume(key, proof.accumulator);
        uint256 missing = Inputs.count(proof.inputs) - sum.updates;
        uint256 given = proof.openings.length;
        if (given == 0 || given > missing) revert WrongOpenings(given, missing);
        _add(sum, proof, place);
        // Effect
        bytes memory accumulator = abi.encode(sum);
        _accumulators[key] = keccak256(accumulator);
        emit Fed(run, round, msg.sender, proof.chunk, accumulator);
    }

    /// @dev Whether a leaf is the trainer's. The short form adds up the sums itself and so needs true ones; the long
    /// form takes them as the digests name them, so that a lying trainer blocks nobody.
    function _isLeaf(bytes calldata opening, bytes32 root, uint256 index, uint256 depth)
        internal
        view
        returns (bool ok)
    {
        if (_isShort(opening, depth)) {
            (bytes32 node, uint256 ssq) = SumTree.leafNode(opening[:DenseInt8.LEAF_BYTES]);
            // slither-disable-next-line unused-return: the merge needs no sum
            (ok,) = SumTree.verify(root, index, node, ssq, opening[DenseInt8.LEAF_BYTES:], depth);
        } else if (_isLong(opening, depth)) {
            // What the leaf's own sum is does not matter here.
            bytes32 node = Merkle.leafNode(opening[:DenseInt8.LEAF_BYTES]);
            // slither-disable-next-line unused-return: the merge needs no sum
            (ok,,) = SumTree.open(root, index, node, 0, opening[DenseInt8.LEAF_BYTES:], depth);
        }
    }

    function _isShort(bytes calldata opening, uint256 depth) internal pure returns (bool) {
        return opening.length == DenseInt8.LEAF_BYTES + depth * SumTree.SIBLING_BYTES;
    }

    function _isLong(bytes calldata opening, uint256 depth) internal pure returns (bool) {
        return opening.length == DenseInt8.LEAF_BYTES + depth * SumTree.CLAIM_BYTES;
    }

    /// @dev Open a leaf in the long form: whether it is the trainer's, the named sums on its path are true, and the sum
    /// of the update.
    function _openLong(bytes calldata opening, bytes32 root, uint256 index, uint256 depth)
        internal
        view
        returns (bool ok, bool honest, uint256 rootSsq)
    {
        (bytes32 node, uint256 ssq) = SumTree.leafNode(opening[:DenseInt8.LEAF_BYTES]);
        return SumTree.open(root, index, node, ssq, opening[DenseInt8.LEAF_BYTES:], depth);
    }

    /// @dev Reverts for the places behind the last chunk.
    function _placeOf(uint32[] memory segmentEnds, uint256 chunk) internal pure returns (Place memory place) {
        uint256 first = 0;
        uint256 segment = 0;
        while (segment < segmentEnds.length && chunk >= segmentEnds[segment]) {
            first = segmentEnds[segment];
            ++segment;
        }
        if (segment == segmentEnds.length) revert NoSuchChunk(uint32(chunk), uint32(first));
        return Place(segment, chunk - first, _depthOf(segmentEnds[segment] - first));
    }

    /// @dev Depth of a tree of so many leaves, at least one.
    function _depthOf(uint256 leaves) internal pure returns (uint256 depth) {
        // Bits of the last leaf's place.
        uint256 last = leaves - 1;
        for (uint256 step = 16; step != 0; step >>= 1) {
            if (last >> step == 0) continue;
            depth += step;
            last >>= step;
        }
        depth += last;
    }

    function _requireInputs(bytes calldata inputs, bytes32 inputsHash, uint256 segment) internal pure {
        if (sha256(inputs) != inputsHash) revert WrongInputs(uint8(segment));
    }

    /// @dev The sum that the last part left, or an empty one.
    function _resume(bytes32 key, bytes calldata accumulator) private view returns (WeightedSum memory sum) {
        if (accumulator.length == 0) return sum;
        bytes32 given = keccak256(accumulator);
        if (given != _accumulators[key]) revert WrongAccumulator(_accumulators[key], given);
        return abi.decode(accumulator, (WeightedSum));
    }

    /// @dev Add the proof's openings to the sum; the first belongs to the update behind those that it holds.
    function _add(WeightedSum memory sum, ChunkProof calldata proof, Place memory place) private view {
        uint256 first = sum.updates;
        for (uint256 i = 0; i < proof.openings.length; ++i) {
            bytes calldata entry = proof.inputs[(first + i) * Inputs.ENTRY_BYTES:];
            bytes calldata opening = proof.openings[i];
            if (!_isLeaf(opening, Inputs.updateRootOf(entry), place.index, place.depth)) {
                revert WrongUpdateOpening(first + i);
            }
            DenseInt8.add(sum, opening[:DenseInt8.LEAF_BYTES], Inputs.weightOf(entry));
        }
    }

    function _keyOf(address run, uint32 round, bytes32 inputsHash, uint32 chunk) private view returns (bytes32) {
        return keccak256(abi.encode(msg.sender, run, round, inputsHash, chunk));
    }
}
