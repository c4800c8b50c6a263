"""Evidence for the merge court, computed from chain and store; a thread of its own may do it.

What it takes is checked: models and updates must hash to the roots that the chain names. Memory:
the trees of two models, one update. Docs/protocol.md sections 2, 3 and 8.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from network.content import check_update
from network.court.case import Case
from network.court.contract import NormProof
from network.store.base import ContentStore
from protocol.cid import Cid
from protocol.codec import UPDATE_LEAF_BYTES, model_leaf_bytes
from protocol.errors import (
    CommonweightError,
    ContentUnavailable,
    InvalidModel,
    InvalidUpdate,
    ProtocolError,
    StoreUnavailable,
    WrongNorm,
)
from protocol.merkle import MerkleTree, MerkleTreeBuilder, SumTree, SumTreeBuilder
from protocol.proofs import (
    ChunkProof,
    chunk_place,
    first_difference,
    long_opening,
    padding_proof,
    short_opening,
)
from protocol.rounds import UpdateHeader
from protocol.types import Digest, Seat, SegmentId

_KEPT_TREES = 2
_AT_ONCE = 2
"""Models and updates that are read at once."""


class ModelShelf(Protocol):
    """Models that this node computed or checked, by root."""

    def has(self, root: Digest) -> bool:
        """Whether the model is here, whole."""

    def open(self, root: Digest) -> Iterator[bytes]:
        """Its object in pieces; only after `has`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongChunk:
    """A chunk that is not as the merge rule wants it, under the proposed root."""

    proof: ChunkProof
    node: Digest
    siblings: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingUpdate:
    """A frozen update that cannot be had: its segment, its place there, and a chunk of it."""

    segment: SegmentId
    place: int
    chunk: int
    seat: Seat


