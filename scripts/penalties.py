"""Who lost money by whose proof, and whether every wei is where the contracts say it is.

From events and views of the run, its vault and its court alone, as anybody could compute it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from network.abi import Event
from network.artifacts import abi_of
from network.court.contract import MergeCourtContract
from network.ethereum import read_balance
from network.events import EventReader
from network.history import Proposal, proposal_id
from network.keeper import GWEI
from network.rpc import Rpc
from network.run import CLIENT_ABI, ZERO_ADDRESS, RunContract
from protocol.cid import Cid
from protocol.types import Address, BlockNumber, Digest


class Cause(StrEnum):
    """What a penalty was for."""

    MERGE = "wrong merge"
    UPDATE = "bad update"
    DISPUTE = "lost dispute"
    ABSENCE = "absent"
    SILENCE = "not revealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """Money that one account lost: `paid_wei` to the winner, `burned_wei` to nobody.

    A fee is paid to the run's keeper budget and has no winner. `round_id` is None where the chain
    names none.
    """

    cause: Cause
    round_id: int | None
    loser: Address
    winner: Address | None
    paid_wei: int
    burned_wei: int
    transaction: str

    @property
    def lost_wei(self) -> int:
        """What the loser is short of."""
        return self.paid_wei + self.burned_wei


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


def read_events(rpc: Rpc, addresses: Sequence[Address], *, first_block: int) -> list[Event]:
    """Every event of a run, its vault and its court, in order."""
    reader = EventReader(rpc, abi_of(*CLIENT_ABI), addresses)
    return [event for batch in reader.read(BlockNumber(first_block)) for event in batch.events]


def proposals(events: Iterable[Event]) -> dict[Digest, tuple[int, Event]]:
    """Round and event of every proposal ever made, by its name on chain."""
    seeds: dict[int, Digest] = {}
    made: dict[Digest, tuple[int, Event]] = {}
    for event in events:
        a = event.args
        if event.name == "RoundOpened":
            seeds[a.round] = a.seed
        elif event.name == "MergeProposed":
            proposal = Proposal(
                proposer=a.proposer,
                model_root=a.modelRoot,
                model=Cid(digest=a.modelCid, size=a.modelSize),
                finalizable_at_s=a.finalizableAt,
            )
            made[proposal_id(a.round, seeds[a.round], proposal)] = (a.round, event)
    return made


def penalties(events: Sequence[Event]) -> list[Penalty]:
    """Everything that anybody lost, in order; `events` are the run's, its vault's and court's."""
    named = proposals(events)
    convicted = {  # the vault does not know for which round it slashes
        (event.transaction_hash, event.args.trainer): event.args.round
        for event in events
        if event.name == "UpdateConvicted"
    }
    challengers: dict[int, tuple[Address, int]] = {}
    found: list[Penalty] = []
    for event in events:
        a = event.args
        if event.name in ("TreeChallenged", "LeafChallenged"):
            challengers[a.id] = (a.challenger, a.round)
            continue
        made = _penalty(event, named, convicted, challengers)
        if made is not None and made.lost_wei:
            found.append(made)
    return found


def _penalty(
    event: Event,
    named: Mapping[Digest, tuple[int, Event]],
    convicted: Mapping[tuple[str, Address], int],
    challengers: Mapping[int, tuple[Address, int]],
) -> Penalty | None:
    a, tx = event.args, event.transaction_hash
    if event.name in ("MergeConvicted", "RejectedConvicted"):
        number = a.round if event.name == "MergeConvicted" else named[a.proposal][0]
        return Penalty(
            cause=Cause.MERGE,
            round_id=number,
            loser=a.proposer,
            winner=a.beneficiary,
            paid_wei=a.paidWei,
            burned_wei=a.burnedWei,
            transaction=tx,
        )
    if event.name == "Slashed":
        return Penalty(
            cause=Cause.UPDATE,
            round_id=convicted.get((tx, a.trainer)),
            loser=a.trainer,
            winner=a.beneficiary,
            paid_wei=a.paidWei,
            burned_wei=a.burnedWei,
            transaction=tx,
        )
    if event.name == "FeeCharged":
        return Penalty(
            cause=Cause.ABSENCE if a.absent else Cause.SILENCE,
            round_id=a.round,
            loser=a.trainer,
            winner=None,
            paid_wei=a.feeGwei * GWEI,
            burned_wei=0,
            transaction=tx,
        )
    if event.name == "DisputeEnded" and a.id in challengers:
        challenger, number = challengers[a.id]
        if a.beneficiary not in (challenger, ZERO_ADDRESS):
            return Penalty(
                cause=Cause.DISPUTE,
                round_id=number,
                loser=challenger,
                winner=a.beneficiary,
                paid_wei=a.bondsWei,
                burned_wei=0,
                transaction=tx,
            )
    return None


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
