"""The training loop: from a round's public inputs, any stretch of steps, from any state between.

Trainers, auditors and jurors run this one loop, so they differ in nothing but where they start and
stop. All that a step needs beside the state is derived from the inputs and the step's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning import determinism
from learning.parameters import Theta, build_model, quantize_model
from learning.sgd import SGD, ResumableOptimizer
from learning.state import export_state, load_state
from learning.tasks.base import NO_PARAMETERS, ModelParameters, Task
from learning.trace import TraceRecorder, checkpoint_steps
from protocol.assignment import derive_seed
from protocol.errors import OutOfMemory
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import Layout
from protocol.spec import Training

OptimizerFactory = Callable[[Iterable[nn.Parameter], Training], ResumableOptimizer]
# Called after every step with (steps done, steps in all, loss of the step's batch).
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one seat has to do in one round; with the determinism class it decides every bit."""

    task: Task
    theta: Theta  # the parent model, int32 [chunks * 256]
    layout: Layout
    shards: Sequence[bytes]
    hyper: Training
    seed: bytes
    round_no: int
    seat: int
    device: determinism.Device = "auto"
    params: ModelParameters = field(default_factory=lambda: NO_PARAMETERS)
    fraction_bits: int = FRACTION_BITS
    optimizer_factory: OptimizerFactory = SGD


class TrainingLoop:
    """Stands after `step` of `steps` steps; it begins at the parent model, before step 1.

    Raises:
        InvalidShard: a shard's bytes are not what the task allows.
        InvalidTask: the task's model and the layout differ.
        OutOfMemory: the device's memory is too small; `advance` may raise it too.

    """

    def __init__(self, work: Work) -> None:
        determinism.pin()
        self._work = work
        self._where = determinism.pick_device(work.device)
        columns = _gather_rows(work.task, work.shards)
        self._rows = len(next(iter(columns.values())))
        self._epoch, self._order = -1, np.empty(0, np.int64)
        self._steps_per_epoch = -(-self._rows // work.hyper.batch_size)
        self.steps = self._steps_per_epoch * work.hyper.epochs
        self.checkpoints = checkpoint_steps(self.steps, work.hyper.checkpoints)
        self.step = 0
        self._losses: list[torch.Tensor] = []  # of the first and the last step's batch
        with self._on_device():
            self.model = build_model(
                work.task, work.params, work.layout, work.theta, work.fraction_bits
            )
            self.model.to(self._where).train()
            self._data = {name: column.to(self._where) for name, column in columns.items()}
            self.optimizer = work.optimizer_factory(self.model.parameters(), work.hyper)

    @property
    def loss_first(self) -> float:
        """The loss of the first step that was done here, before it."""
        return float(self._losses[0])

    @property
    def loss_last(self) -> float:
        """The loss of the last step that was done here, before it."""
        return float(self._losses[-1])

    def resume(self, state: bytes, step: int) -> None:
        """Stand after `step` steps with a state from a stranger; raises InvalidState."""
        load_state(state, self.model, self.optimizer)
        self.step = step

    def state(self) -> bytes:
        """Return the state as it stands, encoded as in docs/protocol.md section 7."""
        return export_state(self.model, self.optimizer)

    def advance(self, to: int, progress: Progress | None = None) -> None:
        """Train until after step `to`."""
        with self._on_device():
            while self.step < to:
                self.step += 1
                self._train_one(self.step)
                if progress is not None:
                    progress(self.step, self.steps, self.loss_last)

    def run(self, progress: Progress | None = None) -> list[bytes]:
        """Train to the end and return the trace digests s_0 .. s_H."""
        with TraceRecorder() as trace:
            for checkpoint in self.checkpoints:
                self.advance(checkpoint, progress)
                trace.record(self.model, self.optimizer)
            return trace.digests()

    def delta(self) -> NDArray[np.int64]:
        """Return what the steps changed, int64 [chunks * 256] in units of 2^-F, before encoding.

        Raises:
            NonFiniteUpdate: a parameter is NaN or infinite.
            NotRepresentable: a finite parameter is too large for int32.

        """
        work = self._work
        theta_new = quantize_model(self.model, work.layout, work.fraction_bits, self.step)
        return theta_new.astype(np.int64) - work.theta

    def _train_one(self, step: int) -> None:
        work = self._work
        torch.manual_seed(derive_seed(work.seed, "step", work.round_no, work.seat, step))
        loss = work.task.loss(self.model, self._batch(step))
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.optimizer.step()
        self._losses[1:] = [loss.detach()]  # a float would make a GPU wait at every step

    def _batch(self, step: int) -> Mapping[str, torch.Tensor]:
        """Rows of a step; an epoch sees every row once, and its last batch may be short."""
        epoch, place = divmod(step - 1, self._steps_per_epoch)
        work, size = self._work, self._work.hyper.batch_size
        if epoch != self._epoch:
            # Sorting Philox's raw output: numpy promises that stream for ever, but not shuffle()'s.
            key = derive_seed(work.seed, "order", work.round_no, work.seat, epoch)
            keys = np.random.Philox(key=key).random_raw(self._rows)
            self._epoch, self._order = epoch, np.argsort(keys, kind="stable")
        chosen = torch.from_numpy(self._order[place * size : (place + 1) * size]).to(self._where)
        return {name: column[chosen] for name, column in self._data.items()}

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        """Leave torch's generators as they were, and say what to do if memory is short."""
        devices = [self._where] if self._where.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                yield
        except torch.OutOfMemoryError as error:
            batch = self._work.hyper.batch_size
            reason = f"{self._rows} rows in batches of {batch}: {str(error).split('. ')[0]}"
            raise OutOfMemory(device=str(self._where), reason=reason) from error


def _gather_rows(task: Task, shards: Sequence[bytes]) -> dict[str, torch.Tensor]:
    """The rows of all shards, one after the other, by column, on the host."""
    parsed = [task.parse_shard(data) for data in shards]
    return {
        name: torch.from_numpy(np.concatenate([rows[name] for rows in parsed]))
        for name in parsed[0]
    }
