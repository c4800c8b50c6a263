import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import (
    decode_model,
    decode_update,
    dequantize_update,
    encode_update,
    model_leaves,
    update_ssq,
)
from protocol.fixedpoint import dequantize, quantize

# Chunks of every magnitude, most of them near one power of two.
chunk_values = st.integers(0, 62).flatmap(
    lambda bits: st.lists(st.integers(-(2**bits), 2**bits), min_size=1, max_size=256)
)


def padded(values):
    return np.array(values + [0] * (256 - len(values)), np.int64)


def rne(value, exponent):
    """Round value / 2^exponent half to even, in integers."""
    floor, rest = value >> exponent, value & (1 << exponent) - 1
    half = 1 << exponent >> 1
    return floor + (rest > half or (rest == half > 0 and floor & 1 == 1))


@given(chunk_values)
def test_encoding_is_the_rule_of_the_text(values):
    delta = padded(values)
    q, e = decode_update(encode_update(delta), 1)
    fitting = [t for t in range(16) if max(abs(rne(int(x), t)) for x in delta) <= 127]
    expected_e = fitting[0] if fitting else 15
    expected_q = [max(-127, min(127, rne(int(x), expected_e))) for x in delta]
    assert int(e[0]) == expected_e
    assert q[0].tolist() == expected_q


@given(chunk_values)
def test_decoding_is_within_half_a_step_unless_it_saturates(values):
    delta = padded(values)
    q, e = decode_update(encode_update(delta), 1)
    decoded = dequantize_update(q, e)
    step = 1 << int(e[0])
    saturated = np.abs(delta) > 127 * step
    assert (2 * np.abs(delta - decoded)[~saturated] <= step).all()
    assert (np.abs(decoded)[saturated] == 127 * step).all()
    assert not (q == -128).any()


@given(chunk_values)
def test_encoding_what_was_decoded_changes_no_value(values):
    decoded = dequantize_update(*decode_update(encode_update(padded(values)), 1))
    again = dequantize_update(*decode_update(encode_update(decoded), 1))
    assert (again == decoded).all()


@given(st.integers(0, 4), st.data())
def test_any_bytes_of_the_right_length_decode(chunks, data):
    raw = data.draw(st.binary(min_size=257 * chunks, max_size=257 * chunks))
    q, e = decode_update(raw, chunks)
    assert (e <= 15).all()
    values = dequantize_update(q, e)
    assert update_ssq(q, e) == sum(int(value) ** 2 for value in values)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=256, max_size=256), st.booleans())
def test_model_leaves_come_back(values, momentum):
    theta = np.array(values, np.int32)
    m = theta[::-1].copy() if momentum else None
    read_theta, read_m = decode_model(model_leaves(theta, m), 1, momentum=momentum)
    assert (read_theta[0] == theta).all()
    assert (read_m is not None) == momentum
    assert m is None or (read_m[0] == m).all()


@given(st.lists(st.integers(-(2**24), 2**24), min_size=1), st.integers(8, 30))
def test_integers_survive_the_float_copy(values, fraction_bits):
    theta = np.array(values, np.int32)
    assert (quantize(dequantize(theta, fraction_bits), fraction_bits) == theta).all()
