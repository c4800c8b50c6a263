// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RunParams} from "../types/Types.sol";
import {IRunOffice} from "./IRunOffice.sol";
import {IRunSubmissions} from "./IRunSubmissions.sol";

/// @title One training job: its roster, rounds, money and evidence. docs/protocol.md section 4.
interface ITrainingRun is IRunSubmissions, IRunOffice {
    /// @notice The run's parameters.
    function params() external view returns (RunParams memory);
    /// @notice Those who propose merges in turn.
    function aggregators() external view returns (address[] memory);
}
