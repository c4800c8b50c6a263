"""Trainers that lie about their training: honest nodes around a lying learner."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from network.history import RunHistory
from network.run import RunParams
from protocol.spec import RunSpec
from protocol.types import Seat
from scripts.adversaries.judging import AccompliceSession
from scripts.adversaries.learners import LyingLearner, Scene
from trainer.training import Learned, Learner, ShardCache, Trainer
from trainer.updates import update_cid

_NO_BOUND = (1 << 96) - 1
"""What a header can state at most."""


class LearningSession(AccompliceSession):
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
            learner=replace(learner, update=self._unhurried(liar)),
        )

    def _unhurried(self, liar: LyingLearner) -> Callable[..., Learned]:
        """What the liar makes, after a while: everybody waits for its commitment."""

        def update(**inputs: Any) -> Learned:
            done = liar.update(**inputs)
            time.sleep(self.pace_s)
            return done

        return update

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
        return RunHistory(self.rpc, self.run, first_block=self.first_block)


def learning_session(kind: type[LyingLearner]) -> type[LearningSession]:
    """The session of an adversary whose only lie is what it learns."""
    return type(f"{kind.__name__}Session", (LearningSession,), {"learner_type": kind})
