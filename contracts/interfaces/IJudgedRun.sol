// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Current, Seat, Submission, Totals} from "../types/Types.sol";
import {ITrainingRun} from "./ITrainingRun.sol";

/// @title What a court reads of a run besides its interface: the getters of its storage.
interface IJudgedRun is ITrainingRun {
    /// @notice The open round.
    function current() external view returns (Current memory);
    /// @notice Stakes, the last final round, and whether the run is over.
    function totals() external view returns (Totals memory);
    /// @notice Seats of the open round.
    function roster() external view returns (uint256);
    /// @notice Who sits where.
    function seats(uint256 seat) external view returns (Seat memory);
    /// @notice What a seat last submitted.
    function submissions(uint256 seat) external view returns (Submission memory);
    /// @notice Convicted updates of a round.
    function convicted(uint32 round) external view returns (uint256);
}
