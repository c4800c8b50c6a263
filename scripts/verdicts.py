"""The books of a run's participants, and whether what the protocol promises came true."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from network.keeper import GWEI
from protocol.types import Address
from scripts.deeds import Deed, Fate
from scripts.holdings import Holding
from scripts.penalties import Penalty


class Conduct(StrEnum):
    """By what an adversary cheats."""

    PROPOSES = "proposal"
    TRAINS = "update"
    ACCUSES = "accusation"
    IDLES = "silence"


ANSWERS = {
    Conduct.PROPOSES: (Fate.CONVICTED,),
    Conduct.TRAINS: (Fate.CONVICTED, Fate.EXCLUDED, Fate.REFUSED),
    Conduct.ACCUSES: (Fate.DEFEATED,),
    Conduct.IDLES: (Fate.FINED,),
}
"""What answers each; a deed also goes with a round that is undone."""
_ANSWERED = {
    Conduct.PROPOSES: "convicted",
    Conduct.TRAINS: "convicted or kept out",
    Conduct.ACCUSES: "defeated at its own cost",
    Conduct.IDLES: "fined",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A participant: what penalties cost it and brought it, what training and audits earned it."""

    name: str
    account: Address
    is_honest: bool
    lost_wei: int
    won_wei: int
    rewards_wei: int
    audits_wei: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Something that the protocol promises, and what was found."""

    text: str
    held: bool
    finding: str


def parties(
    names: Mapping[Address, str],
    *,
    adversaries: Collection[Address],
    penalties: Iterable[Penalty],
    rewards_wei: Mapping[Address, int],
    audits_wei: Mapping[Address, int] | None = None,
) -> list[Party]:
    """The books of every participant; whoever else lost or won is listed as a stranger."""
    known = list(penalties)
    everybody = dict.fromkeys(names)
    for one in known:
        everybody |= dict.fromkeys(account for account in (one.loser, one.winner) if account)
    return [
        Party(
            name=names.get(account, "stranger"),
            account=account,
            is_honest=account not in adversaries,
            lost_wei=sum(one.lost_wei for one in known if one.loser == account),
            won_wei=sum(one.paid_wei for one in known if one.winner == account),
            rewards_wei=rewards_wei.get(account, 0),
            audits_wei=(audits_wei or {}).get(account, 0),
        )
        for account in everybody
    ]


def judge_run(
    *,
    verified: bool,
    rounds: int,
    wanted_rounds: int,
    accuracy: float,
    wanted_accuracy: float,
    books: Sequence[Party],
    burned_wei: int,
    holdings: Sequence[Holding],
    mismatches: Sequence[str],
) -> list[Promise]:
    """What every run promises, whoever takes part in it; `burned_wei` is what penalties burned."""
    wronged = [one.name for one in books if one.is_honest and one.lost_wei]
    problems = [
        *mismatches,
        *(
            f"{one.contract} holds {one.balance_wei} wei, its books say {sum(one.parts.values())}"
            for one in holdings
            if not one.is_balanced
        ),
    ]
    held_burned = sum(one.parts.get("burned", 0) for one in holdings)
    if held_burned != burned_wei:
        problems.append(f"{held_burned} wei are burned, penalties explain {burned_wei}")
    return [
        Promise(
            text="every merge replays",
            held=verified,
            finding="bit for bit, from chain and store" if verified else "a replay differs",
        ),
        Promise(
            text="the run goes on",
            held=rounds == wanted_rounds,
            finding=f"{rounds} of {wanted_rounds} rounds left a model",
        ),
        Promise(
            text="the model learns",
            held=accuracy >= wanted_accuracy,
            finding=f"final accuracy {accuracy:.4f}"
            + (f", wanted {wanted_accuracy:.2f}" if wanted_accuracy else ""),
        ),
        Promise(
            text="no honest party loses stake or bond",
            held=not wronged,
            finding=f"lost: {', '.join(wronged)}" if wronged else "none did",
        ),
        Promise(
            text="every wei is accounted for",
            held=not problems,
            finding="; ".join(problems) or ", ".join(_held(one) for one in holdings),
        ),
    ]


def judge_deeds(
    deeds: Sequence[Deed], conduct: Conduct, *, excuses: Collection[Fate] = ()
) -> list[Promise]:
    """What is promised against one kind of conduct.

    `excuses` are fates that the protocol does not rule out in this run, and that the report names:
    an update that nobody honest was drawn to audit.
    """
    answers = {*ANSWERS[conduct], Fate.VOID, *excuses}
    open_rounds = [str(one.round_id) for one in deeds if one.fate not in answers]
    acted = any(one.fate is not Fate.VOID for one in deeds)
    said = count_fates(deeds)
    where = f"; not in rounds {', '.join(open_rounds)}" if open_rounds else ""
    return [
        Promise(
            text="the adversary acted",
            held=acted,
            finding=_count(len(deeds), conduct.value) if acted else "it never did",
        ),
        Promise(
            text=f"each {conduct.value} of it was {_ANSWERED[conduct]}",
            held=acted and not open_rounds,
            finding=said + where,
        ),
    ]


def count_fates(deeds: Iterable[Deed]) -> str:
    """How many deeds met which fate, in words."""
    counts = Counter(one.fate for one in deeds)
    return ", ".join(f"{counts[fate]} {fate.value}" for fate in Fate if counts[fate])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _held(one: Holding) -> str:
    return f"{one.contract} {one.balance_wei / (GWEI * GWEI):.6f} ETH"
