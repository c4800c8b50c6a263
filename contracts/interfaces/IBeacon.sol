// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Source of the randomness that deals shards, segments and aggregator turns.
interface IBeacon {
    /// @notice Seed of a round that opens in this block.
    /// @param run The run that asks.
    /// @param round Number of the round.
    /// @param attempt Attempt that opens it.
    function seed(address run, uint32 round, uint32 attempt) external view returns (bytes32);

    /// @notice Randomness of a block, for draws that nobody may know before it: of auditors and jurors. The caller
    /// fixed the block's number while it was still to come.
    /// @param header The block's RLP header; beacons that do not read it take none.
    function draw(address run, uint32 round, uint256 blockNumber, bytes calldata header)
        external
        view
        returns (bytes32);

    /// @notice True if the seeds are known in advance; every report of such a run says so.
    function predictable() external view returns (bool);
}
