"""Runs whose models and updates are bytes, so that the real merge court can compute them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from protocol.codec import decode_model, decode_update, model_leaf_bytes, model_leaves
from protocol.layout import CHUNK
from protocol.merge import MergeParams, merge_chunks
from protocol.merkle import MerkleTree, SumTree
from protocol.proofs import (
    STEP_LEVELS,
    ChunkProof,
    child_siblings,
    children_below,
    chunk_place,
    chunk_proof,
    first_difference,
    open_update,
    padding_proof,
    parse_inputs,
)
from protocol.rounds import UpdateHeader
from support.evm import Contract, Receipt
from support.runs import AGGREGATOR, KEEPER, TRAINERS, WITNESS, Person, Run, Stage

# States of a dispute.
NONE, CHILDREN, CHOICE, CHUNK_DUE, LEAF_DUE, UPHELD, REJECTED, MOOT = range(8)

Lies = Mapping[tuple[int, int], int]
"""Sums that digests name instead of the true ones, by (height, place)."""


@dataclass(frozen=True)
class Model:
    """A model object and its tree."""

    data: bytes
    momentum: bool

    @cached_property
    def tree(self) -> MerkleTree:
        return MerkleTree.from_leaves(self.data, self.leaf_bytes)

    @property
    def leaf_bytes(self) -> int:
        return model_leaf_bytes(momentum=self.momentum)

    @property
    def chunks(self) -> int:
        return len(self.data) // self.leaf_bytes

    def leaf(self, chunk: int) -> bytes:
        return self.data[chunk * self.leaf_bytes : (chunk + 1) * self.leaf_bytes]

    def with_leaf(self, chunk: int, leaf: bytes) -> "Model":
        at = chunk * self.leaf_bytes
        return replace(self, data=self.data[:at] + leaf + self.data[at + self.leaf_bytes :])

    def off_by(self, element: int, delta: int = 1) -> "Model":
        """One int32 of the object changed; elements count through theta and m of each leaf."""
        at = 4 * element
        value = int.from_bytes(self.data[at : at + 4], "big", signed=True) + delta
        value = (value + 2**31) % 2**32 - 2**31
        word = value.to_bytes(4, "big", signed=True)
        return replace(self, data=self.data[:at] + word + self.data[at + 4 :])


def genesis_model(chunks: int, *, momentum: bool, seed: int = 0) -> Model:
    """Elements over the whole range, and some at its ends, so that merges saturate."""
    rng = np.random.default_rng([seed, chunks])
    theta = rng.integers(-(2**31), 2**31, chunks * CHUNK).astype(np.int32)
    theta[::16], theta[1::16] = 2**31 - 1, -(2**31)
    m = rng.integers(-(2**24), 2**24, chunks * CHUNK).astype(np.int32) if momentum else None
    return Model(model_leaves(theta, m), momentum)


@dataclass
class JudgedRun(Run):
    """A run that trains on dice. `lies` and `header_ssq` hold what a seat says of its sums."""

    models: dict[int, Model] = field(default_factory=dict)
    lies: dict[int, Lies] = field(default_factory=dict)
    header_ssq: dict[int, int] = field(default_factory=dict)
    _updates: dict[tuple[int, int, int], tuple[bytes, SumTree]] = field(default_factory=dict)

    @property
    def court(self) -> Contract:
        assert self.stage.court is not None
        return self.stage.court

    @property
    def ends(self) -> tuple[int, ...]:
        return tuple(self.params.segmentEnds)

    # --- what people know

    def update(self, seat: int, round_id: int, attempt: int) -> tuple[bytes, SumTree]:
        """What a seat trained: random bytes, all of which decode."""
        key = (seat, round_id, attempt)
        if key not in self._updates:
            seed, roster = self.contract.getRound(round_id).seed, self.contract.roster()
            segment = self.segment_of(seat, bytes(seed), roster)
            chunks = self.ends[segment] - (self.ends[segment - 1] if segment else 0)
            raw = np.random.default_rng(key).integers(0, 256, (chunks, 257), np.uint8)
            tree = SumTree.from_leaves(raw.tobytes())
            if seat in self.lies:
                tree = SumTree.from_nodes(tree.levels[0], self.lies[seat])
            self._updates[key] = (raw.tobytes(), tree)
        return self._updates[key]

    def header(self, seat: int, round_id: int, attempt: int) -> UpdateHeader:
        _, tree = self.update(seat, round_id, attempt)
        made = super().header(seat, round_id, attempt)
        return replace(made, update_root=tree.root, ssq=self.header_ssq.get(seat, tree.ssq))

    def frozen(self, round_id: int, segment: int = 0) -> list[tuple[int, int, bytes, SumTree]]:
        """Seat, weight, update and tree of each included update of a segment."""
        found = []
        for entry in parse_inputs(self.inputs[round_id][segment]):
            made = (v for k, v in self._updates.items() if k[0] == entry.seat)
            update, tree = next(pair for pair in made if pair[1].root == entry.update_root)
            found.append((int(entry.seat), entry.weight, update, tree))
        return found

    @property
    def rule(self) -> MergeParams:
        p = self.params
        return MergeParams(lr=p.lr, mu=p.mu, nesterov=p.nesterov, momentum=p.momentum)

    def merged(
        self, round_id: int, *, parent: Model | None = None, rule: MergeParams | None = None
    ) -> Model:
        """The right model of a round whose inputs are frozen."""
        parent = self.models[round_id - 1] if parent is None else parent
        theta, m = decode_model(parent.data, parent.chunks, momentum=parent.momentum)
        theta, m = theta.copy(), None if m is None else m.copy()
        first = 0
        for segment, end in enumerate(self.ends):
            rows, updates = slice(first, end), self.frozen(round_id, segment)
            decoded = [decode_update(update, end - first) for _, _, update, _ in updates]
            weights = [weight for _, weight, _, _ in updates]
            part = None if m is None else m[rows]
            theta[rows], new_m = merge_chunks(
                theta[rows], part, decoded, weights, rule or self.rule
            )
            if m is not None and new_m is not None:
                m[rows] = new_m
            first = end
        return Model(model_leaves(theta, m), parent.momentum)

    # --- a round

    def merge(self, model: Model | None = None, person: Person = AGGREGATOR) -> Model:
        """Propose a model, the right one by default, for the round that waits for it."""
        round_id = int(self.contract.current().round)
        proposed = self.merged(round_id) if model is None else model
        self.models[round_id] = proposed
        self.propose(person, proposed.tree.root)
        return proposed

    def play_merge(self, model: Model | None = None) -> int:
        """A whole honest round up to its proposal."""
        round_id = self.play(until="merge")
        self.merge(model)
        return round_id

    def settle(self, round_id: int) -> Receipt:
        self.pass_dispute(round_id)
        return self.finalize(round_id)

    # --- proofs

    def chunk_proof(self, round_id: int, chunk: int, **changes: Any) -> ChunkProof:
        if chunk >= self.params.chunks:
            return padding_proof(chunk)
        place, parent = chunk_place(chunk, self.ends), self.models[round_id - 1]
        proof = chunk_proof(
            chunk=chunk,
            inputs=self.inputs[round_id][place.segment],
            openings=[
                open_update(update, tree, place.index)
                for _, _, update, tree in self.frozen(round_id, place.segment)
            ],
            parent=parent.data,
            parent_tree=parent.tree,
            momentum=parent.momentum,
        )
        return replace(proof, **changes)

    def merge_arguments(
        self,
        round_id: int,
        chunk: int,
        *,
        proposed: Model | None = None,
        proof: ChunkProof | None = None,
    ) -> tuple[Any, ...]:
        """Arguments of proveMerge."""
        model = self.models[round_id] if proposed is None else proposed
        depth = model.tree.depth
        siblings = [model.tree.node(height, chunk >> height ^ 1) for height in range(depth)]
        fields = (proof or self.chunk_proof(round_id, chunk)).fields
        node = model.tree.node(0, chunk)
        return (self.contract.address, round_id, fields, node, siblings)

    def prove(self, round_id: int, chunk: int, *, sender: Person = WITNESS, **how: Any) -> Receipt:
        arguments = self.merge_arguments(round_id, chunk, **how)
        return self.court.proveMerge(*arguments, sender=sender.address)

    def beginning(self, round_id: int) -> tuple[bytes, list[bytes]]:
        """Parent root and inputs hashes, as openChunk wants them."""
        hashes = [sha256(preimage).digest() for preimage in self.inputs[round_id]]
        return self.models[round_id - 1].tree.root, hashes


@dataclass
class TreeGame:
    """One dispute about a proposal, and the children that were shown last."""

    run: JudgedRun
    round_id: int
    challenger: Person = WITNESS
    id: int = 0
    children: list[bytes] = field(default_factory=list)

    @property
    def court(self) -> Contract:
        return self.run.court

    @property
    def dispute(self) -> Any:
        return self.court.disputes(self.id)

    def bond(self, answer: int) -> int:
        """The bond of the move that demands this answer."""
        updates = self.run.contract.current().rosterCount
        return int(self.court.bondWei(answer, updates))

    def challenge(self, value: int | None = None) -> Receipt:
        first = CHILDREN if self.run.params.chunks > 1 else CHUNK_DUE
        receipt: Receipt = self.court.challengeTree(
            self.run.contract.address,
            self.round_id,
            sender=self.challenger.address,
            value=self.bond(first) if value is None else value,
        )
        self.id = receipt.only("TreeChallenged").id
        return receipt

    def show(self, model: Model, *, sender: Person = AGGREGATOR) -> Receipt:
        dispute = self.dispute
        self.children = children_below(model.tree, dispute.level, dispute.index)
        receipt: Receipt = self.court.showChildren(self.id, self.children, sender=sender.address)
        return receipt

    def choose(
        self, child: int, *, value: int | None = None, sender: Person | None = None
    ) -> Receipt:
        last = self.dispute.level <= STEP_LEVELS
        receipt: Receipt = self.court.chooseChild(
            self.id,
            child,
            self.children[child],
            list(child_siblings(self.children, child)),
            sender=(sender or self.challenger).address,
            value=self.bond(CHUNK_DUE if last else CHILDREN) if value is None else value,
        )
        return receipt

    def choose_first_difference(self, right: Model) -> Receipt:
        dispute = self.dispute
        child = first_difference(
            children_below(right.tree, dispute.level, dispute.index), self.children
        )
        assert child is not None
        return self.choose(child)

    def descend(self, shown: Model, right: Model) -> None:
        """Play until the chunk is due, the challenger knowing what is right."""
        while self.dispute.state == CHILDREN:
            self.show(shown)
            self.choose_first_difference(right)

    def descend_to(self, shown: Model, chunk: int) -> None:
        """Play until this chunk is due, right or wrong."""
        while (dispute := self.dispute).state == CHILDREN:
            self.show(shown)
            below = dispute.level - min(STEP_LEVELS, dispute.level)
            self.choose(chunk >> below & len(self.children) - 1)

    def open(self, proof: ChunkProof | None = None, *, sender: Person = AGGREGATOR) -> Receipt:
        parent, hashes = self.run.beginning(self.round_id)
        opened = proof or self.run.chunk_proof(self.round_id, self.dispute.index)
        receipt: Receipt = self.court.openChunk(
            self.id, parent, hashes, opened.fields, sender=sender.address
        )
        return receipt

    def end(self, *, sender: Person = KEEPER) -> Receipt:
        receipt: Receipt = self.court.endDispute(self.id, sender=sender.address)
        return receipt

    def run_out(self) -> Receipt:
        """Let the mover's clock run out, and end the dispute."""
        self.run.evm.sleep_until(self.dispute.deadline + 1)
        return self.end()


def create_judged_run(stage: Stage, *, trainers: int = 3, **overrides: Any) -> JudgedRun:
    """A run of five chunks with trainers of equal stake and a bonded aggregator."""
    momentum = bool(overrides.get("momentum", False))
    chunks = overrides.setdefault("chunks", 5)
    genesis = genesis_model(chunks, momentum=momentum)
    own = {"genesisRoot": genesis.tree.root, "normBound": 2**96 - 1}
    contract = stage.create_contract(**own | overrides)
    run = JudgedRun(stage=stage, contract=contract, models={0: genesis})
    for i in range(trainers):
        person = Person(f"trainer {i}")
        if person not in TRAINERS:
            stage.evm.fund(person.address)
        run.enroll(person)
    run.deposit_bond(AGGREGATOR)
    return run
