// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {Dispute, DisputeState, IMergeCourt} from "../interfaces/IMergeCourt.sol";
import {Round, RoundStatus, RunParams} from "../types/Types.sol";
import {ChunkProofs} from "./ChunkProofs.sol";

/// @title How disputes begin and end, and their clocks.
/// @notice A move must come within `moveS` and what is left of its side's bank, from which the time beyond `moveS` is
/// taken. A tree of 2^32 leaves takes 9 moves, so that no dispute lasts longer than 15 * moveS.
abstract contract Disputes is ChunkProofs {
    /// @dev What became of a proposal since a dispute about it began.
    enum Standing {
        Gone,
        Pending,
        Rejected
    }

    uint32 private constant BANK_MOVES = 3;

    /// @inheritdoc IMergeCourt
    uint256 public disputeCount;
    mapping(uint256 id => Dispute dispute) private _disputes;

    /// @inheritdoc IMergeCourt
    function disputes(uint256 id) external view returns (Dispute memory) {
        return _disputes[id];
    }

    /// @dev The record of a pending proposal.
    function _pending(address run, uint32 round) internal view returns (Round memory record) {
        record = IJudgedRun(run).getRound(round);
        if (record.status != RoundStatus.Proposed) revert NotPending(run, round);
    }

    /// @dev A dispute about a pending proposal, not yet stored. The sent ETH is its bond.
    function _newDispute(address run, uint32 round, RunParams memory p, DisputeState answer)
        internal
        view
        returns (Dispute memory d)
    {
        Round memory record = _pending(run, round);
        if (block.timestamp >= record.finalizableAt) revert WindowClosed(record.finalizableAt);
        uint256 updates = answer == DisputeState.Chunk ? IJudgedRun(run).current().rosterCount : 0;
        (d.run, d.round, d.state, d.challenger) = (run, round, answer, msg.sender);
        d.bondWei = _takeBond(answer, updates);
        (d.proposer, d.node) = (record.proposer, record.modelRoot);
        d.proposal = IJudgedRun(run).proposalId(round);
        d.moveS = p.moveS;
        (d.answerBankS, d.choiceBankS) = (BANK_MOVES * p.moveS, BANK_MOVES * p.moveS);
        d.deadline = _deadline(d.moveS, d.answerBankS);
    }

    /// @dev Store a dispute and keep its round from becoming final.
    function _open(Dispute memory d) internal returns (uint256 id) {
        id = ++disputeCount;
        _disputes[id] = d;
        // Interaction: behind it nothing is read or written but events
        IJudgedRun(d.run).holdFinality(d.round);
    }

    /// @dev The dispute, if it waits for this move and the mover has time.
    function _due(uint256 id, DisputeState state) internal view returns (Dispute storage d) {
        d = _disputes[id];
        if (d.state != state) revert WrongMove(id, d.state);
        if (block.timestamp > d.deadline) revert ClockRanOut(id, d.deadline);
    }

    /// @dev The dispute, if it goes on; its clock is the caller's matter.
    function _inProgress(uint256 id) internal view returns (Dispute storage d) {
        d = _disputes[id];
        if (d.state == DisputeState.None || d.state >= DisputeState.Upheld) revert WrongMove(id, d.state);
    }

    /// @dev Pass the turn to the challenger or to the proposer's side.
    function _passTurn(Dispute storage d, DisputeState next) internal {
        uint32 leftS = uint32(d.deadline - block.timestamp);
        if (next == DisputeState.Choice) {
            if (leftS < d.answerBankS) d.answerBankS = leftS;
            d.deadline = _deadline(d.moveS, d.choiceBankS);
        } else {
            if (leftS < d.choiceBankS) d.choiceBankS = leftS;
            d.deadline = _deadline(d.moveS, d.answerBankS);
        }
        d.state = next;
    }

    function _standing(Dispute storage d) internal view returns (Standing) {
        IJudgedRun run = IJudgedRun(d.run);
        if (run.proposalId(d.round) == d.proposal) return Standing.Pending;
        // slither-disable-next-line unused-return: how many disputes does not matter
        (address proposer,) = run.rejected(d.proposal);
        return proposer == address(0) ? Standing.Gone : Standing.Rejected;
    }

    /// @dev End a dispute and credit its bonds. What the run does about it comes after.
    function _end(uint256 id, Dispute storage d, DisputeState state, address beneficiary) internal {
        d.state = state;
        creditOf[beneficiary] += d.bondWei;
        emit DisputeEnded(id, state, beneficiary, d.bondWei);
    }

    /// @dev What was disputed is gone: nobody was wrong.
    function _endMoot(uint256 id, Dispute storage d) internal {
        _end(id, d, DisputeState.Moot, d.challenger);
    }

    /// @dev The challenger was wrong: the proposal is free of this dispute.
    function _reject(uint256 id, Dispute storage d, Standing standing, address beneficiary) internal {
        _end(id, d, DisputeState.Rejected, beneficiary);
        // Interaction
        _release(d, standing);
    }

    /// @dev Take a dispute's hold off a proposal that still stands, or was rejected.
    function _release(Dispute storage d, Standing standing) internal {
        if (standing == Standing.Pending) IJudgedRun(d.run).releaseFinality(d.round);
        else IJudgedRun(d.run).releaseRejected(d.proposal);
    }

    function _deadline(uint32 moveS, uint32 bankS) private view returns (uint40) {
        return uint40(block.timestamp + moveS + bankS);
    }
}
