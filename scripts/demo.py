"""One command, one trained model: anvil, contracts, real data, trainers, a coordinator, proof.

`make demo ARGS="--rounds 12 --trainers 4 --task digits --store local --json FILE"`, and with
somebody who cheats `make demo ARGS="--adversary wrong-merge"`. Exits non-zero if a promise of the
protocol was broken, or a process failed. Leaves nothing behind.
"""

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from coordinator.audit.replay import RoundReplay
from scripts.adversaries.catalogue import ADVERSARIES
from scripts.demo_run import DemoResult, DemoSettings, run_demo
from scripts.judgement import Judgement
from scripts.processes import ending_on_signals
from scripts.verdicts import Deed, Fate

_WEI = 10**18
_PIPE_COLUMNS = 148
_ACCURACY_WITH_ADVERSARY = 0.96


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


def _show_trial(console: Console, judgement: Judgement, adversary: str | None) -> None:
    """Who lost how much to whom, by which transaction, and what of the protocol held."""
    if adversary is not None:
        console.print(_deeds_table(judgement, adversary))
    if adversary is not None or judgement.penalties:
        console.print(_books_table(judgement))
    for promise in judgement.promises:
        mark = "[green]held  [/green]" if promise.held else "[red]BROKEN[/red]"
        console.print(f"{mark}  {promise.text}: {promise.finding}", highlight=False)
    held = "[green]the protocol held[/green]"
    console.print(held if judgement.held else "[red]the protocol did NOT hold[/red]")


def _deeds_table(judgement: Judgement, adversary: str) -> Table:
    table = Table(title=f"What became of each deed of {adversary}")
    for name in ("round", "fate", "blocks", "by", "lost ETH", "to prover", "burned", "transaction"):
        table.add_column(name, justify="left" if name in ("fate", "by", "transaction") else "right")
    for deed in judgement.deeds:
        penalty = deed.penalty
        amounts = (penalty.lost_wei, penalty.paid_wei, penalty.burned_wei) if penalty else (0, 0, 0)
        table.add_row(
            str(deed.round_id),
            deed.fate.value,
            "-" if deed.blocks is None else str(deed.blocks),
            _prover(judgement, deed) or "-",
            *(f"{wei / _WEI:.4f}" for wei in amounts),
            deed.decided or "-",
        )
    return table


def _prover(judgement: Judgement, deed: Deed) -> str | None:
    """Who proved it; what two thirds of the stake called unavailable needs no proof."""
    if deed.fate is Fate.EXCLUDED:
        return "attesters"
    names = {one.account: one.name for one in judgement.parties}
    return names.get(deed.penalty.winner) if deed.penalty and deed.penalty.winner else None


def _books_table(judgement: Judgement) -> Table:
    table = Table(title="Who lost and who got what")
    for name in ("who", "account", "lost ETH", "won ETH", "rewards ETH"):
        table.add_column(name, justify="left" if name in ("who", "account") else "right")
    for one in judgement.parties:
        amounts = (one.lost_wei, one.won_wei, one.rewards_wei)
        table.add_row(one.name, one.account, *(f"{wei / _WEI:.6f}" for wei in amounts))
    table.add_row("burned", "", "", f"{judgement.burned_wei / _WEI:.6f}", "")
    return table


def _as_json(result: DemoResult, adversary: str | None) -> str:
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
            **_trial_as_json(result.judgement, adversary),
        },
        indent=1,
    )


def _trial_as_json(judgement: Judgement, adversary: str | None) -> dict[str, Any]:
    names = {one.account: one.name for one in judgement.parties}
    return {
        "protocol_held": judgement.held,
        "promises": [asdict(one) for one in judgement.promises],
        "adversary": adversary,
        "deeds": [
            {
                "round": deed.round_id,
                "transaction": deed.transaction,
                "fate": deed.fate.value,
                "decided_in": deed.decided,
                "blocks": deed.blocks,
                "by": _prover(judgement, deed),
                "lost_wei": str(deed.penalty.lost_wei if deed.penalty else 0),
                "paid_wei": str(deed.penalty.paid_wei if deed.penalty else 0),
                "burned_wei": str(deed.penalty.burned_wei if deed.penalty else 0),
            }
            for deed in judgement.deeds
        ],
        "parties": [
            {
                "name": one.name,
                "account": one.account,
                "honest": one.is_honest,
                "lost_wei": str(one.lost_wei),
                "won_wei": str(one.won_wei),
                "rewards_wei": str(one.rewards_wei),
            }
            for one in judgement.parties
        ],
        "penalties": [
            {
                "cause": one.cause.value,
                "round": one.round_id,
                "loser": names.get(one.loser, one.loser),
                "winner": names.get(one.winner, one.winner) if one.winner else None,
                "paid_wei": str(one.paid_wei),
                "burned_wei": str(one.burned_wei),
                "transaction": one.transaction,
            }
            for one in judgement.penalties
        ],
        "burned_wei": str(judgement.burned_wei),
    }


def _default_accuracy(adversary: str | None) -> float:
    return _ACCURACY_WITH_ADVERSARY if adversary else 0.0


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=12, type=click.IntRange(1, 10_000), help="rounds to train")
@click.option("--trainers", default=4, type=click.IntRange(1, 256), help="trainer processes")
@click.option("--task", default="digits", help="an installed task")
@click.option("--store", default="local", type=click.Choice(["local", "kubo"]))
@click.option("--split", default="iid", type=click.Choice(["iid", "dirichlet"]))
@click.option("--alpha", default=0.3, help="concentration of the Dirichlet split")
@click.option("--epochs", default=2, type=click.IntRange(1, 1000), help="local epochs a round")
@click.option("--beacon", default="fixed", type=click.Choice(["fixed", "prevrandao"]))
@click.option("--adversary", type=click.Choice(ADVERSARIES), help="somebody who cheats")
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 1),
    show_default="0.96 with an adversary, else any",
    help="what the last round's model must reach",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="write the results here")
@click.option("--keep", is_flag=True, help="keep the work folder with logs, and print where it is")
def main(
    json_file: Path | None,
    keep: bool,  # noqa: FBT001 - click's
    adversary: str | None,
    accuracy: float | None,
    **options: object,
) -> None:
    """Train one model with several processes that do not trust each other, on this machine."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    folder = Path(tempfile.mkdtemp(prefix="commonweight-"))
    failed = True
    try:
        with ending_on_signals():
            settings = DemoSettings(
                folder=folder,
                adversary=adversary,
                accuracy=_default_accuracy(adversary) if accuracy is None else accuracy,
                **options,  # type: ignore[arg-type] # click checked them
            )
            result = run_demo(settings, say=lambda text: console.print(text, highlight=False))
        _show(console, result)
        _show_trial(console, result.judgement, adversary)
        if json_file is not None:
            json_file.write_text(_as_json(result, adversary) + "\n", encoding="utf-8")
        failed = not result.judgement.held or bool(result.failures)
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
