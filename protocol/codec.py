"""Updates and models as bytes (docs/protocol.md sections 2 and 3).

Arrays: q int8 [n, CHUNK], e uint8 [n], differences int64 [n * CHUNK], theta and m int32 [n * CHUNK]
or [n, CHUNK]; n counts chunks. Leaves follow each other without gaps, so any range of whole chunks
can be encoded or decoded alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.errors import InvalidModel, InvalidUpdate
from protocol.layout import CHUNK

Buffer = bytes | bytearray | memoryview

UPDATE_LEAF_BYTES = 1 + CHUNK
MODEL_LEAF_BYTES = 4 * CHUNK
MAX_EXPONENT = 15
Q_MAX = 127

# Largest max|x| that exponent e still encodes: rne(x / 2^e) <= 127 is x / 2^e < 127.5.
_LIMITS = np.array([Q_MAX] + [(255 << (e - 1)) - 1 for e in range(1, MAX_EXPONENT)], np.int64)
_FAR = 1 << 30  # beyond the range of every exponent: clipping here changes no encoding
_BLOCK_CHUNKS = 512


def model_leaf_bytes(*, momentum: bool) -> int:
    """Give the size of one model leaf."""
    return 2 * MODEL_LEAF_BYTES if momentum else MODEL_LEAF_BYTES


def encode_update(delta: NDArray[np.integer[Any]]) -> bytes:
    """Encode integer differences [n * CHUNK] so that no leaf emits q = -128.

    The error of an element is at most half a step of its chunk, unless it saturates. Raises
    InvalidUpdate if delta is not whole chunks. Section 2.
    """
    flat = delta.reshape(-1)
    if flat.size % CHUNK:
        raise InvalidUpdate(what="elements modulo the chunk", expected=0, actual=flat.size % CHUNK)
    x = flat.reshape(-1, CHUNK)
    leaves = np.empty((len(x), UPDATE_LEAF_BYTES), np.uint8)
    for start in range(0, len(x), _BLOCK_CHUNKS):
        rows = slice(start, start + _BLOCK_CHUNKS)
        _encode_block(x[rows], leaves[rows])
    return leaves.tobytes()


def _encode_block(x: NDArray[np.integer[Any]], leaves: NDArray[np.uint8]) -> None:
    near = np.clip(x, -_FAR, _FAR).astype(np.int32)
    e = np.searchsorted(_LIMITS, np.abs(near).max(axis=1)).astype(np.int32)
    # Round half to even: add half a step less one, and one more where the quotient is odd.
    shift = e[:, None]
    bias = (near >> shift) & 1
    bias += ((1 << shift) >> 1) - 1
    bias[e == 0] = 0  # without a shift there is nothing to round
    near += bias
    near >>= shift
    np.clip(near, -Q_MAX, Q_MAX, out=near)
    near += 128
    leaves[:, 0] = e
    leaves[:, 1:] = near


def decode_update(data: Buffer, chunks: int) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Decode any bytes of the right length to (q int8 [chunks, CHUNK], e uint8 [chunks]).

    Raises InvalidUpdate for any other length, and for nothing else. Section 2.
    """
    size = memoryview(data).nbytes
    if size != chunks * UPDATE_LEAF_BYTES:
        raise InvalidUpdate(what="bytes", expected=chunks * UPDATE_LEAF_BYTES, actual=size)
    leaves = np.frombuffer(data, np.uint8).reshape(chunks, UPDATE_LEAF_BYTES)
    q = np.bitwise_xor(leaves[:, 1:], np.uint8(128)).view(np.int8)  # byte - 128
    return q, np.bitwise_and(leaves[:, 0], np.uint8(MAX_EXPONENT))


def dequantize_update(q: NDArray[np.int8], e: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Give the differences q * 2^e as int64 [n * CHUNK]. Section 2."""
    return (q.astype(np.int64) << e.astype(np.int64)[:, None]).reshape(-1)


def chunk_ssq(q: NDArray[np.int8], e: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Give the exact sum of squares of each chunk, uint64 [n], at most 2^52. Section 3."""
    squares = np.empty(len(q), np.uint64)
    for start in range(0, len(q), _BLOCK_CHUNKS):
        # Exact in float32 in any order: 256 * 128^2 is below 2^24.
        part = q[start : start + _BLOCK_CHUNKS].astype(np.float32)
        squares[start : start + _BLOCK_CHUNKS] = np.einsum("ij,ij->i", part, part)
    shifted: NDArray[np.uint64] = squares << np.multiply(e, 2, dtype=np.uint64)
    return shifted


def update_ssq(q: NDArray[np.int8], e: NDArray[np.uint8]) -> int:
    """Give the exact sum of squares of all values. Section 3."""
    # Halves, so that uint64 can not overflow: at most 2^24 chunks of 2^32 each.
    squares = chunk_ssq(q, e)
    high, low = squares >> np.uint64(32), squares & np.uint64(0xFFFFFFFF)
    return (int(high.sum(dtype=np.uint64)) << 32) + int(low.sum(dtype=np.uint64))


def model_leaves(theta: NDArray[np.int32], m: NDArray[np.int32] | None = None) -> bytes:
    """Concatenate the model leaves of whole chunks: theta, then m if there is momentum.

    Raises InvalidModel if the arrays are not int32, not whole chunks or of different length.
    Section 3.
    """
    parts = [theta] if m is None else [theta, m]
    for part in parts:
        if part.dtype != np.int32:
            raise InvalidModel(what="dtype", expected="int32", actual=str(part.dtype))
        if part.size != theta.size or part.size % CHUNK:
            raise InvalidModel(what="elements", expected="whole chunks", actual=part.size)
    leaves = np.empty((theta.size // CHUNK, len(parts), CHUNK), ">i4")
    for place, part in enumerate(parts):
        leaves[:, place] = part.reshape(-1, CHUNK)
    return leaves.tobytes()


def decode_model(
    data: Buffer, chunks: int, *, momentum: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32] | None]:
    """Read (theta, m) int32 [chunks, CHUNK] from model leaves; m is None without momentum.

    Raises InvalidModel for a wrong length. Section 3.
    """
    size, expected = memoryview(data).nbytes, chunks * model_leaf_bytes(momentum=momentum)
    if size != expected:
        raise InvalidModel(what="bytes", expected=expected, actual=size)
    leaves = np.frombuffer(data, ">i4").reshape(chunks, -1, CHUNK)
    theta = leaves[:, 0].astype(np.int32)
    return theta, leaves[:, 1].astype(np.int32) if momentum else None
