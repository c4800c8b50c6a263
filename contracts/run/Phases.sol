// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Seats} from "../libraries/Seats.sol";
import {Current, FailureReason, Phase, Progress, Rejected, Round, Seat, Submission} from "../types/Types.sol";
import {Refunds} from "./Refunds.sol";

/// @title How the commit phase ends, and what absence costs: shared by both halves of a run.
abstract contract Phases is Refunds {
    using Seats for uint256;

    /// @dev End of the commit phase: reject the parent, fail the round, or go on to reveal.
    function _closeCommit(Current memory c) internal {
        if (c.dissents != 0 && totals.dissentStakeGwei > _committedStakeGwei(c.attempt)) {
            // The majority that spoke computed another root. Nobody is slashed without a proof, and nobody gets away
            // while one is on its way.
            Round storage parent = _rounds[(c.round - 1) % _hot.ringSize];
            if (parent.openDisputes == 0) _unlockBond(parent.proposer);
            else rejected[_proposalId(c.round - 1, parent)] = Rejected(parent.proposer, parent.openDisputes);
            _reopenMerge(c, c.round - 1, FailureReason.ParentRejected);
            return;
        }
        if (c.commits + c.dissents < c.rosterCount) _chargeAbsent(c);
        if (c.commits < _hot.minTrainers) {
            _fail(c, FailureReason.TooFewCommits);
            return;
        }
        _enter(c, Phase.Reveal, _hot.revealS);
    }

    /// @dev Only when somebody dissents. At most 256 seats.
    function _committedStakeGwei(uint32 attempt) private view returns (uint256 sum) {
        uint256 rest = roster;
        while (rest != 0) {
            uint256 seat = rest.lowest();
            rest = rest.remove(seat);
            Submission memory s = submissions[seat];
            if (s.attempt == attempt && s.progress == Progress.Committed) sum += seats[seat].stakeGwei;
        }
    }

    /// @dev The seat must be in the roster and belong to the account.
    function _requireSeat(uint8 seat, address account) internal view {
        if (!roster.has(seat) || seats[seat].trainer != account) revert NotSeated(seat, account);
    }

    /// @dev Charge seats that neither committed nor dissented, once, when the commit phase ends. At most 256 seats.
    function _chargeAbsent(Current memory c) private {
        uint256 rest = roster;
        while (rest != 0) {
            uint256 seat = rest.lowest();
            rest = rest.remove(seat);
            if (submissions[seat].attempt == c.attempt) continue;
            Seat memory s = seats[seat];
            ++s.absences;
            uint56 fee = s.absences >= _params.absenceGrace ? _params.absenceFeeGwei : 0;
            _charge(c.round, uint8(seat), s, fee, true);
        }
    }

    /// @dev Charge seats that committed without revealing, once, when the round is frozen or fails. At most 256 seats.
    function _chargeUnrevealed(Current memory c) internal {
        if (c.reveals == c.commits) return;
        uint256 rest = roster;
        while (rest != 0) {
            uint256 seat = rest.lowest();
            rest = rest.remove(seat);
            Submission memory s = submissions[seat];
            if (s.attempt != c.attempt || s.progress != Progress.Committed) continue;
            _charge(c.round, uint8(seat), seats[seat], _params.noRevealFeeGwei, false);
        }
    }

    /// @dev Take a fee from a seat's stake; evict it if it was away too long or has too little left.
    function _charge(uint32 round, uint8 seat, Seat memory s, uint56 fee, bool absent) internal {
        if (fee > s.stakeGwei) fee = s.stakeGwei;
        s.stakeGwei -= fee;
        seats[seat] = s;
        bool isLeaving = leaving.has(seat);
        if (fee != 0) {
            if (!isLeaving) totals.enrolledStakeGwei -= fee;
            emit FeeCharged(round, s.trainer, fee, absent);
        }
        bool evict = s.absences >= _params.evictAfter || s.stakeGwei < _params.minStakeGwei;
        if (evict && !isLeaving) _markLeaving(seat, s, true);
    }

    function _markLeaving(uint8 seat, Seat memory s, bool evicted) internal {
        leaving = leaving.add(seat);
        seats[seat].lastRound = current.round;
        totals.enrolledStakeGwei -= s.stakeGwei;
        totals.rosterChanged = true;
        emit Leaving(s.trainer, seat, evicted);
    }
}
