// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRunBase} from "./IRunBase.sol";

/// @title Roster, rounds, money, control and courts of a run.
interface IRunOffice is IRunBase {
    // --- roster
    /// @notice Take a seat from the next round on, with `stakeGwei` of free stake from the vault.
    function enroll(uint56 stakeGwei) external returns (uint8 seat);
    /// @notice Give up the seat from the next round on.
    function leaveRoster() external;
    /// @notice Start the unbonding of a seat that left. Anyone may call.
    function release(uint8 seat) external;
    /// @notice Join the list of aggregators that propose in turn; locks one proposer bond.
    function registerAggregator() external;
    /// @notice Leave that list and unlock the bond.
    function leaveAggregators() external;

    // --- rounds
    /// @notice Open the next round. Keeper refunded.
    function openRound() external;
    /// @notice Propose the merged model; locks a proposer bond. Keeper refunded.
    function proposeMerge(uint32 round, bytes32 modelRoot, bytes32 modelCid, uint64 modelSize) external;
    /// @notice End a phase whose deadline passed. Keeper refunded.
    function advance() external;
    /// @notice Settle the oldest unsettled round and credit its rewards. Keeper refunded.
    /// @param inputs Per segment, the preimage of its inputs hash.
    function finalize(uint32 round, bytes[] calldata inputs) external;

    // --- money
    /// @notice Add to the reward pool and, `keeperWei` of it, to the keeper budget.
    function fund(uint96 keeperWei) external payable;
    /// @notice Add to the sender's own account, to bond proposals with.
    function depositBond() external payable;
    /// @notice Send the sender everything free in its account: rewards of many rounds, refunds, bonds.
    function claim() external;
    /// @notice End the run and return unspent rewards to the sponsor's account.
    function close() external;

    // --- control
    /// @notice Stop or resume opening rounds. Guardian only.
    function halt(bool halted) external;
    /// @notice After a conviction, return to the model of an earlier round. Guardian only.
    function rollback(uint32 toRound) external;

    // --- courts
    /// @notice Slash the proposer of a wrong merge and reopen it. Merge court only.
    function convictMerge(uint32 round, address beneficiary) external;
    /// @notice Slash the proposer of a wrong merge that was rejected while it was disputed. Merge court only.
    function convictRejected(bytes32 proposal, address beneficiary) external;
    /// @notice End a dispute about a rejected merge; the last one unlocks the bond. Merge court only.
    function releaseRejected(bytes32 proposal) external;
    /// @notice A merge that cannot be checked: the round fails, its proposer keeps the bond. Merge court only.
    function failMerge(uint32 round) external;
    /// @notice Slash the author of a bad update and void its pay. Courts only.
    function convictUpdate(uint32 round, uint8 seat, address trainer, address beneficiary) external;
    /// @notice Count a dispute that keeps the round from becoming final. Merge court only.
    function holdFinality(uint32 round) external;
    /// @notice End such a dispute. Merge court only.
    function releaseFinality(uint32 round) external;
    /// @notice Count a trial of a frozen update, which keeps its round from becoming final, however often the merge is
    /// made again. Training court only.
    function beginTrial(uint32 round) external;
    /// @notice End such a trial, once, also if the round is void by now. Training court only.
    function endTrial(uint32 round) external;
    /// @notice Charge a seat the fee of an unrevealed update, for a duty that it neglected. Training court only.
    function fine(uint8 seat, address trainer) external;
}
