// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {ITrainingCourt, Tally, Trial, TrialState} from "../interfaces/ITrainingCourt.sol";
import {Seats} from "../libraries/Seats.sol";
import {TrialBonds} from "./TrialBonds.sol";

/// @title How trials begin and end, and who pays for them.
/// @notice A trial lasts 13 times `moveS` and twice `juryS` at most: two answers of 4 `moveS`, and for each of two
/// juries its draw, its work, its opening and, behind the first, the time to appeal.
abstract contract Trials is TrialBonds {
    using Seats for uint256;

    /// @dev Nobody is asked twice, so that each side has its whole bank, as in the merge court, for one answer.
    uint32 internal constant ANSWER_MOVES = 4;

    /// @inheritdoc ITrainingCourt
    uint256 public trialCount;
    mapping(uint256 id => Trial trial) private _trials;
    mapping(uint256 id => mapping(uint8 level => Tally tally)) internal _tallies;

    /// @inheritdoc ITrainingCourt
    function trials(uint256 id) external view returns (Trial memory) {
        return _trials[id];
    }

    /// @inheritdoc ITrainingCourt
    function tallies(uint256 id, uint8 level) external view returns (Tally memory) {
        return _tallies[id][level];
    }

    /// @inheritdoc ITrainingCourt
    function bondsOf(uint256 id) external view returns (uint256 sideWei, uint256 appealWei) {
        return _bondsAt(_trials[id].ticketWei);
    }

    /// @dev A trial that its caller fills in.
    function _newTrial() internal returns (uint256 id, Trial storage t) {
        id = ++trialCount;
        t = _trials[id];
    }

    /// @dev A trial that a move is made in, if it waits for this move and the mover has time. Where its updates are
    /// gone it does not go on, and the move is to end it.
    function _proceed(uint256 id, TrialState state) internal view returns (Trial storage t, bool goesOn) {
        t = _trials[id];
        if (t.state != state) revert WrongState(id, t.state);
        goesOn = _stands(t);
        if (goesOn && block.timestamp > t.deadline) revert ClockRanOut(id, t.deadline);
    }

    /// @dev End a trial whose updates are gone; what came with the move goes back to its sender.
    function _endMoot(uint256 id, Trial storage t) internal {
        creditOf[msg.sender] += msg.value;
        _end(id, t, TrialState.Moot);
    }

    /// @dev A trial that goes on; its clock is the caller's matter.
    function _inProgress(uint256 id) internal view returns (Trial storage t) {
        t = _trials[id];
        if (t.state == TrialState.None || t.state >= TrialState.Convicted) revert WrongState(id, t.state);
    }

    /// @dev A trial that ended with a verdict.
    function _decided(uint256 id) internal view returns (Trial storage t) {
        t = _trials[id];
        if (t.state != TrialState.Convicted && t.state != TrialState.Acquitted) revert WrongState(id, t.state);
    }

    /// @dev A trial that ended, in whatever way.
    function _ended(uint256 id) internal view returns (Trial storage t) {
        t = _trials[id];
        if (t.state < TrialState.Convicted) revert WrongState(id, t.state);
    }

    /// @dev Whether the run still holds the updates that the trial is about.
    function _stands(Trial storage t) internal view returns (bool) {
        IJudgedRun run = IJudgedRun(t.run);
        bytes32 seed = run.frozenSeed(t.round);
        return seed != 0 && seed == t.seed && run.inputsHash(t.round, t.segment) == t.inputsHash;
    }

    /// @dev End a trial: its bonds find their owners, the run goes on, a guilty update is convicted.
    function _end(uint256 id, Trial storage t, TrialState outcome) internal {
        // Effect
        address winner = address(0);
        if (outcome == TrialState.Moot) _payBack(t);
        else if (outcome == TrialState.Hung) _share(id, t);
        else winner = _settle(id, t, outcome);
        t.state = outcome;
        emit TrialEnded(id, outcome, winner);
        // Interaction
        IJudgedRun run = IJudgedRun(t.run);
        run.endTrial(t.round);
        // Another trial, or the merge court, may have convicted it meanwhile.
        if (outcome == TrialState.Convicted && !run.convicted(t.round).has(t.seat)) {
            run.convictUpdate(t.round, t.seat, t.accused, t.accuser);
        }
    }

    /// @dev What was disputed is gone: nobody was wrong.
    function _payBack(Trial storage t) private {
        creditOf[t.accuser] += t.accuserBondWei;
        creditOf[t.defender] += t.defenderBondWei;
        creditOf[t.appellant] += t.appealBondWei;
    }

    /// @dev Nobody won: all who voted are paid, by who appealed in vain, and by both sides half each.
    function _share(uint256 id, Trial storage t) private {
        uint256 votes = _tallies[id][0].opened + _tallies[id][1].opened;
        uint256 jurorsWei = votes * t.ticketWei;
        uint256 appealWei = 0;
        if (_appealLost(t, TrialState.Hung)) appealWei = jurorsWei < t.appealBondWei ? jurorsWei : t.appealBondWei;
        uint256 halfWei = (jurorsWei - appealWei) / 2;
        t.jurorsWei = uint96(jurorsWei);
        creditOf[t.appellant] += t.appealBondWei - appealWei;
        creditOf[t.defender] += t.defenderBondWei - halfWei;
        creditOf[t.accuser] += t.accuserBondWei - (jurorsWei - appealWei - halfWei);
    }

    /// @dev The loser, and who appealed for it in vain, pay the jurors who voted right; the winner gets the rest.
    function _settle(uint256 id, Trial storage t, TrialState outcome) private returns (address winner) {
        bool guilty = outcome == TrialState.Convicted;
        Tally memory first = _tallies[id][0];
        Tally memory second = _tallies[id][1];
        uint256 votes = guilty ? first.forAccuser + second.forAccuser : first.forAccused + second.forAccused;
        uint256 jurorsWei = votes * t.ticketWei;
        uint256 potWei = uint256(t.accuserBondWei) + t.defenderBondWei;
        if (_appealLost(t, outcome)) potWei += t.appealBondWei;
        else creditOf[t.appellant] += t.appealBondWei;
        winner = guilty ? t.accuser : t.defender;
        t.jurorsWei = uint96(jurorsWei);
        creditOf[winner] += potWei - jurorsWei;
    }

    /// @dev An appeal that changes nothing costs its bond.
    function _appealLost(Trial storage t, TrialState outcome) private view returns (bool) {
        return t.level == 1 && outcome == t.verdict;
    }
}
