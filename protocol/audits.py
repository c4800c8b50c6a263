"""Who audits, from randomness and weights (docs/protocol.md section 9)."""

from collections.abc import Sequence
from hashlib import sha256

from protocol.rounds import InputEntry
from protocol.types import Digest, Seat

_BPS = 10_000


def is_audited(randomness: Digest, seat: Seat, audit_bps: int) -> bool:
    """Whether the update of a seat is audited."""
    return _number(randomness, "audit", seat) % _BPS < audit_bps


def auditor_of(randomness: Digest, roll: Sequence[InputEntry], place: int) -> int | None:
    """Place of the auditor of the update at `place`, by weight among the others, if any."""
    weights = [entry.weight for entry in roll]
    weights[place] = 0
    if not sum(weights):
        return None
    x = _number(randomness, "auditor", roll[place].seat) % sum(weights)
    for other, weight in enumerate(weights):
        if x < weight:
            return other
        x -= weight
    return None


def _number(randomness: Digest, label: str, index: int) -> int:
    return int.from_bytes(sha256(randomness + label.encode() + bytes((index,))).digest()[:8], "big")
