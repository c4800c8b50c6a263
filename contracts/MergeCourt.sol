// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Norms} from "./court/Norms.sol";
import {IJudgedRun} from "./interfaces/IJudgedRun.sol";
import {ChunkProof, IMergeCourt} from "./interfaces/IMergeCourt.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Round, RunParams} from "./types/Types.sol";

/// @title MergeCourt
/// @notice Wrong merges and lying norms are computed, not voted on; docs/protocol.md section 8. The court has no owner
/// and no settings, and serves every run that names it.
contract MergeCourt is Norms {
    /// @inheritdoc IMergeCourt
    function proveMerge(
        address run,
        uint32 round,
        ChunkProof calldata proof,
        bytes32 proposedNode,
        bytes32[] calldata proposedSiblings
    ) external nonReentrant {
        // Check
        Round memory record = _pending(run, round);
        RunParams memory p = IJudgedRun(run).params();
        uint32 chunk = proof.chunk;
        if (!Merkle.verify(record.modelRoot, chunk, proposedNode, proposedSiblings, _depthOf(p.chunks))) {
            revert WrongNode(chunk);
        }
        bytes32 node = Merkle.EMPTY;
        if (chunk < p.chunks) {
            bytes32 inputsHash =
                IJudgedRun(run).inputsHash(round, uint8(_placeOf(p.segmentEnds, chunk).segment));
            node = _rightNode(
                run, round, p, inputsHash, IJudgedRun(run).getRound(round - 1).modelRoot, proof
            );
        }
        if (node == proposedNode) revert ChunkIsRight(chunk);
        // Interaction
        emit WrongMergeProven(run, round, msg.sender, chunk, proposedNode, node);
        IJudgedRun(run).convictMerge(round, msg.sender);
    }

    /// @inheritdoc IMergeCourt
    function feed(address run, uint32 round, ChunkProof calldata proof) external nonReentrant {
        _feed(run, round, IJudgedRun(run).params(), proof);
    }
}
