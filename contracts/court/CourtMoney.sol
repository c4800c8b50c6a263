// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {DisputeState, IMergeCourt} from "../interfaces/IMergeCourt.sol";

/// @title What bonds cost, and accounts that are pulled.
/// @notice Invariant C1: the balance equals the bonds of disputes in progress + credits.
abstract contract CourtMoney is IMergeCourt, ReentrancyGuardTransient {
    /// @dev Gas of the answer that a move demands, with some room: measured where trees are 19 deep and updates are
    /// opened in the long form; `make bench` prints it.
    uint256 private constant CHILDREN_GAS = 400_000;
    uint256 private constant CHUNK_GAS = 300_000;
    uint256 private constant UPDATE_GAS = 60_000;
    uint256 private constant LEAF_GAS = 140_000;
    /// @dev A choice answers nothing that costs much: 8 siblings.
    uint256 private constant CHOICE_GAS = 90_000;
    /// @dev What a transaction offers its block's proposer.
    uint256 private constant PRIORITY_WEI = 1 gwei;

    /// @inheritdoc IMergeCourt
    mapping(address account => uint256 amountWei) public creditOf;

    /// @inheritdoc IMergeCourt
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

    /// @inheritdoc IMergeCourt
    function bondWei(DisputeState answer, uint256 updates) public view returns (uint256) {
        uint256 answerGas = CHOICE_GAS;
        if (answer == DisputeState.Children) answerGas = CHILDREN_GAS;
        else if (answer == DisputeState.Chunk) answerGas = CHUNK_GAS + UPDATE_GAS * updates;
        else if (answer == DisputeState.Leaf) answerGas = LEAF_GAS;
        return 2 * answerGas * (block.basefee + PRIORITY_WEI);
    }

    /// @dev The sent ETH, which must pay twice for the answer that is demanded.
    function _takeBond(DisputeState answer, uint256 updates) internal view returns (uint96) {
        uint256 neededWei = bondWei(answer, updates);
        if (msg.value < neededWei) revert BondTooSmall(msg.value, neededWei);
        // All ETH that exists is less than 2^96 wei.
        return uint96(msg.value);
    }
}
