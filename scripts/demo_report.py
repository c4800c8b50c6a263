"""What a demo prints, and what it writes as JSON."""

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from coordinator.audit.replay import RoundReplay
from scripts.deeds import Deed, Fate
from scripts.demo_run import DemoResult
from scripts.judgement import Judgement
from scripts.penalties import Cause

_WEI = 10**18


def show(console: Console, result: DemoResult) -> None:
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


def show_trial(console: Console, result: DemoResult, adversary: str | None) -> None:
    """Who lost how much to whom, before which court, and what of the protocol held."""
    judgement = result.judgement
    if adversary is not None:
        console.print(_deeds_table(judgement, adversary))
        merged = [f"{one.round_id}" for one in judgement.deeds if one.merged]
        if merged:
            console.print(
                f"merged before anybody could convict it, in rounds {', '.join(merged)}; "
                f"{result.audit_rate:.0%} of the updates were audited"
            )
    if judgement.penalties:
        console.print(_penalties_table(judgement))
    if adversary is not None or judgement.penalties:
        console.print(_books_table(judgement))
    for promise in judgement.promises:
        mark = "[green]held  [/green]" if promise.held else "[red]BROKEN[/red]"
        console.print(f"{mark}  {promise.text}: {promise.finding}", highlight=False)
    held = "[green]the protocol held[/green]"
    console.print(held if judgement.held else "[red]the protocol did NOT hold[/red]")


def _deeds_table(judgement: Judgement, adversary: str) -> Table:
    table = Table(title=f"What became of each deed of {adversary}")
    for name in (
        "round",
        "who",
        "fate",
        "merged",
        "rounds",
        "blocks",
        "by",
        "lost ETH",
        "transaction",
    ):
        right = name in ("round", "rounds", "blocks", "lost ETH")
        table.add_column(name, justify="right" if right else "left")
    for deed in judgement.deeds:
        table.add_row(
            str(deed.round_id),
            judgement.names.get(deed.account, deed.account),
            deed.fate.value,
            ("unpaid" if deed.unpaid else "yes") if deed.merged else "no",
            "-" if deed.rounds is None else str(deed.rounds),
            "-" if deed.blocks is None else str(deed.blocks),
            prover_of(judgement, deed) or "-",
            f"{deed.lost_wei / _WEI:.4f}",
            deed.decided or "-",
        )
    return table


def prover_of(judgement: Judgement, deed: Deed) -> str | None:
    """Who answered it; what two thirds of the stake called unavailable needs no proof."""
    if deed.fate is Fate.EXCLUDED:
        return "attesters"
    if deed.fate is Fate.REFUSED:
        return "the norm bound"
    winners = [one.winner for one in deed.penalties if one.winner is not None]
    return judgement.names.get(winners[-1], winners[-1]) if winners else None


def _penalties_table(judgement: Judgement) -> Table:
    """Sums by court, cause and who is concerned: a trial pays each juror."""
    table = Table(title="Who lost how much to whom, by which court")
    for name in ("court", "for", "who lost", "to", "times", "paid ETH", "burned ETH"):
        right = name in ("times", "paid ETH", "burned ETH")
        table.add_column(name, justify="right" if right else "left")
    names = judgement.names
    sums: dict[tuple[str, str, str, str], tuple[int, int, int]] = {}
    for one in judgement.penalties:
        fee = "jurors, unfetched" if one.cause is Cause.TRIAL else "keeper budget"
        winner = fee if one.winner is None else names.get(one.winner, one.winner)
        row = (one.cause.court, one.cause.value, names.get(one.loser, one.loser), winner)
        times, paid_wei, burned_wei = sums.get(row, (0, 0, 0))
        sums[row] = (times + 1, paid_wei + one.paid_wei, burned_wei + one.burned_wei)
    for row, (times, paid_wei, burned_wei) in sorted(sums.items()):
        table.add_row(*row, str(times), f"{paid_wei / _WEI:.6f}", f"{burned_wei / _WEI:.6f}")
    return table


def _books_table(judgement: Judgement) -> Table:
    table = Table(title="Who lost and who got what")
    for name in ("who", "account", "lost ETH", "won ETH", "rewards ETH", "audits ETH"):
        table.add_column(name, justify="left" if name in ("who", "account") else "right")
    for one in judgement.parties:
        amounts = (one.lost_wei, one.won_wei, one.rewards_wei, one.audits_wei)
        table.add_row(one.name, one.account, *(f"{wei / _WEI:.6f}" for wei in amounts))
    table.add_row("burned", "", "", f"{judgement.burned_wei / _WEI:.6f}", "", "")
    return table


def as_json(result: DemoResult, adversary: str | None) -> str:
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
            "audit_rate": result.audit_rate,
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
                "who": names.get(deed.account, deed.account),
                "transaction": deed.transaction,
                "fate": deed.fate.value,
                "merged": deed.merged,
                "unpaid": deed.unpaid,
                "decided_in": deed.decided,
                "blocks": deed.blocks,
                "rounds": deed.rounds,
                "by": prover_of(judgement, deed),
                "lost_wei": str(deed.lost_wei),
                "paid_wei": str(deed.paid_wei),
                "burned_wei": str(deed.burned_wei),
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
                "audits_wei": str(one.audits_wei),
            }
            for one in judgement.parties
        ],
        "penalties": [
            {
                "cause": one.cause.value,
                "court": one.cause.court,
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
