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
    Posted,
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

    /// @dev Hashes of the attestations made on chain, by attempt and seat.
    mapping(uint32 attempt => mapping(uint256 seat => bytes32 attested)) private _attested;

    /// @dev What attestations add up to: updates that two thirds of the roster's stake call available, and harmful;
    /// those that further attestations could still make harmful; and whether the whole roster spoke.
    struct Tally {
        uint256 available;
        uint256 harmful;
        uint256 contested;
        bool everybody;
    }

    /// @inheritdoc IRunSubmissions
    function attest(uint32 attempt, uint8 seat, uint256 available, uint256 harmful) external {
        // Check
        Current memory c = _open(Phase.Audit, attempt);
        _requireSeat(seat, msg.sender);
        // Effect
        _attested[attempt][seat] = _attestationKey(available, harmful);
        emit Attested(c.round, msg.sender, available, harmful);
    }

    /// @inheritdoc IRunSubmissions
    function postAttestations(uint32 attempt, AttestationGroup[] calldata groups)
        external
        refunded(_size(groups), _size(groups) * SIGNATURE_DATA_GAS)
    {
        // Check
        Current memory c = _open(Phase.Audit, attempt);
        Tally memory t = _tally(c, groups);
        // What is known already is not paid for again.
        Posted memory before = posted[attempt];
        if ((t.available & ~before.available) | (t.harmful & ~before.harmful) == 0) revert EmptyBatch();
        // Effect
        if (c.anyPosted) t.contested &= before.contested;
        posted[attempt] = Posted(before.available | t.available, before.harmful | t.harmful, t.contested);
        current.anyPosted = true;
        emit AttestationsPosted(c.round, msg.sender, t.available, t.harmful, t.contested);
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
        Tally memory t = _tally(c, groups);
        if (c.anyPosted) {
            Posted memory p = posted[attempt];
            (t.available, t.harmful) = (t.available | p.available, t.harmful | p.harmful);
            t.contested &= p.contested;
        }
        uint256 revealedSet = _checkUpdates(attempt, updates);
        // Nobody waits once no further attestation could change the outcome.
        bool settled = t.everybody || _isDecided(t, revealedSet);
        if (!settled && block.timestamp <= c.deadline) revert PhaseNotOver(c.deadline);
        // Effect
        _freeze(c, t.available & revealedSet, t.harmful, updates);
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
        Tally memory t = _tally(c, groups);
        if (!_isDecided(t, set)) revert PhaseNotOver(c.deadline);
        // Effect: the reveals leave no trace but their events and the inputs hash
        c.reveals = c.commits;
        _freeze(c, set, t.harmful, updates);
    }

    /// @dev Fix the inputs of the merge, or fail the round.
    function _freeze(Current memory c, uint256 available, uint256 harmful, RevealedUpdate[] memory updates) private {
        uint256 included = c.anyExcluded ? available & ~excluded[c.attempt] : available;
        _chargeUnrevealed(c);
        if (included.count() < _hot.minTrainers) {
            _fail(c, FailureReason.TooFewUpdates);
        } else {
            // Whom the next block's randomness draws for an audit nobody knows who can still change an update.
            uint256 slot = c.round % _hot.ringSize;
            _rounds[slot].frozenAt = uint16(block.number);
            if (harmful & included != 0) _withholdPay(c.round, slot, harmful & included);
            bytes32[] memory hashes = _freezeInputs(slot, included, updates);
            emit UpdatesFrozen(c.round, included, available, hashes);
            _enter(c, Phase.Merge, _hot.mergeTimeoutS);
        }
        current = c;
    }

    /// @dev Harm is voted on, not proven: it costs a round's pay, but no stake and no place in the model.
    function _withholdPay(uint32 round, uint256 slot, uint256 harmful) private {
        unpaid[round] = harmful;
        _rounds[slot].anyUnpaid = true;
        emit UpdatesUnpaid(round, harmful);
    }

    /// @dev Weights and inputs hash of each segment.
    function _freezeInputs(uint256 slot, uint256 included, RevealedUpdate[] memory updates)
        private
        returns (bytes32[] memory hashes)
    {
        (uint256 segments, uint256 capGwei) = (_hot.segments, _params.stakeCapGwei);
        hashes = new bytes32[](segments);
        for (uint256 segment = 0; segment < segments; ++segment) {
            uint256 members = segments == 1 ? included : _membersOf(slot, included, segment);
            hashes[segment] = sha256(_preimage(members, capGwei, updates));
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

    function _cappedSumGwei(uint256 members, uint256 capGwei) private view returns (uint256 sumGwei) {
        while (members != 0) {
            uint256 seat = members.lowest();
            members = members.remove(seat);
            sumGwei += _cappedGwei(seats[seat].stakeGwei, capGwei);
        }
    }

    function _cappedGwei(uint256 stakeGwei, uint256 capGwei) private pure returns (uint256) {
        return stakeGwei < capGwei ? stakeGwei : capGwei;
    }

    /// @dev trainer:20 | seat:1 | weight:3 | updateRoot:32 | headerHash:32 for each member of the segment.
    function _preimage(uint256 members, uint256 capGwei, RevealedUpdate[] memory updates)
        private
        view
        returns (bytes memory out)
    {
        uint256 sumGwei = _cappedSumGwei(members, capGwei);
        out = new bytes(members.count() * 88);
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := add(out, 0x20)
        }
        for (uint256 i = 0; i < updates.length; ++i) {
            RevealedUpdate memory u = updates[i];
            if (!members.has(u.seat)) continue;
            Seat storage s = seats[u.seat];
            uint256 weight = (_cappedGwei(s.stakeGwei, capGwei) * WEIGHT_ONE) / sumGwei;
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

    /// @dev Whether no further attestation of these updates could change the outcome.
    function _isDecided(Tally memory t, uint256 set) private pure returns (bool) {
        return t.available & set == set && t.contested & set == 0;
    }

    function _tally(Current memory c, AttestationGroup[] calldata groups) private view returns (Tally memory t) {
        uint256 members = roster;
        uint256 rosterGwei = totals.rosterStakeGwei;
        if (groups.length == 1) {
            // One opinion, as among honest trainers, needs no sum for each seat.
            (uint256 spokenGwei, uint256 spoke) = _groupStake(c, groups[0], 0, members);
            (t.available, t.harmful) = (groups[0].available & members, groups[0].harmful & members);
            if (spokenGwei * 3 < rosterGwei * 2) (t.available, t.harmful, t.contested) = (0, 0, t.harmful);
            if (spokenGwei * 3 <= rosterGwei) t.contested = members;
            t.everybody = spoke == members;
            return t;
        }
        (uint256 seen, uint256 sumGwei, uint256 named) = (0, 0, 0);
        uint256[] memory available = new uint256[](MAX_SEATS);
        uint256[] memory harmful = available;
        for (uint256 g = 0; g < groups.length; ++g) {
            AttestationGroup calldata group = groups[g];
            uint256 groupGwei;
            (groupGwei, seen) = _groupStake(c, group, seen, members);
            sumGwei += groupGwei;
            t.available |= _addVoices(available, group.available & members, groupGwei, rosterGwei);
            uint256 harm = group.harmful & members;
            if (harm == 0) continue;
            if (named == 0) harmful = new uint256[](MAX_SEATS);
            named |= harm;
            t.harmful |= _addVoices(harmful, harm, groupGwei, rosterGwei);
        }
        // Open is what those who have not spoken could lift to two thirds.
        named &= ~t.harmful;
        while (named != 0) {
            uint256 seat = named.lowest();
            named = named.remove(seat);
            if ((sumGwei - harmful[seat]) * 3 <= rosterGwei) t.contested = t.contested.add(seat);
        }
        if (sumGwei * 3 <= rosterGwei) t.contested = members;
        t.everybody = seen == members;
    }

    /// @dev Count a group's stake for each seat of a set; gives those that have two thirds with it.
    function _addVoices(uint256[] memory voicesGwei, uint256 set, uint256 groupGwei, uint256 rosterGwei)
        private
        pure
        returns (uint256 agreed)
    {
        while (set != 0) {
            uint256 seat = set.lowest();
            set = set.remove(seat);
            voicesGwei[seat] += groupGwei;
            if (voicesGwei[seat] * 3 >= rosterGwei * 2) agreed = agreed.add(seat);
        }
    }

    function _groupStake(Current memory c, AttestationGroup calldata group, uint256 seen, uint256 members)
        private
        view
        returns (uint256 sumGwei, uint256 seenAfter)
    {
        bytes32 digest = _hashTypedDataV4(
            keccak256(
                abi.encode(Commitments.ATTESTATION_TYPEHASH, c.round, c.attempt, group.available, group.harmful)
            )
        );
        if (group.signatures.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < group.signatures.length; ++i) {
            SeatSignature calldata s = group.signatures[i];
            if (seen.has(s.seat)) revert DuplicateAttestation(s.seat);
            seen = seen.add(s.seat);
            Seat memory seat = seats[s.seat];
            if (!members.has(s.seat)) revert NotSeated(s.seat, seat.trainer);
            if (s.r == 0 && s.vs == 0) {
                bytes32 made = _attested[c.attempt][s.seat];
                if (made != _attestationKey(group.available, group.harmful)) revert BadSignature(s.seat);
            } else {
                // slither-disable-next-line unused-return: without a signer, why does not matter
                (address signer,,) = ECDSA.tryRecover(digest, s.r, s.vs);
                if (signer == address(0) || signer != seat.trainer) revert BadSignature(s.seat);
            }
            sumGwei += seat.stakeGwei;
        }
        seenAfter = seen;
    }

    /// @dev Distinguishes attested empty bitmaps from no attestation.
    function _attestationKey(uint256 available, uint256 harmful) private pure returns (bytes32) {
        return keccak256(abi.encode(available, harmful));
    }

    function _size(AttestationGroup[] calldata groups) private pure returns (uint256 n) {
        for (uint256 g = 0; g < groups.length; ++g) {
            n += groups[g].signatures.length;
        }
    }
}
