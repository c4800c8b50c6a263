"""Reads what a run left on chain, and judges it: deeds and fates, books, promises."""

from collections.abc import Mapping
from dataclasses import dataclass

from network.court.contract import known_court
from network.history import RunFold
from network.rpc import Rpc
from network.run import RunContract
from protocol.types import Address
from scripts.penalties import (
    Penalty,
    accounts_in,
    court_holding,
    flow_mismatches,
    penalties,
    read_events,
    run_holding,
    vault_holding,
)
from scripts.verdicts import (
    Deed,
    Party,
    Promise,
    judge_deeds,
    judge_run,
    parties,
    proposal_deeds,
    update_deeds,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Who cheats: by its proposals if it `merges`, else by its updates."""

    account: Address
    merges: bool


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
    suspect: Suspect | None,
    first_block: int,
) -> Judgement:
    """Judge a run that is over; raises what reading the chain raises.

    `rounds` left a model and the last one reached `accuracy`; `verified` says that all of them
    replay. `names` are everybody who should have taken part.
    """
    court = known_court(rpc, run)
    addresses = [run.address, run.vault.address, *([court.address] if court else [])]
    events = read_events(rpc, addresses, first_block=first_block)
    lost = penalties(events)
    accounts = accounts_in(events) | names.keys()
    holdings = [run_holding(rpc, run, accounts), vault_holding(rpc, run, accounts)]
    if court is not None:
        holdings.append(court_holding(rpc, court, accounts))
    books = parties(
        names,
        adversary=suspect.account if suspect else None,
        penalties=lost,
        rewards_wei={
            account: sum(found.rewards_wei.get(account, 0) for found in fold.rounds.values())
            for account in accounts
        },
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
    if suspect is not None:
        find = proposal_deeds if suspect.merges else update_deeds
        deeds = find(events, suspect.account, lost)
        promises += judge_deeds(deeds, must_convict=suspect.merges)
    return Judgement(
        penalties=tuple(lost),
        parties=tuple(books),
        deeds=tuple(deeds),
        promises=tuple(promises),
        burned_wei=burned_wei,
    )
