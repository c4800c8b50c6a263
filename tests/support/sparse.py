"""Runs of large models of which one chunk exists: its leaves are real, all siblings are dice."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from protocol.codec import chunk_ssq, decode_update, encode_update, model_leaves
from protocol.layout import CHUNK
from protocol.merkle import SumClaims, SumNode, inner_node, leaf_node, sum_node
from protocol.proofs import (
    STEP_LEVELS,
    ChunkProof,
    child_siblings,
    long_opening,
    short_opening,
    tree_depth,
)
from protocol.rounds import UpdateHeader
from protocol.types import Digest
from support.evm import Contract
from support.runs import AGGREGATOR, Person, Run, Stage

CHUNKS_OF_124M = 484_375
"""Chunks of a model of 124 million parameters: trees of depth 19."""

CHUNK_NUMBER = 300_001
LIAR = 2


@dataclass(frozen=True)
class SparsePath:
    """A leaf node's siblings from the bottom up, and the root they lead to."""

    siblings: tuple[SumNode, ...]
    leaf: bytes
    index: int
    summed: bool

    @cached_property
    def nodes(self) -> tuple[SumNode, ...]:
        """The leaf's node and those above it, up to the root."""
        ssq = int(chunk_ssq(*decode_update(self.leaf, 1))[0]) if self.summed else 0
        path: list[SumNode] = [(leaf_node(self.leaf), ssq)]
        for height, sibling in enumerate(self.siblings):
            pair = (path[-1], sibling) if not self.index >> height & 1 else (sibling, path[-1])
            made = sum_node(*pair) if self.summed else (inner_node(pair[0][0], pair[1][0]), 0)
            path.append(made)
        return tuple(path)

    @property
    def root(self) -> Digest:
        return self.nodes[-1][0]

    @property
    def ssq(self) -> int:
        return self.nodes[-1][1]

    @property
    def claims(self) -> SumClaims:
        pairs = zip(self.siblings, self.nodes, strict=False)
        return tuple((digest, ssq, own[1]) for (digest, ssq), own in pairs)


def sparse_path(leaf: bytes, index: int, depth: int, seed: int, *, summed: bool) -> SparsePath:
    """Siblings of any digest, with about the sums that such a model has."""
    rng = np.random.default_rng(seed)
    own = int(chunk_ssq(*decode_update(leaf, 1))[0]) if summed else 0
    siblings = tuple(
        (rng.bytes(32), int(own * rng.uniform(0.8, 1.2)) << height) for height in range(depth)
    )
    return SparsePath(siblings, leaf, index, summed)


