"""What the merge court is shown (docs/protocol.md section 8): pure functions over whole objects.

An opening of an update leaf is bytes: the leaf (257), then for each level of its tree, from the
bottom up, the sibling's digest (32) and sum (12); in the long form also the sum that the trainer's
digest names for the node itself (12). The short form needs true sums on the leaf's path, the long
one opens any tree. All integers are big-endian.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from protocol.codec import MAX_EXPONENT, UPDATE_LEAF_BYTES, Buffer, model_leaf_bytes
from protocol.errors import InvalidMerge, InvalidRound, InvalidTree, InvalidUpdate
from protocol.layout import CHUNK
from protocol.merge import WEIGHT_ONE
from protocol.merkle import (
    SSQ_BYTES,
    MerkleTree,
    Proof,
    SumClaims,
    SumProof,
    SumTree,
    inner_node,
)
from protocol.rounds import InputEntry, address_bytes
from protocol.types import DIGEST_BYTES, Address, Digest, Seat, SegmentId

INPUT_BYTES = 88
"""Bytes of an included update in the preimage of an inputs hash."""

SIBLING_BYTES = DIGEST_BYTES + SSQ_BYTES
"""Bytes of a level in the short form of an opening."""

CLAIM_BYTES = SIBLING_BYTES + SSQ_BYTES
"""Bytes of a level in the long form."""

STEP_LEVELS = 8
"""Levels that one move of a tree game goes down at most."""

_LANES = 8
_WORD_BYTES = 32
_NARROW_BITS = 3  # exponents 0..7 and 8..15 add up in two banks of lanes
_BANK_WORDS = 32
_HEAD_WORDS = 3
ACCUMULATOR_BYTES = (_HEAD_WORDS + 2 * _BANK_WORDS) * _WORD_BYTES
"""Bytes of the court's abi.encode(WeightedSum)."""


# --- where a chunk lies


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    """Where a chunk lies: its segment, its leaf in an update of it, and the depth of that tree."""

    segment: SegmentId
    index: int
    depth: int


def tree_depth(leaves: int) -> int:
    """Give the depth of a tree of so many leaves, at least one."""
    return (leaves - 1).bit_length()


def chunk_place(chunk: int, segment_ends: Sequence[int]) -> ChunkPlace:
    """Find a chunk of the model; segment_ends holds the chunk behind each segment's last.

    Raises InvalidRound for a chunk that the model does not have (padding included).
    """
    if not 0 <= chunk < segment_ends[-1]:
        raise InvalidRound(field="chunk", reason=f"{chunk} is not in 0..{segment_ends[-1] - 1}")
    segment = bisect_right(segment_ends, chunk)
    first = segment_ends[segment - 1] if segment else 0
    return ChunkPlace(
        segment=SegmentId(segment),
        index=chunk - first,
        depth=tree_depth(segment_ends[segment] - first),
    )


# --- the inputs of a merge


def inputs_preimage(entries: Sequence[InputEntry]) -> bytes:
    """Give the bytes that an inputs hash is of: INPUT_BYTES an entry. Section 4."""
    return b"".join(
        address_bytes(entry.trainer)
        + bytes((entry.seat,))
        + entry.weight.to_bytes(3, "big")
        + entry.update_root
        + entry.header_hash
        for entry in entries
    )


def parse_inputs(preimage: bytes) -> list[InputEntry]:
    """Read the entries back; raises InvalidRound unless the bytes are whole entries."""
    if len(preimage) % INPUT_BYTES:
        raise InvalidRound(field="inputs", reason=f"{len(preimage)} bytes are no whole entries")
    return [
        InputEntry(
            trainer=Address("0x" + raw[:20].hex()),
            seat=Seat(raw[20]),
            weight=int.from_bytes(raw[21:24], "big"),
            update_root=raw[24:56],
            header_hash=raw[56:],
        )
        for raw in _pieces(preimage, INPUT_BYTES)
    ]


# --- openings


def update_leaf(update: Buffer, index: int) -> bytes:
    """Cut leaf `index`, 257 bytes, out of an update object; raises IndexError beyond it."""
    return _cut(update, index, UPDATE_LEAF_BYTES)


