// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {IRunFactory} from "./interfaces/IRunFactory.sol";
import {IFeeReceiver} from "./interfaces/IStakeVault.sol";
import {IRunOffice} from "./interfaces/IRunOffice.sol";
import {ITrainingRun} from "./interfaces/ITrainingRun.sol";
import {ParamChecks} from "./libraries/ParamChecks.sol";
import {Audits} from "./run/Audits.sol";
import {HotParams, RoundStatus, RunParams} from "./types/Types.sol";

/// @title TrainingRun
/// @notice One training job; see docs/protocol.md section 4. Submissions and audits live here, the rest in RunOffice,
/// to whose code the functions below delegate.
contract TrainingRun is Audits, Multicall, ITrainingRun, IFeeReceiver {
    /// @notice The code that this run shares with all runs of its factory.
    address public immutable OFFICE;

    constructor(address sponsor_, RunParams memory p, uint96 keeperWei) payable {
        ParamChecks.check(p);
        IRunFactory factory = IRunFactory(msg.sender);
        OFFICE = factory.office();
        vault = factory.vault();
        mergeCourt = factory.mergeCourt();
        trainingCourt = factory.trainingCourt();
        // slither-disable-next-line missing-zero-check: the sender of createRun
        sponsor = sponsor_;
        _params = p;
        _hot = HotParams({
            maxRounds: p.maxRounds,
            commitS: p.commitS,
            revealS: p.revealS,
            auditS: p.auditS,
            mergeTimeoutS: p.mergeTimeoutS,
            disputeS: p.disputeS,
            minTrainers: p.minTrainers,
            ringSize: p.ringSize,
            segments: p.segments,
            normBound: p.normBound,
            rewardPerRoundWei: p.rewardPerRoundWei,
            proposerBondGwei: p.proposerBondGwei
        });
        _rounds[0].modelRoot = p.genesisRoot;
        _rounds[0].status = RoundStatus.Final;
        _fund(keeperWei);
    }

    /// @notice Several calls in one transaction; their transitions are refunded together.
    function multicall(bytes[] calldata data) public override returns (bytes[] memory results) {
        bool outermost = _beginBatch();
        results = super.multicall(data);
        if (outermost) _endBatch();
    }

    /// @inheritdoc ITrainingRun
    function params() external view returns (RunParams memory) {
        return _params;
    }

    /// @inheritdoc ITrainingRun
    function aggregators() external view returns (address[] memory) {
        return _aggregators;
    }

    /// @inheritdoc IRunOffice
    function openRound() external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function proposeMerge(uint32, bytes32, bytes32, uint64) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function advance() external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function finalize(uint32, bytes[] calldata) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function enroll(uint56) external returns (uint8) {
        _office();
    }

    /// @inheritdoc IRunOffice
    function leaveRoster() external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function release(uint8) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function registerAggregator() external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function leaveAggregators() external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function fund(uint96) external payable {
        _office();
    }

    /// @inheritdoc IRunOffice
    function depositBond() external payable {
        _office();
    }

    /// @inheritdoc IRunOffice
    function claim() external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function close() external {
        _office();
    }

    /// @inheritdoc IFeeReceiver
    function receiveFee() external payable {
        _office();
    }

    /// @inheritdoc IRunOffice
    function halt(bool) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function rollback(uint32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function convictMerge(uint32, address) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function convictRejected(bytes32, address) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function releaseRejected(bytes32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function failMerge(uint32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function convictUpdate(uint32, uint8, address, address) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function holdFinality(uint32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function releaseFinality(uint32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function beginTrial(uint32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function endTrial(uint32) external {
        _office();
    }

    /// @inheritdoc IRunOffice
    function fine(uint8, address) external {
        _office();
    }

    /// @dev Run the office's code of the same function on this run's storage, and return or revert as it does.
    function _office() private {
        address office = OFFICE;
        assembly ("memory-safe") {
            let ptr := mload(0x40)
            calldatacopy(ptr, 0, calldatasize())
            let ok := delegatecall(gas(), office, ptr, calldatasize(), 0, 0)
            returndatacopy(ptr, 0, returndatasize())
            if iszero(ok) { revert(ptr, returndatasize()) }
            return(ptr, returndatasize())
        }
    }
}
