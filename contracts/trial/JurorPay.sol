// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgedRun} from "../interfaces/IJudgedRun.sol";
import {ITrainingCourt, Juror, Trial, TrialState} from "../interfaces/ITrainingCourt.sol";
import {Juries} from "./Juries.sol";

/// @title What becomes of jurors.
abstract contract JurorPay is Juries {
    /// @inheritdoc ITrainingCourt
    function payJuror(uint256 id, uint8 level, address account) external nonReentrant {
        // Check
        Trial storage t = _ended(id);
        Juror storage juror = _jurors[id][level][account];
        bool earned = t.state == TrialState.Hung ? juror.opened : _wasRight(t, juror);
        if (!earned || juror.paid) revert NothingToPay();
        // Effect
        uint256 amountWei = uint256(juror.tickets) * t.ticketWei;
        juror.paid = true;
        t.jurorsWei -= uint96(amountWei);
        creditOf[account] += amountWei;
        emit JurorPaid(id, level, account, amountWei);
    }

    /// @inheritdoc ITrainingCourt
    function fineJuror(uint256 id, uint8 level, address account) external nonReentrant {
        // Check
        Trial storage t = _decided(id);
        Juror storage juror = _jurors[id][level][account];
        if (juror.tickets == 0 || juror.fined || _wasRight(t, juror)) revert NothingToFine();
        // Effect
        juror.fined = true;
        emit JurorFined(id, level, account);
        // Interaction
        IJudgedRun(t.run).fine(juror.seat, account);
    }

    /// @dev Whether a juror voted as the trial ended; in none that is moot.
    function _wasRight(Trial storage t, Juror storage juror) private view returns (bool) {
        if (!juror.opened) return false;
        if (t.state == TrialState.Convicted) return juror.vote == t.accuserDigest;
        return t.state == TrialState.Acquitted && juror.vote == t.accusedDigest;
    }
}
