"""The merge: the one number that every machine and the EVM agree on (docs/protocol.md section 2).

Arrays: theta, m int32 [n, CHUNK]; an update is (q int8 [n, CHUNK], e uint8 [n]); n counts chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.errors import InvalidMerge
from protocol.layout import CHUNK

WEIGHT_ONE = 65536
"""Largest sum of weights."""

MAX_LR = 1024
ONE = 256
"""What lr and mu are multiples of 1 of: 1/256."""

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
_BLOCK_CHUNKS = 256  # measured: smaller blocks pay for calls, larger ones leave the cache
_INT32_SPREAD = 7  # 65536 * 128 * 2^7 = 2^30: sums of a chunk fit int32 above its least exponent

DecodedUpdate = tuple[NDArray[np.int8], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeParams:
    """How the mean update moves the model; lr and mu in units of 1/256.

    Raises InvalidMerge outside 0 < lr <= 1024, 0 <= mu < 256, or for mu or nesterov without
    momentum.
    """

    lr: int = ONE
    mu: int = 0
    nesterov: bool = False
    momentum: bool = False

    def __post_init__(self) -> None:
        """Check the bounds of section 2."""
        if not 0 < self.lr <= MAX_LR:
            raise InvalidMerge(reason=f"lr {self.lr} is not in 1..{MAX_LR}")
        if not 0 <= self.mu < ONE:
            raise InvalidMerge(reason=f"mu {self.mu} is not in 0..{ONE - 1}")
        if not self.momentum and (self.mu or self.nesterov):
            raise InvalidMerge(reason="mu and nesterov need momentum")


def merge_chunks(
    theta: NDArray[np.int32],
    m: NDArray[np.int32] | None,
    updates: Sequence[DecodedUpdate],
    weights: Sequence[int],
    params: MergeParams,
) -> tuple[NDArray[np.int32], NDArray[np.int32] | None]:
    """Merge updates into whole chunks of one segment, bit for bit as section 2 says.

    Gives new arrays (theta', m'); without an update, equal ones. Memory beyond the result does not
    grow with n or the number of updates. Ranges of chunks may be merged by several threads.
    Raises InvalidMerge for operands that do not fit together.
    """
    _check_operands(theta, m, updates, weights, params)
    theta_new = theta.copy()
    m_new = None if m is None else m.copy()
    if not updates:
        return theta_new, m_new
    for start in range(0, len(theta), _BLOCK_CHUNKS):
        rows = slice(start, start + _BLOCK_CHUNKS)
        d = _mean_update([(q[rows], e[rows]) for q, e in updates], weights)
        if m_new is None:
            s = d
        else:
            m_block = _saturate(((params.mu * m_new[rows].astype(np.int64) + 128) >> 8) + d)
            m_new[rows] = m_block
            s = ((params.mu * m_block + 128) >> 8) + d if params.nesterov else m_block
        theta_new[rows] = _saturate(theta_new[rows] + ((params.lr * s + 128) >> 8))
    return theta_new, m_new


def _mean_update(updates: Sequence[DecodedUpdate], weights: Sequence[int]) -> NDArray[np.int64]:
    """Give d = (D + 2^15) >> 16 of one block, int64 [n, CHUNK]."""
    exponents = np.stack([e for _, e in updates]).astype(np.int64)  # [K, n]
    least = exponents.min(axis=0)
    exponents -= least
    # The common power of two of a chunk is taken out, so that int32 almost always holds its sum.
    narrow = int(exponents.max()) <= _INT32_SPREAD
    dtype = np.int32 if narrow else np.int64
    factors = (np.asarray(weights, np.int64)[:, None] << exponents).astype(dtype)[:, :, None]
    total: NDArray[np.signedinteger[Any]] = np.zeros(updates[0][0].shape, dtype)
    product = np.empty_like(total)
    for (q, _), factor in zip(updates, factors, strict=True):
        product[...] = q
        product *= factor
        total += product
    wide = total.astype(np.int64)
    wide <<= least[:, None]
    wide += 1 << 15
    wide >>= 16
    return wide


def _saturate(value: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.clip(value, INT32_MIN, INT32_MAX, out=value)


def _check_operands(
    theta: NDArray[np.int32],
    m: NDArray[np.int32] | None,
    updates: Sequence[DecodedUpdate],
    weights: Sequence[int],
    params: MergeParams,
) -> None:
    if theta.dtype != np.int32 or theta.ndim != 2 or theta.shape[1] != CHUNK:  # noqa: PLR2004
        raise InvalidMerge(reason=f"theta wants int32 [n, {CHUNK}]")
    if (m is not None) != params.momentum:
        raise InvalidMerge(reason="m goes with momentum, and only with it")
    if m is not None and (m.dtype != np.int32 or m.shape != theta.shape):
        raise InvalidMerge(reason="m wants the kind and shape of theta")
    if len(updates) != len(weights):
        raise InvalidMerge(reason=f"{len(updates)} updates, {len(weights)} weights")
    if any(weight < 0 for weight in weights) or sum(weights) > WEIGHT_ONE:
        raise InvalidMerge(reason=f"weights are negative or add up to more than {WEIGHT_ONE}")
    for q, e in updates:
        if q.dtype != np.int8 or q.shape != theta.shape:
            raise InvalidMerge(reason="q wants int8 and the shape of theta")
        if e.dtype != np.uint8 or e.shape != theta.shape[:1] or (e.size and int(e.max()) > 15):  # noqa: PLR2004
            raise InvalidMerge(reason="e wants uint8 [n], at most 15")


def merge_reference(
    theta: Sequence[int],
    m: Sequence[int] | None,
    updates: Sequence[tuple[Sequence[int], int]],
    weights: Sequence[int],
    params: MergeParams,
) -> tuple[list[int], list[int] | None]:
    """Merge one chunk in plain Python integers: the rule as it is written, for tests and disputes.

    An update is (q of the chunk, e).
    """
    if not updates:
        return list(theta), None if m is None else list(m)
    theta_new, m_new = [], []
    for i, old in enumerate(theta):
        total = sum(w * q[i] * 2**e for w, (q, e) in zip(weights, updates, strict=True))
        d = (total + 2**15) >> 16
        m_next = _sat32(((params.mu * (m[i] if m else 0) + 128) >> 8) + d)
        s = ((params.mu * m_next + 128) >> 8) + d if params.nesterov else m_next
        theta_new.append(_sat32(old + ((params.lr * s + 128) >> 8)))
        m_new.append(m_next)
    return theta_new, None if m is None else m_new


def _sat32(value: int) -> int:
    return max(INT32_MIN, min(INT32_MAX, value))
