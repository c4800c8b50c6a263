"""What an adversary that trains opens instead of `trainer.setup.Session`, and how it is run."""

import signal
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from coordinator.commands import read_address
from network.heads import HeadWatcher
from network.history import RunHistory
from network.rpc import Rpc
from network.run import RunContract, RunParams
from network.settings import Settings
from network.transactions import TransactionSender
from protocol.rounds import popcount
from protocol.spec import RunSpec
from protocol.types import Seat
from scripts.adversaries.learners import LyingLearner, Scene
from trainer.account import TrainerAccount
from trainer.report import LineReport
from trainer.setup import Session, StartOptions
from trainer.training import Learner, ShardCache, Trainer
from trainer.updates import update_cid

_ENROLMENT_S = 300.0
_NO_BOUND = (1 << 96) - 1
"""What a header can state at most."""


class LateAccount(TrainerAccount):
    """Takes a seat after `others` are taken, so that the first round is never short of honesty."""

    def __init__(
        self,
        *,
        rpc: Rpc,
        run: RunContract,
        sender: TransactionSender,
        heads: HeadWatcher,
        others: int,
    ) -> None:
        super().__init__(rpc=rpc, run=run, sender=sender, court=None)
        self._heads = heads
        self._others = others

    def enroll(self, stake_gwei: int) -> Seat:
        """Wait for the others, then enroll."""
        self._heads.wait_for(
            lambda: popcount(self._run.read("seatsUsed")) >= self._others or None,
            timeout_s=_ENROLMENT_S,
        )
        return super().enroll(stake_gwei)


class LyingSession(Session):
    """What `commonweight-trainer` opens, for an adversary."""

    others = 0

    @cached_property
    def account(self) -> TrainerAccount:
        """The key's money and seat."""
        return LateAccount(
            rpc=self.rpc, run=self.run, sender=self.sender, heads=self.heads, others=self.others
        )


class LearningSession(LyingSession):
    """Everything of an honest trainer but what `learner_type` makes of the training."""

    learner_type: ClassVar[type[LyingLearner]]

    def make_trainer(
        self, *, spec: RunSpec, params: RunParams, shards: ShardCache, learner: Learner
    ) -> Trainer:
        """A trainer that takes what the liar gives it, whatever its norm."""
        scene = Scene(spec=spec, norm_bound=params.norm_bound, earlier=self._read_updates)
        liar = self.learner_type(learner, scene)
        return super().make_trainer(
            spec=spec,
            params=replace(params, norm_bound=_NO_BOUND),
            shards=shards,
            learner=replace(learner, update=liar.update),
        )

    def _read_updates(self, round_no: int) -> Mapping[Seat, bytes]:
        """What a round's trainers revealed. Called by the thread that trains, and by no other."""
        found = self._past.update().rounds.get(round_no)
        headers = {} if found is None else {s: one.header for s, one in found.reveals.items()}
        return {
            seat: self.store.get(update_cid(header), max_bytes=header.update_size)
            for seat, header in headers.items()
        }

    @cached_property
    def _past(self) -> RunHistory:
        """Its own: the node's is read by another thread."""
        return RunHistory(self.rpc, self.run, first_block=self._first_block)


def learning_session(kind: type[LyingLearner]) -> type[LearningSession]:
    """The session of an adversary whose only lie is what it learns."""
    return type(f"{kind.__name__}Session", (LearningSession,), {"learner_type": kind})


def run_trainer(
    kind: type[LyingSession], settings: Settings, run: str, others: int, options: StartOptions
) -> None:
    """Train as everybody may, and lie about it."""
    report = LineReport(as_json=True)
    with ExitStack() as stack:
        session = kind(settings, stack, run=read_address("--run", run))
        session.others = others
        with session.node(options, report) as node:
            signal.signal(signal.SIGTERM, lambda *_: node.stop())
            node.follow()
