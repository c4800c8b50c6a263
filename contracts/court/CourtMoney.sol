// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DisputeState, IMergeCourt} from "../interfaces/IMergeCourt.sol";
import {Credits} from "./Credits.sol";

/// @title What bonds cost.
/// @notice Invariant C1: the balance equals the bonds of disputes in progress + credits.
abstract contract CourtMoney is IMergeCourt, Credits {
    /// @dev Gas of the answer that a move demands, with some room: measured where trees are 19 deep and updates are
    /// opened in the long form; `make bench` prints it.
    uint256 private constant CHILDREN_GAS = 400_000;
    uint256 private constant CHUNK_GAS = 300_000;
    uint256 private constant UPDATE_GAS = 60_000;
    uint256 private constant LEAF_GAS = 140_000;
    /// @dev A choice answers nothing that costs much: 8 siblings.
    uint256 private constant CHOICE_GAS = 90_000;

    /// @inheritdoc IMergeCourt
    function bondWei(DisputeState answer, uint256 updates) public view returns (uint256) {
        uint256 answerGas = CHOICE_GAS;
        if (answer == DisputeState.Children) answerGas = CHILDREN_GAS;
        else if (answer == DisputeState.Chunk) answerGas = CHUNK_GAS + UPDATE_GAS * updates;
        else if (answer == DisputeState.Leaf) answerGas = LEAF_GAS;
        return 2 * answerGas * _gasWei();
    }

    /// @dev The sent ETH, which must pay twice for the answer that is demanded.
    function _takeBond(DisputeState answer, uint256 updates) internal view returns (uint96) {
        return _takeBondOf(bondWei(answer, updates));
    }
}
