"""Merkle trees and Merkle sum trees over fixed-size leaves (docs/protocol.md section 3).

Levels are kept without the padding: the nodes of an all-EMPTY subtree are known by height.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from protocol.codec import UPDATE_LEAF_BYTES, Buffer, chunk_ssq, decode_update
from protocol.errors import InvalidTree
from protocol.types import DIGEST_BYTES, Digest

EMPTY = sha256(b"\x02").digest()
MAX_DEPTH = 32
SSQ_BYTES = 12
_BLOCK_LEAVES = 4096

Proof = tuple[Digest, ...]
SumNode = tuple[Digest, int]
SumProof = tuple[SumNode, ...]
SumClaim = tuple[Digest, int, int]
"""A level of an opening with named sums: the sibling, its sum, and the sum named for the node."""
SumClaims = tuple[SumClaim, ...]


def leaf_node(leaf: Buffer) -> Digest:
    """Hash a leaf: H(0x00 | leaf)."""
    return sha256(b"\x00" + leaf).digest()


def inner_node(left: Digest, right: Digest) -> Digest:
    """Hash two children: H(0x01 | left | right)."""
    return sha256(b"\x01" + left + right).digest()


def sum_node(left: SumNode, right: SumNode) -> SumNode:
    """Hash two children with their sums; the sum of the node is the sum of theirs."""
    sums = left[1].to_bytes(SSQ_BYTES, "big") + right[1].to_bytes(SSQ_BYTES, "big")
    return sha256(b"\x01" + left[0] + right[0] + sums).digest(), left[1] + right[1]


def _grow(heights: int) -> tuple[tuple[Digest, ...], tuple[SumNode, ...]]:
    plain, summed = [EMPTY], [(EMPTY, 0)]
    for _ in range(heights):
        plain.append(inner_node(plain[-1], plain[-1]))
        summed.append(sum_node(summed[-1], summed[-1]))
    return tuple(plain), tuple(summed)


_EMPTY_NODES, _EMPTY_SUM_NODES = _grow(MAX_DEPTH)


def _leaf_nodes(buffer: Buffer, leaf_size: int) -> list[Digest]:
    """Hash consecutive leaves; the prefix is written by numpy, one copy per block."""
    nodes: list[Digest] = []
    step = 1 + leaf_size
    view = np.frombuffer(buffer, np.uint8).reshape(-1, leaf_size)
    prefixed = np.zeros((min(len(view), _BLOCK_LEAVES), step), np.uint8)
    raw = prefixed.reshape(-1).data
    for start in range(0, len(view), _BLOCK_LEAVES):
        block = view[start : start + _BLOCK_LEAVES]
        prefixed[: len(block), 1:] = block
        nodes += [sha256(raw[at : at + step]).digest() for at in range(0, len(block) * step, step)]
    return nodes


class LeafHasher:
    """Hashes leaves that arrive in pieces of any length, in order."""

    def __init__(self, leaf_size: int) -> None:
        """Take the size of a leaf in bytes."""
        self.leaf_size = leaf_size
        self._rest = b""
        self._nodes: list[Digest] = []

    def update(self, data: Buffer) -> None:
        """Take the next bytes; what is left of a leaf waits for the next call."""
        joined = memoryview(self._rest + data if self._rest else data).cast("B")
        whole = joined.nbytes - joined.nbytes % self.leaf_size
        if whole:
            self._take(joined[:whole])
        self._rest = bytes(joined[whole:])

    def _take(self, leaves: memoryview) -> None:
        self._nodes += _leaf_nodes(leaves, self.leaf_size)

    def _finish_leaves(self) -> list[Digest]:
        size = len(self._nodes) * self.leaf_size + len(self._rest)
        if self._rest:
            raise InvalidTree(size=size, leaf_size=self.leaf_size, reason="an incomplete leaf")
        if not self._nodes:
            raise InvalidTree(size=size, leaf_size=self.leaf_size, reason="no leaf")
        return self._nodes


class MerkleTreeBuilder(LeafHasher):
    """Builds a MerkleTree from pieces of its object."""

    def finish(self) -> "MerkleTree":
        """Give the tree; raises InvalidTree without leaves or inside one."""
        return MerkleTree.from_nodes(self._finish_leaves())


class SumTreeBuilder(LeafHasher):
    """Builds a SumTree from pieces of an update object."""

    def __init__(self) -> None:
        """Start without leaves."""
        super().__init__(UPDATE_LEAF_BYTES)
        self._sums: list[int] = []

    def _take(self, leaves: memoryview) -> None:
        super()._take(leaves)
        self._sums += chunk_ssq(*decode_update(leaves, leaves.nbytes // self.leaf_size)).tolist()

    def finish(self) -> "SumTree":
        """Give the tree; raises InvalidTree without leaves or inside one."""
        return SumTree.from_nodes(list(zip(self._finish_leaves(), self._sums, strict=True)))


@dataclass(frozen=True, slots=True)
class MerkleTree:
    """A tree whose root commits to every leaf and its place."""

    levels: tuple[list[Digest], ...]

    @classmethod
    def from_leaves(cls, buffer: Buffer, leaf_size: int) -> "MerkleTree":
        """Build over consecutive leaves; raises InvalidTree if they are not whole. Section 3."""
        builder = MerkleTreeBuilder(leaf_size)
        builder.update(buffer)
        return builder.finish()

    @classmethod
    def from_nodes(cls, nodes: list[Digest]) -> "MerkleTree":
        """Build over leaf nodes."""
        levels = [nodes]
        while len(levels[-1]) > 1:
            level = levels[-1]
            padded = level if len(level) % 2 == 0 else [*level, _EMPTY_NODES[len(levels) - 1]]
            levels.append(
                [
                    sha256(b"\x01" + padded[i] + padded[i + 1]).digest()
                    for i in range(0, len(padded), 2)
                ]
            )
        return cls(tuple(levels))

    @property
    def root(self) -> Digest:
        """The root's digest."""
        return self.levels[-1][0]

    @property
    def depth(self) -> int:
        """Length of every proof."""
        return len(self.levels) - 1

    @property
    def leaf_count(self) -> int:
        """Leaves without padding."""
        return len(self.levels[0])

    def proof(self, index: int) -> Proof:
        """Give the siblings of a leaf from the bottom up; raises IndexError beyond the leaves."""
        _check_index(index, self.leaf_count)
        path = []
        for height, level in enumerate(self.levels[:-1]):
            sibling = index >> height ^ 1
            path.append(level[sibling] if sibling < len(level) else _EMPTY_NODES[height])
        return tuple(path)

    def node(self, height: int, place: int) -> Digest:
        """Give a node by its height above the leaves and its place, padding included.

        Raises IndexError for one that the tree does not have.
        """
        if not (0 <= height <= self.depth and 0 <= place < 1 << self.depth - height):
            message = f"node {place} of height {height} in a tree of depth {self.depth}"
            raise IndexError(message)
        level = self.levels[height]
        return level[place] if place < len(level) else _EMPTY_NODES[height]


