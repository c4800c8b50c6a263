// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {Header} from "../interfaces/IMergeCourt.sol";
import {ITrainingCourt, Trial, TrialState} from "../interfaces/ITrainingCourt.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Seats} from "../libraries/Seats.sol";
import {Traces} from "../libraries/Traces.sol";
import {Round, RoundStatus, RunParams} from "../types/Types.sol";
import {Trials} from "./Trials.sol";

/// @title From an accusation to the one step on which both sides differ.
abstract contract TraceGame is Trials {
    using Seats for uint256;

    /// @inheritdoc ITrainingCourt
    function accuse(
        address run,
        uint32 round,
        uint8 segment,
        bytes calldata inputs,
        uint256 place,
        Header calldata header,
        bytes32 ownRoot
    ) external payable nonReentrant returns (uint256 id) {
        // Check
        if (ownRoot == header.traceRoot) revert NothingDisputed();
        Inputs.Entry memory entry = _pending(run, round, segment, inputs, place, header);
        uint96 ticketWei = _ticketWei();
        (uint256 sideWei,) = _bondsAt(ticketWei);
        uint96 bondWei = _takeBondOf(sideWei);
        RunParams memory p = IJudgedRun(run).params();
        // Effect
        Trial storage t;
        (id, t) = _newTrial();
        (t.run, t.round, t.state, t.seat, t.segment) = (run, round, TrialState.Defence, entry.seat, segment);
        (t.accuser, t.deadline) = (msg.sender, _answerBy(p.moveS));
        (t.accused, t.accuserBondWei) = (entry.trainer, bondWei);
        (t.ticketWei, t.moveS, t.juryS) = (ticketWei, p.moveS, p.juryS);
        (t.seed, t.inputsHash) = (IJudgedRun(run).frozenSeed(round), sha256(inputs));
        (t.classId, t.updateRoot) = (header.classId, entry.updateRoot);
        (t.traceRoot, t.ownRoot) = (header.traceRoot, ownRoot);
        emit Accused(id, run, round, entry.seat, entry.trainer, msg.sender, header.classId, ownRoot);
        // Interaction
        IJudgedRun(run).beginTrial(round);
    }

    /// @inheritdoc ITrainingCourt
    function showTrace(uint256 id, bytes32[] calldata digests) external payable nonReentrant {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Defence);
        if (!goesOn) return _endMoot(id, t);
        (uint256 sideWei,) = _bondsAt(t.ticketWei);
        uint96 bondWei = _takeBondOf(sideWei);
        _requireTrace(id, digests, t.updateRoot, t.traceRoot);
        // Effect
        (t.defender, t.defenderBondWei) = (msg.sender, bondWei);
        t.shown = keccak256(abi.encode(digests));
        (t.state, t.deadline) = (TrialState.Reply, _answerBy(t.moveS));
        emit TraceShown(id, msg.sender, digests);
    }

    /// @inheritdoc ITrainingCourt
    function answerTrace(
        uint256 id,
        bytes32[] calldata accusedDigests,
        bytes32[] calldata ownDigests,
        bytes32 ownUpdateRoot
    ) external nonReentrant {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Reply);
        if (!goesOn) return _endMoot(id, t);
        if (msg.sender != t.accuser) revert NotAccuser(id, t.accuser);
        if (keccak256(abi.encode(accusedDigests)) != t.shown) revert WrongTrace(id);
        _requireTrace(id, ownDigests, ownUpdateRoot, t.ownRoot);
        bytes32 updateRoot = t.updateRoot;
        uint256 index = Traces.firstDifference(accusedDigests, updateRoot, ownDigests, ownUpdateRoot);
        bytes32 theirs = Traces.digestAt(accusedDigests, updateRoot, index);
        bytes32 mine = Traces.digestAt(ownDigests, ownUpdateRoot, index);
        if (theirs == mine) revert NothingDisputed();
        // Effect
        t.index = uint16(index);
        (t.accusedDigest, t.accuserDigest) = (theirs, mine);
        if (index != 0) t.before = Traces.digestAt(accusedDigests, updateRoot, index - 1);
        _toDraw(t);
        emit Diverged(id, index, t.before, theirs, mine, t.drawBlock);
    }

    /// @dev The next block's randomness draws the jury: who could choose it does not know it yet.
    function _toDraw(Trial storage t) internal {
        (t.state, t.drawBlock) = (TrialState.Draw, uint40(block.number + 1));
        t.deadline = uint40(block.timestamp + t.moveS);
    }

    /// @dev An update that is frozen, and not final.
    function _pending(
        address run,
        uint32 round,
        uint8 segment,
        bytes calldata inputs,
        uint256 place,
        Header calldata header
    ) private view returns (Inputs.Entry memory entry) {
        Round memory record = IJudgedRun(run).getRound(round);
        bool pending = record.status == RoundStatus.Open || record.status == RoundStatus.Proposed;
        if (!pending || IJudgedRun(run).frozenSeed(round) == 0) revert NotFrozen(run, round);
        if (record.status == RoundStatus.Proposed && block.timestamp >= record.finalizableAt) {
            revert WindowClosed(record.finalizableAt);
        }
        if (sha256(inputs) != IJudgedRun(run).inputsHash(round, segment)) revert WrongInputs(segment);
        if (place >= Inputs.count(inputs)) revert NoSuchUpdate(place);
        entry = Inputs.entryAt(inputs, place);
        if (Commitments.headerHashOf(header) != entry.headerHash) revert WrongHeader(entry.seat);
        if (IJudgedRun(run).convicted(round).has(entry.seat)) revert AlreadyGuilty(round, entry.seat);
    }

    function _requireTrace(uint256 id, bytes32[] calldata digests, bytes32 updateRoot, bytes32 root) private pure {
        if (digests.length == 0 || digests.length > Traces.MAX_DIGESTS) revert WrongTrace(id);
        if (Traces.root(digests, updateRoot) != root) revert WrongTrace(id);
    }

    function _answerBy(uint32 moveS) private view returns (uint40) {
        return uint40(block.timestamp + ANSWER_MOVES * moveS);
    }
}
