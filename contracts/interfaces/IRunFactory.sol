// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IStakeVault} from "./IStakeVault.sol";
import {RunParams} from "../types/Types.sol";

/// @title Makes runs, and is how the vault and auditors know one.
interface IRunFactory {
    /// @notice The vault releases stake before this run's disputes can end.
    error UnbondingTooShort(uint256 unbondingS, uint256 neededS);
    /// @notice Deployment of the run failed without a reason.
    error DeploymentFailed();

    /// @notice A run was made; its parameters are the whole configuration.
    event RunCreated(address indexed run, address indexed sponsor, bytes32 indexed specCid, RunParams params);

    /// @notice Make a run and fund it with the sent ETH, `keeperWei` of it for keepers.
    function createRun(RunParams calldata params, uint96 keeperWei) external payable returns (address run);

    /// @notice True if this factory made `run`.
    function isRun(address run) external view returns (bool);
    /// @notice The vault that holds the stakes of all runs.
    function vault() external view returns (IStakeVault);
    /// @notice The half of the run's code that all runs share.
    function office() external view returns (address);
    /// @notice SHA-256 of the creation code that every run is made of.
    function runCodeHash() external view returns (bytes32);
    /// @notice Court of wrong merges; zero address if there is none.
    function mergeCourt() external view returns (address);
    /// @notice Court of wrong training; zero address if there is none.
    function trainingCourt() external view returns (address);
}
