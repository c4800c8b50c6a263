// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Inputs} from "./Inputs.sol";

/// @title Who audits and who judges, from randomness and weights; docs/protocol.md section 9.
/// @notice protocol/audits.py computes the same.
library AuditDraw {
    /// @notice What a drawn auditor signs.
    bytes32 internal constant FINDING_TYPEHASH =
        keccak256("Finding(address run,uint32 round,uint8 seat,bytes32 updateRoot,uint8 finding)");

    uint256 private constant BPS = 10_000;

    /// @notice Whether the update of a seat is audited.
    function isAudited(bytes32 randomness, uint8 seat, uint256 auditBps) internal pure returns (bool) {
        return _number(randomness, "audit", seat) % BPS < auditBps;
    }

    /// @notice Place of the auditor of the update at `place` of the roll, by weight among the others.
    /// @return found False if the others weigh nothing.
    function auditorOf(bytes32 randomness, Inputs.Entry[] memory roll, uint256 place)
        internal
        pure
        returns (bool found, uint256 auditor)
    {
        uint24 own = roll[place].weight;
        roll[place].weight = 0;
        uint256 total = weigh(roll);
        found = total != 0;
        if (found) auditor = _walk(roll, _number(randomness, "auditor", roll[place].seat) % total);
        roll[place].weight = own;
    }

    /// @notice Place of the juror whom a ticket draws.
    /// @param total Weight of the whole roll, not zero. Who may not judge has no weight in it.
    function juror(bytes32 randomness, Inputs.Entry[] memory roll, uint256 total, uint8 ticket)
        internal
        pure
        returns (uint256)
    {
        return _walk(roll, _number(randomness, "juror", ticket) % total);
    }

    /// @notice Randomness of one jury.
    function jury(bytes32 draw, uint256 id, uint8 level) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(draw, id, level));
    }

    /// @notice Sum of the weights.
    function weigh(Inputs.Entry[] memory roll) internal pure returns (uint256 total) {
        for (uint256 i = 0; i < roll.length; ++i) {
            total += roll[i].weight;
        }
    }

    /// @notice Number of the newest block, up to `newest`, whose low 16 bits these are.
    function blockOf(uint16 lowBits, uint256 newest) internal pure returns (uint256) {
        return newest - uint16(newest - lowBits);
    }

    /// @dev The first place whose weight, and that of those before it, exceeds x.
    function _walk(Inputs.Entry[] memory roll, uint256 x) private pure returns (uint256 place) {
        while (x >= roll[place].weight) {
            x -= roll[place].weight;
            ++place;
        }
    }

    function _number(bytes32 randomness, string memory label, uint8 index) private pure returns (uint256) {
        return uint64(bytes8(sha256(abi.encodePacked(randomness, label, index))));
    }
}
