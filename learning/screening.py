"""What the bytes of a round's revealed updates tell without any training: copies and fakes.

Each finding is a reason to look, for a report and for auditors; none convicts. All of it follows
from the encoding (docs/protocol.md 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from protocol.codec import MAX_EXPONENT, Q_MAX, UPDATE_LEAF_BYTES, decode_update
from protocol.layout import Layout
from protocol.types import Seat, SegmentId

NEAR_COPY_COSINE = 0.98
"""Measured on digits over 12 rounds: honest updates of different shards reach 0.94, in the second
round, where all go the same way; a copy with a tenth of noise has 0.995. Who adds more than a fifth
of noise is not found here."""

_BLOCK_CHUNKS = 2048
_LEAST_TOP = 64  # the largest |q| of a chunk whose exponent is the least that holds it


class Suspicion(Enum):
    """What is odd about an update."""

    WRONG_SIZE = "wrong size"
    """Not as many leaves as the seat's segment has; nothing else is looked at then."""

    DUPLICATE = "duplicate"
    NEAR_COPY = "near copy"
    ZERO = "zero"
    SATURATED = "saturated"
    """Elements stand at the end of the range, which no bounded training reaches."""

    FOREIGN = "foreign"
    """No encoder of the protocol emits these bytes: -128, or an exponent that is not the least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One suspicion of one seat's update; `others` are the seats whose update is like it.

    `figure` is the size, the greatest cosine, or the share of elements or chunks concerned.
    """

    seat: Seat
    suspicion: Suspicion
    figure: float
    others: tuple[Seat, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatUpdate:
    """A revealed update object and the segment that its seat was assigned."""

    segment: SegmentId
    data: bytes


def screen_updates(updates: Mapping[Seat, SeatUpdate], layout: Layout) -> list[Finding]:
    """Look at the updates of one round, any bytes; findings stand in the order of seats."""
    findings: list[Finding] = []
    sound: dict[SegmentId, dict[Seat, bytes]] = {}
    for seat, update in updates.items():
        wanted = len(layout.segment_chunks(update.segment)) * UPDATE_LEAF_BYTES
        if len(update.data) != wanted:
            size = float(len(update.data))
            findings.append(Finding(seat=seat, suspicion=Suspicion.WRONG_SIZE, figure=size))
            continue
        sound.setdefault(update.segment, {})[seat] = update.data
        findings += _look_at(seat, update.data)
    for held in sound.values():
        findings += _compare(held)
    return sorted(findings, key=lambda finding: finding.seat)


def _look_at(seat: Seat, data: bytes) -> Iterator[Finding]:
    chunks = len(data) // UPDATE_LEAF_BYTES
    q, e = decode_update(data, chunks)
    raw = np.frombuffer(data, np.uint8)[::UPDATE_LEAF_BYTES]
    top = np.abs(q.astype(np.int16)).max(axis=1)
    if not top.any():
        yield Finding(seat=seat, suspicion=Suspicion.ZERO, figure=1.0)
    saturated = np.count_nonzero(np.abs(q[e == MAX_EXPONENT].astype(np.int16)) >= Q_MAX)
    if saturated:
        yield Finding(seat=seat, suspicion=Suspicion.SATURATED, figure=saturated / q.size)
    foreign = (top > Q_MAX) | (raw > MAX_EXPONENT) | ((e > 0) & (top < _LEAST_TOP))
    if foreign.any():
        yield Finding(seat=seat, suspicion=Suspicion.FOREIGN, figure=float(foreign.mean()))


def _compare(held: Mapping[Seat, bytes]) -> Iterator[Finding]:
    """Copies among the updates of one segment, each named at both."""
    seats = list(held)
    cosines = cosines_of([held[seat] for seat in seats])
    for i, seat in enumerate(seats):
        same = tuple(o for o in seats if o != seat and held[o] == held[seat])
        if same:
            yield Finding(seat=seat, suspicion=Suspicion.DUPLICATE, figure=1.0, others=same)
        near = [
            j for j, o in enumerate(seats)
            if j != i and o not in same and cosines[i, j] >= NEAR_COPY_COSINE
        ]  # fmt: skip
        if near:
            yield Finding(
                seat=seat,
                suspicion=Suspicion.NEAR_COPY,
                figure=float(cosines[i, near].max()),
                others=tuple(seats[j] for j in near),
            )


def cosines_of(updates: list[bytes]) -> NDArray[np.float64]:
    """Cosine similarity of each two, a block of chunks at a time; 0 where one is zero."""
    chunks = len(updates[0]) // UPDATE_LEAF_BYTES
    decoded = [decode_update(data, chunks) for data in updates]
    products = np.zeros((len(updates), len(updates)))
    for start in range(0, chunks, _BLOCK_CHUNKS):
        part = slice(start, start + _BLOCK_CHUNKS)
        values = np.stack(
            [np.ldexp(q[part].astype(np.float32), e[part, None]).reshape(-1) for q, e in decoded]
        )
        products += values @ values.T
    norms = np.sqrt(np.diag(products))
    scale = np.outer(norms, norms)
    return np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
