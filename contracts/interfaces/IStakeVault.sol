// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Holds every stake; runs lock, unlock and slash, owners withdraw.
/// @notice Invariant V1: balance = sum of free + locked + unbonding + burned. A wei backs one run at a time.
interface IStakeVault {
    /// @notice Somebody other than a run made by the factory called a run's function.
    error NotARun(address caller);
    /// @notice The owner has less than that free.
    error InsufficientFreeStake(address owner, uint256 freeWei, uint256 neededWei);
    /// @notice A run asked for more than is locked or unbonding for it.
    error InsufficientLockedStake(address run, address trainer, uint256 heldWei, uint256 neededWei);
    /// @notice The stake is still unbonding.
    error StillUnbonding(address run, address trainer, uint256 releaseAt);
    /// @notice There is nothing to move.
    error NothingToMove();
    /// @notice The receiver refused the ETH.
    error TransferFailed(address to, uint256 amountWei);

    event Deposited(address indexed owner, uint256 amountWei);
    event Withdrawn(address indexed owner, uint256 amountWei);
    event Locked(address indexed run, address indexed trainer, uint256 amountWei);
    event UnbondingStarted(address indexed run, address indexed trainer, uint256 amountWei, uint256 releaseAt);
    event Unbonded(address indexed run, address indexed trainer, uint256 amountWei);
    event Slashed(
        address indexed run, address indexed trainer, address indexed beneficiary, uint256 paidWei, uint256 burnedWei
    );
    event FeeCollected(address indexed run, address indexed trainer, uint256 amountWei);

    /// @notice Add the sent ETH to the sender's free stake.
    function deposit() external payable;
    /// @notice Send free stake to its owner.
    function withdraw(uint256 amountWei) external;
    /// @notice Move free stake of `trainer` behind the calling run.
    function lock(address trainer, uint256 amountWei) external;
    /// @notice Start the unbonding of locked stake; it stays slashable by the run until released.
    function unlock(address trainer, uint256 amountWei) external;
    /// @notice After unbonding, make the stake free again. Anyone may call.
    function release(address run, address trainer) external;
    /// @notice Take stake of `trainer` behind the calling run: half to `beneficiary`'s free stake, half burned.
    function slash(address trainer, uint256 lockedWei, uint256 unbondingWei, address beneficiary) external;
    /// @notice Send locked stake to the calling run as a fee.
    function collectFee(address trainer, uint256 amountWei) external;

    /// @notice Seconds between unlock and release.
    function unbondingS() external view returns (uint256);
    function freeOf(address owner) external view returns (uint256);
    function lockedOf(address run, address trainer) external view returns (uint256);
    function unbondingOf(address run, address trainer) external view returns (uint128 amountWei, uint64 releaseAt);
    function burnedWei() external view returns (uint256);
}

/// @title Where a run sends for the fees it may collect.
interface IFeeReceiver {
    /// @notice Accept a fee from the vault.
    function receiveFee() external payable;
}
