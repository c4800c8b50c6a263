"""Copies and fakes show in the bytes; honest updates raise no suspicion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.screening import NEAR_COPY_COSINE, SeatUpdate, Suspicion, screen_updates
from protocol.codec import decode_update, dequantize_update, encode_update
from protocol.layout import Layout, TensorSpec

LAYOUT = Layout(
    tensors=(TensorSpec(name="a", shape=(1000,)), TensorSpec(name="b", shape=(300,))),
    segments=(1, 1),
)
SIZE = 4 * 257


def _delta(seed, scale=500.0):
    return np.rint(np.random.default_rng(seed).normal(0, scale, 1024)).astype(np.int64)


def _screen(*updates, segment=0):
    held = {
        seat: SeatUpdate(segment=segment, data=data) for seat, data in enumerate(updates, start=3)
    }
    return screen_updates(held, LAYOUT)


def _kinds(*updates):
    return [(found.seat, found.suspicion, found.others) for found in _screen(*updates)]


def test_honest_updates_raise_no_suspicion():
    assert _screen(*(encode_update(_delta(seed)) for seed in range(5))) == []


def test_updates_that_share_a_direction_as_in_the_first_rounds_are_not_copies():
    common = _delta(0)
    close = [common + _delta(seed, 250.0) for seed in (1, 2)]

    assert _screen(*map(encode_update, close)) == []


def test_a_duplicate_is_named_at_both():
    data, other = encode_update(_delta(1)), encode_update(_delta(2))

    assert _kinds(data, other, data) == [
        (3, Suspicion.DUPLICATE, (5,)),
        (5, Suspicion.DUPLICATE, (3,)),
    ]


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_copy_with_noise_or_scaled_is_a_near_copy(scale):
    honest = _delta(1)
    copy = np.rint(honest * scale + _delta(2, 50.0) * scale).astype(np.int64)

    found = _screen(encode_update(honest), encode_update(copy))

    assert [(f.seat, f.suspicion) for f in found] == [
        (3, Suspicion.NEAR_COPY),
        (4, Suspicion.NEAR_COPY),
    ]
    assert found[0].figure > NEAR_COPY_COSINE


def test_copies_are_looked_for_within_a_segment():
    same = SeatUpdate(segment=0, data=encode_update(_delta(1)))
    other = SeatUpdate(segment=1, data=encode_update(_delta(1)[:512]))

    assert screen_updates({0: same, 1: other}, LAYOUT) == []


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE + 1, 2 * 257])
def test_an_update_for_another_segment_has_the_wrong_size(size):
    (found,) = _screen(bytes(size))

    assert (found.suspicion, found.figure) == (Suspicion.WRONG_SIZE, size)


def test_a_zero_update_is_named():
    assert _kinds(encode_update(np.zeros(1024, np.int64))) == [(3, Suspicion.ZERO, ())]


def test_a_saturated_update_is_named():
    (found,) = _screen(encode_update(np.where(np.arange(1024) < 256, 1 << 30, 0)))

    assert (found.suspicion, found.figure) == (Suspicion.SATURATED, 0.25)


@pytest.mark.parametrize(
    ("place", "value"),
    [(1, 0), (0, 0x80), (0, 9)],
    ids=["minus 128", "high bits of the exponent", "an exponent too large"],
)
def test_bytes_that_no_encoder_emits_are_named(place, value):
    data = bytearray(encode_update(np.clip(_delta(1), -60, 60)))
    data[place] = value

    assert [found.suspicion for found in _screen(bytes(data))] == [Suspicion.FOREIGN]


@given(st.lists(st.integers(-(2**31), 2**31), min_size=256, max_size=256))
def test_what_the_encoder_emits_is_never_foreign(values):
    found = _screen(encode_update(np.array(values * 4, np.int64)))

    assert Suspicion.FOREIGN not in {one.suspicion for one in found}


@given(st.lists(st.binary(min_size=SIZE, max_size=SIZE), max_size=3))
def test_any_bytes_are_screened_and_decode_to_finite_numbers(updates):
    """int8 updates can not carry NaN or infinity."""
    _screen(*updates)

    for data in updates:
        values = dequantize_update(*decode_update(data, 4))
        assert np.abs(values).max() <= 128 << 15
