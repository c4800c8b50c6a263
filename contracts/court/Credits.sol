// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICourt} from "../interfaces/ICourt.sol";

/// @title Accounts that are pulled.
abstract contract Credits is ICourt, ReentrancyGuardTransient {
    /// @dev What a transaction offers its block's proposer.
    uint256 private constant PRIORITY_WEI = 1 gwei;

    /// @inheritdoc ICourt
    mapping(address account => uint256 amountWei) public creditOf;

    /// @inheritdoc ICourt
    function claim() external nonReentrant {
        // Check
        uint256 amountWei = creditOf[msg.sender];
        if (amountWei == 0) revert NothingToClaim();
        // Effect
        creditOf[msg.sender] = 0;
        emit Claimed(msg.sender, amountWei);
        // Interaction
        // slither-disable-next-line low-level-calls: owners may be contracts; the result is checked
        (bool sent,) = msg.sender.call{value: amountWei}("");
        if (!sent) revert TransferFailed(msg.sender, amountWei);
    }

    /// @dev The sent ETH, which must be a move's bond at least.
    function _takeBondOf(uint256 neededWei) internal view returns (uint96) {
        if (msg.value < neededWei) revert BondTooSmall(msg.value, neededWei);
        // All ETH that exists is less than 2^96 wei.
        return uint96(msg.value);
    }

    /// @dev What gas costs now.
    function _gasWei() internal view returns (uint256) {
        return block.basefee + PRIORITY_WEI;
    }
}