@dataclass(frozen=True, slots=True)
class SumTree:
    """A tree whose root commits to every update leaf, its place, and the exact squared norm.

    The sums in `levels` are those that the digests above them name: of an honest trainer the true
    ones.
    """

    levels: tuple[list[SumNode], ...]

    @classmethod
    def from_leaves(cls, update: Buffer) -> "SumTree":
        """Build over an update object; raises InvalidTree for a broken leaf. Section 3."""
        builder = SumTreeBuilder()
        builder.update(update)
        return builder.finish()

    @classmethod
    def from_nodes(
        cls, nodes: list[SumNode], named: Mapping[tuple[int, int], int] | None = None
    ) -> "SumTree":
        """Build over leaf nodes with their sums.

        `named` maps (height, place) of a node to the sum that its parent's digest names instead of
        the true one: how a trainer lies, and how its opening is found again.
        """
        lies = named or {}
        levels: list[list[SumNode]] = []
        level = nodes
        while True:
            height = len(levels)
            level = [(node[0], lies.get((height, i), node[1])) for i, node in enumerate(level)]
            levels.append(level)
            if len(level) == 1:
                return cls(tuple(levels))
            padded = level if len(level) % 2 == 0 else [*level, _EMPTY_SUM_NODES[height]]
            level = [sum_node(padded[i], padded[i + 1]) for i in range(0, len(padded), 2)]

    @property
    def root(self) -> Digest:
        """The root's digest."""
        return self.levels[-1][0][0]

    @property
    def ssq(self) -> int:
        """The exact sum of squares of the whole update."""
        return self.levels[-1][0][1]

    @property
    def depth(self) -> int:
        """Length of every proof."""
        return len(self.levels) - 1

    @property
    def leaf_count(self) -> int:
        """Leaves without padding."""
        return len(self.levels[0])

    def proof(self, index: int) -> SumProof:
        """Give the siblings and sums from the bottom up; raises IndexError beyond the leaves."""
        _check_index(index, self.leaf_count)
        path = []
        for height, level in enumerate(self.levels[:-1]):
            sibling = index >> height ^ 1
            path.append(level[sibling] if sibling < len(level) else _EMPTY_SUM_NODES[height])
        return tuple(path)

    def claims(self, index: int) -> SumClaims:
        """Give the siblings from the bottom up with the sums that the digests name for both.

        Opens a leaf of any tree, also where a sum lies. Raises IndexError beyond the leaves.
        """
        return tuple(
            (*sibling, self.levels[height][index >> height][1])
            for height, sibling in enumerate(self.proof(index))
        )


