"""One configuration's share of a calibration: the same work in this process, and dishonest work.

    python -m learning.calibration TASK DEVICE FOLDER PARENT [--dishonest]

writes KIND-PARENT-STEPS.bin into FOLDER. The process is configured by its environment, which is
read when torch is loaded; so there is one for each configuration. PARENT is a file with a trained
model; who finds none makes it. Docs/calibration.md says what is made of the results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning import determinism
from learning.genesis import genesis
from learning.loop import TrainingLoop, Work
from learning.tasks import Rows, Task, load_task
from learning.tasks.classification import ClassificationTask
from learning.tasks.rows import pack_rows
from protocol.codec import UPDATE_LEAF_BYTES, decode_update, encode_update

STEPS = (1, 6, 24, 48, 96, 384)
TRAINED_STEPS = 48
HONEST = "honest"
FLIPPED = "flipped"
FAINT = "flipped-one"
"""Cheating too faint to be told from rounding; it is measured and shown, and no rule counts it."""

PARENTS = ("genesis", "trained")
_SHARDS = 4
_SEED = b"commonweight calibration of 2^-22"[:32]


def do_work(works: Mapping[str, Work], *, dishonest: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (KIND-PARENT-STEPS, update object): honest work and, if wanted, what cheats send."""
    for parent, work in works.items():
        honest = list(_updates(work, STEPS))
        kinds = {HONEST: honest}
        if dishonest:
            kinds["half"] = list(_updates(work, [steps // 2 for steps in STEPS]))
            kinds["random"] = [_same_size_noise(update) for update in honest]
            for kind, shards in _other_data(work):
                kinds[kind] = list(_updates(replace(work, shards=shards), STEPS))
        for kind, updates in kinds.items():
            for steps, update in zip(STEPS, updates, strict=True):
                yield f"{kind}-{parent}-{steps}", update


def make_works(task: Task, device: determinism.Device, parent: Path) -> dict[str, Work]:
    """The same work from the genesis model and from one that another seat has trained.

    The trained parent is the same integers in every configuration, as in a round.
    """
    layout, theta = genesis(task, seed=1)
    shards = _shards(task)
    work = Work(
        task=task,
        theta=theta,
        layout=layout,
        shards=shards[:1],
        hyper=replace(task.default_hyperparameters, epochs=1000),
        seed=_SEED,
        round_no=1,
        seat=0,
        device=device,
    )
    if not parent.exists():
        loop = TrainingLoop(replace(work, shards=shards[1:2], seat=1))
        loop.advance(TRAINED_STEPS)
        parent.write_bytes((theta + loop.delta()).astype("<i4").tobytes())
    trained = np.frombuffer(parent.read_bytes(), "<i4").astype(np.int32)
    return dict(zip(PARENTS, (work, replace(work, theta=trained)), strict=True))


def _updates(work: Work, steps: Sequence[int]) -> Iterator[bytes]:
    """The updates after so many steps of one training."""
    loop = TrainingLoop(work)
    for count in steps:
        loop.advance(count)
        yield encode_update(loop.delta())


def _shards(task: Task) -> list[bytes]:
    return [shard.data for shard in task.make_shards(_SHARDS, split="iid", alpha=0.3, seed=1)]


def _other_data(work: Work) -> Iterator[tuple[str, list[bytes]]]:
    """Shards that were not assigned: another, and own ones with false labels."""
    task = work.task
    yield "other-shard", _shards(task)[2:3]
    if not isinstance(task, ClassificationTask):
        return
    rows = task.parse_shard(work.shards[0])
    every = np.arange(len(rows["y"]))
    for kind, chosen in ((FLIPPED, every), ("flipped-tenth", every[::10]), (FAINT, every[:1])):
        yield kind, [_flip(task, rows, chosen)]


def _flip(task: ClassificationTask, rows: Rows, chosen: NDArray[np.int64]) -> bytes:
    column = task.columns["y"]
    labels = rows["y"].copy()
    labels[chosen] = column.least + column.greatest - labels[chosen]
    return pack_rows({**rows, "y": labels}).data


def _same_size_noise(update: bytes) -> bytes:
    """Noise chunk by chunk of the update's own norm: what a free-rider sends to look real."""
    q, e = decode_update(update, len(update) // UPDATE_LEAF_BYTES)
    values = np.random.default_rng(0).standard_normal(q.shape)
    norms = np.linalg.norm(q.astype(np.float64), axis=1, keepdims=True)
    values *= norms / np.linalg.norm(values, axis=1, keepdims=True)
    return encode_update(np.rint(np.ldexp(values, e[:, None].astype(np.int64))).astype(np.int64))


def main() -> None:
    """Do the work, write the updates, and print what this configuration is."""
    name, device, folder, parent, *options = sys.argv[1:]
    where = determinism.pick_device(device)  # type: ignore[arg-type] # it refuses unknown names
    works = make_works(load_task(name), device, Path(parent))  # type: ignore[arg-type] # as above
    for what, update in do_work(works, dishonest="--dishonest" in options):
        (Path(folder) / f"{what}.bin").write_bytes(update)
    print(json.dumps(determinism.describe(where)))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
