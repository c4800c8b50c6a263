// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IRunSubmissions} from "../interfaces/IRunSubmissions.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {Seats} from "../libraries/Seats.sol";
import {Shuffle} from "../libraries/Shuffle.sol";
import {
    AttestationGroup,
    Current,
    FailureReason,
    Phase,
    Progress,
    Reveal,
    RevealedUpdate,
    Seat,
    SeatSignature,
    Submission
} from "../types/Types.sol";
import {Submissions} from "./Submissions.sol";

/// @title Which updates are available, and the freezing of a merge's inputs.
abstract contract Audits is Submissions {
    using Seats for uint256;

    /// @dev Calldata of a reveal, and of a signature or a revealed update: 181 and 65 bytes that are not zero.
    uint256 private constant REVEAL_DATA_GAS = 3_200;
    uint256 private constant SIGNATURE_DATA_GAS = 1_200;

    /// @dev Bitmap + 1 bit of presence: attestations made on chain, by attempt and seat.
    mapping(uint32 attempt => mapping(uint256 seat => bytes32 attested)) private _attested;

    /// @inheritdoc IRunSubmissions
    function attest(uint32 attempt, uint8 seat, uint256 available) external {
        // Check
        Current memory c = _open(Phase.Audit, attempt);
        _requireSeat(seat, msg.sender);
        // Effect
        _attested[attempt][seat] = _attestationKey(available);
        emit Attested(c.round, msg.sender, available);
    }

    /// @inheritdoc IRunSubmissions
    function postAttestations(uint32 attempt, AttestationGroup[] calldata groups)
        external
        refunded(_size(groups), _size(groups) * SIGNATURE_DATA_GAS)
    {
        // Check
        Current memory c = _open(Phase.Audit, attempt);
        (uint256 available,) = _tally(c, groups);
        // What is known already is not paid for again.
        uint256 before = posted[attempt];
        if (available & ~before == 0) revert EmptyBatch();
        // Effect
        posted[attempt] = before | available;
        current.anyPosted = true;
        emit AttestationsPosted(c.round, msg.sender, available);
    }

    /// @inheritdoc IRunSubmissions
    function freeze(uint32 attempt, AttestationGroup[] calldata groups, RevealedUpdate[] calldata updates)
        external
        refunded(_size(groups) + updates.length, (_size(groups) + updates.length) * SIGNATURE_DATA_GAS)
    {
        // Check
        Current memory c = current;
        if (c.phase != Phase.Audit) revert WrongPhase(Phase.Audit, c.phase);
        if (c.attempt != attempt) revert WrongAttempt(c.attempt, attempt);
        if (updates.length != c.reveals) revert WrongUpdates(updates.length, c.reveals);
        (uint256 available, bool everybody) = groups.length == 0 ? (0, false) : _tally(c, groups);
        if (c.anyPosted) available |= posted[attempt];
        uint256 revealedSet = _checkUpdates(attempt, updates);
        // Nobody waits once no further attestation could change the outcome.
        bool settled = everybody || available & revealedSet == revealedSet;
        if (!settled && block.timestamp <= c.deadline) revert PhaseNotOver(c.deadline);
        // Effect
        _freeze(c, available & revealedSet, updates);
    }

    /// @inheritdoc IRunSubmissions
    function freezeWithReveals(uint32 attempt, AttestationGroup[] calldata groups, Reveal[] calldata batch)
        external
        refunded(
            _size(groups) + batch.length, _size(groups) * SIGNATURE_DATA_GAS + batch.length * REVEAL_DATA_GAS
        )
    {
        // Check: the whole story of a round in which everybody acted, so that nobody waits for more
        Current memory c = _open(Phase.Reveal, attempt);
        if (c.reveals != 0 || batch.length != c.commits) revert WrongUpdates(batch.length, c.commits);
        RevealedUpdate[] memory updates = new RevealedUpdate[](batch.length);
        uint256 set = 0;
        for (uint256 i = 0; i < batch.length; ++i) {
            Reveal calldata r = batch[i];
            if (set >> r.seat != 0) revert WrongUpdates(i, batch.length);
            set = set.add(r.seat);
            updates[i] = RevealedUpdate(r.seat, r.updateRoot, _openCommitment(c, r));
        }
        (uint256 available,) = _tally(c, groups);
        if (available & set != set) revert PhaseNotOver(c.deadline);
        // Effect: the reveals leave no trace but their events and the inputs hash
        c.reveals = c.commits;
        _freeze(c, set, updates);
    }

    /// @dev Fix the inputs of the merge, or fail the round.
    function _freeze(Current memory c, uint256 available, RevealedUpdate[] memory updates) private {
        uint256 included = c.anyExcluded ? available & ~excluded[c.attempt] : available;
        _chargeUnrevealed(c);
        if (included.count() < _hot.minTrainers) {
            _fail(c, FailureReason.TooFewUpdates);
        } else {
            // Whom the next block's randomness draws for an audit is not known to anybody who can still change an update.
            _rounds[c.round % _hot.ringSize].frozenAt = uint16(block.number);
            bytes32[] memory hashes = _freezeInputs(c.round % _hot.ringSize, included, updates);
            emit UpdatesFrozen(c.round, included, available, hashes);
            _enter(c, Phase.Merge, _hot.mergeTimeoutS);
        }
        current = c;
    }

    /// @dev Weights and inputs hash of each segment.
    function _freezeInputs(uint256 slot, uint256 included, RevealedUpdate[] memory updates)
        private
        returns (bytes32[] memory hashes)
    {
        hashes = new bytes32[](_hot.segments);
        for (uint256 segment = 0; segment < _hot.segments; ++segment) {
            uint256 members = _hot.segments == 1 ? included : _membersOf(slot, included, segment);
            hashes[segment] = sha256(_preimage(members, _cappedSumGwei(members), updates));
            _inputsHashes[slot][segment] = hashes[segment];
        }
    }

    /// @dev The included seats that the round's seed put on a segment.
    function _membersOf(uint256 slot, uint256 included, uint256 segment) private view returns (uint256 members) {
        bytes32 seed = _rounds[slot].seed;
        uint256 everyone = roster;
        while (included != 0) {
            uint256 seat = included.lowest();
            included = included.remove(seat);
            if (Shuffle.segmentOf(seed, everyone.rank(seat), _hot.segments) == segment) members = members.add(seat);
        }
    }

    function _cappedSumGwei(uint256 members) private view returns (uint256 sumGwei) {
        while (members != 0) {
            uint256 seat = members.lowest();
            members = members.remove(seat);
            sumGwei += _cappedGwei(seats[seat].stakeGwei);
        }
    }

    function _cappedGwei(uint256 stakeGwei) private view returns (uint256) {
        return stakeGwei < _params.stakeCapGwei ? stakeGwei : _params.stakeCapGwei;
    }

    /// @dev trainer:20 | seat:1 | weight:3 | updateRoot:32 | headerHash:32 for each member of the segment.
    function _preimage(uint256 members, uint256 sumGwei, RevealedUpdate[] memory updates)
        private
        view
        returns (bytes memory out)
    {
        out = new bytes(members.count() * 88);
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := add(out, 0x20)
        }
        for (uint256 i = 0; i < updates.length; ++i) {
            RevealedUpdate memory u = updates[i];
            if (!members.has(u.seat)) continue;
            Seat storage s = seats[u.seat];
            uint256 weight = (_cappedGwei(s.stakeGwei) * WEIGHT_ONE) / sumGwei;
            uint256 head = (uint256(uint160(s.trainer)) << 96) | (uint256(u.seat) << 88) | (weight << 64);
            assembly ("memory-safe") {
                mstore(ptr, head)
                mcopy(add(ptr, 24), add(u, 0x20), 0x40)
                ptr := add(ptr, 88)
            }
        }
    }

    /// @dev Every update must be the one revealed, in ascending seat order.
    function _checkUpdates(uint32 attempt, RevealedUpdate[] calldata updates) private view returns (uint256 set) {
        for (uint256 i = 0; i < updates.length; ++i) {
            RevealedUpdate calldata u = updates[i];
            if (set >> u.seat != 0) revert WrongUpdates(i, updates.length);
            set = set.add(u.seat);
            Submission memory s = submissions[u.seat];
            bool revealed = s.attempt == attempt && s.progress == Progress.Revealed;
            if (!revealed || s.digest != Commitments.revealDigest(u.updateRoot, u.headerHash)) {
                revert CommitmentMismatch(u.seat);
            }
        }
    }

    /// @dev Updates that 2/3 of the roster's stake calls available, and whether the whole roster spoke.
    function _tally(Current memory c, AttestationGroup[] calldata groups)
        private
        view
        returns (uint256 available, bool everybody)
    {
        uint256 members = roster;
        uint256 neededGwei = uint256(totals.rosterStakeGwei) * 2;
        uint256 seen = 0;
        // One opinion, as among honest trainers, needs no sum for each seat.
        uint256[] memory stakeGwei = new uint256[](groups.length > 1 ? MAX_SEATS : 0);
        for (uint256 g = 0; g < groups.length; ++g) {
            AttestationGroup calldata group = groups[g];
            uint256 groupGwei;
            (groupGwei, seen) = _groupStake(c, group, seen, members);
            uint256 rest = group.available & members;
            if (groups.length == 1) {
                if (groupGwei * 3 >= neededGwei) available = rest;
                break;
            }
            while (rest != 0) {
                uint256 seat = rest.lowest();
                rest = rest.remove(seat);
                stakeGwei[seat] += groupGwei;
                if (stakeGwei[seat] * 3 >= neededGwei) available = available.add(seat);
            }
        }
        everybody = seen == members;
    }

    function _groupStake(Current memory c, AttestationGroup calldata group, uint256 seen, uint256 members)
        private
        view
        returns (uint256 sumGwei, uint256 seenAfter)
    {
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(Commitments.ATTESTATION_TYPEHASH, c.round, c.attempt, group.available))
        );
        if (group.signatures.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < group.signatures.length; ++i) {
            SeatSignature calldata s = group.signatures[i];
            if (seen.has(s.seat)) revert DuplicateAttestation(s.seat);
            seen = seen.add(s.seat);
            Seat memory seat = seats[s.seat];
            if (!members.has(s.seat)) revert NotSeated(s.seat, seat.trainer);
            if (s.r == 0 && s.vs == 0) {
                if (_attested[c.attempt][s.seat] != _attestationKey(group.available)) revert BadSignature(s.seat);
            } else {
                // slither-disable-next-line unused-return: without a signer, why does not matter
                (address signer,,) = ECDSA.tryRecover(digest, s.r, s.vs);
                if (signer == address(0) || signer != seat.trainer) revert BadSignature(s.seat);
            }
            sumGwei += seat.stakeGwei;
        }
        seenAfter = seen;
    }

    /// @dev Distinguishes an attested empty bitmap from no attestation.
    function _attestationKey(uint256 available) private pure returns (bytes32) {
        return keccak256(abi.encode(available));
    }

    function _size(AttestationGroup[] calldata groups) private pure returns (uint256 n) {
        for (uint256 g = 0; g < groups.length; ++g) {
            n += groups[g].signatures.length;
        }
    }
}
