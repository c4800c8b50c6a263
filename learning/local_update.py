"""A trainer's part of a round: from the public model, shards and seed to one update.

Everything that touches a float is decided by the arguments and the determinism class, so an auditor
who repeats the call on a machine of the same class gets the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning import determinism
from learning.parameters import Theta, build_model, quantize_model
from learning.sgd import SGD, Optimizer
from learning.tasks.base import NO_PARAMETERS, ModelParameters, Task
from learning.trace import checkpoint_steps, digest_state
from protocol.assignment import derive_seed
from protocol.codec import encode_update
from protocol.errors import OutOfMemory
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import Layout
from protocol.spec import Training

OptimizerFactory = Callable[[Iterable[nn.Parameter], Training], Optimizer]
# Called after every step with (steps done, steps in all, loss of the step's batch).
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalUpdate:
    """What a trainer commits to, and how the training went."""

    delta: NDArray[np.int64]  # [chunks * 256], in units of 2^-F, before encoding
    update_bytes: bytes  # [chunks * 257], update leaves of the whole model; a segment is a slice
    loss_first: float  # of the first step's batch
    loss_last: float  # of the last step's
    steps: int
    trace_digests: list[bytes]  # s_0 .. s_H, H <= 64
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
        OutOfMemory: the device's memory is too small.

    """
    determinism.pin()
    where = determinism.pick_device(device)
    columns = _gather_rows(task, shards)
    rows = len(next(iter(columns.values())))
    batches = list(_deal_batches(rows, hyper, seed, round_no, seat))
    steps = len(batches)
    checkpoints = set(checkpoint_steps(steps))
    losses: list[torch.Tensor] = []
    started_s = time.perf_counter()
    try:
        with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
            model = build_model(task, params, layout, theta, fraction_bits).to(where).train()
            data = {name: column.to(where) for name, column in columns.items()}
            optimizer = optimizer_factory(model.parameters(), hyper)
            digests = [digest_state(model, optimizer)]
            for step, batch in enumerate(batches, start=1):
                torch.manual_seed(derive_seed(seed, "step", round_no, seat, step))
                chosen = torch.from_numpy(batch).to(where)
                loss = task.loss(model, {name: column[chosen] for name, column in data.items()})
                model.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
                optimizer.step()
                losses.append(loss.detach())
                if step in checkpoints:
                    digests.append(digest_state(model, optimizer))
                if progress is not None:
                    progress(step, steps, float(losses[-1]))
            theta_new = quantize_model(model, layout, fraction_bits, steps)
    except torch.OutOfMemoryError as error:
        reason = f"{rows} rows in batches of {hyper.batch_size}: {str(error).split('. ')[0]}"
        raise OutOfMemory(device=str(where), reason=reason) from error
    train_seconds = time.perf_counter() - started_s
    delta = theta_new.astype(np.int64) - theta
    return LocalUpdate(
        delta=delta,
        update_bytes=encode_update(delta),
        loss_first=float(losses[0]),
        loss_last=float(losses[-1]),
        steps=steps,
        trace_digests=digests,
        train_seconds=train_seconds,
    )


def _gather_rows(task: Task, shards: Sequence[bytes]) -> dict[str, torch.Tensor]:
    """The rows of all shards, one after the other, by column, on the host."""
    parsed = [task.parse_shard(data) for data in shards]
    return {
        name: torch.from_numpy(np.concatenate([rows[name] for rows in parsed]))
        for name in parsed[0]
    }


def _deal_batches(
    rows: int, hyper: Training, seed: bytes, round_no: int, seat: int
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each step; an epoch sees every row once, and its last batch may be short."""
    for epoch in range(hyper.epochs):
        # Sorting Philox's raw output: numpy promises that stream for ever, but not shuffle()'s.
        keys = np.random.Philox(key=derive_seed(seed, "order", round_no, seat, epoch))
        order = np.argsort(keys.random_raw(rows), kind="stable")
        for start in range(0, rows, hyper.batch_size):
            yield order[start : start + hyper.batch_size]
