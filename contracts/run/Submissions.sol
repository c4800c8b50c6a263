// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IRunSubmissions} from "../interfaces/IRunSubmissions.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {Seats} from "../libraries/Seats.sol";
import {
    Current,
    Phase,
    Progress,
    Reveal,
    Round,
    RoundStatus,
    SignedCommitment,
    Submission
} from "../types/Types.sol";
import {Phases} from "./Phases.sol";

/// @title Committing to updates and revealing them.
abstract contract Submissions is Phases, EIP712, IRunSubmissions {
    using Seats for uint256;

    constructor() EIP712("Commonweight", "1") {}

    /// @inheritdoc IRunSubmissions
    function commit(uint32 attempt, uint8 seat, bytes32 parentRoot, bytes32 commitment) external {
        Current memory c = _openCommit(attempt, parentRoot);
        _requireSeat(seat, msg.sender);
        _commit(c, seat, msg.sender, commitment);
        _finishCommits(c);
    }

    /// @inheritdoc IRunSubmissions
    function commitBatch(uint32 attempt, bytes32 parentRoot, SignedCommitment[] calldata batch)
        external
    {
        if (batch.length == 0) revert EmptyBatch();
        Current memory c = _openCommit(attempt, parentRoot);
        for (uint256 i = 0; i < batch.length; ++i) {
            SignedCommitment calldata s = batch[i];
            bytes32 digest = _hashTypedDataV4(
                keccak256(
                    abi.encode(Commitments.COMMITMENT_TYPEHASH, c.round, attempt, parentRoot, s.commitment)
                )
            );
            // slither-disable-next-line unused-return: without a signer, why does not matter
            (address signer,,) = ECDSA.tryRecover(digest, s.r, s.vs);
            if (signer == address(0)) revert BadSignature(s.seat);
            _requireSeat(s.seat, signer);
            _commit(c, s.seat, signer, s.commitment);
        }
        _finishCommits(c);
    }

    /// @inheritdoc IRunSubmissions
    function dissent(uint32 attempt, uint8 seat, bytes32 ownRoot) external {
        // Check
        Current memory c = _open(Phase.Commit, attempt);
        _requireSeat(seat, msg.sender);
        if (submissions[seat].attempt == attempt) revert AlreadySubmitted(seat);
        Round storage parent = _rounds[(c.round - 1) % _hot.ringSize];
        if (parent.status != RoundStatus.Proposed || parent.modelRoot == ownRoot) revert NothingToDissent();
        // Effect
        submissions[seat] = Submission({attempt: attempt, progress: Progress.Dissented, digest: bytes27(ownRoot)});
        totals.dissentStakeGwei += seats[seat].stakeGwei;
        if (seats[seat].absences != 0) seats[seat].absences = 0;
        ++c.dissents;
        emit Dissented(c.round, msg.sender, seat, ownRoot);
        _finishCommits(c);
    }

    /// @inheritdoc IRunSubmissions
    function revealBatch(uint32 attempt, Reveal[] calldata batch) external {
        if (batch.length == 0) revert EmptyBatch();
        Current memory c = _open(Phase.Reveal, attempt);
        for (uint256 i = 0; i < batch.length; ++i) {
            _reveal(c, batch[i]);
        }
        if (c.reveals == c.commits) _enter(c, Phase.Audit, _hot.auditS);
        current = c;
    }

    function _openCommit(uint32 attempt, bytes32 parentRoot) private view returns (Current memory c) {
        c = _open(Phase.Commit, attempt);
        bytes32 expected = _rounds[(c.round - 1) % _hot.ringSize].modelRoot;
        if (parentRoot != expected) revert WrongParentRoot(expected, parentRoot);
    }

    function _commit(Current memory c, uint8 seat, address trainer, bytes32 commitment) private {
        // Check
        if (submissions[seat].attempt == c.attempt) revert AlreadySubmitted(seat);
        // Effect
        submissions[seat] =
            Submission({attempt: c.attempt, progress: Progress.Committed, digest: bytes27(commitment)});
        if (seats[seat].absences != 0) seats[seat].absences = 0;
        ++c.commits;
        emit Committed(c.round, trainer, seat, commitment);
    }

    function _finishCommits(Current memory c) private {
        if (c.commits + c.dissents == c.rosterCount) _closeCommit(c);
        current = c;
    }

    function _reveal(Current memory c, Reveal calldata r) private {
        bytes32 headerHash = _openCommitment(c, r);
        submissions[r.seat] = Submission({
            attempt: c.attempt,
            progress: Progress.Revealed,
            digest: Commitments.revealDigest(r.updateRoot, headerHash)
        });
        ++c.reveals;
    }

    /// @dev The header must open the seat's commitment and stay below the norm bound. The caller records it.
    function _openCommitment(Current memory c, Reveal calldata r) internal returns (bytes32 headerHash) {
        // Check
        Submission memory s = submissions[r.seat];
        address trainer = seats[r.seat].trainer;
        if (s.attempt != c.attempt || s.progress != Progress.Committed) revert NotSeated(r.seat, trainer);
        if (r.ssq > _hot.normBound) revert NormAboveBound(r.ssq, _hot.normBound);
        bytes32 opened = Commitments.commitment(r, address(this), c.round, c.attempt, trainer);
        if (bytes27(opened) != s.digest) revert CommitmentMismatch(r.seat);
        // Effect
        headerHash = Commitments.headerHash(r);
        emit Revealed(
            c.round, trainer, r.seat, r.updateRoot, r.ssq, r.traceRoot, r.classId, r.updateCid, r.updateSize
        );
    }
}
