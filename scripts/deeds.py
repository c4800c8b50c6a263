"""What adversaries did in a run, and what became of each deed. From events alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from network.abi import Event
from network.trials.contract import Finding, TrialState
from protocol.types import Address, Digest
from scripts.penalties import Cause, Penalty, proposals


class Fate(StrEnum):
    """What became of a deed."""

    PENDING = "pending"
    CONVICTED = "convicted"
    EXCLUDED = "excluded"
    REFUSED = "refused"
    """The run did not take its header: beyond the norm bound."""
    REJECTED = "rejected"
    """Without effect, by the trainers' stake, but unpunished."""
    DEFEATED = "defeated"
    """An accusation that the jury did not follow."""
    FINED = "fined"
    VOID = "void"
    """The round itself was undone, and with it the deed."""
    HUNG = "hung"
    SHIELDED = "shielded"
    """An accomplice was drawn to audit it, and found nothing."""
    UNDRAWN = "undrawn"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One attempt to cheat: a proposal, an update, an accusation, or a vote that never came.

    `decided` is the transaction that decided its fate, `blocks` how many blocks that took. A
    `merged` update moved the model before it was found out; an `unpaid` one was called harmful.
    """

    account: Address
    round_id: int
    transaction: str
    block: int
    fate: Fate = Fate.PENDING
    decided: str | None = None
    blocks: int | None = None
    penalties: tuple[Penalty, ...] = ()
    merged: bool = False
    unpaid: bool = False
    rounds: int | None = None
    """How many rounds later that was."""

    @classmethod
    def of(cls, event: Event, account: Address, round_id: int | None = None) -> "Deed":
        """A deed that nobody has answered yet."""
        return cls(
            account=account,
            round_id=event.args.round if round_id is None else round_id,
            transaction=event.transaction_hash,
            block=event.block_number,
        )

    def end(self, fate: Fate, event: Event, penalties: Iterable[Penalty] = ()) -> "Deed":
        """The deed with its fate."""
        return replace(
            self,
            fate=fate,
            decided=event.transaction_hash,
            blocks=event.block_number - self.block,
            penalties=tuple(penalties),
        )

    @property
    def lost_wei(self) -> int:
        """What it cost its author."""
        return sum(one.lost_wei for one in self.penalties)

    @property
    def paid_wei(self) -> int:
        """What others got of that."""
        return sum(one.paid_wei for one in self.penalties)

    @property
    def burned_wei(self) -> int:
        """What nobody got."""
        return sum(one.burned_wei for one in self.penalties)


def dated(deeds: Iterable[Deed], events: Iterable[Event]) -> list[Deed]:
    """The deeds with the number of rounds that were opened until each was decided."""
    opened = [(e.block_number, e.args.round) for e in events if e.name == "RoundOpened"]

    def date(deed: Deed) -> Deed:
        if deed.blocks is None:
            return deed
        decided = deed.block + deed.blocks
        begun = [number for block, number in opened if block <= decided]
        return replace(deed, rounds=max([deed.round_id, *begun]) - deed.round_id)

    return [date(deed) for deed in deeds]


Taken = Mapping[str, Sequence[Penalty]]


def _taken(penalties: Iterable[Penalty], account: Address, *causes: Cause) -> Taken:
    """What the account lost for some causes, by transaction."""
    found: dict[str, list[Penalty]] = defaultdict(list)
    for one in penalties:
        if one.cause in causes and one.loser == account:
            found[one.transaction].append(one)
    return found


# -- proposals ----------------------------------------------------------------------------------


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
    taken = _taken(penalties, account, Cause.MERGE)
    deeds: dict[Digest, Deed] = {}
    standing: dict[int, Digest] = {}
    reopened: dict[int, Digest] = {}

    def end(name: Digest, fate: Fate, event: Event) -> None:
        lost = taken.get(event.transaction_hash, ()) if fate is Fate.CONVICTED else ()
        deeds[name] = deeds[name].end(fate, event, lost)

    for event in events:
        a, number = event.args, getattr(event.args, "round", 0)
        if event.name == "MergeProposed":
            standing.pop(number, None)
            if a.proposer == account:
                standing[number] = named[id(event)]
                deeds[standing[number]] = Deed.of(event, account)
        elif event.name == "MergeConvicted" and a.proposer == account:
            end(reopened[number], Fate.CONVICTED, event)  # the merge was reopened just before
        elif event.name == "RejectedConvicted" and a.proposal in deeds:
            end(a.proposal, Fate.CONVICTED, event)
        elif event.name in _ENDS_OF_PROPOSALS and number in standing:
            reopened[number] = standing.pop(number)
            end(reopened[number], _ENDS_OF_PROPOSALS[event.name], event)
    return list(deeds.values())


# -- updates ------------------------------------------------------------------------------------


def update_deeds(
    events: Sequence[Event], account: Address, penalties: Iterable[Penalty]
) -> list[Deed]:
    """Every update that the account committed to, with its fate; `events` are in order."""
    taken = _taken(penalties, account, Cause.UPDATE, Cause.TRAINING, Cause.TRIAL, Cause.SILENCE)
    deeds: list[Deed] = []
    latest: dict[int, int] = {}
    seats: dict[int, int] = {}
    revealed: set[int] = set()
    for event in events:
        a, number = event.args, getattr(event.args, "round", 0)
        if event.name in ("Committed", "Revealed") and a.trainer == account:
            if number not in latest or deeds[latest[number]].fate is not Fate.PENDING:
                latest[number], seats[number] = len(deeds), a.seat
                deeds.append(Deed.of(event, account))
            if event.name == "Revealed":
                revealed.add(latest[number])
        elif number in latest:
            place, lost = latest[number], taken.get(event.transaction_hash, ())
            deeds[place] = _go_on(
                deeds[place], event, seats[number], lost, is_revealed=place in revealed
            )
    return deeds


def _go_on(
    deed: Deed, event: Event, seat: int, lost: Iterable[Penalty], *, is_revealed: bool
) -> Deed:
    """What an event of its round makes of an update."""
    a = event.args
    if event.name == "UpdateConvicted" and a.trainer == deed.account:
        return deed.end(Fate.CONVICTED, event, lost)
    if event.name == "UpdatesFrozen" and deed.fate is Fate.PENDING:
        if a.included >> seat & 1:
            return replace(deed.end(Fate.ACCEPTED, event), merged=True)
        return deed.end(Fate.EXCLUDED if is_revealed else Fate.REFUSED, event, lost)
    if event.name == "UpdatesUnpaid" and a.seats >> seat & 1:
        return replace(deed, unpaid=True)
    is_undone = event.name in ("RoundVoided", "RoundFailed")
    if is_undone and deed.fate in (Fate.PENDING, Fate.ACCEPTED):
        return replace(deed.end(Fate.VOID, event), merged=False)
    return deed


def excused(
    deeds: Iterable[Deed],
    events: Iterable[Event],
    seats: Mapping[Address, int],
    *,
    adversaries: Iterable[Address],
    all_audited: bool,
) -> list[Deed]:
    """The deeds, with those told apart that nobody honest was drawn to audit.

    `seats` are the adversaries'. Where not `all_audited`, an update without a finding was not
    drawn.
    """
    accomplices = set(adversaries)
    findings = {
        (event.args.round, event.args.seat): event.args
        for event in events
        if event.name == "FindingPosted"
    }

    def look(deed: Deed) -> Deed:
        if deed.fate is not Fate.ACCEPTED:
            return deed
        found = findings.get((deed.round_id, seats.get(deed.account, -1)))
        if found is None:
            return deed if all_audited else replace(deed, fate=Fate.UNDRAWN)
        is_shielded = found.auditor in accomplices and found.finding == Finding.SAME
        return replace(deed, fate=Fate.SHIELDED) if is_shielded else deed

    return [look(deed) for deed in deeds]


# -- accusations and votes ----------------------------------------------------------------------

_ENDS_OF_ACCUSATIONS = {
    TrialState.CONVICTED: Fate.ACCEPTED,
    TrialState.ACQUITTED: Fate.DEFEATED,
    TrialState.HUNG: Fate.HUNG,
    TrialState.MOOT: Fate.VOID,
}


def accusation_deeds(
    events: Iterable[Event], account: Address, penalties: Iterable[Penalty]
) -> list[Deed]:
    """Every trial that the account began against honest work, with its end."""
    taken = _taken(penalties, account, Cause.TRIAL)
    deeds: dict[int, Deed] = {}
    for event in events:
        if event.name == "Accused" and event.args.accuser == account:
            deeds[event.args.id] = Deed.of(event, account)
        elif event.name == "TrialEnded" and event.args.id in deeds:
            fate = _ENDS_OF_ACCUSATIONS[TrialState(event.args.state)]
            lost = taken.get(event.transaction_hash, ())
            deeds[event.args.id] = deeds[event.args.id].end(fate, event, lost)
    return list(deeds.values())


def silence_deeds(
    events: Iterable[Event], account: Address, penalties: Iterable[Penalty]
) -> list[Deed]:
    """Every jury that the account was seated in and did not vote in, with the fine."""
    taken = _taken(penalties, account, Cause.JUROR)
    deeds: dict[tuple[int, int], Deed] = {}
    rounds: dict[int, int] = {}
    for event in events:
        a = event.args
        if event.name == "Accused":
            rounds[a.id] = a.round
        elif event.name == "JurySeated" and account in a.jurors:
            deeds[a.id, a.level] = Deed.of(event, account, rounds[a.id])
        elif event.name == "VoteOpened" and a.juror == account:
            del deeds[a.id, a.level]
        elif event.name == "JurorFined" and a.juror == account:
            lost = taken.get(event.transaction_hash, ())
            deeds[a.id, a.level] = deeds[a.id, a.level].end(Fate.FINED, event, lost)
        elif event.name == "TrialEnded" and a.state in (TrialState.HUNG, TrialState.MOOT):
            for name in [one for one in deeds if one[0] == a.id]:
                fate = Fate.HUNG if a.state == TrialState.HUNG else Fate.VOID
                deeds[name] = deeds[name].end(fate, event)
    return list(deeds.values())