def model_leaf(model: Buffer, chunk: int, *, momentum: bool) -> bytes:
    """Cut the leaf of a chunk out of a model object; raises IndexError beyond it."""
    return _cut(model, chunk, model_leaf_bytes(momentum=momentum))


def short_opening(leaf: bytes, proof: SumProof) -> bytes:
    """Give 257 bytes and SIBLING_BYTES a level: of a leaf on whose path all sums are true."""
    return leaf + b"".join(digest + _ssq(ssq) for digest, ssq in proof)


def long_opening(leaf: bytes, claims: SumClaims) -> bytes:
    """Give 257 bytes and CLAIM_BYTES a level: of a leaf of any tree."""
    return leaf + b"".join(digest + _ssq(ssq) + _ssq(named) for digest, ssq, named in claims)


def open_update(update: Buffer, tree: SumTree, index: int) -> bytes:
    """Open leaf `index` of an update in the shortest form that its tree allows."""
    leaf = update_leaf(update, index)
    proof, claims = tree.proof(index), tree.claims(index)
    honest = SumTree.from_leaves(leaf).ssq
    for (_, sibling_ssq), (_, _, named) in zip(proof, claims, strict=True):
        if named != honest:
            return long_opening(leaf, claims)
        honest += sibling_ssq
    return short_opening(leaf, proof)


# --- the weighted sum of a chunk


def accumulate(accumulator: bytes, leaves: Sequence[bytes], weights: Sequence[int]) -> bytes:
    """Add weighted update leaves to an accumulator, b"" for the first; gives the next one.

    Bytes are the court's abi.encode(WeightedSum): updates, weight, bias, 64 words of 8 uint32
    lanes. Raises InvalidMerge for other bytes or more weight than WEIGHT_ONE, InvalidUpdate for a
    leaf that is none.
    """
    if accumulator and len(accumulator) != ACCUMULATOR_BYTES:
        raise InvalidMerge(reason=f"an accumulator has {ACCUMULATOR_BYTES} bytes")
    old = accumulator or bytes(ACCUMULATOR_BYTES)
    updates, weight_sum, bias = (
        int.from_bytes(word, "big") for word in _pieces(old[: _HEAD_WORDS * _WORD_BYTES], 32)
    )
    lanes = np.frombuffer(old[_HEAD_WORDS * _WORD_BYTES :], ">u4").astype(np.uint64)
    lanes = lanes.reshape(2, _BANK_WORDS, _LANES)
    for leaf, weight in zip(leaves, weights, strict=True):
        if len(leaf) != UPDATE_LEAF_BYTES:
            what = "bytes of a leaf"
            raise InvalidUpdate(what=what, expected=UPDATE_LEAF_BYTES, actual=len(leaf))
        if weight < 0 or weight_sum + weight > WEIGHT_ONE:
            raise InvalidMerge(reason=f"weights are negative or add up to more than {WEIGHT_ONE}")
        exponent = leaf[0] & MAX_EXPONENT
        # Byte 4t + s of word i goes to lane t of word 4i + s.
        values = np.frombuffer(leaf, np.uint8, CHUNK, 1).reshape(-1, _LANES, 4)
        values = values.transpose(0, 2, 1).reshape(_BANK_WORDS, _LANES).astype(np.uint64)
        factor = weight << (exponent & (1 << _NARROW_BITS) - 1)
        lanes[exponent >> _NARROW_BITS] += values * np.uint64(factor)
        updates, weight_sum = updates + 1, weight_sum + weight
        bias += weight << exponent + 7
    head = b"".join(value.to_bytes(_WORD_BYTES, "big") for value in (updates, weight_sum, bias))
    return head + lanes.astype(">u4").tobytes()


# --- everything that decides one chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkProof:
    """The court's ChunkProof; `fields` is its tuple in the order of the ABI."""

    chunk: int
    inputs: bytes
    openings: tuple[bytes, ...]
    old_leaf: bytes
    old_siblings: Proof
    accumulator: bytes = b""

    @property
    def fields(self) -> tuple[int, bytes, bytes, list[bytes], bytes, list[bytes]]:
        """Chunk, inputs, accumulator, openings, oldLeaf, oldSiblings."""
        return (
            self.chunk,
            self.inputs,
            self.accumulator,
            list(self.openings),
            self.old_leaf,
            list(self.old_siblings),
        )

    @property
    def size(self) -> int:
        """Bytes of the parts of variable size: what a transaction's calldata mostly is."""
        return (
            len(self.inputs)
            + len(self.accumulator)
            + sum(map(len, self.openings))
            + len(self.old_leaf)
            + len(self.old_siblings) * DIGEST_BYTES
        )


