"""Stand-ins for a trainer's learner: the one place where an update and its trace are made.

A lie needs nothing of the node around it, so that the same lie is told in a run with courts, and in
a process without any (`make attacks`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from learning.tasks import Rows, Task, load_task
from learning.tasks.rows import pack_rows
from protocol.spec import RunSpec, Training
from protocol.types import Digest, Seat
from scripts.adversaries.lies import boosted, invented_trace, scaled, ssq_of, stretched
from trainer.training import Learned, Learner, load_learner

Earlier = Callable[[int], Mapping[Seat, bytes]]
"""The update objects of a round that is over, by seat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What an adversary knows of a run; `norm_bound` is in units of 4^-F."""

    spec: RunSpec
    norm_bound: int
    earlier: Earlier
    device: str = "auto"


class LyingLearner(ABC):
    """Makes a lie where `trainer.training.Learner.update` makes an update."""

    bounded: ClassVar[bool] = True
    """Whether its updates stay within the norm bound and so are caught by what they are."""

    def __init__(self, honest: Learner, scene: Scene) -> None:
        self.honest = honest
        self.scene = scene
        self.chunks = scene.spec.layout.chunk_count

    @abstractmethod
    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """The lie of a round."""

    @cached_property
    def task(self) -> Task:
        """The run's task."""
        return load_task(self.scene.spec.task)

    def steps_due(self, shards: list[bytes]) -> int:
        """The steps of an honest training on the shards."""
        rows = sum(row_count(self.task.parse_shard(data)) for data in shards)
        training = self.scene.spec.training
        return training.epochs * -(-rows // training.batch_size)

    def trace_due(self, shards: list[bytes]) -> int:
        """How many digests an honest trace has."""
        from learning.trace import checkpoint_steps  # noqa: PLC0415 - torch takes seconds

        checkpoints = self.scene.spec.training.checkpoints
        return len(checkpoint_steps(self.steps_due(shards), checkpoints))

    def claimed(
        self, update: bytes, *, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """An update that nobody trained, under an invented trace of the right length."""
        length = self.trace_due(shards)
        return Learned(
            update_bytes=update,
            trace_digests=list(invented_trace(length, seed=seed, round_no=round_no, seat=seat)),
            loss_first=1.0,
            loss_last=0.5,
            steps=self.steps_due(shards),
            train_s=0.0,
        )


class Lazy(LyingLearner):
    """Does half of the steps; then its trace stands still, to be as long as it should be."""

    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """Half of an honest update, true as far as it goes."""
        if self.scene.spec.training.epochs > 1:
            given = shards
        else:
            given = [self._half(data) for data in shards]
        done = self._hurried.update(
            model=model, shards=given, seed=seed, round_no=round_no, seat=seat
        )
        digests = stretched([Digest(one) for one in done.trace_digests], self.trace_due(shards))
        return replace(done, trace_digests=list(digests), steps=self.steps_due(shards))

    @cached_property
    def _hurried(self) -> Learner:
        training = self.scene.spec.training
        half: Training = replace(training, epochs=max(1, training.epochs // 2))
        return load_learner(replace(self.scene.spec, training=half), device=self.scene.device)

    def _half(self, data: bytes) -> bytes:
        rows = self.task.parse_shard(data)
        keep = -(-row_count(rows) // 2)
        return pack_rows({name: column[:keep] for name, column in rows.items()}).data


BOOST = 2.0
"""How many times beyond the norm bound a booster goes."""


class Booster(LyingLearner):
    """Scales an honest update: in odd rounds beyond the norm bound, in even ones just up to it."""

    bounded = False

    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """A true update many times as large, under the trace of its training."""
        done = self.honest.update(
            model=model, shards=shards, seed=seed, round_no=round_no, seat=seat
        )
        return replace(done, update_bytes=self._boost(done.update_bytes, round_no))

    def _boost(self, update: bytes, round_no: int) -> bytes:
        bound = self.scene.norm_bound
        within = boosted(update, ssq=bound)
        if round_no % 2 == 0:
            return within
        return scaled(within, BOOST) if ssq_of(within) else within


def row_count(rows: Rows) -> int:
    """Rows of a shard."""
    return min(len(column) for column in rows.values())
