"""A trainer's part of a round: from the public model, shards and seed to one update.

Everything that touches a float is decided by the arguments and the determinism class, so an auditor
who repeats the call on a machine of the same class gets the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning import determinism
from learning.loop import OptimizerFactory, Progress, TrainingLoop, Work
from learning.parameters import Theta
from learning.sgd import SGD
from learning.tasks.base import NO_PARAMETERS, ModelParameters, Task
from protocol.codec import encode_update
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import Layout
from protocol.spec import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalUpdate:
    """What a trainer commits to, and how the training went."""

    delta: NDArray[np.int64]  # [chunks * 256], in units of 2^-F, before encoding
    update_bytes: bytes  # [chunks * 257], update leaves of the whole model; a segment is a slice
    loss_first: float  # of the first step's batch
    loss_last: float  # of the last step's
    steps: int
    trace_digests: list[bytes]  # s_0 .. s_H, H <= hyper.checkpoints
    train_seconds: float


def local_update(
    *,
    task: Task,
    theta: Theta,
    layout: Layout,
    shards: Sequence[bytes],
    hyper: Training,
    seed: bytes,
    round_no: int,
    seat: int,
    device: determinism.Device = "auto",
    params: ModelParameters = NO_PARAMETERS,
    fraction_bits: int = FRACTION_BITS,
    progress: Progress | None = None,
    optimizer_factory: OptimizerFactory = SGD,
) -> LocalUpdate:
    """Train from `theta` (int32 [chunks * 256]) on the shards and return the quantised difference.

    Local seeds are derive(seed, "order", round, seat, epoch) for the order of the rows and
    derive(seed, "step", round, seat, step) for torch's generators (docs/protocol.md 5).

    Raises:
        InvalidShard: a shard's bytes are not what the task allows.
        InvalidTask: the task's model and the layout differ.
        NonFiniteUpdate: training diverged.
        NotRepresentable: a parameter grew beyond int32 in units of 2^-F.
        OutOfMemory: the device's memory is too small.

    """
    work = Work(
        task=task,
        theta=theta,
        layout=layout,
        shards=shards,
        hyper=hyper,
        seed=seed,
        round_no=round_no,
        seat=seat,
        device=device,
        params=params,
        fraction_bits=fraction_bits,
        optimizer_factory=optimizer_factory,
    )
    return train(work, progress)


def train(work: Work, progress: Progress | None = None) -> LocalUpdate:
    """Do the work; raises what `local_update` does."""
    started_s = time.perf_counter()
    loop = TrainingLoop(work)
    digests = loop.run(progress)
    delta = loop.delta()
    train_seconds = time.perf_counter() - started_s
    return LocalUpdate(
        delta=delta,
        update_bytes=encode_update(delta),
        loss_first=loop.loss_first,
        loss_last=loop.loss_last,
        steps=loop.steps,
        trace_digests=digests,
        train_seconds=train_seconds,
    )
