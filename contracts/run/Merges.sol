// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {IRunOffice} from "../interfaces/IRunOffice.sol";
import {Seats} from "../libraries/Seats.sol";
import {Current, FailureReason, Phase, Round, RoundStatus, Totals} from "../types/Types.sol";
import {Treasury} from "./Treasury.sol";

/// @title Opening rounds, proposing the merged model in turn, and settling rounds.
abstract contract Merges is Treasury {
    using Seats for uint256;

    uint256 private constant MAX_AGGREGATORS = 16;
    uint256 private constant INPUT_BYTES = 88;
    /// @dev Calldata of a proposal and of an input.
    uint256 private constant PROPOSAL_DATA_GAS = 1_300;
    uint256 private constant INPUT_DATA_GAS = INPUT_BYTES * 16;

    /// @inheritdoc IRunOffice
    function openRound() external refunded(2, 0) {
        Current memory c = current;
        Totals memory t = totals;
        // Check
        if (c.phase != Phase.Idle) revert WrongPhase(Phase.Idle, c.phase);
        if (t.halted || t.closed) revert RunStopped();
        if (c.round >= _hot.maxRounds) revert RunComplete(_hot.maxRounds);
        uint32 pending = c.round - t.lastFinal;
        if (pending + 2 > _hot.ringSize) revert WrongRound(t.lastFinal + 1, _record(t.lastFinal + 1).status);
        uint256 neededWei = (uint256(pending) + 1) * _hot.rewardPerRoundWei;
        if (rewardPoolWei < neededWei) revert InsufficientFunds(rewardPoolWei, neededWei);
        uint256 seated = roster;
        if (t.rosterChanged) {
            seated = seatsUsed & ~leaving;
            roster = seated;
            c.rosterCount = uint16(seated.count());
        }
        if (c.rosterCount < _hot.minTrainers) revert TooFewTrainers(c.rosterCount, _hot.minTrainers);
        // Effect
        ++c.round;
        ++c.attempt;
        (c.commits, c.dissents, c.reveals) = (0, 0, 0);
        (c.anyPosted, c.anyExcluded) = (false, false);
        if (t.rosterChanged || t.rosterStakeGwei != t.enrolledStakeGwei || t.dissentStakeGwei != 0) {
            t.rosterStakeGwei = t.enrolledStakeGwei;
            (t.dissentStakeGwei, t.rosterChanged) = (0, false);
            totals = t;
        }
        c.phase = Phase.Commit;
        c.deadline = uint40(block.timestamp + _hot.commitS);
        current = c;
        // slither-disable-next-line weak-prng: a place in the ring, not a random number
        Round storage record = _rounds[c.round % _hot.ringSize];
        // Interaction: a view of the beacon that the sponsor named
        bytes32 seed = IBeacon(_params.beacon).seed(address(this), c.round, c.attempt);
        record.seed = seed;
        // slither-disable-next-line weak-prng: as above
        bytes32 parentRoot = _rounds[(c.round - 1) % _hot.ringSize].modelRoot;
        emit RoundOpened(c.round, c.attempt, seed, parentRoot, seated, t.rosterStakeGwei, c.deadline);
    }

    /// @inheritdoc IRunOffice
    function registerAggregator() external {
        // Check
        _requireNoMerge();
        if (_aggregators.length >= MAX_AGGREGATORS) revert AggregatorsFull(MAX_AGGREGATORS);
        if (_indexOf(msg.sender) < _aggregators.length) revert AlreadyAggregator(msg.sender);
        // Effect
        _lockBond(msg.sender);
        _aggregators.push(msg.sender);
        emit AggregatorRegistered(msg.sender);
    }

    /// @inheritdoc IRunOffice
    function leaveAggregators() external {
        _requireNoMerge();
        uint256 index = _indexOf(msg.sender);
        if (index == _aggregators.length) revert NotAggregator(msg.sender);
        _removeAggregator(index);
    }

    /// @inheritdoc IRunOffice
    function proposeMerge(uint32 round, bytes32 modelRoot, bytes32 modelCid, uint64 modelSize)
        external
        refunded(1, PROPOSAL_DATA_GAS)
    {
        // Check
        Current memory c = current;
        if (c.phase != Phase.Merge) revert WrongPhase(Phase.Merge, c.phase);
        if (c.round != round) revert WrongRound(round, RoundStatus.None);
        if (block.timestamp > c.deadline) revert PhaseOver(c.deadline);
        Round storage record = _rounds[round % _hot.ringSize];
        _takeTurn(uint256(record.seed), c.deadline - _hot.mergeTimeoutS);
        // Effect
        _lockBond(msg.sender);
        uint40 finalizableAt = uint40(block.timestamp + _hot.disputeS);
        // Later than that of any proposal before, though it be of the same block: the court tells them by it.
        if (record.finalizableAt >= finalizableAt) finalizableAt = record.finalizableAt + 1;
        record.modelRoot = modelRoot;
        (record.proposer, record.finalizableAt, record.openDisputes, record.status) =
            (msg.sender, finalizableAt, 0, RoundStatus.Proposed);
        c.phase = Phase.Idle;
        current = c;
        emit MergeProposed(round, msg.sender, modelRoot, modelCid, modelSize, finalizableAt);
    }

    /// @inheritdoc IRunOffice
    function advance() external refunded(1, 0) {
        // Check
        Current memory c = current;
        if (c.phase == Phase.Idle || c.phase == Phase.Audit) revert WrongPhase(Phase.Commit, c.phase);
        if (block.timestamp <= c.deadline) revert PhaseNotOver(c.deadline);
        // Effect
        if (c.phase == Phase.Commit) {
            _closeCommit(c);
        } else if (c.phase == Phase.Merge) {
            _fail(c, FailureReason.MergeTimeout);
        } else if (c.reveals < _hot.minTrainers) {
            _chargeUnrevealed(c);
            _fail(c, FailureReason.TooFewReveals);
        } else {
            _enter(c, Phase.Audit, _hot.auditS);
        }
        current = c;
    }

    /// @inheritdoc IRunOffice
    function finalize(uint32 round, bytes[] calldata inputs)
        external
        refunded(_count(round, inputs), _count(round, inputs) * INPUT_DATA_GAS)
    {
        // Check
        Current memory c = current;
        bool stillOpen = round == c.round && c.phase != Phase.Idle;
        Round storage record = _record(round);
        if (round != totals.lastFinal + 1 || stillOpen) revert WrongRound(round, record.status);
        // Effect
        totals.lastFinal = round;
        if (record.status == RoundStatus.Failed) {
            emit RoundFinalized(round, 0);
            return;
        }
        if (record.status != RoundStatus.Proposed) revert WrongRound(round, record.status);
        if (block.timestamp < record.finalizableAt) revert DisputeWindowOpen(record.finalizableAt);
        _requireAccepted(c, round, record.finalizableAt);
        if (record.openDisputes != 0) revert DisputeOpen(record.openDisputes);
        if (record.anyTrial && openTrials[round] != 0) revert DisputeOpen(openTrials[round]);
        record.status = RoundStatus.Final;
        _unlockBond(record.proposer);
        uint256 paidWei = _payInputs(round, inputs);
        rewardPoolWei -= paidWei;
        emit RoundFinalized(round, paidWei);
    }

    /// @dev A merge is accepted once the commit phase of the next round ended without rejecting it. Where no round
    /// can follow, or nobody opened one for as long as a merge may take, time alone decides.
    function _requireAccepted(Current memory c, uint32 round, uint256 finalizableAt) private view {
        if (round == c.round) {
            bool mayGoOn = round < _hot.maxRounds && !totals.halted && !totals.closed;
            if (mayGoOn && block.timestamp < finalizableAt + _hot.mergeTimeoutS) revert NotAccepted(round);
        } else if (round + 1 == c.round && c.phase == Phase.Commit) {
            revert NotAccepted(round);
        }
    }

    /// @dev Credit each input its share by weight, unless a court convicted it or two thirds called it harmful.
    function _payInputs(uint32 round, bytes[] calldata inputs) private returns (uint256 paidWei) {
        if (inputs.length != _hot.segments) revert InputsMismatch(uint8(inputs.length));
        uint256 without = _rounds[round % _hot.ringSize].anyUnpaid ? convicted[round] | unpaid[round] : 0;
        for (uint256 segment = 0; segment < _hot.segments; ++segment) {
            bytes calldata list = inputs[segment];
            if (sha256(list) != _inputsHashes[round % _hot.ringSize][segment]) revert InputsMismatch(uint8(segment));
            for (uint256 i = 0; i < list.length; i += INPUT_BYTES) {
                uint256 head = uint256(bytes32(list[i:]));
                uint256 weight = (head >> 64) & 0xffffff;
                if (without.has((head >> 88) & 0xff)) continue;
                uint256 rewardWei = (_hot.rewardPerRoundWei * weight) / (WEIGHT_ONE * _hot.segments);
                paidWei += rewardWei;
                _credit(address(uint160(head >> 96)), rewardWei);
                emit RewardCredited(round, address(uint160(head >> 96)), rewardWei);
            }
        }
    }

    /// @dev Enforce the ranked turns; whoever was listed before the sender and kept silent leaves the list.
    function _takeTurn(uint256 seed, uint256 startedAt) private {
        uint256 n = _aggregators.length;
        if (n == 0) return;
        uint256 index = _indexOf(msg.sender);
        uint256 offset = seed % n;
        uint256 myRank = index == n ? n : (index + offset) % n;
        uint256 opensAt = startedAt + myRank * _params.mergeTurnS;
        if (block.timestamp < opensAt) revert NotYourTurn(opensAt);
        if (myRank == 0) return;
        // From the back, so that removal by swapping moves only entries already seen.
        for (uint256 i = n; i > 0; --i) {
            if ((i - 1 + offset) % n < myRank) _removeAggregator(i - 1);
        }
    }

    /// @dev Turns follow from the list's length and order, so nobody may change it while they run.
    function _requireNoMerge() private view {
        // slither-disable-next-line incorrect-equality: phases are an enum
        if (current.phase == Phase.Merge) revert WrongPhase(Phase.Idle, Phase.Merge);
    }

    function _removeAggregator(uint256 index) internal {
        address account = _aggregators[index];
        _aggregators[index] = _aggregators[_aggregators.length - 1];
        _aggregators.pop();
        _unlockBond(account);
        emit AggregatorRemoved(account);
    }

    /// @dev Index of a listed aggregator, or the list's length.
    function _indexOf(address account) internal view returns (uint256 index) {
        uint256 n = _aggregators.length;
        while (index < n && _aggregators[index] != account) ++index;
    }

    /// @dev Updates that finalizing a round pays; a failed one pays none, whatever is sent along.
    function _count(uint32 round, bytes[] calldata inputs) private view returns (uint256 n) {
        if (_rounds[round % _hot.ringSize].status == RoundStatus.Failed) return 0;
        for (uint256 i = 0; i < inputs.length; ++i) {
            n += inputs[i].length / INPUT_BYTES;
        }
    }
}
