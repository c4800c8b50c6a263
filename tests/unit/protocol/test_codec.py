import numpy as np
import pytest

from protocol.codec import (
    chunk_ssq,
    decode_model,
    decode_update,
    dequantize_update,
    encode_update,
    model_leaves,
    update_ssq,
)
from protocol.errors import InvalidModel, InvalidUpdate


def test_encoding_gives_the_vectors(vectors, unhex):
    for case in vectors["codec"]["encode"]:
        delta = np.array([int(value) for value in case["delta"]], np.int64)
        assert encode_update(delta) == unhex(case["update"]), case["name"]


def test_decoding_gives_the_vectors(vectors, unhex):
    for case in vectors["codec"]["encode"] + vectors["codec"]["decode"]:
        q, e = decode_update(unhex(case["update"]), 1)
        assert q[0].tolist() == case["q"], case["name"]
        assert e.tolist() == [case["e"]]
        assert chunk_ssq(q, e).tolist() == [int(case["ssq"])]
        assert update_ssq(q, e) == int(case["ssq"])


def test_model_leaves_give_the_vectors(vectors, unhex):
    for case in vectors["codec"]["model"]:
        theta = np.array(case["theta"], np.int32)
        m = None if case["m"] is None else np.array(case["m"], np.int32)
        leaf = unhex(case["leaf"])
        assert model_leaves(theta, m) == leaf
        theta_read, m_read = decode_model(leaf, 1, momentum=m is not None)
        assert theta_read[0].tolist() == case["theta"]
        assert m is None or m_read[0].tolist() == case["m"]


def test_the_sum_of_squares_of_a_large_update_is_exact():
    q, e = np.full((5000, 256), -128, np.int8), np.full(5000, 15, np.uint8)
    assert update_ssq(q, e) == 5000 * 2**52


def test_a_large_update_encodes_as_its_chunks_do():
    delta = np.random.default_rng(2).integers(-(2**20), 2**20, 1100 * 256)
    update = encode_update(delta)
    for chunk in (0, 511, 512, 1099):
        rows = slice(256 * chunk, 256 * chunk + 256)
        assert encode_update(delta[rows]) == update[257 * chunk : 257 * chunk + 257]
    q, e = decode_update(update, 1100)
    assert update_ssq(q, e) == (dequantize_update(q, e) ** 2).sum()


def test_a_range_of_chunks_decodes_alone():
    update = encode_update(np.arange(4 * 256))
    q, e = decode_update(memoryview(update)[257 : 3 * 257], 2)
    whole_q, whole_e = decode_update(update, 4)
    assert (q == whole_q[1:3]).all()
    assert (e == whole_e[1:3]).all()


def test_dequantized_values_are_the_differences_where_they_fit():
    delta = np.arange(-127, 129).clip(max=127)
    assert (dequantize_update(*decode_update(encode_update(delta), 1)) == delta).all()


@pytest.mark.parametrize("size", [0, 256, 258, 514])
def test_an_update_of_another_length_is_refused(size):
    with pytest.raises(InvalidUpdate):
        decode_update(bytes(size), 1)


def test_half_a_chunk_is_refused():
    with pytest.raises(InvalidUpdate):
        encode_update(np.zeros(128, np.int64))
    with pytest.raises(InvalidModel):
        model_leaves(np.zeros(128, np.int32))


def test_a_model_of_another_length_or_kind_is_refused():
    with pytest.raises(InvalidModel):
        decode_model(bytes(1024), 1, momentum=True)
    with pytest.raises(InvalidModel):
        model_leaves(np.zeros(256, np.int64))
    with pytest.raises(InvalidModel):
        model_leaves(np.zeros(512, np.int32), np.zeros(256, np.int32))
