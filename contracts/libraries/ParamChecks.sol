// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRunBase} from "../interfaces/IRunBase.sol";
import {RunParams} from "../types/Types.sol";

/// @title What a run's parameters must satisfy.
library ParamChecks {
    /// @notice Reverts with the name of the first parameter out of bounds.
    // slither-disable-next-line cyclomatic-complexity: one flat list of bounds
    function check(RunParams memory p) internal view {
        if (p.genesisRoot == 0) revert IRunBase.InvalidParameter("genesisRoot");
        if (p.chunks == 0) revert IRunBase.InvalidParameter("chunks");
        if (p.lr == 0 || p.lr > 1024) revert IRunBase.InvalidParameter("lr");
        if (p.mu > 255 || (!p.momentum && (p.mu != 0 || p.nesterov))) revert IRunBase.InvalidParameter("mu");
        if (p.segments == 0 || p.segments > 16) revert IRunBase.InvalidParameter("segments");
        if (p.maxRounds == 0) revert IRunBase.InvalidParameter("maxRounds");
        if (p.minTrainers == 0) revert IRunBase.InvalidParameter("minTrainers");
        if (p.maxTrainers < p.minTrainers || p.maxTrainers > 256) revert IRunBase.InvalidParameter("maxTrainers");
        if (p.ringSize < 3 || p.ringSize > 1024) revert IRunBase.InvalidParameter("ringSize");
        if (p.minStakeGwei == 0) revert IRunBase.InvalidParameter("minStakeGwei");
        if (p.stakeCapGwei < p.minStakeGwei) revert IRunBase.InvalidParameter("stakeCapGwei");
        if (p.evictAfter == 0 || p.absenceGrace == 0) revert IRunBase.InvalidParameter("evictAfter");
        if (p.slashBps > 10_000) revert IRunBase.InvalidParameter("slashBps");
        if (p.commitS == 0 || p.revealS == 0 || p.auditS == 0) revert IRunBase.InvalidParameter("phases");
        // After the turns of a full list there must be time for anybody, or silent aggregators stop the run.
        if (p.mergeTurnS == 0 || p.mergeTimeoutS <= 16 * uint256(p.mergeTurnS)) {
            revert IRunBase.InvalidParameter("mergeTimeoutS");
        }
        if (p.moveS == 0) revert IRunBase.InvalidParameter("moveS");
        if (p.juryS == 0) revert IRunBase.InvalidParameter("juryS");
        if (p.auditBps > 10_000) revert IRunBase.InvalidParameter("auditBps");
        if (p.segmentEnds.length != p.segments) revert IRunBase.InvalidParameter("segmentEnds");
        uint256 end = 0;
        for (uint256 i = 0; i < p.segments; ++i) {
            if (p.segmentEnds[i] <= end) revert IRunBase.InvalidParameter("segmentEnds");
            end = p.segmentEnds[i];
        }
        if (end != p.chunks) revert IRunBase.InvalidParameter("segmentEnds");
        if (p.beacon.code.length == 0) revert IRunBase.InvalidParameter("beacon");
    }
}
