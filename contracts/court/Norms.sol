// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {IMergeCourt, NormProof} from "../interfaces/IMergeCourt.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Seats} from "../libraries/Seats.sol";
import {Shuffle} from "../libraries/Shuffle.sol";
import {Current, Phase, Progress, RoundStatus, RunParams, Submission} from "../types/Types.sol";
import {LeafGames} from "./LeafGames.sol";

/// @title An update whose sums or whose header lie is convicted by one leaf.
abstract contract Norms is LeafGames {
    using Seats for uint256;

    /// @inheritdoc IMergeCourt
    function proveNorm(address run, uint32 round, NormProof calldata proof) external nonReentrant {
        // Check
        (address trainer, uint256 segment) =
            proof.inputs.length == 0 ? _revealed(run, round, proof) : _frozen(run, round, proof);
        if (!_lies(IJudgedRun(run).params(), segment, proof)) revert NormIsRight(proof.seat);
        // Interaction
        emit WrongNormProven(run, round, msg.sender, proof.seat);
        IJudgedRun(run).convictUpdate(round, proof.seat, trainer, msg.sender);
    }

    /// @dev Whether a sum on the leaf's path, or the header's, is not the true one.
    function _lies(RunParams memory p, uint256 segment, NormProof calldata proof) private view returns (bool) {
        uint256 first = segment == 0 ? 0 : p.segmentEnds[segment - 1];
        uint256 depth = _depthOf(p.segmentEnds[segment] - first);
        if (!_isLong(proof.opening, depth)) revert WrongUpdateOpening(proof.seat);
        (bool ok, bool honest, uint256 rootSsq) = _openLong(proof.opening, proof.updateRoot, proof.index, depth);
        if (!ok) revert WrongUpdateOpening(proof.seat);
        return !honest || rootSsq != proof.header.ssq;
    }

    /// @dev Author and segment of an update that is merged.
    function _frozen(address run, uint32 round, NormProof calldata proof)
        private
        view
        returns (address trainer, uint256 segment)
    {
        RoundStatus status = IJudgedRun(run).getRound(round).status;
        // Of no other round does the run hold the inputs.
        if (status != RoundStatus.Proposed && status != RoundStatus.Final) revert NotPending(run, round);
        _requireInputs(proof.inputs, IJudgedRun(run).inputsHash(round, proof.segment), proof.segment);
        uint256 count = Inputs.count(proof.inputs);
        for (uint256 place = 0; place < count; ++place) {
            Inputs.Entry memory entry = Inputs.entryAt(proof.inputs, place);
            if (entry.seat != proof.seat) continue;
            if (entry.updateRoot != proof.updateRoot || entry.headerHash != Commitments.headerHashOf(proof.header)) {
                revert WrongHeader(proof.seat);
            }
            return (entry.trainer, proof.segment);
        }
        revert NoSuchUpdate(proof.seat);
    }

    /// @dev Author and segment of an update revealed on chain in the attempt that is open.
    function _revealed(address run, uint32 round, NormProof calldata proof)
        private
        view
        returns (address trainer, uint256 segment)
    {
        Current memory c = IJudgedRun(run).current();
        // In a reopened merge the attempt is that of a void round; between rounds a seat may have changed hands. From
        // the freeze on the frozen form serves.
        bool isOpen = c.phase == Phase.Reveal || c.phase == Phase.Audit;
        if (round != c.round || !isOpen) revert NotPending(run, round);
        Submission memory s = IJudgedRun(run).submissions(proof.seat);
        if (s.attempt != c.attempt || s.progress != Progress.Revealed) revert NoSuchUpdate(proof.seat);
        if (s.digest != Commitments.revealDigest(proof.updateRoot, Commitments.headerHashOf(proof.header))) {
            revert WrongHeader(proof.seat);
        }
        trainer = IJudgedRun(run).seats(proof.seat).trainer;
        uint256 rank = IJudgedRun(run).roster().rank(proof.seat);
        segment = Shuffle.segmentOf(IJudgedRun(run).getRound(round).seed, rank, IJudgedRun(run).params().segments);
    }
}
