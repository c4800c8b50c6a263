// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRunOffice} from "../interfaces/IRunOffice.sol";
import {Seats} from "../libraries/Seats.sol";
import {Current, Phase, Seat} from "../types/Types.sol";
import {Phases} from "./Phases.sol";

/// @title Enrolment and exit.
abstract contract Roster is Phases, IRunOffice {
    using Seats for uint256;

    /// @inheritdoc IRunOffice
    function enroll(uint56 stakeGwei) external returns (uint8 seat) {
        // Check
        if (totals.closed) revert RunStopped();
        uint256 plusOne = seatPlusOneOf[msg.sender];
        if (plusOne != 0) revert AlreadyEnrolled(msg.sender, uint8(plusOne - 1));
        if (stakeGwei < _params.minStakeGwei) revert StakeTooSmall(stakeGwei, _params.minStakeGwei);
        uint256 used = seatsUsed;
        if (used.count() >= _params.maxTrainers) revert RunFull(_params.maxTrainers);
        // Effect
        seat = uint8((~used).lowest());
        seatsUsed = used.add(seat);
        seats[seat] = Seat({trainer: msg.sender, stakeGwei: stakeGwei, absences: 0, lastRound: 0});
        seatPlusOneOf[msg.sender] = uint256(seat) + 1;
        totals.enrolledStakeGwei += stakeGwei;
        totals.rosterChanged = true;
        emit Enrolled(msg.sender, seat, stakeGwei);
        // Interaction: the factory's vault
        vault.lock(msg.sender, stakeGwei * GWEI);
    }

    /// @inheritdoc IRunOffice
    function leaveRoster() external {
        uint256 plusOne = seatPlusOneOf[msg.sender];
        if (plusOne == 0) revert NotSeated(0, msg.sender);
        uint8 seat = uint8(plusOne - 1);
        if (leaving.has(seat)) revert AlreadyLeaving(seat);
        _markLeaving(seat, seats[seat], false);
    }

    /// @inheritdoc IRunOffice
    function release(uint8 seat) external {
        // Check
        Seat memory s = seats[seat];
        Current memory c = current;
        bool inRound = c.phase != Phase.Idle && roster.has(seat);
        if (!leaving.has(seat) || inRound) revert StillInRoster(seat);
        // While a merge of its updates may be disputed or made again, stake does not even begin to unbond. Rounds
        // behind the open one are void, and the seat will not be in those that take their numbers.
        uint32 last = s.lastRound < c.round ? s.lastRound : c.round;
        if (totals.lastFinal < last) revert StillLiable(seat, last);
        // Effect
        totals.rosterChanged = true;
        seatsUsed = seatsUsed.remove(seat);
        leaving = leaving.remove(seat);
        delete seats[seat];
        delete seatPlusOneOf[s.trainer];
        emit Released(s.trainer, seat, s.stakeGwei);
        // Interaction: the factory's vault. What fees took from the seat is still locked there.
        uint256 stakeWei = s.stakeGwei * GWEI;
        uint256 feeWei = vault.lockedOf(address(this), s.trainer) - stakeWei;
        if (feeWei != 0) vault.collectFee(s.trainer, feeWei);
        if (stakeWei != 0) vault.unlock(s.trainer, stakeWei);
    }
}
