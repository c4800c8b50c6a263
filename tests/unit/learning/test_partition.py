"""Every row in exactly one shard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import InvalidSplit
from learning.tasks.partition import partition_rows


@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=80),
    count=st.integers(1, 20),
    split=st.sampled_from(["iid", "dirichlet"]),
    alpha=st.floats(0.01, 100),
    seed=st.integers(0, 2**32),
)
def test_shards_partition_the_rows(labels, count, split, alpha, seed):
    """Whatever the split, the shards hold each row once and none is empty."""
    count = min(count, len(labels))

    parts = partition_rows(np.array(labels), count, split, alpha=alpha, seed=seed)

    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    assert len(parts) == count
    assert all(len(part) for part in parts)


def _mean_largest_share(alpha):
    labels = np.repeat(np.arange(10), 100)
    parts = partition_rows(labels, 5, "dirichlet", alpha=alpha, seed=3)
    return np.mean([np.bincount(labels[part]).max() / len(part) for part in parts])


def test_a_small_alpha_makes_one_sided_shards():
    assert _mean_largest_share(0.1) > 2 * _mean_largest_share(1000)


def test_equal_seeds_give_equal_splits_and_others_do_not():
    labels = np.repeat(np.arange(10), 10)

    first, again, other = (partition_rows(labels, 3, "iid", alpha=1, seed=s) for s in (1, 1, 2))

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("count", "split", "alpha"),
    [
        (0, "iid", 1),
        (11, "iid", 1),
        (2, "dirichlet", 0),
        (2, "dirichlet", float("nan")),
        (2, "?", 1),
    ],
)
def test_impossible_splits_are_refused(count, split, alpha):
    with pytest.raises(InvalidSplit):
        partition_rows(np.zeros(10, int), count, split, alpha=alpha, seed=0)
