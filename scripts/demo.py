"""One command, one trained model: anvil, contracts, real data, trainers, a coordinator, proof.

`make demo ARGS="--rounds 12 --trainers 4 --task digits --store local --json FILE"`. Exits non-zero
if a merge does not replay to the root on chain, or a process failed. Leaves nothing behind.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from coordinator.audit.replay import RoundReplay
from scripts.demo_run import DemoResult, DemoSettings, run_demo
from scripts.processes import ending_on_signals

_WEI = 10**18
_PIPE_COLUMNS = 140


def _show(console: Console, result: DemoResult) -> None:
    table = Table(title="Rounds")
    for name in ("round", "included", "accuracy", "loss", "wall s", "gas/trainer", "model root"):
        table.add_column(name, justify="left" if name == "model root" else "right")
    for row in result.rounds:
        table.add_row(
            str(row.round_id),
            str(len(row.included)),
            f"{row.accuracy:.4f}",
            f"{row.loss:.4f}",
            f"{row.wall_s:.2f}",
            f"{row.gas // max(1, len(row.included)):,}",
            row.model_root[:18],
        )
    console.print(table)
    stakes = Table(title="Stakes and rewards")
    for name in ("seat", "trainer", "stake ETH", "rounds paid", "earned ETH"):
        stakes.add_column(name, justify="right")
    for one in result.participants:
        stakes.add_row(
            str(one.seat),
            one.trainer,
            f"{one.stake_gwei / 10**9:.4f}",
            str(one.rounds_included),
            f"{one.rewards_wei / _WEI:.6f}",
        )
    console.print(stakes)
    for replay in result.replays:
        if not replay.verified:
            console.print(f"[red]round {replay.round_id}: {'; '.join(replay.problems)}[/red]")
    console.print(
        f"gas per trainer and round, everything counted: {result.gas_per_trainer_round:,}   "
        f"seed: {result.beacon}"
    )
    verdict = "[green]verified[/green]" if result.verified else "[red]NOT verified[/red]"
    console.print(
        f"{verdict}: {len(result.replays)} merges replayed from chain and store, bit for bit; "
        f"final accuracy {result.rounds[-1].accuracy:.4f}"
        if result.rounds
        else verdict
    )


def _as_json(result: DemoResult) -> str:
    replays: dict[int, RoundReplay] = {r.round_id: r for r in result.replays}
    return json.dumps(
        {
            "run": result.run,
            "chain_id": result.chain_id,
            "verified": result.verified,
            "beacon": result.beacon,
            "gas_per_trainer_round": result.gas_per_trainer_round,
            "rounds": [
                {
                    "round": row.round_id,
                    "accuracy": row.accuracy,
                    "loss": row.loss,
                    "model_root": row.model_root,
                    "included": list(row.included),
                    "wall_s": row.wall_s,
                    "gas": row.gas,
                    "verified": replays[row.round_id].verified
                    if row.round_id in replays
                    else False,
                }
                for row in result.rounds
            ],
            "participants": [
                {
                    "seat": one.seat,
                    "trainer": one.trainer,
                    "stake_gwei": one.stake_gwei,
                    "rounds": one.rounds_included,
                    "rewards_wei": str(one.rewards_wei),
                }
                for one in result.participants
            ],
        },
        indent=1,
    )


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=12, type=click.IntRange(1, 10_000), help="rounds to train")
@click.option("--trainers", default=4, type=click.IntRange(1, 256), help="trainer processes")
@click.option("--task", default="digits", help="an installed task")
@click.option("--store", default="local", type=click.Choice(["local", "kubo"]))
@click.option("--split", default="iid", type=click.Choice(["iid", "dirichlet"]))
@click.option("--alpha", default=0.3, help="concentration of the Dirichlet split")
@click.option("--epochs", default=2, type=click.IntRange(1, 1000), help="local epochs a round")
@click.option("--beacon", default="fixed", type=click.Choice(["fixed", "prevrandao"]))
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="write the results here")
@click.option("--keep", is_flag=True, help="keep the work folder with logs, and print where it is")
def main(json_file: Path | None, keep: bool, **options: object) -> None:  # noqa: FBT001 - click's
    """Train one model with several processes that do not trust each other, on this machine."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    folder = Path(tempfile.mkdtemp(prefix="commonweight-"))
    failed = True
    try:
        with ending_on_signals():
            settings = DemoSettings(folder=folder, **options)  # type: ignore[arg-type]
            result = run_demo(settings, say=lambda text: console.print(text, highlight=False))
        _show(console, result)
        if json_file is not None:
            json_file.write_text(_as_json(result) + "\n", encoding="utf-8")
        failed = not result.verified or bool(result.failures)
        for failure in result.failures:
            console.print(f"[red]{failure}[/red]")
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
    except RuntimeError as error:
        console.print(f"[red]{error}[/red]")
    finally:
        if keep or failed:
            console.print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
