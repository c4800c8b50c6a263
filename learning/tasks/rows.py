"""Rows as bytes and back: safetensors, never pickle, and strict about what strangers send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from learning.errors import InvalidShard

Rows = Mapping[str, NDArray[Any]]
HEADER_LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column of a shard must look like: type and shape of a row, range of the values."""

    dtype: str
    shape: tuple[int, ...]
    least: float
    greatest: float

    @property
    def row_bytes(self) -> int:
        """Size of one row of the column."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """An immutable slice of a data set as it is published: its bytes and its number of rows."""

    data: bytes
    rows: int


def pack_rows(rows: Rows) -> Shard:
    """Return the rows as one shard; equal rows give equal bytes."""
    count = min(len(values) for values in rows.values())
    return Shard(data=save({name: np.ascontiguousarray(v) for name, v in rows.items()}), rows=count)


def parse_rows(data: bytes, columns: Mapping[str, Column], *, row_limit: int) -> Rows:
    """Return the columns of a shard, each [rows, *shape], or refuse it before anything is trained.

    Raises:
        InvalidShard: the bytes are too many, are no safetensors, or hold other columns, types,
            shapes or values than the task allows.

    """
    limit_bytes = HEADER_LIMIT_BYTES + row_limit * sum(c.row_bytes for c in columns.values())
    if len(data) > limit_bytes:
        raise InvalidShard(
            reason=f"{len(data)} bytes; this task's shards have {limit_bytes} at most"
        )
    try:
        rows = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise InvalidShard(reason="the bytes are no safetensors") from error
    if rows.keys() != columns.keys():
        raise InvalidShard(reason=f"columns {sorted(rows)[:8]} instead of {sorted(columns)}")

    lengths = {values.shape[0] if values.ndim else 0 for values in rows.values()}
    if len(lengths) != 1 or not 1 <= min(lengths) <= row_limit:
        raise InvalidShard(
            reason=f"{sorted(lengths)} rows; the columns must agree on 1..{row_limit}"
        )
    for name, column in columns.items():
        _check_column(name, rows[name], column)
    return rows


def _check_column(name: str, values: NDArray[Any], column: Column) -> None:
    if values.dtype != np.dtype(column.dtype):
        raise InvalidShard(reason=f"column {name} is {values.dtype} instead of {column.dtype}")
    if values.shape[1:] != column.shape:
        raise InvalidShard(
            reason=f"rows of {name} have shape {values.shape[1:]} not {column.shape}"
        )
    # Written so that NaN, which compares false, is refused.
    if not bool(np.all((values >= column.least) & (values <= column.greatest))):
        raise InvalidShard(reason=f"column {name} leaves {column.least}..{column.greatest}")