def chunk_proof(
    *,
    chunk: int,
    inputs: bytes,
    openings: Sequence[bytes],
    parent: Buffer,
    parent_tree: MerkleTree,
    momentum: bool,
) -> ChunkProof:
    """Put together the proof of a chunk of the model from the parent model and its tree.

    inputs is the preimage of its segment's inputs hash, openings hold one for each update in it, in
    its order (`open_update` at the chunk's place).
    """
    return ChunkProof(
        chunk=chunk,
        inputs=inputs,
        openings=tuple(openings),
        old_leaf=model_leaf(parent, chunk, momentum=momentum),
        old_siblings=parent_tree.proof(chunk),
    )


def padding_proof(chunk: int) -> ChunkProof:
    """Give the proof of a place behind the last chunk, where a model's tree holds EMPTY."""
    return ChunkProof(chunk=chunk, inputs=b"", openings=(), old_leaf=b"", old_siblings=())


def split_proof(proof: ChunkProof, part_bytes: int) -> Iterator[ChunkProof]:
    """Give the parts of a proof too long for one transaction: all but the last are for `feed`.

    Each but the first begins with the accumulator that the court computes from those before. Parts
    have at most part_bytes of openings, but at least one. A proof that fits stays whole.
    """
    weights = [entry.weight for entry in parse_inputs(proof.inputs)]
    accumulator, start = b"", 0
    while True:
        stop, room = start, part_bytes
        for opening in proof.openings[start:]:
            room -= len(opening)
            if room < 0 and stop > start:
                break
            stop += 1
        part = replace(proof, openings=proof.openings[start:stop], accumulator=accumulator)
        if stop == len(proof.openings):
            yield part
            return
        yield replace(part, old_leaf=b"", old_siblings=())
        leaves = [opening[:UPDATE_LEAF_BYTES] for opening in part.openings]
        accumulator = accumulate(accumulator, leaves, weights[start:stop])
        start = stop


# --- moves of a tree game


def children_below(tree: MerkleTree, height: int, place: int) -> list[Digest]:
    """Give the nodes min(STEP_LEVELS, height) levels below a node, left to right.

    height counts from the leaves, as the court's `level` does; padding is included. Raises
    IndexError for a node that the tree does not have, or a leaf.
    """
    step = min(STEP_LEVELS, height)
    if step == 0:
        message = "a leaf has no children"
        raise IndexError(message)
    first = place << step
    return [tree.node(height - step, first + i) for i in range(1 << step)]


def first_difference(mine: Sequence[Digest], theirs: Sequence[Digest]) -> int | None:
    """Give the place of the first child that differs, or None if none does."""
    pairs = enumerate(zip(mine, theirs, strict=True))
    return next((i for i, (own, other) in pairs if own != other), None)


def child_siblings(children: Sequence[Digest], child: int) -> Proof:
    """Give the siblings from a child up to the node that the children hash to, bottom up.

    Raises InvalidTree unless their number is a power of two, IndexError beyond them.
    """
    if not children or len(children) & len(children) - 1:
        reason = "children are a power of two"
        raise InvalidTree(size=len(children), leaf_size=1, reason=reason)
    if not 0 <= child < len(children):
        message = f"child {child} of {len(children)}"
        raise IndexError(message)
    siblings, level = [], list(children)
    while len(level) > 1:
        siblings.append(level[child ^ 1])
        level = [inner_node(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        child >>= 1
    return tuple(siblings)


def _ssq(value: int) -> bytes:
    return value.to_bytes(SSQ_BYTES, "big")


def _cut(data: Buffer, index: int, size: int) -> bytes:
    view = memoryview(data).cast("B")
    if not 0 <= index < view.nbytes // size:
        message = f"leaf {index} of {view.nbytes // size}"
        raise IndexError(message)
    return bytes(view[index * size : (index + 1) * size])


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
