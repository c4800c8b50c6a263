// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The cheat codes of forge that the tests use.
interface IVm {
    /// @notice Set the time of the block.
    function warp(uint256 timestamp) external;
    /// @notice Set the base fee of the block.
    function fee(uint256 baseFeeWei) external;
    /// @notice Make an account the sender of the next call.
    function prank(address sender) external;
}
