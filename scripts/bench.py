"""`make bench`: gas, merge and hashing against the machine's own limits, and what a round costs.

Everything is measured in one run and printed as a ratio, since machines are shared. `--quick` takes
smaller arrays; `--only gas --only court` some parts.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from protocol.codec import UPDATE_LEAF_BYTES, decode_update
from protocol.layout import CHUNK
from protocol.merge import MergeParams, merge_chunks
from protocol.merkle import MerkleTree, SumTree
from scripts.court_gas import tables as court_tables
from scripts.gas_bench import harness
from scripts.gas_bench import measure as measure_gas
from scripts.gas_bench import table as gas_table
from scripts.trial_gas import tables as trial_tables

_REPEATS = 3
_CORES = os.cpu_count() or 1


def _best_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def read_bandwidth(size: int = 1 << 30) -> float:
    """Bytes per second that all cores together read from memory (numpy's sum over int64)."""
    data = np.ones(size // 8, np.int64)
    parts = np.array_split(data, _CORES)
    with ThreadPoolExecutor(_CORES) as pool:
        return size / _best_s(lambda: list(pool.map(np.sum, parts)))


def merge_table(parameters: int) -> Table:
    """The exact merge of K int8 updates, in bytes of input per second."""
    table = Table(title=f"Exact merge, {parameters / 1e6:.0f}M parameters, numpy")
    for name in ("K", "momentum", "GB/s of int8 input", "of read bandwidth"):
        table.add_column(name, justify="right")
    limit = read_bandwidth()
    chunks = parameters // CHUNK
    rng = np.random.default_rng(0)
    for k in (4, 8, 32):
        # The same bytes under every update: what is measured is reading them, not making them.
        raw = rng.bytes(chunks * UPDATE_LEAF_BYTES)
        updates = [decode_update(bytearray(raw), chunks) for _ in range(k)]
        weights = [65536 // k] * k
        theta = rng.integers(-(1 << 22), 1 << 22, (chunks, CHUNK), np.int32)
        for momentum in (False, True):
            params = MergeParams(
                lr=256 if not momentum else 179,
                mu=128 if momentum else 0,
                nesterov=momentum,
                momentum=momentum,
            )
            m = theta if momentum else None
            work = lambda: merge_chunks(theta, m, updates, weights, params)  # noqa: B023, E731 - called here
            rate = k * chunks * CHUNK / _best_s(work)
            table.add_row(
                str(k), "yes" if momentum else "no", f"{rate / 1e9:.2f}", f"{rate / limit:.3f}"
            )
    table.caption = f"read bandwidth in this run: {limit / 1e9:.1f} GB/s on {_CORES} cores"
    return table


def tree_table(size: int) -> Table:
    """Merkle trees over an object, beside SHA-256 over the same bytes at once."""
    import hashlib  # noqa: PLC0415 - for this table alone

    table = Table(title=f"Trees over {size >> 20} MiB, one thread")
    for name in ("what", "MB/s", "of plain SHA-256"):
        table.add_column(name, justify="right")
    update = np.random.default_rng(0).bytes(size // UPDATE_LEAF_BYTES * UPDATE_LEAF_BYTES)
    plain = len(update) / _best_s(lambda: hashlib.sha256(update).digest())
    rows: list[tuple[str, Callable[[], object]]] = [
        ("update sum tree, 257 B leaves", lambda: SumTree.from_leaves(update)),
        (
            "model tree, 1 KiB leaves",
            lambda: MerkleTree.from_leaves(update[: len(update) >> 10 << 10], 1024),
        ),
    ]
    for name, work in rows:
        rate = len(update) / _best_s(work)
        table.add_row(name, f"{rate / 1e6:.0f}", f"{rate / plain:.2f}")
    return table


def rounds_table(rounds: int, console: Console) -> Table:
    """What a whole round costs beyond training, in a demo of its own."""
    from scripts.demo_network import DemoSettings  # noqa: PLC0415 - imports torch
    from scripts.demo_run import run_demo  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="commonweight-") as name:
        folder = Path(name)
        result = run_demo(
            DemoSettings(folder=folder, rounds=rounds),
            say=lambda text: console.print(text, highlight=False),
        )
        train_s: dict[int, float] = {}
        for log in (folder / "logs").glob("trainer-*.log"):
            for line in log.read_text(encoding="utf-8").splitlines():
                if '"round_trained"' in line:
                    event = json.loads(line)
                    number = event["round"]
                    train_s[number] = max(train_s.get(number, 0.0), event["train_s"])
    table = Table(title="Protocol overhead a round: 4 trainers, chain that mines on demand")
    for heading in ("round", "wall s", "slowest training s", "overhead s"):
        table.add_column(heading, justify="right")
    overheads = []
    for row in result.rounds[1:]:
        # All train at once, on fewer cores than trainers: the round waits for the slowest.
        training = train_s.get(row.round_id, 0.0)
        overheads.append(row.wall_s - training)
        table.add_row(
            str(row.round_id), f"{row.wall_s:.2f}", f"{training:.2f}", f"{overheads[-1]:.2f}"
        )
    table.caption = (
        f"median overhead {np.median(overheads):.2f} s; "
        f"gas per trainer and round in this run {result.gas_per_trainer_round:,}"
    )
    return table


def _trace(quick: bool, _: Console) -> list[Table]:  # noqa: FBT001 - as above
    from scripts.trace_bench import trace_table  # noqa: PLC0415 - imports torch

    return [trace_table(quick=quick)]


def _effects(quick: bool, _: Console) -> list[Table]:  # noqa: FBT001 - as above
    from scripts.effects_bench import effects_table  # noqa: PLC0415 - imports torch

    return [effects_table(quick=quick)]


_MEASURES: dict[str, Callable[[bool, Console], Iterable[Table]]] = {
    "gas": lambda _, __: [gas_table(measure_gas())],
    "court": lambda _, __: court_tables(lambda: harness(real_court=True)),
    "trial": lambda _, __: trial_tables(lambda: harness(real_training_court=True)),
    "merge": lambda quick, _: [merge_table(1_000_000 if quick else 10_000_000)],
    "tree": lambda quick, _: [tree_table(16 << 20 if quick else 100 << 20)],
    "trace": _trace,
    "effects": _effects,
    "rounds": lambda quick, console: [rounds_table(4 if quick else 12, console)],
}
PARTS = tuple(_MEASURES)


@click.command()
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="parts to measure")
@click.option("--quick", is_flag=True, help="smaller arrays, fewer rounds")
def main(only: tuple[str, ...], quick: bool) -> None:  # noqa: FBT001 - click's
    """Print every table of the benchmark."""
    console = Console()
    for part in PARTS:
        if part in (only or PARTS):
            for table in _MEASURES[part](quick, console):
                console.print(table)


if __name__ == "__main__":
    main()
