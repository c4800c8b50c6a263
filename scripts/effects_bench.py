"""What screening and held-out effects say of honest and dishonest updates, round by round.

Digits, four equal trainers, alike shards and Dirichlet(0.3). The honest model is merged; every
other update is only judged, as the fifth that a cheat would send in the place of trainer 0's.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from rich.table import Table

from learning.calibration import noise_like
from learning.effects import HARM_MARGIN, WeighedUpdate, measure_effects
from learning.genesis import genesis
from learning.local_update import train
from learning.loop import Work
from learning.screening import cosines_of
from learning.tasks.digits import DigitsTask
from learning.tasks.partition import Split
from learning.tasks.rows import pack_rows
from protocol.codec import decode_update, dequantize_update, encode_update
from protocol.layout import CHUNK
from protocol.merge import WEIGHT_ONE, MergeParams, merge_chunks
from protocol.types import Seat, SegmentId

TRAINERS = 4
_WEIGHT = WEIGHT_ONE // TRAINERS
HONEST = "honest"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was seen of one kind of update."""

    gains: list[float] = field(default_factory=list)
    harmful: int = 0


def effects_table(*, quick: bool) -> Table:
    """How often each kind of update is called harmful, and how near honest updates are."""
    table = Table(title=f"Held-out effect at merge weight; harmful: loss grows by > {HARM_MARGIN}")
    for name in ("shards", "update", "seen", "harmful", "worst gain", "median gain", "cosine"):
        table.add_column(name, justify="right")
    spent_s, evaluated = 0.0, 0
    splits: tuple[Split, ...] = ("iid", "dirichlet")
    for split in splits:
        tallies: dict[str, Tally] = {}
        nearest = 0.0
        for seed in (1,) if quick else (1, 2, 3):
            for works, updates in _rounds(split, seed, 4 if quick else 12):
                cosines = cosines_of(updates)
                nearest = max(nearest, float(cosines[~np.eye(TRAINERS, dtype=bool)].max()))
                names, sent = _kinds(works[0], updates)
                started_s = time.thread_time()
                _judge(works[0], names, sent, tallies)
                spent_s, evaluated = spent_s + time.thread_time() - started_s, evaluated + len(sent)
        for name, tally in tallies.items():
            table.add_row(
                split,
                name,
                str(len(tally.gains)),
                str(tally.harmful),
                f"{min(tally.gains):+.3f}",
                f"{float(np.median(tally.gains)):+.3f}",
                f"{nearest:.2f}" if name == HONEST else "",
            )
    table.caption = f"{1000 * spent_s / evaluated:.0f} ms of one thread per update and 360 rows"
    return table


def _rounds(split: Split, seed: int, rounds: int) -> list[tuple[list[Work], list[bytes]]]:
    """The honest run: what each trainer had to do, and did."""
    task = DigitsTask()
    layout, theta = genesis(task, seed=seed)
    shards = [s.data for s in task.make_shards(TRAINERS, split=split, alpha=0.3, seed=seed)]
    told = []
    for round_no in range(1, rounds + 1):
        works = [
            Work(
                task=task,
                theta=theta,
                layout=layout,
                shards=[shard],
                hyper=task.default_hyperparameters,
                seed=bytes([round_no, seed]) * 16,
                round_no=round_no,
                seat=seat,
                device="cpu",
            )
            for seat, shard in enumerate(shards)
        ]
        updates = [train(work).update_bytes for work in works]
        told.append((works, updates))
        decoded = [decode_update(update, layout.chunk_count) for update in updates]
        weights = [_WEIGHT] * TRAINERS
        merged, _ = merge_chunks(theta.reshape(-1, CHUNK), None, decoded, weights, MergeParams())
        theta = merged.reshape(-1)
    return told


def _kinds(work: Work, updates: list[bytes]) -> tuple[list[str], list[bytes]]:
    """Honest updates, and what cheats send in the place of the first."""
    rows = work.task.parse_shard(work.shards[0])
    flipped = pack_rows({**rows, "y": 9 - rows["y"]}).data
    delta = dequantize_update(*decode_update(updates[0], work.layout.chunk_count))
    bad: Mapping[str, bytes] = {
        "flipped labels": train(replace(work, shards=[flipped])).update_bytes,
        "noise of its norm": noise_like(updates[0]),
        "boosted 8 times": encode_update(delta * 8),
        "boosted 20 times": encode_update(delta * 20),
        "the opposite": encode_update(-delta),
    }
    return [HONEST] * len(updates) + list(bad), updates + list(bad.values())


def _judge(work: Work, names: list[str], sent: list[bytes], tallies: dict[str, Tally]) -> None:
    effects = measure_effects(
        task=work.task,
        theta=work.theta,
        layout=work.layout,
        test_set=work.task.test_set(),
        updates={
            Seat(seat): WeighedUpdate(segment=SegmentId(0), data=data, weight=_WEIGHT)
            for seat, data in enumerate(sent)
        },
        device="cpu",
    )
    for name, effect in zip(names, effects.values(), strict=True):
        tally = tallies.setdefault(name, Tally())
        tally.gains.append(effect.gain)
        tally.harmful += effect.harmful
