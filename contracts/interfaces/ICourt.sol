// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What both courts say, and how they pay.
interface ICourt {
    /// @notice The preimage does not give the frozen hash of the segment's inputs.
    error WrongInputs(uint8 segment);
    /// @notice Header and root are not those that the seat revealed or that were frozen.
    error WrongHeader(uint8 seat);
    /// @notice No update has that place or seat.
    error NoSuchUpdate(uint256 place);
    /// @notice New disputes begin before the window closes.
    error WindowClosed(uint256 finalizableAt);
    /// @notice The move's bond is larger.
    error BondTooSmall(uint256 givenWei, uint256 neededWei);
    /// @notice The mover's clock ran out.
    error ClockRanOut(uint256 id, uint256 deadline);
    /// @notice The mover still has time.
    error ClockStillRuns(uint256 id, uint256 deadline);
    /// @notice No dispute credited anything to the sender.
    error NothingToClaim();
    /// @notice The account does not take ETH.
    error TransferFailed(address to, uint256 amountWei);

    event Claimed(address indexed account, uint256 amountWei);

    /// @notice Send the sender everything that the court owes it.
    function claim() external;

    /// @notice What the court owes an account.
    function creditOf(address account) external view returns (uint256);
}
