// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Credits} from "../court/Credits.sol";
import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {ITrainingCourt} from "../interfaces/ITrainingCourt.sol";
import {Inputs} from "../libraries/Inputs.sol";

/// @title What bonds cost, and who is in a round.
/// @notice Invariant T1: the balance equals the bonds of trials in progress + what jurors of ended ones have not been
/// credited + audit pools + credits.
abstract contract TrialBonds is ITrainingCourt, Credits {
    uint256 internal constant FIRST_TICKETS = 15;
    uint256 internal constant SECOND_TICKETS = 63;
    /// @dev Gas of the dearest answer that a side demands, with some room: `answerTrace` with 65 digests of each side;
    /// `make bench` prints it.
    uint256 private constant ANSWER_GAS = 400_000;
    /// @dev Gas of sealing and opening a vote, of being paid and of claiming it, where a juror has one ticket; the rest
    /// is for the step that it does.
    uint256 private constant TICKET_GAS = 300_000;

    /// @inheritdoc ITrainingCourt
    function bondsWei() external view returns (uint256 sideWei, uint256 appealWei) {
        return _bondsAt(_ticketWei());
    }

    /// @dev What a ticket is paid in a trial that begins now.
    function _ticketWei() internal view returns (uint96) {
        return uint96(TICKET_GAS * _gasWei());
    }

    /// @dev A side pays for its opponent's answer twice and for two juries.
    function _bondsAt(uint256 ticketWei) internal pure returns (uint256 sideWei, uint256 appealWei) {
        uint256 answersWei = (2 * ANSWER_GAS * ticketWei) / TICKET_GAS;
        return (answersWei + (FIRST_TICKETS + SECOND_TICKETS) * ticketWei, SECOND_TICKETS * ticketWei);
    }

    /// @dev The included updates of a round, segment by segment.
    function _rollOf(address run, uint32 round, bytes[] calldata inputs)
        internal
        view
        returns (Inputs.Entry[] memory roll)
    {
        if (inputs.length != IJudgedRun(run).params().segments) revert WrongInputs(uint8(inputs.length));
        uint256 n = 0;
        for (uint256 segment = 0; segment < inputs.length; ++segment) {
            // slither-disable-next-line calls-loop: 16 segments at most
            if (sha256(inputs[segment]) != IJudgedRun(run).inputsHash(round, uint8(segment))) {
                revert WrongInputs(uint8(segment));
            }
            n += Inputs.count(inputs[segment]);
        }
        roll = new Inputs.Entry[](n);
        n = 0;
        for (uint256 segment = 0; segment < inputs.length; ++segment) {
            uint256 count = Inputs.count(inputs[segment]);
            for (uint256 place = 0; place < count; ++place) {
                roll[n++] = Inputs.entryAt(inputs[segment], place);
            }
        }
    }
}
