"""How far two int8 updates are from each other, for work that was repeated in another class.

Across determinism classes floats differ in their last bits, so two honest updates differ in a few
steps of a few elements. Nobody loses stake by a distance: it decides what a report says, and whose
work an auditor of the same class should repeat. docs/calibration.md has the measurements.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from protocol.codec import UPDATE_LEAF_BYTES, Buffer, decode_update
from protocol.errors import InvalidUpdate

_BLOCK_CHUNKS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Compares an update with a reference of the same chunks; all zero if they decode equally."""

    differing: float
    """Share of elements whose values differ; padding counts as equal."""

    greatest_step: float
    """Greatest difference of an element, in steps 2^e of the larger exponent of its chunk."""

    exponents: float
    """Share of chunks with another exponent."""

    relative_l2: float
    """Norm of the difference over the norm of the reference; infinite if that is zero alone."""


class Likeness(Enum):
    """What a distance says of two updates that should be the same work."""

    EQUAL = "equal"
    ALIKE = "alike"
    APART = "apart"
    UNDECIDED = "undecided"
    """The work is so long that honest work of two classes may be as far apart as dishonest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The greatest distance that counts as the same work, of up to `steps` local steps."""

    steps: int
    differing: float
    relative_l2: float

    def judge(self, distance: Distance, *, steps: int) -> Likeness:
        """Say whether it is the same work; a report's word, never a reason to slash."""
        if distance.differing == 0:
            return Likeness.EQUAL
        if steps > self.steps:
            return Likeness.UNDECIDED
        within = distance.differing <= self.differing and distance.relative_l2 <= self.relative_l2
        return Likeness.ALIKE if within else Likeness.APART


TOLERANCE = Tolerance(steps=48, differing=0.068, relative_l2=0.043)
"""What docs/calibration.md found on CPUs."""


def measure_distance(update: Buffer, reference: Buffer) -> Distance:
    """Compare two update objects; raises InvalidUpdate unless both are the same whole leaves."""
    size = memoryview(reference).nbytes
    chunks = size // UPDATE_LEAF_BYTES
    if chunks == 0:
        raise InvalidUpdate(what="bytes", expected="a leaf at least", actual=size)
    q_a, e_a = decode_update(update, chunks)
    q_b, e_b = decode_update(reference, chunks)
    differing, greatest, difference_ssq, reference_ssq = 0, 0.0, 0.0, 0.0
    for start in range(0, chunks, _BLOCK_CHUNKS):
        part = slice(start, start + _BLOCK_CHUNKS)
        a = q_a[part].astype(np.int32) << e_a[part].astype(np.int32)[:, None]
        b = q_b[part].astype(np.int32) << e_b[part].astype(np.int32)[:, None]
        apart = np.abs(a - b)
        differing += int(np.count_nonzero(apart))
        steps = apart.max(axis=1) / np.exp2(np.maximum(e_a[part], e_b[part]).astype(np.float64))
        greatest = max(greatest, float(steps.max()))
        difference_ssq += float(np.square(apart, dtype=np.float64).sum())
        reference_ssq += float(np.square(b, dtype=np.float64).sum())
    if reference_ssq:
        relative = float(np.sqrt(difference_ssq / reference_ssq))
    else:
        relative = float("inf") if difference_ssq else 0.0
    return Distance(
        differing=differing / q_b.size,
        greatest_step=greatest,
        exponents=float(np.mean(e_a != e_b)),
        relative_l2=relative,
    )
