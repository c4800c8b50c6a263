"""What adversaries make of honest bytes: pure functions, so that a lie can be told twice."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from protocol.cid import cid_of
from protocol.codec import (
    MAX_EXPONENT,
    UPDATE_LEAF_BYTES,
    decode_update,
    dequantize_update,
    encode_update,
    update_ssq,
)
from protocol.layout import CHUNK
from protocol.merkle import SumTree
from protocol.types import Digest
from trainer.training import Trained

_ELEMENT_BYTES = 4
_LARGEST = 2**31 - 1
_LARGEST_STEP = 127
_SHRINK = 0.995
_CORRECTIONS = 8
_NAN = bytes.fromhex("7fc00000")
"""What the float NaN looks like in memory."""

SATURATED_LEAF = bytes((MAX_EXPONENT,)) + b"\xff" * CHUNK
"""A chunk in which every value is the largest that there is."""


# -- models and headers -------------------------------------------------------------------------


def off_by_one(model: bytes) -> bytes:
    """A model object whose first element is one unit off: the smallest wrong merge there is."""
    first = int.from_bytes(model[:_ELEMENT_BYTES], "big", signed=True)
    wrong = first + 1 if first < _LARGEST else first - 1
    return wrong.to_bytes(_ELEMENT_BYTES, "big", signed=True) + model[_ELEMENT_BYTES:]


def poisoned(update: bytes) -> bytes:
    """An update object that goes against an honest one as far as the encoding reaches."""
    leaves = np.frombuffer(update, np.uint8).reshape(-1, UPDATE_LEAF_BYTES).copy()
    steps = leaves[:, 1:].astype(np.int16) - 128
    leaves[:, 0] = MAX_EXPONENT
    leaves[:, 1:] = 128 - _LARGEST_STEP * np.sign(steps)
    return leaves.tobytes()


def understated(trained: Trained, *, norm_bound: int) -> Trained:
    """The poisoned update under its true tree, with a header that states the largest legal norm."""
    update = poisoned(trained.update_bytes)
    cid = cid_of(update)
    header = replace(
        trained.header,
        update_root=SumTree.from_leaves(update).root,
        ssq=norm_bound,
        update_cid=cid.digest,
        update_size=cid.size,
    )
    return replace(trained, header=header, update_bytes=update)


# -- updates ------------------------------------------------------------------------------------


def ssq_of(update: bytes) -> int:
    """The true sum of squares of an update object."""
    return update_ssq(*decode_update(update, len(update) // UPDATE_LEAF_BYTES))


def scaled(update: bytes, factor: float) -> bytes:
    """An update object times a factor, as far as the encoding reaches."""
    values = dequantize_update(*decode_update(update, len(update) // UPDATE_LEAF_BYTES))
    return encode_update(np.rint(values * factor).astype(np.int64))


def boosted(update: bytes, *, ssq: int) -> bytes:
    """An update object scaled until its sum of squares is just within `ssq`; zero stays zero.

    Nor does it grow where every value that is not zero is the largest there is.
    """
    if not ssq_of(update):
        return update
    factor, candidate = 1.0, update
    for _ in range(_CORRECTIONS):  # values that saturate make the sum grow more slowly
        factor *= (ssq / ssq_of(candidate)) ** 0.5
        candidate = scaled(update, factor)
    while ssq_of(candidate) > ssq:
        factor *= _SHRINK
        candidate = scaled(update, factor)
    return candidate


def noise(chunks: int, *, ssq: int, seed: int) -> bytes:
    """A random update object whose sum of squares is just within `ssq`."""
    values = np.random.default_rng(seed).integers(-(2**12), 2**12, chunks * CHUNK, np.int64)
    return boosted(encode_update(values), ssq=ssq)


def nan_born(chunks: int, *, ssq: int) -> bytes:
    """NaNs in memory, taken for an update as a program without checks would, just within `ssq`."""
    values = _NAN * (CHUNK // len(_NAN))
    for exponent in range(MAX_EXPONENT, 0, -1):
        update = (bytes((exponent,)) + values) * chunks
        if ssq_of(update) <= ssq:
            return update
    return (b"\x00" + values) * chunks


def silence(chunks: int) -> bytes:
    """The update object that changes nothing."""
    return encode_update(np.zeros(chunks * CHUNK, np.int64))


# -- traces -------------------------------------------------------------------------------------


def invented_trace(length: int, *, seed: bytes, round_no: int, seat: int) -> list[Digest]:
    """So many digests of training that never was; equal arguments give equal digests."""
    name = seed + round_no.to_bytes(4, "big") + seat.to_bytes(2, "big")
    return [Digest(sha256(name + bytes((place,))).digest()) for place in range(length)]


def stretched(digests: Sequence[Digest], length: int) -> list[Digest]:
    """A trace that stands still where its training ended, as long as an honest one."""
    return [*digests[:length], *[digests[-1]] * (length - len(digests))]
