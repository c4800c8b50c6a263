import numpy as np
import pytest

from protocol.errors import InvalidModel, InvalidSpec, NotRepresentable
from protocol.fixedpoint import dequantize, quantize
from protocol.layout import CHUNK, Layout, TensorSpec

LAYOUT = Layout(
    tensors=(
        TensorSpec(name="weight", shape=(3, 100)),
        TensorSpec(name="bias", shape=(256,)),
        TensorSpec(name="scale", shape=()),
    ),
    segments=(1, 2),
)
TENSORS = {
    "weight": np.arange(300, dtype=np.int32).reshape(3, 100) + 1,
    "bias": np.arange(256, dtype=np.int32) + 1,
    "scale": np.array(7, np.int32),
}


def test_a_chunk_never_spans_two_tensors():
    assert LAYOUT.chunk_count == 2 + 1 + 1
    assert LAYOUT.element_count == 300 + 256 + 1
    assert [LAYOUT.segment_chunks(s) for s in (0, 1)] == [range(2), range(2, 4)]


def test_flattening_pads_with_zeros_and_comes_back():
    flat = LAYOUT.flatten(TENSORS, np.int32)
    assert flat.shape == (4 * CHUNK,)
    assert not flat[300:512].any()
    assert not flat[769:].any()
    back = LAYOUT.unflatten(flat)
    assert list(back) == ["weight", "bias", "scale"]
    assert all((back[name] == TENSORS[name]).all() for name in TENSORS)
    assert back["scale"].shape == ()


def test_foreign_and_missing_tensors_and_shapes_are_refused():
    for bad in (
        {"weight": TENSORS["weight"]},
        TENSORS | {"extra": TENSORS["bias"]},
        TENSORS | {"weight": TENSORS["weight"].T},
    ):
        with pytest.raises(InvalidModel):
            LAYOUT.flatten(bad, np.int32)
    with pytest.raises(InvalidModel):
        LAYOUT.unflatten(np.zeros(5))


def test_a_layout_comes_back_from_json():
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"tensors": [["a", [1]]]},
        {"tensors": [["a", [1]]], "segments": [1], "more": 1},
        {"tensors": [["a", [1]], ["a", [1]]], "segments": [2]},
        {"tensors": [["a", [1]]], "segments": [2]},
        {"tensors": [["a", [1]]], "segments": [1, 0]},
        {"tensors": [["a", [1]]], "segments": [True]},
        {"tensors": [["a", [1]]], "segments": []},
        {"tensors": [], "segments": []},
        {"tensors": [["a", [0]]], "segments": [1]},
        {"tensors": [["a", [-1]]], "segments": [1]},
        {"tensors": [["a", [True]]], "segments": [1]},
        {"tensors": [["a", [1] * 9]], "segments": [1]},
        {"tensors": [["a", [10**39]]], "segments": [1]},
        {"tensors": [["a", [1 << 31]], ["b", [1 << 31]], ["c", [1]]], "segments": [3]},
        {"tensors": [["", [1]]], "segments": [1]},
        {"tensors": [["a" * 201, [1]]], "segments": [1]},
        {"tensors": [["a"]], "segments": [1]},
        {"tensors": ["a"], "segments": [1]},
        {"tensors": [[1, [1]]], "segments": [1]},
        {"tensors": [["a", [1]]] * 10_001, "segments": [10_001]},
    ],
)
def test_layouts_from_strangers_are_refused_with_a_reason(value):
    with pytest.raises(InvalidSpec):
        Layout.from_json(value)


def test_quantizing_rounds_half_to_even_and_comes_back():
    values = np.array([[0.5, 1.5], [2.5, -0.5]]) * 2.0**-22
    assert quantize(values).tolist() == [[0, 2], [2, 0]]
    assert (dequantize(quantize(np.array([1.25, -3.0]))) == [1.25, -3.0]).all()
    assert dequantize(np.array([2**31 - 1], np.int32), 30).dtype == np.float32


def test_the_ends_of_int32_are_reached_and_not_passed():
    ends = np.array([-(2.0**31), 2.0**31 - 1, 2.0**31 - 1 + 0.49]) * 2.0**-22
    assert quantize(ends).tolist() == [-(2**31), 2**31 - 1, 2**31 - 1]


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, 1e308, 2.0**9, (2.0**31 - 0.5) * 2.0**-22, -(2.0**9) * 1.001]
)
def test_what_is_not_representable_is_refused_where_it_stands(bad):
    values = np.zeros(10)
    values[7] = bad
    with pytest.raises(NotRepresentable) as caught:
        quantize(values)
    assert caught.value.index == 7
