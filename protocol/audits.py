"""Who audits whom, and who judges: draws by weight (docs/protocol.md section 9).

The contracts compute the same (contracts/libraries/AuditDraw.sol, Traces.sol).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from protocol.errors import InvalidRound
from protocol.rounds import InputEntry
from protocol.types import DIGEST_BYTES, Address, BlockNumber, Digest, Seat

FIRST_TICKETS = 15
"""Tickets of a trial's first jury."""

SECOND_TICKETS = 63
"""Tickets of the jury of an appeal."""

_BPS = 10_000
_WORD = 1 << 256
_BLOCK_BITS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatedJuror:
    """One member of a jury, with the tickets that it drew."""

    entry: InputEntry
    tickets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first place at which two traces differ, what each has there, and what comes before."""

    index: int
    before: Digest
    accused: Digest
    accuser: Digest


def is_audited(*, randomness: Digest, seat: Seat, audit_bps: int) -> bool:
    """Tell whether the round's randomness draws the update of this seat for an audit."""
    return _number(randomness, b"audit", seat) % _BPS < audit_bps


def auditor_of(*, randomness: Digest, roll: Sequence[InputEntry], seat: Seat) -> InputEntry | None:
    """Draw who audits the update of this seat, by weight among the others of the roll.

    None if the others weigh nothing. Raises InvalidRound if the seat is not in the roll.
    """
    if all(entry.seat != seat for entry in roll):
        raise InvalidRound(field="seat", reason=f"seat {seat} has no update in the roll")
    others = [entry for entry in roll if entry.seat != seat]
    return _draw(others, _number(randomness, b"auditor", seat))


def jury_randomness(*, draw: Digest, trial: int, level: int) -> Digest:
    """Give the randomness of one jury from what the beacon said of its block."""
    if not 0 <= trial < _WORD or not 0 <= level < 1 << 8:
        raise InvalidRound(field="trial", reason=f"trial {trial}, level {level}")
    _check_digest(draw)
    return sha256(draw + trial.to_bytes(32, "big") + bytes((level,))).digest()


def members_of(
    *,
    roll: Sequence[InputEntry],
    class_of: Mapping[Seat, Digest],
    class_id: Digest,
    accused: Seat,
    accuser: Address,
    convicted: Collection[Seat],
) -> list[InputEntry]:
    """Give those of a roll who may judge: of the class, no side of the trial, not convicted."""
    return [
        entry
        for entry in roll
        if class_of[entry.seat] == class_id
        and entry.seat != accused
        and entry.trainer.lower() != accuser.lower()
        and entry.seat not in convicted
    ]


def draw_jury(
    *, randomness: Digest, members: Sequence[InputEntry], level: int
) -> list[SeatedJuror]:
    """Seat a jury in the order of the roll; nobody if the members weigh nothing."""
    won: dict[Seat, int] = {}
    for ticket in range(FIRST_TICKETS if level == 0 else SECOND_TICKETS):
        entry = _draw(members, _number(randomness, b"juror", ticket))
        if entry is not None:
            won[entry.seat] = won.get(entry.seat, 0) + 1
    return [SeatedJuror(entry=e, tickets=won[e.seat]) for e in members if e.seat in won]


def draw_block(*, frozen_at: int, newest: BlockNumber) -> BlockNumber:
    """Give the number of the block that draws a round's audits: the one after the freeze.

    A run keeps the low 16 bits of the freezing block; it is the newest that has them.
    """
    return BlockNumber(newest - (newest - frozen_at) % _BLOCK_BITS + 1)


def diverge(
    *,
    accused: Sequence[Digest],
    accused_update: Digest,
    accuser: Sequence[Digest],
    accuser_update: Digest,
) -> Divergence | None:
    """Find the first place at which two traces differ; behind its update each goes on with zeros.

    None if they differ nowhere.
    """
    zero = bytes(DIGEST_BYTES)
    length = max(len(accused), len(accuser)) + 1
    theirs = [*accused, accused_update, *[zero] * (length - len(accused) - 1)]
    mine = [*accuser, accuser_update, *[zero] * (length - len(accuser) - 1)]
    for index, (a, b) in enumerate(zip(theirs, mine, strict=True)):
        if a != b:
            before = theirs[index - 1] if index else zero
            return Divergence(index=index, before=before, accused=a, accuser=b)
    return None


def _draw(entries: Sequence[InputEntry], number: int) -> InputEntry | None:
    """Give the first entry whose weight, with those before it, exceeds the number's remainder."""
    total = sum(entry.weight for entry in entries)
    if total == 0:
        return None
    left = number % total
    for entry in entries:
        if left < entry.weight:
            return entry
        left -= entry.weight
    raise AssertionError  # the remainder is less than the sum


def _number(randomness: Digest, label: bytes, index: int) -> int:
    _check_digest(randomness)
    return int.from_bytes(sha256(randomness + label + bytes((index,))).digest()[:8], "big")


def _check_digest(value: Digest) -> None:
    if len(value) != DIGEST_BYTES:
        reason = f"{len(value)} bytes instead of {DIGEST_BYTES}"
        raise InvalidRound(field="randomness", reason=reason)
