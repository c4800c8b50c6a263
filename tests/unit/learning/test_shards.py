"""Shards travel through strangers' hands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from learning.errors import InvalidShard
from learning.tasks import Column
from learning.tasks.digits import DigitsTask
from learning.tasks.rows import pack_rows, parse_rows


def _rows(count=3, **changes):
    return {"x": np.zeros((count, 8, 8), np.uint8), "y": np.zeros(count, np.uint8)} | changes


def test_the_shards_and_the_test_set_hold_each_image_once(digits, digit_shards):
    parts = [digits.parse_shard(shard.data) for shard in digit_shards]
    parts.append(digits.parse_shard(digits.test_set()))

    assert [len(part["y"]) for part in parts] == [shard.rows for shard in digit_shards] + [360]
    assert sum(len(part["y"]) for part in parts) == 1797
    images = np.concatenate([part["x"].reshape(-1, 64) for part in parts])
    assert len(np.unique(images, axis=0)) == 1797


def test_equal_seeds_publish_equal_bytes(digits, digit_shards):
    assert digits.make_shards(4, split="iid", seed=1) == digit_shards


def test_rows_survive_packing():
    rows = _rows(x=np.arange(192, dtype=np.uint8).reshape(3, 8, 8) % 17)

    shard = pack_rows(rows)

    assert shard.rows == 3
    assert np.array_equal(DigitsTask().parse_shard(shard.data)["x"], rows["x"])


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(_rows(x=np.zeros((3, 8, 8), np.float32)), id="wrong dtype"),
        pytest.param(_rows(x=np.zeros((3, 8, 9), np.uint8)), id="wrong shape"),
        pytest.param(_rows(x=np.zeros((4, 8, 8), np.uint8)), id="more inputs than labels"),
        pytest.param(_rows(x=np.full((3, 8, 8), 17, np.uint8)), id="pixel out of range"),
        pytest.param(_rows(y=np.full(3, 10, np.uint8)), id="label out of range"),
        pytest.param(_rows(y=np.array(1, np.uint8)), id="labels without rows"),
        pytest.param(_rows(0), id="no rows"),
        pytest.param(_rows(1798), id="too many rows"),
        pytest.param(_rows(z=np.zeros(3, np.uint8)), id="foreign column"),
        pytest.param({"x": np.zeros((3, 8, 8), np.uint8)}, id="missing column"),
        pytest.param({}, id="no columns"),
    ],
)
def test_hostile_shards_are_refused(rows):
    with pytest.raises(InvalidShard):
        DigitsTask().parse_shard(save(rows))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5])
def test_floats_out_of_range_are_refused(value):
    columns = {"x": Column(dtype="float32", shape=(), least=-1, greatest=1)}

    with pytest.raises(InvalidShard):
        parse_rows(save({"x": np.array([0, value], np.float32)}), columns, row_limit=9)


def test_a_shard_of_many_megabytes_is_refused_unread():
    with pytest.raises(InvalidShard, match="bytes"):
        DigitsTask().parse_shard(bytes(10_000_000))


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(data):
    """No byte string from a stranger escapes as another error."""
    with pytest.raises(InvalidShard):
        DigitsTask().parse_shard(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_shard_parses_or_is_refused(place, value):
    data = bytearray(pack_rows(_rows()).data)
    data[place % len(data)] = value

    try:
        rows = DigitsTask().parse_shard(bytes(data))
    except InvalidShard:
        return
    assert rows["x"].shape == (3, 8, 8)
