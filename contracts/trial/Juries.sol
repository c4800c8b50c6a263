// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {Header} from "../interfaces/IMergeCourt.sol";
import {ITrainingCourt, Juror, Tally, Trial, TrialState} from "../interfaces/ITrainingCourt.sol";
import {AuditDraw} from "../libraries/AuditDraw.sol";
import {BlockHeaders} from "../libraries/BlockHeaders.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {Inputs} from "../libraries/Inputs.sol";
import {Seats} from "../libraries/Seats.sol";
import {TraceGame} from "./TraceGame.sol";

/// @title A jury of the accused's class does the disputed step again and votes by the digest that comes out.
abstract contract Juries is TraceGame {
    using Seats for uint256;

    mapping(uint256 id => mapping(uint8 level => mapping(address account => Juror juror))) internal _jurors;

    /// @inheritdoc ITrainingCourt
    function jurors(uint256 id, uint8 level, address juror) external view returns (Juror memory) {
        return _jurors[id][level][juror];
    }

    /// @inheritdoc ITrainingCourt
    function seatJury(uint256 id, bytes calldata header, bytes[] calldata inputs, Header[] calldata headers)
        external
        nonReentrant
    {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Draw);
        if (!goesOn) return _endMoot(id, t);
        Inputs.Entry[] memory roll = _rollOf(t.run, t.round, inputs);
        uint256 total = _whoMayJudge(t, roll, headers);
        address beacon = IJudgedRun(t.run).params().beacon;
        bytes32 draw = IBeacon(beacon).draw(t.run, t.round, t.drawBlock, header);
        // Effect
        if (total == 0) _end(id, t, _withoutJury(t));
        else _seat(id, t, roll, total, AuditDraw.jury(draw, id, t.level));
    }

    /// @inheritdoc ITrainingCourt
    function redraw(uint256 id) external nonReentrant {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Draw);
        if (!goesOn) return _endMoot(id, t);
        bool forgotten = t.drawBlock < block.number && BlockHeaders.hashOf(t.drawBlock) == 0;
        if (!forgotten) revert BlockStillKnown(t.drawBlock);
        // Effect: the clock runs on, so that nobody draws for ever
        t.drawBlock = uint40(block.number + 1);
        emit Redrawn(id, t.drawBlock);
    }

    /// @inheritdoc ITrainingCourt
    function sealVote(uint256 id, bytes32 sealed_) external nonReentrant {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Seal);
        if (!goesOn) return _endMoot(id, t);
        uint8 level = t.level;
        Juror storage juror = _juror(id, level);
        if (juror.vote != 0) revert AlreadyVoted(id, msg.sender);
        if (sealed_ == 0) revert WrongSeal(id, msg.sender);
        // Effect
        juror.vote = sealed_;
        Tally storage tally = _tallies[id][level];
        tally.sealed_ += juror.tickets;
        emit VoteSealed(id, level, msg.sender);
        if (tally.sealed_ == tally.seated) _toOpen(id, t);
    }

    /// @inheritdoc ITrainingCourt
    function openVote(uint256 id, bytes32 digest, bytes32 salt) external nonReentrant {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Open);
        if (!goesOn) return _endMoot(id, t);
        uint8 level = t.level;
        Juror storage juror = _juror(id, level);
        if (juror.opened) revert AlreadyVoted(id, msg.sender);
        if (juror.vote != keccak256(abi.encode(id, level, msg.sender, digest, salt))) revert WrongSeal(id, msg.sender);
        // Effect
        (juror.opened, juror.vote) = (true, digest);
        Tally storage tally = _tallies[id][level];
        uint8 tickets = juror.tickets;
        tally.opened += tickets;
        if (digest == t.accusedDigest) tally.forAccused += tickets;
        else if (digest == t.accuserDigest) tally.forAccuser += tickets;
        emit VoteOpened(id, level, msg.sender, digest, tickets);
        if (tally.opened == tally.sealed_) _count(id, t);
    }

    /// @inheritdoc ITrainingCourt
    function appeal(uint256 id) external payable nonReentrant {
        // Check
        (Trial storage t, bool goesOn) = _proceed(id, TrialState.Verdict);
        if (!goesOn) return _endMoot(id, t);
        (, uint256 appealWei) = _bondsAt(t.ticketWei);
        // Effect
        (t.appellant, t.appealBondWei, t.level) = (msg.sender, _takeBondOf(appealWei), 1);
        _toDraw(t);
        emit Appealed(id, msg.sender, t.drawBlock);
    }

    /// @inheritdoc ITrainingCourt
    function advance(uint256 id) external nonReentrant {
        // Check
        Trial storage t = _inProgress(id);
        TrialState state = t.state;
        bool goesOn = _stands(t);
        if (goesOn && block.timestamp <= t.deadline) revert ClockStillRuns(id, t.deadline);
        // Effect
        if (!goesOn) _end(id, t, TrialState.Moot);
        else if (state == TrialState.Defence) _end(id, t, TrialState.Convicted);
        else if (state == TrialState.Reply) _end(id, t, TrialState.Acquitted);
        else if (state == TrialState.Draw) _end(id, t, _withoutJury(t));
        else if (state == TrialState.Seal && _tallies[id][t.level].sealed_ != 0) _toOpen(id, t);
        else if (state == TrialState.Verdict) _end(id, t, t.verdict);
        else _count(id, t);
    }

    /// @dev Take their weight from those who may not judge: other classes, the sides, the guilty. Gives what is left.
    function _whoMayJudge(Trial storage t, Inputs.Entry[] memory roll, Header[] calldata headers)
        private
        view
        returns (uint256 total)
    {
        if (headers.length != roll.length) revert WrongHeaders(headers.length, roll.length);
        uint256 guilty = IJudgedRun(t.run).convicted(t.round);
        (bytes32 classId, address accuser, uint8 seat) = (t.classId, t.accuser, t.seat);
        for (uint256 i = 0; i < roll.length; ++i) {
            Inputs.Entry memory entry = roll[i];
            if (Commitments.headerHashOf(headers[i]) != entry.headerHash) revert WrongHeader(entry.seat);
            bool isSide = entry.seat == seat || entry.trainer == accuser;
            if (isSide || headers[i].classId != classId || guilty.has(entry.seat)) entry.weight = 0;
        }
        return AuditDraw.weigh(roll);
    }

    /// @dev Draw the tickets, and give the jurors their time.
    function _seat(uint256 id, Trial storage t, Inputs.Entry[] memory roll, uint256 total, bytes32 randomness) private {
        uint8 level = t.level;
        uint256 n = level == 0 ? FIRST_TICKETS : SECOND_TICKETS;
        uint8[] memory won = new uint8[](roll.length);
        uint256 drawn = 0;
        for (uint256 ticket = 0; ticket < n; ++ticket) {
            uint256 place = AuditDraw.juror(randomness, roll, total, uint8(ticket));
            if (won[place] == 0) ++drawn;
            ++won[place];
        }
        address[] memory accounts = new address[](drawn);
        uint8[] memory tickets = new uint8[](drawn);
        drawn = 0;
        for (uint256 place = 0; place < roll.length; ++place) {
            if (won[place] == 0) continue;
            (accounts[drawn], tickets[drawn]) = (roll[place].trainer, won[place]);
            Juror storage juror = _jurors[id][level][roll[place].trainer];
            (juror.seat, juror.tickets) = (roll[place].seat, won[place]);
            ++drawn;
        }
        _tallies[id][level].seated = uint16(n);
        (t.state, t.deadline) = (TrialState.Seal, uint40(block.timestamp + t.juryS));
        emit JurySeated(id, level, accounts, tickets, t.deadline);
    }

    function _toOpen(uint256 id, Trial storage t) private {
        (t.state, t.deadline) = (TrialState.Open, uint40(block.timestamp + t.moveS));
        emit VotingStarted(id, t.level, t.deadline);
    }

    /// @dev A side wins with more than half of the opened tickets, if half of the seated ones were opened.
    function _count(uint256 id, Trial storage t) private {
        uint8 level = t.level;
        Tally memory tally = _tallies[id][level];
        TrialState verdict = TrialState.Hung;
        if (2 * tally.opened >= tally.seated) {
            if (2 * tally.forAccuser > tally.opened) verdict = TrialState.Convicted;
            else if (2 * tally.forAccused > tally.opened) verdict = TrialState.Acquitted;
        }
        if (level == 1) {
            emit VotesCounted(id, level, verdict, 0);
            _end(id, t, verdict);
            return;
        }
        (t.state, t.verdict, t.deadline) = (TrialState.Verdict, verdict, uint40(block.timestamp + t.moveS));
        emit VotesCounted(id, level, verdict, t.deadline);
    }

    /// @dev Where nobody can judge, or nobody seated who could: an appeal was in vain, a first jury is hung.
    function _withoutJury(Trial storage t) private view returns (TrialState) {
        return t.level == 0 ? TrialState.Hung : t.verdict;
    }

    /// @dev The sender's place in a jury.
    function _juror(uint256 id, uint8 level) private view returns (Juror storage juror) {
        juror = _jurors[id][level][msg.sender];
        if (juror.tickets == 0) revert NotJuror(id, msg.sender);
    }
}
