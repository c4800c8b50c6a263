"""Promise A of docs/protocol.md section 8: what is wrong convicts, what is right never does.

The court is asked by eth_call, so that one proposal serves many questions.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from support.evm import Reverted
from support.judged import JudgedRun, Model, create_judged_run
from support.runs import WITNESS, Stage

from protocol.codec import decode_model, decode_update, model_leaves
from protocol.merge import merge_chunks
from protocol.proofs import first_difference

WRONG_MERGES = 240
RIGHT_CHUNKS = 240
SETTINGS: tuple[dict[str, Any], ...] = (
    {"trainers": 3, "chunks": 5},
    {"trainers": 5, "chunks": 9, "segments": 2, "lr": 1024},
    {"trainers": 4, "chunks": 6, "momentum": True, "mu": 230, "lr": 77},
    {"trainers": 4, "chunks": 4, "momentum": True, "mu": 255, "nesterov": True, "lr": 179},
)


@dataclass
class Wrongs:
    """Ways to merge wrong, by dice."""

    run: JudgedRun
    round_id: int
    rng: np.random.Generator

    @property
    def right(self) -> Model:
        return self.run.merged(self.round_id)

    def one_element(self) -> Model:
        """Off by one, in theta or in momentum."""
        element = int(self.rng.integers(len(self.right.data) // 4))
        return self.right.off_by(element, int(self.rng.choice([-1, 1])))

    def one_bit(self) -> Model:
        at = int(self.rng.integers(len(self.right.data)))
        raw = bytearray(self.right.data)
        raw[at] ^= 1 << int(self.rng.integers(8))
        return replace(self.right, data=bytes(raw))

    def weight(self) -> Model:
        """One weight of the last segment is another."""
        return self._last_segment(lambda k, weights: weights.__setitem__(k, weights[k] - 4096))

    def left_out(self) -> Model:
        """An update of the last segment counts nothing."""
        return self._last_segment(lambda k, weights: weights.__setitem__(k, 0))

    def rule(self) -> Model:
        """Other momentum, or another learning rate."""
        own = self.run.rule
        lr = own.lr - 1 if own.lr > 1 else 2
        other = replace(own, mu=own.mu ^ 1) if own.momentum else replace(own, lr=lr)
        return self.run.merged(self.round_id, rule=other)

    def stale(self) -> Model:
        """Merged into the model before the parent."""
        return self.run.merged(self.round_id, parent=self.run.models[self.round_id - 2])

    def swapped(self) -> Model:
        a, b = self.rng.choice(self.right.chunks, 2, replace=False)
        one, other = self.right.leaf(int(a)), self.right.leaf(int(b))
        return self.right.with_leaf(int(a), other).with_leaf(int(b), one)

    def unmerged(self) -> Model:
        """One chunk stays as it was."""
        chunk = int(self.rng.integers(self.right.chunks))
        parent = self.run.models[self.round_id - 1]
        return self.right.with_leaf(chunk, parent.leaf(chunk))

    def one_more(self) -> Model:
        """A leaf where padding belongs, or none where one belongs."""
        if 1 << self.right.tree.depth > self.right.chunks:
            return replace(self.right, data=self.right.data + self.right.leaf(0))
        return self.right.off_by(0)

    def _last_segment(self, change: Any) -> Model:
        parent, ends = self.run.models[self.round_id - 1], self.run.ends
        segment = len(ends) - 1
        rows = slice(ends[-2] if segment else 0, ends[-1])
        frozen = self.run.frozen(self.round_id, segment)
        weights = [weight for _, weight, _, _ in frozen]
        change(int(self.rng.integers(len(weights))), weights)
        updates = [decode_update(update, rows.stop - rows.start) for _, _, update, _ in frozen]
        old, old_m = decode_model(parent.data, parent.chunks, momentum=parent.momentum)
        part = None if old_m is None else old_m[rows]
        theta, m = decode_model(self.right.data, parent.chunks, momentum=parent.momentum)
        theta[rows], new_m = merge_chunks(old[rows], part, updates, weights, self.run.rule)
        if m is not None and new_m is not None:
            m[rows] = new_m
        return Model(model_leaves(theta, m), parent.momentum)


KINDS = (
    "one_element",
    "one_bit",
    "weight",
    "left_out",
    "rule",
    "stale",
    "swapped",
    "unmerged",
    "one_more",
)


@pytest.fixture(params=range(len(SETTINGS)), ids=["plain", "segments", "momentum", "nesterov"])
def waiting(request: pytest.FixtureRequest, court_stage: Stage) -> Wrongs:
    """A run whose second round waits for its merge; some sums lie, stakes differ."""
    run = create_judged_run(court_stage, **SETTINGS[request.param])
    run.lies[1] = {(0, 0): 3, (1, 0): 8}
    run.play_merge()
    round_id = run.play(until="merge")
    return Wrongs(run, round_id, np.random.default_rng(request.param))


def judge(run: JudgedRun, round_id: int, chunk: int) -> str:
    """Simulate proveMerge of one chunk: "convicted", or the error's name."""
    arguments = run.merge_arguments(round_id, chunk)
    try:
        run.court.read("proveMerge", *arguments, sender=WITNESS.address)
    except Reverted as error:
        return error.name
    return "convicted"


def test_every_wrong_merge_is_convicted_by_its_first_wrong_chunk(waiting: Wrongs) -> None:
    run, round_id = waiting.run, waiting.round_id
    right = waiting.right
    tried = 0
    while tried < WRONG_MERGES // len(SETTINGS):
        kind = KINDS[tried % len(KINDS)]
        wrong = getattr(waiting, kind)()
        if wrong.tree.root == right.tree.root:
            continue  # such an error that rounding hid it is none
        before = run.evm.snapshot()
        run.merge(wrong)
        leaves = [[m.tree.node(0, i) for i in range(1 << m.tree.depth)] for m in (right, wrong)]
        chunk = first_difference(*leaves)
        assert chunk is not None
        assert judge(run, round_id, chunk) == "convicted", (kind, chunk)
        same = [i for i, (a, b) in enumerate(zip(*leaves, strict=True)) if a == b]
        if same:
            other = int(waiting.rng.choice(same))
            assert judge(run, round_id, other) == "ChunkIsRight", (kind, other)
        run.evm.revert(before)
        tried += 1


def test_no_right_merge_is_convicted(waiting: Wrongs) -> None:
    """Every place of several rounds' models is asked for, padding included."""
    run, asked = waiting.run, 0
    run.merge()
    while asked < RIGHT_CHUNKS // len(SETTINGS):
        round_id = int(run.contract.current().round)
        for chunk in range(1 << run.models[round_id].tree.depth):
            assert judge(run, round_id, chunk) == "ChunkIsRight"
            asked += 1
        if round_id >= 2:
            run.pass_dispute(round_id - 1)
            run.finalize(round_id - 1)
        run.play_merge()


def test_saturated_elements_are_among_them(waiting: Wrongs) -> None:
    """The models above stay at both ends of int32, or the tests would not try that rule."""
    model = waiting.right
    theta, _ = decode_model(model.data, model.chunks, momentum=model.momentum)
    assert (int(theta.max()), int(theta.min())) == (2**31 - 1, -(2**31))
