"""Dealing the rows of a data set into shards: every row into exactly one."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from learning.errors import InvalidSplit

Split = Literal["iid", "dirichlet"]
Labels = NDArray[Any]
RowNumbers = NDArray[np.int64]


def partition_rows(
    labels: Labels, count: int, split: Split, *, alpha: float, seed: int
) -> list[RowNumbers]:
    """Return `count` ascending, non-empty arrays of row numbers that together hold each row once.

    "iid" deals shuffled rows as evenly as possible. "dirichlet" draws each label's proportions
    over the shards from Dirichlet(alpha): the smaller alpha, the more one-sided the shards.

    Raises:
        InvalidSplit: there are fewer rows than shards, or alpha is not above 0.

    """
    if not 1 <= count <= len(labels):
        raise InvalidSplit(
            reason=f"{len(labels)} rows can not be dealt into {count} shards of one or more"
        )
    random = np.random.default_rng(seed)
    if split == "iid":
        parts = np.array_split(random.permutation(len(labels)), count)
    elif split == "dirichlet":
        parts = _deal_by_label(labels, count, alpha, random)
    else:
        raise InvalidSplit(reason=f"unknown split {split!r}: use 'iid' or 'dirichlet'")
    return [np.sort(part).astype(np.int64) for part in parts]


def _deal_by_label(
    labels: Labels, count: int, alpha: float, random: np.random.Generator
) -> list[RowNumbers]:
    if not 0 < alpha < np.inf:
        raise InvalidSplit(
            reason=f"alpha is {alpha}; a Dirichlet split needs a finite alpha above 0"
        )
    shares: list[list[RowNumbers]] = [[] for _ in range(count)]
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        cuts = np.cumsum(random.dirichlet(np.full(count, alpha)))[:-1] * len(rows)
        for share, part in zip(shares, np.split(rows, cuts.astype(np.int64)), strict=True):
            share.append(part)
    parts = [np.concatenate(share) for share in shares]
    # A small alpha may leave a shard without rows; it then takes one from the largest.
    while (poorest := min(parts, key=len)).size == 0:
        richest = max(range(count), key=lambda i: len(parts[i]))
        poor = next(i for i in range(count) if parts[i] is poorest)
        parts[poor], parts[richest] = parts[richest][-1:], parts[richest][:-1]
    return parts
