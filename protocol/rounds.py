"""A round's digests and sums (docs/protocol.md sections 3 and 4).

Roster and attestations are bitmaps of seats: bit i speaks of seat i.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from protocol.errors import InvalidRound
from protocol.merge import WEIGHT_ONE
from protocol.merkle import MerkleTree
from protocol.types import (
    DIGEST_BYTES,
    MAX_SEATS,
    Address,
    Attempt,
    Digest,
    Gwei,
    RoundId,
    Seat,
    Wei,
)

COMMITMENT_BYTES = 27
"""What the contract keeps of a commitment."""

MAX_TRACE_STEPS = 64
"""Most checkpoints of a training run, beyond its first state."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Phase(IntEnum):
    """Where an open round stands; the values are the contract's."""

    IDLE = 0
    COMMIT = 1
    REVEAL = 2
    AUDIT = 3
    MERGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateHeader:
    """What a trainer reveals of its update; update_cid is a digest, update_size its object's bytes.

    Raises InvalidRound for a value outside its Solidity type.
    """

    update_root: Digest
    ssq: int
    trace_root: Digest
    class_id: Digest
    update_cid: Digest
    update_size: int

    def __post_init__(self) -> None:
        """Check that every field fits its word."""
        for field in ("update_root", "trace_root", "class_id", "update_cid"):
            _check_digest(field, getattr(self, field))
        _check_uint("ssq", self.ssq, 96)
        _check_uint("update_size", self.update_size, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEntry:
    """What the inputs hash says of one included update."""

    trainer: Address
    seat: Seat
    weight: int
    update_root: Digest
    header_hash: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one attester says of a round's updates: bit i of each bitmap speaks of seat i's.

    `available` are those that can be had, are well-formed and inside the norm bound; `harmful`
    those that make the model worse on held-out data. Raises InvalidRound beyond 256 bits.
    """

    available: int
    harmful: int = 0

    def __post_init__(self) -> None:
        """Check that both fit their words."""
        _check_uint("available", self.available, MAX_SEATS)
        _check_uint("harmful", self.harmful, MAX_SEATS)


def header_hash(header: UpdateHeader) -> Digest:
    """Hash all of a header but its root. Section 3."""
    return sha256(_header_words(header)).digest()


def commitment_hash(
    *,
    header: UpdateHeader,
    chain_id: int,
    run: Address,
    round_id: RoundId,
    attempt: Attempt,
    trainer: Address,
    salt: bytes,
) -> Digest:
    """Bind a header to one trainer, one attempt and a salt, so that a copy is worthless. Section 3.

    The contract keeps the first COMMITMENT_BYTES. Raises InvalidRound for a value outside its type.
    """
    _check_digest("salt", salt)
    words = (
        _uint("chain_id", chain_id, 256),
        _address_word(run),
        _uint("round_id", round_id, 32),
        _uint("attempt", attempt, 32),
        _address_word(trainer),
        header.update_root,
        _header_words(header),
        salt,
    )
    return sha256(b"".join(words)).digest()


def trace_root(state_digests: Sequence[Digest], update_root: Digest) -> Digest:
    """Commit to the training states s_0 .. s_H and to what came of them. Section 3.

    Raises InvalidRound for no state, more than MAX_TRACE_STEPS steps, or a digest that is none.
    """
    if not 0 < len(state_digests) <= MAX_TRACE_STEPS + 1:
        raise InvalidRound(field="state_digests", reason=f"1 to {MAX_TRACE_STEPS + 1} are due")
    for digest in (*state_digests, update_root):
        _check_digest("state_digests", digest)
    return MerkleTree.from_leaves(b"".join((*state_digests, update_root)), DIGEST_BYTES).root


def inputs_hash(entries: Sequence[InputEntry]) -> Digest:
    """Hash the included updates of a segment. Section 4.

    Raises InvalidRound unless the entries stand in strictly ascending seat order.
    """
    hasher = sha256()
    last = -1
    for entry in entries:
        if not last < entry.seat < MAX_SEATS:
            raise InvalidRound(field="entries", reason="seats must ascend and stay below 256")
        if not 0 <= entry.weight <= WEIGHT_ONE:
            raise InvalidRound(field="weight", reason=f"{entry.weight} is not in 0..{WEIGHT_ONE}")
        _check_digest("update_root", entry.update_root)
        _check_digest("header_hash", entry.header_hash)
        last = entry.seat
        hasher.update(address_bytes(entry.trainer) + bytes((entry.seat,)))
        hasher.update(entry.weight.to_bytes(3, "big") + entry.update_root + entry.header_hash)
    return hasher.digest()


def weights(stakes_gwei: Sequence[Gwei], cap: Gwei) -> tuple[int, ...]:
    """Give the integer weight of each included update of a segment; they sum to at most 65536.

    Section 4. Raises InvalidRound for a negative stake or when all capped stakes are zero.
    """
    capped = [min(stake, cap) for stake in stakes_gwei]
    total = sum(capped)
    if any(stake < 0 for stake in capped) or (capped and total == 0):
        raise InvalidRound(field="stakes", reason="a stake is negative, or nothing is staked")
    return tuple(stake * WEIGHT_ONE // total for stake in capped)


def reward_wei(*, reward_per_round_wei: Wei, weight: int, segment_count: int) -> Wei:
    """Give what one included, unconvicted update earns. Section 4."""
    return Wei(reward_per_round_wei * weight // (WEIGHT_ONE * segment_count))


def aggregator_rank(*, index: int, count: int, seed: Digest) -> int:
    """Give the rank in which the index-th of count aggregators may propose. Section 4."""
    if not 0 <= index < count:
        raise InvalidRound(field="index", reason=f"{index} is not in 0..{count - 1}")
    _check_digest("seed", seed)
    return (index + int.from_bytes(seed, "big")) % count


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What opinions add up to, as bitmaps of seats.

    `contested` are the updates that opinions still to come could make harmful: all, before any.
    """

    available: int = 0
    harmful: int = 0
    contested: int = (1 << MAX_SEATS) - 1


def tally(
    *, opinions: Mapping[Seat, Opinion], stakes_gwei: Mapping[Seat, Gwei], total_gwei: Gwei
) -> Tally:
    """Say what attesters with at least 2/3 of total_gwei, the whole roster's stake, agree on.

    opinions are by the attester's seat. Section 4. Raises InvalidRound for an attester without a
    stake.
    """
    available, harmful = [0] * MAX_SEATS, [0] * MAX_SEATS
    spoken_gwei = 0
    for attester, opinion in opinions.items():
        if attester not in stakes_gwei:
            raise InvalidRound(field="opinions", reason=f"seat {attester} is not in the roster")
        spoken_gwei += stakes_gwei[attester]
        for voices, bitmap in ((available, opinion.available), (harmful, opinion.harmful)):
            for seat in seats_in(bitmap):
                voices[seat] += stakes_gwei[attester]

    def is_enough(gwei: int) -> bool:
        return gwei > 0 and 3 * gwei >= 2 * total_gwei

    contested = (
        Seat(seat)
        for seat, gwei in enumerate(harmful)
        if not is_enough(gwei) and 3 * (spoken_gwei - gwei) <= total_gwei
    )
    return Tally(
        available=bitmap_of(Seat(seat) for seat, gwei in enumerate(available) if is_enough(gwei)),
        harmful=bitmap_of(Seat(seat) for seat, gwei in enumerate(harmful) if is_enough(gwei)),
        contested=bitmap_of(contested),
    )


def seats_in(bitmap: int) -> tuple[Seat, ...]:
    """Give the seats of a bitmap, ascending."""
    _check_uint("bitmap", bitmap, MAX_SEATS)
    return tuple(Seat(seat) for seat in range(bitmap.bit_length()) if bitmap >> seat & 1)


def bitmap_of(seats: Iterable[Seat]) -> int:
    """Give the bitmap of some seats."""
    bitmap = 0
    for seat in seats:
        if not 0 <= seat < MAX_SEATS:
            raise InvalidRound(field="seat", reason=f"{seat} is not in 0..{MAX_SEATS - 1}")
        bitmap |= 1 << seat
    return bitmap


def popcount(bitmap: int) -> int:
    """Count the seats of a bitmap."""
    return bitmap.bit_count()


def rank_of(seat: Seat, roster: int) -> int:
    """Give a seat's position among the roster's seats, or raise InvalidRound. Section 1."""
    if not 0 <= seat < MAX_SEATS or not roster >> seat & 1:
        raise InvalidRound(field="seat", reason=f"{seat} is not in the roster")
    return popcount(roster & (1 << seat) - 1)


def address_bytes(address: Address) -> bytes:
    """Give the 20 bytes of an address, or raise InvalidRound."""
    if not _ADDRESS.fullmatch(address):
        raise InvalidRound(field="address", reason=f"{address[:50]!r} is no address")
    return bytes.fromhex(address[2:])


def _header_words(header: UpdateHeader) -> bytes:
    return b"".join(
        (
            _uint("ssq", header.ssq, 96),
            header.trace_root,
            header.class_id,
            header.update_cid,
            _uint("update_size", header.update_size, 64),
        )
    )


def _address_word(address: Address) -> bytes:
    return address_bytes(address).rjust(32, b"\x00")


def _uint(field: str, value: int, bits: int) -> bytes:
    _check_uint(field, value, bits)
    return value.to_bytes(32, "big")


def _check_uint(field: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise InvalidRound(field=field, reason=f"{value} does not fit uint{bits}")


def _check_digest(field: str, value: bytes) -> None:
    if len(value) != DIGEST_BYTES:
        raise InvalidRound(field=field, reason=f"{len(value)} bytes instead of {DIGEST_BYTES}")
