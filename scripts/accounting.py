"""What a run's rounds cost in gas and paid in ether, from receipts and events alone."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from network.abi import Event
from network.history import RunFold
from network.rpc import Rpc
from network.run import RunContract
from protocol.types import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A trainer's stake and what it earned."""

    seat: int
    trainer: Address
    stake_gwei: int
    rounds_included: int
    rewards_wei: int


def gas_by_round(rpc: Rpc, events: Iterable[Event]) -> dict[int, int]:
    """Gas of every transaction that emitted an event of a round, counted once.

    A transaction that settles one round, merges the next and opens a third counts for the one it
    merges: the earliest that was not final before. Enrolment and set-up count for no round.
    """
    rounds: dict[str, set[int]] = defaultdict(set)
    settled: dict[str, set[int]] = defaultdict(set)
    for event in events:
        number = getattr(event.args, "round", None)
        if number is None:
            continue
        if event.name in {"RoundFinalized", "RewardCredited"}:
            settled[event.transaction_hash].add(number)
        else:
            rounds[event.transaction_hash].add(number)
    gas: dict[int, int] = defaultdict(int)
    for tx_hash in rounds.keys() | settled.keys():
        receipt = rpc.call("eth_getTransactionReceipt", tx_hash)
        number = min(rounds[tx_hash]) if rounds[tx_hash] else max(settled[tx_hash])
        gas[number] += int(receipt["gasUsed"], 16)
    return dict(gas)


def participants(run: RunContract, fold: RunFold) -> list[Participant]:
    """Everybody who holds a seat now, with what the finished rounds credited."""
    rows = []
    for seat, trainer in sorted(fold.trainers.items()):
        included = sum(1 for r in fold.rounds.values() if r.included >> seat & 1)
        rows.append(
            Participant(
                seat=seat,
                trainer=trainer,
                stake_gwei=run.seat(seat).stake_gwei,
                rounds_included=included,
                rewards_wei=sum(r.rewards_wei.get(trainer, 0) for r in fold.rounds.values()),
            )
        )
    return rows
