"""Models and updates in the content store: checked, evaluated and merged without holding them all.

Everything streams: memory is a range of chunks for each open object, whatever their size.
Docs/protocol.md sections 2 and 3.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from network.store.base import ContentStore
from protocol.cid import Cid
from protocol.codec import (
    UPDATE_LEAF_BYTES,
    decode_model,
    decode_update,
    model_leaf_bytes,
    model_leaves,
)
from protocol.errors import InvalidModel, InvalidUpdate, WrongNorm
from protocol.layout import Layout
from protocol.merge import MergeParams, merge_chunks
from protocol.merkle import MerkleTreeBuilder, SumTreeBuilder
from protocol.rounds import UpdateHeader
from protocol.types import Digest, SegmentId

RANGE_CHUNKS = 2_048
"""Chunks merged at once: 0.5 MB of each update."""

DOWNLOAD_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedUpdate:
    """An included update and its integer weight."""

    cid: Cid
    weight: int


class _Reader:
    """Reads exact amounts from an iterator of blocks."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def take(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            piece = next(self._pieces, b"")
            if not piece:
                raise InvalidModel(what="bytes left", expected=size, actual=have)
            parts.append(piece)
            have += len(piece)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]


def check_update(
    store: ContentStore,
    header: UpdateHeader,
    *,
    chunks: int,
    deadline_s: float = DOWNLOAD_DEADLINE_S,
) -> None:
    """Promise that a revealed update can be had and is what its header says.

    Raises what `ContentStore.open` raises, InvalidUpdate for another size or root, and WrongNorm.
    """
    expected = chunks * UPDATE_LEAF_BYTES
    if header.update_size != expected:
        raise InvalidUpdate(what="bytes", expected=expected, actual=header.update_size)
    builder = SumTreeBuilder()
    cid = Cid(digest=header.update_cid, size=header.update_size)
    for piece in store.open(cid, max_bytes=expected, deadline_s=deadline_s):
        builder.update(piece)
    tree = builder.finish()
    if tree.root != header.update_root:
        raise InvalidUpdate(what="root", expected=header.update_root.hex(), actual=tree.root.hex())
    if tree.ssq != header.ssq:
        raise WrongNorm(what="sum of squares", expected=header.ssq, actual=tree.ssq)


def check_model(
    store: ContentStore, model: Cid, root: Digest, *, layout: Layout, momentum: bool
) -> bytes:
    """The model object, if it hashes to the root that the chain names.

    Raises what `ContentStore.get` raises, and InvalidModel.
    """
    leaf = model_leaf_bytes(momentum=momentum)
    expected = layout.chunk_count * leaf
    if model.size != expected:
        raise InvalidModel(what="bytes", expected=expected, actual=model.size)
    data = store.get(model, max_bytes=expected, deadline_s=DOWNLOAD_DEADLINE_S)
    actual = model_root(data, momentum=momentum)
    if actual != root:
        raise InvalidModel(what="root", expected=root.hex(), actual=actual.hex())
    return data


def model_root(data: bytes, *, momentum: bool) -> Digest:
    """The root over a model object's leaves. Section 3."""
    builder = MerkleTreeBuilder(model_leaf_bytes(momentum=momentum))
    builder.update(data)
    return builder.finish().root


def merge_model(
    store: ContentStore,
    *,
    parent: Callable[[], Iterator[bytes]],
    inputs: Sequence[Sequence[WeightedUpdate]],
    layout: Layout,
    params: MergeParams,
    sink: Callable[[Iterator[bytes]], Cid],
    deadline_s: float = DOWNLOAD_DEADLINE_S,
) -> tuple[Digest, Cid]:
    """Merge a frozen round and give the model's root and what `sink` made of its bytes.

    `parent` opens the parent model object, `inputs` are the included updates by segment, `sink`
    takes the merged object's pieces in order (`store.put`, say). Memory: `RANGE_CHUNKS` chunks of
    the model and of each update. Raises what the store raises, InvalidUpdate and InvalidModel.
    """
    builder = MerkleTreeBuilder(model_leaf_bytes(momentum=params.momentum))

    def pieces() -> Iterator[bytes]:
        for piece in _merged_pieces(store, parent(), inputs, layout, params, deadline_s):
            builder.update(piece)
            yield piece

    cid = sink(pieces())
    return builder.finish().root, cid


def _merged_pieces(
    store: ContentStore,
    parent: Iterator[bytes],
    inputs: Sequence[Sequence[WeightedUpdate]],
    layout: Layout,
    params: MergeParams,
    deadline_s: float,
) -> Iterator[bytes]:
    model = _Reader(parent)
    leaf = model_leaf_bytes(momentum=params.momentum)
    for segment, updates in enumerate(inputs):
        chunks = layout.segment_chunks(SegmentId(segment))
        size = len(chunks) * UPDATE_LEAF_BYTES
        with contextlib.ExitStack() as opened:
            readers = []
            for update in updates:
                if update.cid.size != size:
                    raise InvalidUpdate(what="bytes", expected=size, actual=update.cid.size)
                pieces = store.open(update.cid, max_bytes=size, deadline_s=deadline_s)
                if hasattr(pieces, "close"):
                    opened.callback(pieces.close)
                readers.append(_Reader(pieces))
            for start in range(0, len(chunks), RANGE_CHUNKS):
                n = min(RANGE_CHUNKS, len(chunks) - start)
                theta, m = decode_model(model.take(n * leaf), n, momentum=params.momentum)
                decoded = [
                    decode_update(reader.take(n * UPDATE_LEAF_BYTES), n) for reader in readers
                ]
                weights = [update.weight for update in updates]
                yield model_leaves(*merge_chunks(theta, m, decoded, weights, params))
