// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RunBase} from "./RunBase.sol";

/// @title Refunds of gas to whoever makes a transition.
abstract contract Refunds is RunBase {
    /// @dev Base cost of a transaction, and of the refund itself.
    uint256 private constant BASE_GAS = 21_000;
    uint256 private constant REFUND_GAS = 12_000;
    /// @dev Refunded at most for a transition, and for each item it handles, so that padding earns nothing.
    uint256 private constant CALL_GAS_CAP = 120_000;
    uint256 private constant ITEM_GAS_CAP = 40_000;
    uint256 private constant PRIORITY_CAP = 2 gwei;

    bool private transient _inBatch;
    uint256 private transient _batchGas;

    /// @dev Measures a transition and refunds its keeper; `items` scales the cap. Calldata counts by what the items
    /// need, not by what was sent: zeros cost less than a byte is refunded at.
    modifier refunded(uint256 items, uint256 dataGas) {
        uint256 start = gasleft();
        _;
        _refund(start, items, dataGas);
    }

    /// @dev Start of a multicall: its transitions share one base cost. False inside another multicall, whose end pays.
    function _beginBatch() internal returns (bool outermost) {
        outermost = !_inBatch;
        _inBatch = true;
    }

    /// @dev End of a multicall: one refund for all its transitions.
    function _endBatch() internal {
        _inBatch = false;
        uint256 used = _batchGas;
        _batchGas = 0;
        if (used != 0) _payKeeper(used + BASE_GAS + REFUND_GAS);
    }

    function _refund(uint256 start, uint256 items, uint256 dataGas) private {
        uint256 used = start - gasleft() + dataGas;
        uint256 cap = CALL_GAS_CAP + items * ITEM_GAS_CAP;
        if (used > cap) used = cap;
        if (_inBatch) _batchGas += used;
        else _payKeeper(used + BASE_GAS + REFUND_GAS);
    }

    /// @dev Gas at a bounded price plus a tenth, as far as the budget goes. An empty budget stops nobody.
    // slither-disable-next-line divide-before-multiply: refunds count whole gwei
    function _payKeeper(uint256 gasUsed) private {
        uint256 price = block.basefee + PRIORITY_CAP;
        if (tx.gasprice < price) price = tx.gasprice;
        uint256 amountGwei = (gasUsed * price * 11) / (10 * GWEI);
        uint256 budgetGwei = current.keeperGwei;
        if (amountGwei > budgetGwei) amountGwei = budgetGwei;
        // slither-disable-next-line incorrect-equality: only skips an empty payment
        if (amountGwei == 0) return;
        current.keeperGwei = uint56(budgetGwei - amountGwei);
        _credit(msg.sender, amountGwei * GWEI);
        emit KeeperRefunded(msg.sender, amountGwei * GWEI);
    }
}
