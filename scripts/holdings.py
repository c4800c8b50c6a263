"""Whether every wei is where the contracts say it is, from views and events alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from network.abi import Event
from network.court.contract import MergeCourtContract
from network.ethereum import read_balance
from network.keeper import GWEI
from network.rpc import Rpc
from network.run import ZERO_ADDRESS, RunContract
from network.trials.contract import TrainingCourtContract
from protocol.types import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a contract holds, and what its books say that it owes and to what end."""

    contract: str
    balance_wei: int
    parts: Mapping[str, int]

    @property
    def is_balanced(self) -> bool:
        """Whether the books explain every wei."""
        return self.balance_wei == sum(self.parts.values())


def accounts_in(events: Iterable[Event]) -> set[Address]:
    """Every account that an event speaks of."""
    return {
        Address(value)
        for event in events
        for value in event.args
        if isinstance(value, str) and value.startswith("0x") and len(value) == len(ZERO_ADDRESS)
    }


def run_holding(rpc: Rpc, run: RunContract, accounts: Iterable[Address]) -> Holding:
    """Invariant R1: pool, keeper budget, accounts and what was burned."""
    owed = [run.account(account) for account in sorted(accounts)]
    return Holding(
        contract="TrainingRun",
        balance_wei=read_balance(rpc, run.address),
        parts={
            "rewards": run.read("rewardPoolWei"),
            "keepers": run.current().keeper_gwei * GWEI,
            "owed": sum(one.free_wei for one in owed),
            "bonds": sum(one.locked_wei for one in owed),
            "burned": run.read("burnedWei"),
        },
    )


def vault_holding(rpc: Rpc, run: RunContract, accounts: Iterable[Address]) -> Holding:
    """Invariant V1: free, locked and unbonding stake and what was burned."""
    vault, owners = run.vault, sorted(accounts)
    return Holding(
        contract="StakeVault",
        balance_wei=read_balance(rpc, vault.address),
        parts={
            "free": sum(vault.read("freeOf", one) for one in owners),
            "locked": sum(vault.read("lockedOf", run.address, one) for one in owners),
            "unbonding": sum(vault.read("unbondingOf", run.address, one)[0] for one in owners),
            "burned": vault.read("burnedWei"),
        },
    )


def court_holding(rpc: Rpc, court: MergeCourtContract, accounts: Iterable[Address]) -> Holding:
    """Invariant C1: bonds of disputes in progress, and credits."""
    disputes = [court.dispute(number) for number in range(1, court.read("disputeCount") + 1)]
    return Holding(
        contract="MergeCourt",
        balance_wei=read_balance(rpc, court.address),
        parts={
            "bonds": sum(one.bond_wei for one in disputes if not one.state.is_over),
            "credits": sum(court.credit_of(account) for account in sorted(accounts)),
        },
    )


def training_court_holding(
    rpc: Rpc, court: TrainingCourtContract, run: RunContract, accounts: Iterable[Address]
) -> Holding:
    """Invariant T1: bonds of trials in progress, what jurors have not fetched, audits, credits."""
    trials = [court.trial(number) for number in range(1, court.read("trialCount") + 1)]
    return Holding(
        contract="TrainingCourt",
        balance_wei=read_balance(rpc, court.address),
        parts={
            "bonds": sum(
                one.accuser_bond_wei + one.defender_bond_wei + one.appeal_bond_wei
                for one in trials
                if not one.state.is_over
            ),
            "jurors": sum(one.jurors_wei for one in trials if one.state.is_over),
            "audits": court.read("auditPoolWei", run.address),
            "credits": sum(court.credit_of(account) for account in sorted(accounts)),
        },
    )


def flow_mismatches(events: Iterable[Event], run: RunContract, rpc: Rpc) -> list[str]:
    """What went in and out of run and vault, against what they hold; differences in words."""
    sums: dict[Address, int] = defaultdict(int)
    vault = run.vault.address
    for event in events:
        a, where = event.args, Address(event.address)
        if event.name == "Funded":
            sums[where] += a.rewardWei + a.keeperWei
        elif event.name in ("BondDeposited", "Deposited"):
            sums[where] += a.amountWei
        elif event.name in ("Claimed", "Withdrawn"):
            sums[where] -= a.amountWei
        elif event.name == "FeeCollected":
            sums[vault] -= a.amountWei
            sums[run.address] += a.amountWei
    problems = []
    for name, address in (("TrainingRun", run.address), ("StakeVault", vault)):
        held_wei = read_balance(rpc, address)
        if held_wei != sums[address]:
            problems.append(f"{name} holds {held_wei} wei, its events leave {sums[address]}")
    return problems