@dataclass
class SparseRun(Run):
    """One segment, no momentum; every update and both models know one chunk only."""

    chunk: int = CHUNK_NUMBER
    paths: dict[tuple[int, int], SparsePath] = field(default_factory=dict)
    parent: SparsePath = field(init=False)
    proposed: SparsePath = field(init=False)
    shown: list[list[Digest]] = field(init=False)

    @property
    def court(self) -> Contract:
        assert self.stage.court is not None
        return self.stage.court

    @property
    def depth(self) -> int:
        return tree_depth(self.params.chunks)

    def path(self, seat: int, attempt: int) -> SparsePath:
        if (seat, attempt) not in self.paths:
            rng = np.random.default_rng([seat, attempt])
            # Training moves a weight by about 1e-4; units are 2^-22.
            leaf = encode_update(np.rint(rng.normal(0, 400, CHUNK)).astype(np.int64))
            made = sparse_path(leaf, self.chunk, self.depth, seat, summed=True)
            self.paths[seat, attempt] = made
        return self.paths[seat, attempt]

    def header(self, seat: int, round_id: int, attempt: int) -> UpdateHeader:
        """Honest but for one seat, whose header names another sum."""
        path = self.path(seat, attempt)
        ssq = 5 if seat == LIAR else path.ssq
        return replace(super().header(seat, round_id, attempt), update_root=path.root, ssq=ssq)

    def propose_wrong(self) -> None:
        """Propose the parent's chunk as if nothing had been learned."""
        self.proposed, self.shown = staged_path(self.parent.leaf, self.chunk, self.depth, 1)
        self.propose(AGGREGATOR, self.proposed.root)

    def proof(self, *, long: bool = False) -> ChunkProof:
        now = self.contract.current()
        openings = []
        for seat in sorted(self.seats):
            path = self.path(seat, now.attempt)
            openings.append(
                long_opening(path.leaf, path.claims)
                if long
                else short_opening(path.leaf, path.siblings)
            )
        return ChunkProof(
            chunk=self.chunk,
            inputs=self.inputs[now.round][0],
            openings=tuple(openings),
            old_leaf=self.parent.leaf,
            old_siblings=digests(self.parent.siblings),
        )

    def frozen_hash(self) -> bytes:
        """The inputs hash of the one segment."""
        return sha256(self.inputs[1][0]).digest()

    def norm_proof(self, seat: int) -> tuple[Any, ...]:
        """NormProof of a frozen update."""
        path = self.path(seat, 1)
        header = self.header(seat, 1, 1)
        words = (header.ssq, header.trace_root, header.class_id)
        return (
            0,
            self.inputs[1][0],
            seat,
            path.root,
            (*words, header.update_cid, header.update_size),
            path.index,
            long_opening(path.leaf, path.claims),
        )


def digests(siblings: Sequence[SumNode]) -> tuple[Digest, ...]:
    return tuple(digest for digest, _ in siblings)


def staged_path(
    leaf: bytes, index: int, depth: int, seed: int
) -> tuple[SparsePath, list[list[Digest]]]:
    """A path through a plain tree of which every node exists that a tree game shows.

    Gives also the children of each move, from the root down.
    """
    rng = np.random.default_rng(seed)
    steps = [STEP_LEVELS] * (depth // STEP_LEVELS)
    if depth % STEP_LEVELS:
        steps.append(depth % STEP_LEVELS)
    node, place, siblings, shown = leaf_node(leaf), index, [], []
    for step in reversed(steps):
        children = [rng.bytes(32) for _ in range(1 << step)]
        child = place & (1 << step) - 1
        children[child] = node
        path = child_siblings(children, child)
        siblings += path
        shown.insert(0, children)
        for height, sibling in enumerate(path):
            pair = (sibling, node) if child >> height & 1 else (node, sibling)
            node = inner_node(*pair)
        place >>= step
    return SparsePath(tuple((s, 0) for s in siblings), leaf, index, summed=False), shown


def create_sparse_run(
    stage: Stage, *, trainers: int, chunks: int = CHUNKS_OF_124M, chunk: int = CHUNK_NUMBER
) -> SparseRun:
    """A run of a large model, played until its merge is proposed wrong."""
    rng = np.random.default_rng(7)
    theta = np.rint(rng.normal(0, 0.02, CHUNK) * 2**22).astype(np.int32)
    parent = sparse_path(model_leaves(theta), chunk, tree_depth(chunks), 2 * 10**6, summed=False)
    contract = stage.create_contract(
        chunks=chunks, genesisRoot=parent.root, normBound=2**96 - 1, momentum=False
    )
    run = SparseRun(stage=stage, contract=contract, chunk=chunk)
    run.parent = parent
    for i in range(trainers):
        person = Person(f"trainer {i}")
        stage.evm.fund(person.address)
        run.enroll(person)
    run.deposit_bond(AGGREGATOR)
    run.open()
    everybody = sorted(run.seats)
    for first in range(0, trainers, 64):
        run.commit_batch(everybody[first : first + 64])
    for first in range(0, trainers, 64):
        run.reveal(everybody[first : first + 64])
    run.freeze(everybody)
    run.propose_wrong()
    return run
