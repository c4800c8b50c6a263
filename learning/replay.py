"""Doing a trainer's work again, to see whether it was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from learning.local_update import LocalUpdate, local_update


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


def first_difference(mine: Sequence[bytes], theirs: Sequence[bytes]) -> int | None:
    """Return the first index at which two traces differ (a missing digest differs), or None."""
    for index, (a, b) in enumerate(zip(mine, theirs, strict=False)):
        if a != b:
            return index
    return None if len(mine) == len(theirs) else min(len(mine), len(theirs))
