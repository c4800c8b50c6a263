"""docs/attacks.md out of what was measured."""

from math import comb
from pathlib import Path
from string import Template

from scripts.attacks.results import LAST_ROUNDS, Attack, Course, Results, Verdict
from scripts.demo_network import PACE_S, TIMES_OF_TRIALS

OWN_SHARD = "own shard"
WHAT = {
    "free-rider": "trains nothing: noise of a usual norm, or no change, under an invented trace",
    "copycat": "commits to another's update of the round before, under an invented trace",
    "poisoner": "trains on flipped labels: 0 is 9, 1 is 8",
    "booster": "scales its update: beyond the norm bound, and just up to it, in turns",
    "nan": "ships garbage: saturated bytes, another length, NaNs taken for values, in turns",
    "lazy": "does half of the steps; its trace stands still behind them",
    "backdoor": "patches a corner of half of its images, and calls those 7",
    "false-accuser": "trains as it should; as auditor it accuses honest work, with an own trace",
    "silent-juror": "trains as it should; as juror it never votes (a lazy trainer gives cause)",
    OWN_SHARD: "trains as it should, on a shard of its own whose labels are flipped",
}
_BY = {
    "booster": "norm bound at reveal; replay and jury",
    "nan": "norm bound at reveal; attesters; replay and jury",
    "false-accuser": "the accused's trace and the jury",
    "silent-juror": "the vote that did not come",
    OWN_SHARD: "**nothing**",
}
_TEMPLATE = Path(__file__).with_name("attacks.md.in")
_FIRST_TICKETS, _SECOND_TICKETS = 15, 63
_COLUMNS = (
    "| adversary | of five | caught by | after | its deeds | merged | stake lost | bond lost "
    "| accuracy with | without | same |"
)
_ALIGNED = "|---|--:|---|--:|---|--:|--:|--:|--:|--:|--:|"


def render(results: Results) -> str:
    """The page; what was not measured has no row."""
    attacks = sorted(results.attacks, key=lambda one: (list(WHAT).index(one.name), one.adversaries))
    pairs = [one.verdict for one in attacks if one.verdict is not None and one.adversaries > 1]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        minutes=f"{sum(one.wall_s for one in attacks) / 60:.0f}",
        trainers=results.trainers,
        rounds=results.rounds,
        pace=PACE_S,
        clocks=", ".join(f"`{name}` {value}" for name, value in TIMES_OF_TRIALS.items()),
        baseline=_accuracy(results.baseline),
        last=LAST_ROUNDS,
        main="\n".join((_COLUMNS, _ALIGNED, *(_row(one) for one in attacks))),
        what="\n".join(f"- `{name}` {what}." for name, what in WHAT.items()),
        honest=_honest_losses(attacks),
        fooled=f"{results.baseline.fooled:.3f}",
        backdoor=_backdoor_table(attacks),
        classes=_class_table(results.baseline, attacks),
        shielded=sum(one.fates.get("shielded", 0) for one in pairs),
        pairs=sum(one.deeds for one in pairs if one.merged),
        first=f"{capture(_FIRST_TICKETS):.1%}",
        second=f"{capture(_SECOND_TICKETS):.2%}",
    )


def capture(tickets: int, share: float = 1 / 3) -> float:
    """Probability that a share of the stake holds a majority of so many tickets."""
    return sum(
        comb(tickets, k) * share**k * (1 - share) ** (tickets - k)
        for k in range(tickets // 2 + 1, tickets + 1)
    )


def _row(attack: Attack) -> str:
    found = attack.verdict
    by = _BY.get(attack.name, "replay and jury")
    start = f"| `{attack.name}` | {attack.adversaries} | {by} "
    accuracy = f"| {_accuracy(attack.defended)} | {_accuracy(attack.without)} "
    if found is None:
        return f"{start}| never | none | all | 0 | 0 {accuracy}| all |"
    first = "-" if found.first_rounds is None else str(found.first_rounds)
    stake_eth = found.lost_stake_eth / attack.adversaries
    bond_eth = found.lost_bonds_eth / attack.adversaries
    return (
        f"{start}| {first} | {_fates(found)} | {found.merged} of {found.deeds} "
        f"| {stake_eth:.3f} | {bond_eth:.3f} {accuracy}| {found.same_rounds} |"
    )


def _fates(found: Verdict) -> str:
    said = ", ".join(f"{count} {fate}" for fate, count in found.fates.items())
    return said if found.held else f"{said}; **a promise was broken**"


def _accuracy(course: Course) -> str:
    return f"{course.final:.3f} ({course.worst:.3f})"


def _honest_losses(attacks: list[Attack]) -> str:
    lost = [
        f"`{one.name}` x {one.adversaries}: {one.verdict.honest_lost_eth:.4f} ETH"
        for one in attacks
        if one.verdict is not None and one.verdict.honest_lost_eth
    ]
    return "; ".join(lost) or "none, in any of these runs"


def _backdoor_table(attacks: list[Attack]) -> str:
    rows = [
        f"| {one.adversaries} | {one.defended.fooled:.3f} | {one.without.fooled:.3f} |"
        for one in attacks
        if one.name == "backdoor"
    ]
    return "\n".join(("| of five | with the defence | without |", "|--:|--:|--:|", *rows))


def _class_table(baseline: Course, attacks: list[Attack]) -> str:
    rows = [("no adversary", baseline)]
    for one in attacks:
        label = f"`{one.name}` x {one.adversaries}"
        if one.name == "poisoner":
            rows += [(f"{label}, with", one.defended), (f"{label}, without", one.without)]
        elif one.name == OWN_SHARD:
            rows.append((label, one.without))
    digits = range(len(baseline.by_class))
    return "\n".join(
        (
            "| | " + " | ".join(str(one) for one in digits) + " |",
            "|---|" + "--:|" * len(digits),
            *(
                f"| {name} | " + " | ".join(f"{x:.2f}" for x in c.by_class) + " |"
                for name, c in rows
            ),
        )
    )
