// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFeeReceiver} from "../interfaces/IStakeVault.sol";
import {IRunOffice} from "../interfaces/IRunOffice.sol";
import {Phase} from "../types/Types.sol";
import {Roster} from "./Roster.sol";

/// @title A run's money: pools and accounts that are pulled.
/// @notice Invariant R1: balance = reward pool + keeper budget + sum of accounts + burned.
abstract contract Treasury is Roster, IFeeReceiver {
    /// @inheritdoc IRunOffice
    function fund(uint96 keeperWei) external payable {
        _fund(keeperWei);
    }

    /// @inheritdoc IFeeReceiver
    function receiveFee() external payable {
        // Check
        if (msg.sender != address(vault)) revert Unauthorized(msg.sender, address(vault));
        // Effect
        current.keeperGwei += uint56(msg.value / GWEI);
    }

    /// @inheritdoc IRunOffice
    function depositBond() external payable {
        _credit(msg.sender, msg.value);
        emit BondDeposited(msg.sender, msg.value);
    }

    /// @inheritdoc IRunOffice
    function claim() external {
        // Check
        uint256 amountWei = accounts[msg.sender].freeWei;
        if (amountWei == 0) revert NothingToClaim();
        // Effect
        accounts[msg.sender].freeWei = 0;
        emit Claimed(msg.sender, amountWei);
        // Interaction
        // slither-disable-next-line low-level-calls: owners may be contracts; the result is checked
        (bool sent,) = msg.sender.call{value: amountWei}("");
        if (!sent) revert TransferFailed(msg.sender, amountWei);
    }

    /// @inheritdoc IRunOffice
    function close() external {
        // Check: nothing may be owed from the pool any more
        if (msg.sender != sponsor) revert Unauthorized(msg.sender, sponsor);
        if (current.phase != Phase.Idle) revert WrongPhase(Phase.Idle, current.phase);
        if (totals.lastFinal != current.round) {
            revert WrongRound(totals.lastFinal + 1, _rounds[(totals.lastFinal + 1) % _hot.ringSize].status);
        }
        // Effect
        totals.closed = true;
        uint256 returnedWei = rewardPoolWei + current.keeperGwei * GWEI;
        rewardPoolWei = 0;
        current.keeperGwei = 0;
        _credit(sponsor, returnedWei);
        emit Closed(returnedWei);
    }
}
