// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {Dispute, DisputeState, IMergeCourt} from "../interfaces/IMergeCourt.sol";
import {DenseInt8} from "../libraries/DenseInt8.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Seats} from "../libraries/Seats.sol";
import {RunParams} from "../types/Types.sol";
import {TreeGames} from "./TreeGames.sol";

/// @title A merge of bytes that nobody can get can not be checked: whoever has them shows them, or it fails.
abstract contract LeafGames is TreeGames {
    using Seats for uint256;

    /// @inheritdoc IMergeCourt
    function challengeLeaf(address run, uint32 round, uint32 chunk, bytes calldata inputs, uint256 place)
        external
        payable
        nonReentrant
        returns (uint256 id)
    {
        // Check
        RunParams memory p = IJudgedRun(run).params();
        Dispute memory d = _newDispute(run, round, p, DisputeState.Leaf);
        Place memory leaf = _placeOf(p.segmentEnds, chunk);
        _requireInputs(inputs, IJudgedRun(run).inputsHash(round, uint8(leaf.segment)), leaf.segment);
        if (place >= Inputs.count(inputs)) revert NoSuchUpdate(place);
        Inputs.Entry memory entry = Inputs.entryAt(inputs, place);
        (d.proposer, d.seat, d.node) = (entry.trainer, entry.seat, entry.updateRoot);
        (d.level, d.index) = (uint8(leaf.depth), uint32(leaf.index));
        // Effect and interaction
        id = _open(d);
        emit LeafChallenged(id, run, round, msg.sender, entry.seat, chunk);
    }

    /// @inheritdoc IMergeCourt
    function answerLeaf(uint256 id, bytes calldata opening) external nonReentrant {
        // Check
        Dispute storage d = _due(id, DisputeState.Leaf);
        Standing standing = _standing(d);
        if (standing != Standing.Pending) {
            _endMootLeaf(id, d, standing);
            return;
        }
        // The short form opens honest paths only; so does the long one of a tree of one leaf, where they are the same.
        bool honest = _isShort(opening, d.level);
        bool ok = honest && _isLeaf(opening, d.node, d.index, d.level);
        if (!honest && _isLong(opening, d.level)) (ok, honest,) = _openLong(opening, d.node, d.index, d.level);
        if (!ok) revert WrongUpdateOpening(d.seat);
        emit LeafShown(id, opening[:DenseInt8.LEAF_BYTES]);
        // Effect and interaction
        if (honest || _isConvicted(d)) {
            _reject(id, d, standing, msg.sender);
            return;
        }
        // The leaf is here, so that the merge can be checked; the sums of its author lie.
        _end(id, d, DisputeState.Upheld, d.challenger);
        _release(d, standing);
        emit WrongNormProven(d.run, d.round, d.challenger, d.seat);
        IJudgedRun(d.run).convictUpdate(d.round, d.seat, d.proposer, d.challenger);
    }

    /// @inheritdoc IMergeCourt
    function endDispute(uint256 id) external nonReentrant {
        // Check
        Dispute storage d = _inProgress(id);
        Standing standing = _standing(d);
        bool isLeaf = d.state == DisputeState.Leaf;
        // Effect and interaction
        if (isLeaf && standing != Standing.Pending) {
            _endMootLeaf(id, d, standing);
            return;
        }
        if (standing == Standing.Gone) {
            _endMoot(id, d);
            return;
        }
        if (block.timestamp <= d.deadline) revert ClockStillRuns(id, d.deadline);
        if (d.state == DisputeState.Choice) _reject(id, d, standing, d.proposer);
        else if (isLeaf) _upholdLeaf(id, d);
        else _upholdTree(id, d, standing);
    }

    /// @dev Nobody has the leaf: its author pays, and the merge that can not be checked fails.
    function _upholdLeaf(uint256 id, Dispute storage d) private {
        bool wasConvicted = _isConvicted(d);
        _end(id, d, DisputeState.Upheld, d.challenger);
        // Interaction
        if (!wasConvicted) IJudgedRun(d.run).convictUpdate(d.round, d.seat, d.proposer, d.challenger);
        IJudgedRun(d.run).failMerge(d.round);
    }

    /// @dev The leaf is owed for a pending merge only. One that was rejected is made again from the same updates: then
    /// the leaf can be asked for again.
    function _endMootLeaf(uint256 id, Dispute storage d, Standing standing) private {
        _endMoot(id, d);
        // Interaction
        if (standing == Standing.Rejected) _release(d, standing);
    }

    function _isConvicted(Dispute storage d) private view returns (bool) {
        return IJudgedRun(d.run).convicted(d.round).has(d.seat);
    }
}