def verify(*, root: Digest, index: int, leaf: Buffer, proof: Sequence[Digest]) -> bool:
    """Tell whether a leaf has its place under the root. Total: any input gives an answer."""
    if not 0 <= index < 1 << len(proof) or len(proof) > MAX_DEPTH:
        return False
    node = leaf_node(leaf)
    for height, sibling in enumerate(proof):
        if len(sibling) != DIGEST_BYTES:
            return False
        node = inner_node(sibling, node) if index >> height & 1 else inner_node(node, sibling)
    return node == root


def verify_sum(
    *, root: Digest, ssq: int, index: int, leaf: Buffer, proof: Sequence[SumNode]
) -> bool:
    """Tell whether an update leaf has its place under the root and its true sum is part of ssq.

    Total: any input gives an answer.
    """
    if not 0 <= index < 1 << len(proof) or len(proof) > MAX_DEPTH:
        return False
    if memoryview(leaf).nbytes != UPDATE_LEAF_BYTES:
        return False
    node: SumNode = leaf_node(leaf), int(chunk_ssq(*decode_update(leaf, 1))[0])
    for height, sibling in enumerate(proof):
        if len(sibling[0]) != DIGEST_BYTES or not 0 <= sibling[1] < 1 << 8 * SSQ_BYTES:
            return False
        if node[1] >= 1 << 8 * SSQ_BYTES:
            return False
        node = sum_node(sibling, node) if index >> height & 1 else sum_node(node, sibling)
    return node == (root, ssq)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumOpening:
    """Whether the leaf is the trainer's and the sums named on its path true, and the tree's sum."""

    ok: bool
    honest: bool
    ssq: int


def open_sum(*, root: Digest, index: int, leaf: Buffer, claims: Sequence[SumClaim]) -> SumOpening:
    """Open an update leaf with the sums that the digests name, as the court does. Section 3.

    `honest` and `ssq` mean nothing unless `ok`. Total: any input gives an answer.
    """
    failed = SumOpening(ok=False, honest=False, ssq=0)
    if not 0 <= index < 1 << len(claims) or len(claims) > MAX_DEPTH:
        return failed
    if memoryview(leaf).nbytes != UPDATE_LEAF_BYTES:
        return failed
    digest, ssq = leaf_node(leaf), int(chunk_ssq(*decode_update(leaf, 1))[0])
    honest = True
    for height, (sibling, sibling_ssq, named) in enumerate(claims):
        fits = all(0 <= value < 1 << 8 * SSQ_BYTES for value in (sibling_ssq, named))
        if len(sibling) != DIGEST_BYTES or not fits:
            return failed
        honest = honest and named == ssq
        pair = ((digest, named), (sibling, sibling_ssq))
        digest, ssq = sum_node(*reversed(pair)) if index >> height & 1 else sum_node(*pair)
    return SumOpening(ok=digest == root, honest=honest, ssq=ssq)


def _check_index(index: int, leaf_count: int) -> None:
    if not 0 <= index < leaf_count:
        message = f"leaf {index} of {leaf_count}"
        raise IndexError(message)
