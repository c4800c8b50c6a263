"""What digesting the training states costs, and what a replay costs, as ratios of training time.

Clock ratios take the best of some repetitions, one after the other in turn, since machines are
shared. The training thread's own processor time tells what is left of the cost when the second
core, which hashes, is not taken by others.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from rich.table import Table
from torch import nn

from learning.genesis import genesis
from learning.local_update import train
from learning.loop import TrainingLoop, Work
from learning.replay import retrain
from learning.tasks import ClassificationTask, Column, Rows
from learning.tasks.base import ModelParameters
from learning.tasks.digits import DigitsTask
from protocol.spec import Training

CHECKPOINTS = (4, 16, 64)
_SEED = bytes(32)


class WideTask(ClassificationTask):
    """A multilayer perceptron of 10 million parameters on random rows; it learns nothing."""

    name = "wide"
    licence = "none"
    source = "random"
    columns: ClassVar[dict[str, Column]] = {
        "x": Column(dtype="float32", shape=(784,), least=-10, greatest=10),
        "y": Column(dtype="uint8", shape=(), least=0, greatest=9),
    }
    row_limit = 1 << 16

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def model(self, params: ModelParameters) -> nn.Module:
        """Return the untrained network; it has nothing to choose."""
        del params
        return nn.Sequential(
            *(nn.Linear(784, 2800), nn.ReLU(), nn.Linear(2800, 2800), nn.ReLU()),
            nn.Linear(2800, 10),
        )

    def load(self) -> tuple[Rows, Rows]:
        """Return rows of noise with labels in turn."""
        random = np.random.default_rng(0)
        x = random.standard_normal((self._rows + 10, 784), np.float32).clip(-9, 9)
        y = np.arange(self._rows + 10, dtype=np.uint8) % 10
        return {"x": x[10:], "y": y[10:]}, {"x": x[:10], "y": y[:10]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of one training: by the clock, and of the training thread's processor time."""

    wall_s: float
    thread_s: float


def make_works(*, quick: bool) -> Iterator[tuple[str, Work]]:
    """The trainings to measure: an epoch or two of a small and of a large model."""
    digits, wide = DigitsTask(), WideTask(2048 if quick else 8192)
    hypers = (
        (digits, digits.default_hyperparameters, 4),
        (digits, replace(digits.default_hyperparameters, epochs=20), 4),
        (wide, Training(epochs=1, batch_size=128, lr=0.01, momentum=0.9), 1),
    )
    for task, hyper, shards in hypers:
        layout, theta = genesis(task, seed=1)
        work = Work(
            task=task,
            theta=theta,
            layout=layout,
            shards=[task.make_shards(shards)[0].data],
            hyper=hyper,
            seed=_SEED,
            round_no=1,
            seat=0,
            device="cpu",
        )
        steps = TrainingLoop(work).steps
        yield f"{task.name}, {layout.element_count / 1e6:.1f}M parameters, {steps} steps", work


def trace_table(*, quick: bool) -> Table:
    """Training with a trace against training without, and a replay against the training."""
    table = Table(title="Cost of the trace and of a replay, ratios to training without a trace")
    for name in ("training", "checkpoints", "clock", "training thread", "replay / training"):
        table.add_column(name, justify="right")
    for name, work in make_works(quick=quick):
        repeats = 2 if quick else (9 if work.task.name == "digits" else 3)
        works: dict[str, Callable[[], object]] = {"plain": _plain(work)}
        for count in CHECKPOINTS:
            traced = replace(work, hyper=replace(work.hyper, checkpoints=count))
            works[f"trace {count}"] = _traced(traced)
        works["train"], works["replay"] = _whole(train, work), _whole(retrain, work)
        costs = measure(works, repeats)
        plain = costs["plain"]
        for count in CHECKPOINTS:
            cost = costs[f"trace {count}"]
            last = count == CHECKPOINTS[-1]
            table.add_row(
                name,
                str(count),
                f"{cost.wall_s / plain.wall_s:.3f}",
                f"{cost.thread_s / plain.thread_s:.3f}",
                f"{costs['replay'].wall_s / costs['train'].wall_s:.3f}" if last else "",
            )
    table.caption = f"torch {torch.__version__}, one thread, CPU; best of the repetitions"
    return table


def measure(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, Cost]:
    """The least cost of each, over repetitions that take turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            wall_s, thread_s = time.perf_counter(), time.thread_time()
            work()
            costs[name].append(
                Cost(wall_s=time.perf_counter() - wall_s, thread_s=time.thread_time() - thread_s)
            )
    return {
        name: Cost(
            wall_s=min(cost.wall_s for cost in found),
            thread_s=min(cost.thread_s for cost in found),
        )
        for name, found in costs.items()
    }


def _plain(work: Work) -> Callable[[], object]:
    def run() -> None:
        loop = TrainingLoop(work)
        loop.advance(loop.steps)

    return run


def _traced(work: Work) -> Callable[[], object]:
    return lambda: TrainingLoop(work).run()


def _whole(do: Callable[[Work], object], work: Work) -> Callable[[], object]:
    return lambda: do(work)
