// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Header} from "../interfaces/IMergeCourt.sol";
import {Reveal} from "../types/Types.sol";

/// @title Hashes that bind a trainer to its update; docs/protocol.md section 3.
library Commitments {
    bytes32 internal constant COMMITMENT_TYPEHASH =
        keccak256("Commitment(uint32 round,uint32 attempt,bytes32 parentRoot,bytes32 commitment)");
    bytes32 internal constant ATTESTATION_TYPEHASH =
        keccak256("Attestation(uint32 round,uint32 attempt,uint256 available)");

    /// @notice headerHash of docs/protocol.md section 3.
    function headerHash(Reveal memory r) internal pure returns (bytes32) {
        return sha256(abi.encode(r.ssq, r.traceRoot, r.classId, r.updateCid, r.updateSize));
    }

    /// @notice headerHash of a header alone.
    function headerHashOf(Header calldata h) internal pure returns (bytes32) {
        return sha256(abi.encode(h.ssq, h.traceRoot, h.classId, h.updateCid, h.updateSize));
    }

    /// @notice The commitment that `r` opens.
    function commitment(Reveal memory r, address run, uint32 round, uint32 attempt, address trainer)
        internal
        view
        returns (bytes32)
    {
        return sha256(
            abi.encode(
                block.chainid,
                run,
                round,
                attempt,
                trainer,
                r.updateRoot,
                r.ssq,
                r.traceRoot,
                r.classId,
                r.updateCid,
                r.updateSize,
                r.salt
            )
        );
    }

    /// @notice What a run stores of a revealed update.
    function revealDigest(bytes32 updateRoot, bytes32 headerHash_) internal pure returns (bytes27) {
        return bytes27(sha256(abi.encodePacked(updateRoot, headerHash_)));
    }
}
