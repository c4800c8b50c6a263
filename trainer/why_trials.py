"""What audits and trials did to an account in a round. Docs/protocol.md section 9."""

from collections.abc import Iterator
from dataclasses import dataclass

from network.trials.contract import TrialState
from network.trials.history import JuryHistory, TrialFold, TrialHistory
from protocol.types import Address, Seat

_ENDED = {
    TrialState.CONVICTED: "convicted",
    TrialState.ACQUITTED: "acquitted",
    TrialState.HUNG: "without a majority; bonds went back",
    TrialState.MOOT: "moot: the round no longer stood",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CourtFact:
    """One thing that happened; `kind` is for machines, `text` for people."""

    kind: str
    text: str


def tell_trials(
    trials: TrialFold, round_id: int, account: Address, seat: Seat | None
) -> tuple[CourtFact, ...]:
    """The findings, trials, payments and fines of a round that concern an account, in order."""
    return (
        *_findings(trials, round_id, account, seat),
        *(
            fact
            for one in trials.trials.values()
            if one.round_id == round_id
            for fact in (*_trial(one, account), *_juror(one, account))
        ),
    )


def _findings(
    trials: TrialFold, round_id: int, account: Address, seat: Seat | None
) -> Iterator[CourtFact]:
    for (number, about), posted in sorted(trials.findings.items()):
        if number != round_id:
            continue
        found, paid = posted.finding.name.lower(), f"paid {posted.paid_wei} wei"
        if _is(posted.auditor, account):
            yield CourtFact(kind="audited", text=f"audited seat {about}: {found}, {paid}")
        elif about == seat:
            text = f"the update was audited by {posted.auditor}: {found}"
            yield CourtFact(kind="was_audited", text=text)
    for (number, about), auditor in sorted(trials.fined_auditors.items()):
        if number == round_id and _is(auditor, account):
            text = f"fined: seat {about} was found the same, and a jury convicted it"
            yield CourtFact(kind="auditor_fined", text=text)


def _trial(one: TrialHistory, account: Address) -> Iterator[CourtFact]:
    state = "goes on" if one.ended is None else _ENDED.get(one.ended, one.ended.name.lower())
    where = "" if one.index is None else f", disputed at trace index {one.index}"
    if _is(one.accused, account):
        text = f"trial {one.number}: accused by {one.accuser}{where}: {state}"
        yield CourtFact(kind="accused", text=text)
    elif _is(one.accuser, account):
        text = f"trial {one.number}: accused seat {one.seat}{where}: {state}"
        yield CourtFact(kind="accuser", text=text)


def _juror(one: TrialHistory, account: Address) -> Iterator[CourtFact]:
    for level, jury in sorted(one.juries.items()):
        tickets = sum(n for who, n in jury.tickets.items() if _is(who, account))
        if tickets:
            name = f"trial {one.number}: juror with {tickets} tickets"
            yield CourtFact(kind="juror", text=f"{name}{' on appeal' if level else ''}")
            yield from _pay(one, jury, account)


def _pay(one: TrialHistory, jury: JuryHistory, account: Address) -> Iterator[CourtFact]:
    for who, paid_wei in jury.paid_wei.items():
        if _is(who, account):
            yield CourtFact(kind="juror_paid", text=f"trial {one.number}: paid {paid_wei} wei")
    if any(_is(who, account) for who in jury.fined):
        text = f"trial {one.number}: fined for a vote that was missing or against the outcome"
        yield CourtFact(kind="juror_fined", text=text)


def _is(one: Address, other: Address) -> bool:
    return one.lower() == other.lower()