class Examiner:
    """Computes evidence about one run's merges; safe for several threads.

    `deadline_s` bounds each download. Every method raises what the store raises, and InvalidModel
    or InvalidUpdate for an object that is not what the chain says.
    """

    def __init__(
        self,
        store: ContentStore,
        shelf: ModelShelf,
        *,
        segment_ends: tuple[int, ...],
        momentum: bool,
        deadline_s: float = 120.0,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._ends = segment_ends
        self._leaf_bytes = model_leaf_bytes(momentum=momentum)
        self._deadline_s = deadline_s
        self._trees: dict[Digest, MerkleTree] = {}
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def find_wrong_chunk(self, case: Case, own_root: Digest) -> WrongChunk | None:
        """The first chunk of the proposed object that differs from the own merge, with its proof.

        None if the object is not the proposed root's: then only the proposer knows the tree.
        """
        proposed = self._proposed_tree(case.proposal.model, case.proposal.model_root)
        if proposed is None:
            return None
        chunk = first_difference(self.tree(own_root).levels[0], proposed.levels[0])
        assert chunk is not None, "another root has another leaf"
        return WrongChunk(
            proof=self.prove_chunk(case, chunk),
            node=proposed.node(0, chunk),
            siblings=proposed.proof(chunk),
        )

    def prove_chunk(self, case: Case, chunk: int) -> ChunkProof:
        """Everything that decides a chunk of a merge, padding included."""
        if chunk >= self._ends[-1]:
            return padding_proof(chunk)
        place = chunk_place(chunk, self._ends)
        chunks = len(case.chunks_of(place.segment))
        openings = tuple(
            self.open_leaf(case.headers[entry.seat], chunks=chunks, index=place.index)
            for entry in case.inputs[place.segment]
        )
        parent = self.tree(case.parent_root, case.parent_model)
        return ChunkProof(
            chunk=chunk,
            inputs=case.preimages[place.segment],
            openings=openings,
            old_leaf=self._model_leaf(case, chunk),
            old_siblings=parent.proof(chunk),
        )

    def open_leaf(self, header: UpdateHeader, *, chunks: int, index: int) -> bytes:
        """The opening of a leaf of an update, in the short form."""
        tree, leaf = self._update(header, chunks, index)
        return short_opening(leaf, tree.proof(index))

    def prove_norm(
        self, header: UpdateHeader, *, segment: SegmentId, chunks: int, seat: Seat, inputs: bytes
    ) -> NormProof | None:
        """Proof that a header lies about its update's norm; None if it does not."""
        tree, leaf = self._update(header, chunks, 0)
        if tree.ssq == header.ssq:
            return None
        return NormProof(
            segment=segment,
            inputs=inputs,
            seat=seat,
            header=header,
            index=0,
            opening=long_opening(leaf, tree.claims(0)),
        )

    def find_missing(self, case: Case) -> MissingUpdate | None:
        """The first included update that cannot be had; None if all can.

        A store that does not answer says nothing about an update: StoreUnavailable.
        """
        for segment, entries in enumerate(case.inputs):
            chunks = case.chunks_of(segment)
            for place, entry in enumerate(entries):
                if not self._has_update(case.headers[entry.seat], len(chunks)):
                    # Any leaf will do; whose choice it is must not be foreseen.
                    offset = int.from_bytes(case.id, "big") % len(chunks)
                    return MissingUpdate(
                        segment=SegmentId(segment),
                        place=place,
                        chunk=chunks[offset],
                        seat=entry.seat,
                    )
        return None

    def tree(self, root: Digest, model: Cid | None = None) -> MerkleTree:
        """The tree of a model that is on the shelf or, with its object's id, in the store."""
        known = self._known(root)
        if known is not None:
            return known
        with self._room:
            return self._known(root) or self._read_tree(root, model)

    def _known(self, root: Digest) -> MerkleTree | None:
        with self._lock:
            return self._trees.get(root)

    def _read_tree(self, root: Digest, model: Cid | None) -> MerkleTree:
        builder = MerkleTreeBuilder(self._leaf_bytes)
        for piece in self._open_model(root, model):
            builder.update(piece)
        tree = builder.finish()
        if tree.root != root:
            raise InvalidModel(what="root", expected=root.hex(), actual=tree.root.hex())
        with self._lock:
            while len(self._trees) >= _KEPT_TREES:
                self._trees.pop(next(iter(self._trees)))
            self._trees[root] = tree
        return tree

    def _proposed_tree(self, model: Cid, root: Digest) -> MerkleTree | None:
        size = self._ends[-1] * self._leaf_bytes
        if model.size != size:
            return None
        builder = MerkleTreeBuilder(self._leaf_bytes)
        try:
            pieces = self._store.open(model, max_bytes=size, deadline_s=self._deadline_s)
            for piece in pieces:
                builder.update(piece)
            tree = builder.finish()
        except ProtocolError:
            return None  # blocks that do not make up the object
        return tree if tree.root == root else None

    def _model_leaf(self, case: Case, chunk: int) -> bytes:
        pieces = self._open_model(case.parent_root, case.parent_model)
        return _cut(pieces, chunk * self._leaf_bytes, self._leaf_bytes)

    def _open_model(self, root: Digest, model: Cid | None) -> Iterator[bytes]:
        if self._shelf.has(root):
            return self._shelf.open(root)
        if model is None:
            raise ContentUnavailable(cid=root.hex(), reason="the chain names no object of it")
        size = self._ends[-1] * self._leaf_bytes
        return self._store.open(model, max_bytes=size, deadline_s=self._deadline_s)

    def _update(self, header: UpdateHeader, chunks: int, index: int) -> tuple[SumTree, bytes]:
        """An update's tree, which its header names, and one of its leaves."""
        size = chunks * UPDATE_LEAF_BYTES
        if header.update_size != size:
            raise InvalidUpdate(what="bytes", expected=size, actual=header.update_size)
        cid = Cid(digest=header.update_cid, size=size)
        with self._room:
            data = self._store.get(cid, max_bytes=size, deadline_s=self._deadline_s)
            builder = SumTreeBuilder()
            builder.update(data)
            tree = builder.finish()
        if tree.root != header.update_root:
            expected, actual = header.update_root.hex(), tree.root.hex()
            raise InvalidUpdate(what="root", expected=expected, actual=actual)
        return tree, data[index * UPDATE_LEAF_BYTES : (index + 1) * UPDATE_LEAF_BYTES]

    def _has_update(self, header: UpdateHeader, chunks: int) -> bool:
        try:
            check_update(self._store, header, chunks=chunks, deadline_s=self._deadline_s)
        except StoreUnavailable:
            raise
        except CommonweightError as error:
            return isinstance(error, WrongNorm)
        return True


def _cut(pieces: Iterator[bytes], start: int, size: int) -> bytes:
    """Some bytes out of a stream; raises InvalidModel if it ends before them."""
    found, at = bytearray(), 0
    for piece in pieces:
        found += piece[max(start - at, 0) : max(start + size - at, 0)]
        at += len(piece)
        if at >= start + size:
            return bytes(found)
    raise InvalidModel(what="bytes", expected=start + size, actual=at)
