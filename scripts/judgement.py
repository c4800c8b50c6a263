"""Reads what a run left on chain, and judges it: deeds and fates, books, promises."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from network.abi import Event
from network.court.contract import known_court
from network.history import RunFold
from network.rpc import Rpc
from network.run import RunContract
from network.trials.contract import known_training_court
from protocol.types import Address
from scripts.deeds import (
    Deed,
    Fate,
    accusation_deeds,
    dated,
    excused,
    proposal_deeds,
    silence_deeds,
    update_deeds,
)
from scripts.holdings import (
    accounts_in,
    court_holding,
    flow_mismatches,
    run_holding,
    training_court_holding,
    vault_holding,
)
from scripts.penalties import Penalty, penalties, read_events
from scripts.verdicts import Conduct, Party, Promise, judge_deeds, judge_run, parties

ALL_BPS = 10_000
_FIND = {
    Conduct.PROPOSES: proposal_deeds,
    Conduct.TRAINS: update_deeds,
    Conduct.ACCUSES: accusation_deeds,
    Conduct.IDLES: silence_deeds,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Who cheats, and by what."""

    account: Address
    conduct: Conduct


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the run was to come to."""

    rounds: int
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found; `burned_wei` is what penalties burned."""

    penalties: tuple[Penalty, ...]
    parties: tuple[Party, ...]
    deeds: tuple[Deed, ...]
    promises: tuple[Promise, ...]
    burned_wei: int
    names: Mapping[Address, str] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether everything that the protocol promises came true."""
        return all(promise.held for promise in self.promises)


def judge(
    rpc: Rpc,
    run: RunContract,
    fold: RunFold,
    expected: Expected,
    *,
    rounds: int,
    accuracy: float,
    verified: bool,
    names: Mapping[Address, str],
    suspects: Sequence[Suspect],
    first_block: int,
) -> Judgement:
    """Judge a run that is over; raises what reading the chain raises.

    `rounds` left a model and the last one reached `accuracy`; `verified` says that all of them
    replay. `names` are everybody who should have taken part.
    """
    court, training = known_court(rpc, run), known_training_court(rpc, run)
    courts = [one.address for one in (court, training) if one is not None]
    events = read_events(rpc, [run.address, run.vault.address, *courts], first_block=first_block)
    trials = {}
    if training is not None:
        count = training.read("trialCount")
        trials = {number: training.trial(number) for number in range(1, count + 1)}
    lost = penalties(events, trials)
    accounts = accounts_in(events) | names.keys()
    holdings = [run_holding(rpc, run, accounts), vault_holding(rpc, run, accounts)]
    if court is not None:
        holdings.append(court_holding(rpc, court, accounts))
    if training is not None:
        holdings.append(training_court_holding(rpc, training, run, accounts))
    books = parties(
        names,
        adversaries=[one.account for one in suspects],
        penalties=lost,
        rewards_wei={
            account: sum(found.rewards_wei.get(account, 0) for found in fold.rounds.values())
            for account in accounts
        },
        audits_wei=audit_pay(events),
    )
    burned_wei = sum(one.burned_wei for one in lost)
    promises = judge_run(
        verified=verified,
        rounds=rounds,
        wanted_rounds=expected.rounds,
        accuracy=accuracy,
        wanted_accuracy=expected.accuracy,
        books=books,
        burned_wei=burned_wei,
        holdings=holdings,
        mismatches=flow_mismatches(events, run, rpc),
    )
    deeds: list[Deed] = []
    audit_bps = run.params.audit_bps
    for conduct in dict.fromkeys(one.conduct for one in suspects):
        guilty = [one.account for one in suspects if one.conduct is conduct]
        found = [deed for one in guilty for deed in _FIND[conduct](events, one, lost)]
        if conduct is Conduct.TRAINS:
            found = excused(
                found,
                events,
                seats_of(events),
                adversaries=[one.account for one in suspects],
                all_audited=audit_bps == ALL_BPS,
            )
        promises += judge_deeds(found, conduct, excuses=excuses(len(suspects), audit_bps))
        deeds += found
    return Judgement(
        penalties=tuple(lost),
        parties=tuple(books),
        deeds=tuple(sorted(dated(deeds, events), key=lambda one: (one.round_id, one.block))),
        promises=tuple(promises),
        burned_wei=burned_wei,
        names=dict(names),
    )


def excuses(suspects: int, audit_bps: int) -> set[Fate]:
    """What the protocol does not promise to answer in such a run."""
    undrawn = {Fate.UNDRAWN} if audit_bps < ALL_BPS else set()
    return undrawn | ({Fate.SHIELDED} if suspects > 1 else set())


def seats_of(events: Sequence[Event]) -> dict[Address, int]:
    """The seat of everybody who committed."""
    return {one.args.trainer: one.args.seat for one in events if one.name == "Committed"}


def audit_pay(events: Sequence[Event]) -> dict[Address, int]:
    """What the training court credited to auditors for what they found."""
    paid_wei: Counter[Address] = Counter()
    for event in events:
        if event.name == "FindingPosted":
            paid_wei[event.args.auditor] += event.args.paidWei
    return dict(paid_wei)
