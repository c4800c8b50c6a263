// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRunOffice} from "./interfaces/IRunOffice.sol";
import {Merges} from "./run/Merges.sol";
import {Seats} from "./libraries/Seats.sol";
import {Current, FailureReason, Phase, Rejected, Round, RoundStatus, Seat} from "./types/Types.sol";

/// @title RunOffice
/// @notice The second half of every run's code, since one contract may hold 24,576 bytes (EIP-170): opening, merging
/// and settling rounds, roster, money, guardian and courts. TrainingRun delegates to it by name; it has no state of
/// its own.
contract RunOffice is Merges {
    using Seats for uint256;

    modifier only(address account) {
        if (msg.sender != account) revert Unauthorized(msg.sender, account);
        _;
    }

    modifier onlyCourt() {
        if (msg.sender != mergeCourt && msg.sender != trainingCourt) revert Unauthorized(msg.sender, trainingCourt);
        _;
    }

    /// @inheritdoc IRunOffice
    function halt(bool halted) external only(_params.guardian) {
        totals.halted = halted;
        emit Halted(halted);
    }

    /// @inheritdoc IRunOffice
    function rollback(uint32 toRound) external only(_params.guardian) {
        // Check
        Current memory c = current;
        Round storage target = _record(toRound);
        bool settled = toRound < c.round && target.status != RoundStatus.None && target.status != RoundStatus.Open;
        if (!settled || toRound >= totals.lastConviction) revert WrongRound(toRound, target.status);
        // Effect
        emit RolledBack(toRound, c.round);
        _voidAfter(c, toRound, FailureReason.RolledBack);
        if (totals.lastFinal > toRound) totals.lastFinal = toRound;
        // One conviction allows one rollback.
        totals.lastConviction = 0;
        c.phase = Phase.Idle;
        current = c;
    }

    /// @inheritdoc IRunOffice
    function convictMerge(uint32 round, address beneficiary) external only(mergeCourt) {
        // Check
        Current memory c = current;
        Round storage record = _record(round);
        if (record.status != RoundStatus.Proposed) revert WrongRound(round, record.status);
        // Effect
        address proposer = record.proposer;
        (uint256 paidWei, uint256 lostWei) = _slashProposer(proposer, beneficiary);
        totals.lastConviction = round;
        _reopenMerge(c, round, FailureReason.Convicted);
        current = c;
        emit MergeConvicted(round, proposer, beneficiary, paidWei, lostWei);
    }

    /// @inheritdoc IRunOffice
    function convictRejected(bytes32 proposal, address beneficiary) external only(mergeCourt) {
        // Check
        address proposer = rejected[proposal].proposer;
        if (proposer == address(0)) revert NotRejected(proposal);
        // Effect
        delete rejected[proposal];
        (uint256 paidWei, uint256 lostWei) = _slashProposer(proposer, beneficiary);
        emit RejectedConvicted(proposal, proposer, beneficiary, paidWei, lostWei);
    }

    /// @inheritdoc IRunOffice
    function releaseRejected(bytes32 proposal) external only(mergeCourt) {
        // Check
        Rejected memory r = rejected[proposal];
        if (r.proposer == address(0)) revert NotRejected(proposal);
        // Effect
        if (r.disputes > 1) {
            rejected[proposal].disputes = r.disputes - 1;
            return;
        }
        delete rejected[proposal];
        _unlockBond(r.proposer);
    }

    /// @inheritdoc IRunOffice
    function failMerge(uint32 round) external only(mergeCourt) {
        // Check
        Current memory c = current;
        Round storage record = _record(round);
        if (record.status != RoundStatus.Proposed) revert WrongRound(round, record.status);
        // Effect
        _unlockBond(record.proposer);
        _voidAfter(c, round, FailureReason.Unavailable);
        record.openDisputes = 0;
        _fail(c, FailureReason.Unavailable);
        current = c;
    }

    /// @inheritdoc IRunOffice
    function convictUpdate(uint32 round, uint8 seat, address trainer, address beneficiary) external onlyCourt {
        // Check
        Current memory c = current;
        bool beforeFreeze = round == c.round && (c.phase == Phase.Reveal || c.phase == Phase.Audit);
        _record(round);
        if (convicted[round].has(seat)) revert AlreadyConvicted(round, seat);
        // Effect
        convicted[round] = convicted[round].add(seat);
        _record(round).anyUnpaid = true;
        if (beforeFreeze) _exclude(c, seat);
        if (round > totals.lastConviction) totals.lastConviction = round;
        uint256 lockedWei = _slashSeat(c, trainer);
        // slither-disable-next-line unused-return: until when does not matter
        (uint256 unbondingWei,) = vault.unbondingOf(address(this), trainer);
        unbondingWei = (unbondingWei * _params.slashBps) / 10_000;
        emit UpdateConvicted(round, trainer, beneficiary, lockedWei + unbondingWei);
        // Interaction: the factory's vault
        vault.slash(trainer, lockedWei, unbondingWei, beneficiary);
    }

    /// @inheritdoc IRunOffice
    function holdFinality(uint32 round) external only(mergeCourt) {
        Round storage record = _record(round);
        if (record.status != RoundStatus.Proposed) revert WrongRound(round, record.status);
        ++record.openDisputes;
    }

    /// @inheritdoc IRunOffice
    function releaseFinality(uint32 round) external only(mergeCourt) {
        Round storage record = _record(round);
        // A conviction meanwhile cleared the count; then there is nothing left to release.
        if (record.openDisputes != 0) --record.openDisputes;
    }

    /// @inheritdoc IRunOffice
    function beginTrial(uint32 round) external only(trainingCourt) {
        // Check
        Current memory c = current;
        Round storage record = _record(round);
        bool isOpen = round == c.round && c.phase != Phase.Idle;
        if (isOpen ? c.phase != Phase.Merge : record.status != RoundStatus.Proposed) {
            revert WrongRound(round, isOpen ? RoundStatus.Open : record.status);
        }
        // Effect
        record.anyTrial = true;
        ++openTrials[round];
    }

    /// @inheritdoc IRunOffice
    function endTrial(uint32 round) external only(trainingCourt) {
        --openTrials[round];
    }

    /// @inheritdoc IRunOffice
    function fine(uint8 seat, address trainer) external only(trainingCourt) {
        // Check
        // An empty seat is nobody's, the zero address's neither.
        if (seatPlusOneOf[trainer] != uint256(seat) + 1) revert NotSeated(seat, trainer);
        Seat memory s = seats[seat];
        // Effect
        if (s.stakeGwei <= _params.noRevealFeeGwei) _exclude(current, seat);
        _charge(current.round, seat, s, _params.noRevealFeeGwei, false);
    }

    /// @dev Half of a bond for who proved it, half burned; the account leaves the aggregators.
    function _slashProposer(address proposer, address beneficiary) private returns (uint256 paidWei, uint256 lostWei) {
        uint256 bondWei = _hot.proposerBondGwei * GWEI;
        paidWei = bondWei / 2;
        lostWei = bondWei - paidWei;
        accounts[proposer].lockedWei -= uint128(bondWei);
        burnedWei += lostWei;
        _credit(beneficiary, paidWei);
        uint256 index = _indexOf(proposer);
        if (index < _aggregators.length) _removeAggregator(index);
    }

    /// @dev Take the run's share of what the trainer has at its seat, if it still has one.
    function _slashSeat(Current memory c, address trainer) private returns (uint256 slashedWei) {
        uint256 plusOne = seatPlusOneOf[trainer];
        if (plusOne == 0) return 0;
        uint8 seat = uint8(plusOne - 1);
        Seat memory s = seats[seat];
        uint56 slashedGwei = uint56((uint256(s.stakeGwei) * _params.slashBps) / 10_000);
        s.stakeGwei -= slashedGwei;
        seats[seat] = s;
        // An update without stake has no weight; alone in its segment it would leave nothing to divide by.
        if (s.stakeGwei == 0) _exclude(c, seat);
        if (!leaving.has(seat)) {
            totals.enrolledStakeGwei -= slashedGwei;
            if (s.stakeGwei < _params.minStakeGwei) _markLeaving(seat, s, true);
        }
        return slashedGwei * GWEI;
    }

    /// @dev Keep a seat out of the open attempt's freeze.
    function _exclude(Current memory c, uint8 seat) private {
        excluded[c.attempt] = excluded[c.attempt].add(seat);
        current.anyExcluded = true;
    }
}
