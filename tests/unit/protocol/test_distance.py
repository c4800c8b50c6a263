"""The distance of two int8 updates, and what a report may say of it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import encode_update
from protocol.distance import TOLERANCE, Distance, Likeness, Tolerance, measure_distance
from protocol.errors import InvalidUpdate

LEAF = 257


def _update(*values, chunks=1):
    delta = np.zeros(256 * chunks, np.int64)
    delta[: len(values)] = values
    return encode_update(delta)


def test_equal_updates_are_at_no_distance():
    found = measure_distance(_update(5, -7), _update(5, -7))

    assert found == Distance(differing=0, greatest_step=0, exponents=0, relative_l2=0)
    assert TOLERANCE.judge(found, steps=10**9) is Likeness.EQUAL


def test_the_measures_are_what_they_say():
    """Chunk one: 3 against 4. Chunk two: the same value; one writes it with a larger exponent."""
    a = bytearray(_update(3, chunks=2))
    b = bytearray(_update(4, chunks=2))
    a[LEAF + 1], b[LEAF], b[LEAF + 1] = 128 + 8, 2, 128 + 2

    found = measure_distance(bytes(a), bytes(b))

    assert found.differing == 1 / 512
    assert found.greatest_step == 1
    assert found.exponents == 0.5
    assert found.relative_l2 == pytest.approx(1 / math.sqrt(4**2 + 8**2))


def test_a_step_is_that_of_the_larger_exponent():
    found = measure_distance(_update(127), _update(1270))

    assert found.greatest_step == pytest.approx((1270 // 16 * 16 - 127) / 16, abs=1)


def test_against_a_zero_update_anything_is_infinitely_far():
    assert measure_distance(_update(1), _update()).relative_l2 == math.inf
    assert measure_distance(_update(), _update()).relative_l2 == 0
    assert measure_distance(_update(), _update(1)).relative_l2 == 1


@pytest.mark.parametrize(("a", "b"), [(LEAF, 2 * LEAF), (LEAF + 1, LEAF + 1), (0, 0), (0, LEAF)])
def test_updates_of_other_sizes_are_refused(a, b):
    with pytest.raises(InvalidUpdate):
        measure_distance(bytes(a), bytes(b))


@given(st.binary(min_size=2 * LEAF, max_size=2 * LEAF), st.binary(min_size=LEAF, max_size=LEAF))
def test_any_bytes_of_the_right_size_have_a_distance(a, half):
    found = measure_distance(a, half * 2)

    assert 0 <= found.differing <= 1
    assert 0 <= found.exponents <= 1
    assert 0 <= found.greatest_step <= 255
    assert found.relative_l2 >= 0


@pytest.mark.parametrize(
    ("differing", "relative_l2", "steps", "verdict"),
    [
        (0.1, 0.1, 10, Likeness.ALIKE),
        (0.11, 0.1, 10, Likeness.APART),
        (0.1, 0.11, 10, Likeness.APART),
        (0.1, 0.1, 11, Likeness.UNDECIDED),
        (0.9, 9.0, 11, Likeness.UNDECIDED),
        (0.0, 0.0, 11, Likeness.EQUAL),
    ],
)
def test_the_verdict_needs_both_measures_and_short_work(differing, relative_l2, steps, verdict):
    tolerance = Tolerance(steps=10, differing=0.1, relative_l2=0.1)
    found = Distance(differing=differing, greatest_step=1, exponents=0, relative_l2=relative_l2)

    assert tolerance.judge(found, steps=steps) is verdict
