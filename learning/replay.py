"""Doing a trainer's work again, all of it or one stretch, to see whether it was done.

A trace index names what a dispute is about: 0 .. H are the states s_0 .. s_H, H + 1 is the update.
Everything here is bit for bit what `local_update` did, within a determinism class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from learning.errors import InvalidState
from learning.local_update import LocalUpdate, local_update
from learning.loop import TrainingLoop, Work
from protocol.codec import UPDATE_LEAF_BYTES, encode_update
from protocol.errors import InvalidRound, NonFiniteUpdate, NotRepresentable
from protocol.merkle import SumTree
from protocol.types import Digest, SegmentId

FIRST_SEGMENT = SegmentId(0)
NO_UPDATE = Digest(bytes(32))
"""Stands for the update root where training diverged, so that no update exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """How an own execution compares with what a trainer revealed."""

    own: LocalUpdate
    first_difference: int | None  # index of the first trace digest that differs
    same_update: bool  # the update object's bytes are equal

    @property
    def same(self) -> bool:
        """Whether all bits agree, as they must within a determinism class."""
        return self.same_update and self.first_difference is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What comes of the work between two checkpoints: the digest to vote for, and its preimage.

    The data are a state, or behind the last state the update object of the seat's segment.
    """

    digest: Digest
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """All of a seat's work, done again; the update is empty and its root NO_UPDATE if it diverged.

    `update_bytes` are of the whole model.
    """

    trace_digests: tuple[Digest, ...]
    update_bytes: bytes


def replay(*, update_bytes: bytes, trace_digests: Sequence[bytes], **inputs: Any) -> ReplayReport:
    """Call `local_update(**inputs)` and compare it with the revealed update and trace s_0 .. s_H.

    The public inputs of a round are enough. A difference convicts only within a determinism class.
    """
    own = local_update(**inputs)
    return ReplayReport(
        own=own,
        first_difference=first_difference(own.trace_digests, trace_digests),
        same_update=own.update_bytes == update_bytes,
    )


def retrain(work: Work) -> Retraining:
    """Do all the work; where an honest trainer would have no update, neither has this.

    Raises InvalidShard, InvalidTask and OutOfMemory.
    """
    loop = TrainingLoop(work)
    digests = tuple(Digest(digest) for digest in loop.run())
    try:
        update_bytes = encode_update(loop.delta())
    except (NonFiniteUpdate, NotRepresentable):
        update_bytes = b""
    return Retraining(trace_digests=digests, update_bytes=update_bytes)


def reexecute(
    work: Work, index: int, *, state: bytes | None = None, segment: SegmentId = FIRST_SEGMENT
) -> Stretch:
    """Do the work between checkpoint `index` - 1, whose state is given, and checkpoint `index`.

    Index 0 is the parent model's state; index 1 takes the parent model where no state is given;
    index H + 1 is the update of the segment, NO_UPDATE if the state can not be quantised.

    Raises:
        InvalidRound: the work has no such index.
        InvalidState: the state is missing, or none of this model and optimizer.

    """
    loop = TrainingLoop(work)
    points = loop.checkpoints
    if not 0 <= index <= len(points):
        raise InvalidRound(field="trace index", reason=f"{index} is not in 0..{len(points)}")
    if state is not None and index > 0:
        loop.resume(state, points[index - 1])
    elif index > 1:
        raise InvalidState(reason=f"the state at trace index {index - 1} is missing")
    if index < len(points):
        loop.advance(points[index])
        data = loop.state()
        return Stretch(digest=Digest(hashlib.sha256(data).digest()), data=data)
    try:
        update = segment_of_update(work, segment, encode_update(loop.delta()))
    except (NonFiniteUpdate, NotRepresentable):
        return Stretch(digest=NO_UPDATE, data=b"")
    return Stretch(digest=SumTree.from_leaves(update).root, data=update)


def state_at(work: Work, index: int) -> bytes:
    """Do the work up to checkpoint `index`, 0 .. H, and return the state, for others to start from.

    Raises InvalidRound if the work has no such checkpoint.
    """
    loop = TrainingLoop(work)
    if not 0 <= index < len(loop.checkpoints):
        last = len(loop.checkpoints) - 1
        raise InvalidRound(field="trace index", reason=f"{index} is no state; 0..{last} are")
    loop.advance(loop.checkpoints[index])
    return loop.state()


def segment_of_update(work: Work, segment: SegmentId, update_bytes: bytes) -> bytes:
    """Return the leaves of one segment out of the whole model's."""
    chunks = work.layout.segment_chunks(segment)
    return update_bytes[chunks.start * UPDATE_LEAF_BYTES : chunks.stop * UPDATE_LEAF_BYTES]


def first_difference(mine: Sequence[bytes], theirs: Sequence[bytes]) -> int | None:
    """Return the first index at which two traces differ (a missing digest differs), or None."""
    for index, (a, b) in enumerate(zip(mine, theirs, strict=False)):
        if a != b:
            return index
    return None if len(mine) == len(theirs) else min(len(mine), len(theirs))
