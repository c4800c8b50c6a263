"""What an adversary did in a run, what became of each deed, and whether the protocol held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from network.abi import Event
from network.keeper import GWEI
from protocol.types import Address, Digest
from scripts.penalties import Cause, Holding, Penalty, proposals


class Fate(StrEnum):
    """What became of a deed. REJECTED: without effect, by the trainers' stake, but unpunished."""

    PENDING = "pending"
    CONVICTED = "convicted"
    EXCLUDED = "excluded"
    REJECTED = "rejected"
    VOID = "void"
    ACCEPTED = "accepted"


ANSWERED = (Fate.CONVICTED, Fate.EXCLUDED, Fate.VOID)
"""VOID: the round itself was undone, and with it the deed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One attempt to cheat: a proposal or a revealed update.

    `decided` is the transaction that decided its fate, `blocks` how many blocks that took.
    """

    round_id: int
    transaction: str
    block: int
    fate: Fate = Fate.PENDING
    decided: str | None = None
    blocks: int | None = None
    penalty: Penalty | None = None

    @classmethod
    def of(cls, event: Event) -> "Deed":
        """A deed that nobody has answered yet."""
        return cls(
            round_id=event.args.round,
            transaction=event.transaction_hash,
            block=event.block_number,
        )

    def end(self, fate: Fate, event: Event, penalty: Penalty | None = None) -> "Deed":
        """The deed with its fate."""
        return replace(
            self,
            fate=fate,
            decided=event.transaction_hash,
            blocks=event.block_number - self.block,
            penalty=penalty,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A participant: what penalties cost it and brought it, and what training earned it."""

    name: str
    account: Address
    is_honest: bool
    lost_wei: int
    won_wei: int
    rewards_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Something that the protocol promises, and what was found."""

    text: str
    held: bool
    finding: str


_ENDS_OF_PROPOSALS = {
    "MergeReopened": Fate.REJECTED,
    "RoundVoided": Fate.VOID,
    "RoundFailed": Fate.VOID,
    "RoundFinalized": Fate.ACCEPTED,
}


def proposal_deeds(
    events: Sequence[Event], account: Address, penalties: Iterable[Penalty]
) -> list[Deed]:
    """Every proposal that the account made, with its fate; `events` are the run's, in order."""
    named = {id(event): name for name, (_, event) in proposals(events).items()}
    taken = {p.transaction: p for p in penalties if p.cause is Cause.MERGE and p.loser == account}
    deeds: dict[Digest, Deed] = {}
    standing: dict[int, Digest] = {}
    reopened: dict[int, Digest] = {}

    def end(name: Digest, fate: Fate, event: Event) -> None:
        penalty = taken.get(event.transaction_hash) if fate is Fate.CONVICTED else None
        deeds[name] = deeds[name].end(fate, event, penalty)

    for event in events:
        a, number = event.args, getattr(event.args, "round", 0)
        if event.name == "MergeProposed":
            standing.pop(number, None)
            if a.proposer == account:
                standing[number] = named[id(event)]
                deeds[standing[number]] = Deed.of(event)
        elif event.name == "MergeConvicted" and a.proposer == account:
            end(reopened[number], Fate.CONVICTED, event)  # the merge was reopened just before
        elif event.name == "RejectedConvicted" and a.proposal in deeds:
            end(a.proposal, Fate.CONVICTED, event)
        elif event.name in _ENDS_OF_PROPOSALS and number in standing:
            reopened[number] = standing.pop(number)
            end(reopened[number], _ENDS_OF_PROPOSALS[event.name], event)
    return list(deeds.values())


def update_deeds(
    events: Sequence[Event], account: Address, penalties: Iterable[Penalty]
) -> list[Deed]:
    """Every update that the account revealed, with its fate; `events` are the run's, in order."""
    taken = {p.transaction: p for p in penalties if p.cause is Cause.UPDATE and p.loser == account}
    deeds: list[Deed] = []
    latest: dict[int, int] = {}
    for event in events:
        a, number = event.args, getattr(event.args, "round", 0)
        if event.name == "Revealed" and a.trainer == account:
            seat = a.seat
            latest[number] = len(deeds)
            deeds.append(Deed.of(event))
            continue
        if number not in latest:
            continue
        place = latest[number]
        if event.name == "UpdateConvicted" and a.trainer == account:
            penalty = taken.get(event.transaction_hash)
            deeds[place] = deeds[place].end(Fate.CONVICTED, event, penalty)
        elif event.name == "UpdatesFrozen" and deeds[place].fate is Fate.PENDING:
            fate = Fate.ACCEPTED if a.included >> seat & 1 else Fate.EXCLUDED
            deeds[place] = deeds[place].end(fate, event)
        elif event.name in ("RoundVoided", "RoundFailed") and deeds[place].fate in (
            Fate.PENDING,
            Fate.ACCEPTED,
        ):
            deeds[place] = deeds[place].end(Fate.VOID, event)
    return deeds


def parties(
    names: Mapping[Address, str],
    *,
    adversary: Address | None,
    penalties: Iterable[Penalty],
    rewards_wei: Mapping[Address, int],
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
            is_honest=account != adversary,
            lost_wei=sum(one.lost_wei for one in known if one.loser == account),
            won_wei=sum(one.paid_wei for one in known if one.winner == account),
            rewards_wei=rewards_wei.get(account, 0),
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


def judge_deeds(deeds: Sequence[Deed], *, must_convict: bool) -> list[Promise]:
    """What is promised against an adversary; if `must_convict`, exclusion is not enough."""
    answers = (Fate.CONVICTED, Fate.VOID) if must_convict else ANSWERED
    open_rounds = [str(one.round_id) for one in deeds if one.fate not in answers]
    counts = {fate: sum(one.fate is fate for one in deeds) for fate in Fate}
    said = ", ".join(f"{n} {fate.value}" for fate, n in counts.items() if n)
    acted = any(one.fate is not Fate.VOID for one in deeds)
    return [
        Promise(
            text="the adversary acted",
            held=acted,
            finding=_count(len(deeds), "deed") if acted else "it never did",
        ),
        Promise(
            text="each of its deeds was " + ("convicted" if must_convict else "answered"),
            held=acted and not open_rounds,
            finding=said + (f"; not in rounds {', '.join(open_rounds)}" if open_rounds else ""),
        ),
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _held(one: Holding) -> str:
    return f"{one.contract} {one.balance_wei / (GWEI * GWEI):.6f} ETH"
