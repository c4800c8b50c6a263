"""Why an account earned what it earned in a round, from the chain's history alone.

Docs/protocol.md section 4.
"""

from dataclasses import dataclass
from enum import StrEnum

from network.history import Outcome, RoundHistory, RunFold
from protocol.rounds import Phase, reward_wei
from protocol.types import Address, Seat


class Reason(StrEnum):
    """What decided an account's pay."""

    UNKNOWN_ROUND = "unknown round"
    NOT_IN_ROSTER = "not in the roster"
    ABSENT = "absent"
    DISSENTED = "dissented"
    NOT_REVEALED = "not revealed"
    UNAVAILABLE = "unavailable"
    EXCLUDED = "excluded"
    CONVICTED = "convicted"
    HARMFUL = "harmful"
    ROUND_FAILED = "round failed"
    ROUND_OPEN = "round still open"
    NOT_FINAL = "not final yet"
    PAID = "paid"


_SAYING = {
    Reason.UNKNOWN_ROUND: ("no such round was opened", "check the number with `status`"),
    Reason.NOT_IN_ROSTER: (
        "the account had no seat when the round opened",
        "enroll with `start --stake`; a seat counts from the next round on",
    ),
    Reason.ABSENT: (
        "no commitment got on chain before the deadline",
        "look for problems in the node's log; `doctor` checks the machine",
    ),
    Reason.DISSENTED: (
        "the node computed another parent model and said so",
        "nothing is paid for a dissent; compare `status` with another node",
    ),
    Reason.NOT_REVEALED: (
        "the commitment was not opened before the deadline, which costs a fee",
        "keep the node running and its data directory safe: the salt is in it",
    ),
    Reason.UNAVAILABLE: (
        "attesters with two thirds of the stake did not find the update available",
        "check that others reach your store; `doctor` tests it",
    ),
    Reason.EXCLUDED: (
        "a court excluded the update before it was merged",
        "read the conviction's transaction",
    ),
    Reason.CONVICTED: (
        "a court convicted the update; its pay is void and stake was taken",
        "read the conviction's transaction",
    ),
    Reason.HARMFUL: (
        "two thirds of the stake found that the update harms the model: merged, but not paid",
        "look at the node's data and training; stake is not touched",
    ),
    Reason.ROUND_FAILED: (
        "the round failed, and nobody is paid for a failed round",
        "nothing is to be done; the next round starts from the same model",
    ),
    Reason.ROUND_OPEN: ("the round is still going on", "ask again when it has ended"),
    Reason.NOT_FINAL: (
        "the update is in the merge; the dispute window is open",
        "wait until anyone finalizes the round",
    ),
    Reason.PAID: ("the update is in the final merge", "take it home with `claim`"),
}

FAILURES = (
    "too few commitments",
    "too few reveals",
    "too few available updates",
    "nobody proposed a merge in time",
    "its parent model was rejected",
    "its merge was convicted",
    "rolled back by the guardian",
    "an update of its merge cannot be had",
)
"""FailureReason of contracts/types/Types.sol, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an account earned in a round and why. `expected_wei` is due if the round is final."""

    round_id: int
    attempt: int | None
    seat: Seat | None
    reason: Reason
    explanation: str
    advice: str
    earned_wei: int = 0
    expected_wei: int = 0
    fees_gwei: int = 0
    weight: int | None = None


def explain(fold: RunFold, round_id: int, account: Address) -> Explanation:
    """Say what an account earned in a round and why."""
    found = fold.rounds.get(round_id)
    if found is None:
        return _say(round_id, None, None, Reason.UNKNOWN_ROUND)
    seat = _seat_in(fold, found, account)
    reason = _reason(found, seat, account)
    weight = next(
        (
            entry.weight
            for segment in found.inputs
            for entry in segment
            if entry.trainer == account and entry.seat == seat
        ),
        None,
    )
    expected_wei = 0
    if weight is not None and reason in (Reason.NOT_FINAL, Reason.PAID):
        expected_wei = reward_wei(
            reward_per_round_wei=fold.params.reward_per_round_wei,
            weight=weight,
            segment_count=fold.params.segments,
        )
    more = ""
    if reason is Reason.ROUND_FAILED and found.failure is not None:
        more = f": {FAILURES[found.failure]}" if found.failure < len(FAILURES) else ""
    if weight is not None:
        more += f" (weight {weight} of 65536 in its segment)"
    return _say(
        round_id,
        found,
        seat,
        reason,
        more=more,
        earned_wei=found.rewards_wei.get(account, 0),
        expected_wei=expected_wei,
        fees_gwei=_fees_gwei(found, account),
        weight=weight,
    )


def _reason(found: RoundHistory, seat: Seat | None, account: Address) -> Reason:
    """The first thing in a round's course that decided the pay."""
    if seat is None:
        return Reason.NOT_IN_ROSTER
    reached = _phase_reached(found)
    frozen = bool(found.inputs_hashes)
    convicted = Reason.CONVICTED if frozen else Reason.EXCLUDED
    missing = Reason.EXCLUDED if _available(found) >> seat & 1 else Reason.UNAVAILABLE
    course = (
        (_has_event(found, "UpdateConvicted", account), convicted),
        (found.outcome is Outcome.FAILED, Reason.ROUND_FAILED),
        (seat in found.dissents, Reason.DISSENTED),
        (seat not in found.commitments and reached > Phase.COMMIT, Reason.ABSENT),
        (seat in found.commitments and seat not in found.reveals and reached > Phase.REVEAL,
         Reason.NOT_REVEALED),
        (not frozen, Reason.ROUND_OPEN),
        (not found.included >> seat & 1, missing),
        (found.unpaid >> seat & 1 == 1, Reason.HARMFUL),
        (found.outcome is Outcome.FINAL, Reason.PAID),
    )  # fmt: skip
    return next((reason for happened, reason in course if happened), Reason.NOT_FINAL)


def _seat_in(fold: RunFold, found: RoundHistory, account: Address) -> Seat | None:
    """The seat that the account had in the round; its submissions outlast its seat."""
    for event in found.events:
        if event.name in ("Committed", "Dissented") and event.args.trainer == account:
            return Seat(event.args.seat)
    for seat, trainer in fold.trainers.items():
        if trainer == account and found.roster >> seat & 1:
            return seat
    return None


def _has_event(found: RoundHistory, name: str, account: Address) -> bool:
    return any(event.name == name and event.args.trainer == account for event in found.events)


def _phase_reached(found: RoundHistory) -> Phase:
    """The last phase that began."""
    begun = [event.args.phase for event in found.events if event.name == "PhaseStarted"]
    return Phase(max([Phase.COMMIT, *begun]))


def _available(found: RoundHistory) -> int:
    """What `freeze` found available."""
    available = 0
    for event in found.events:
        if event.name == "UpdatesFrozen":
            available = event.args.available
    return available


def _fees_gwei(found: RoundHistory, account: Address) -> int:
    return sum(
        event.args.feeGwei
        for event in found.events
        if event.name == "FeeCharged" and event.args.trainer == account
    )


def _say(
    round_id: int,
    found: RoundHistory | None,
    seat: Seat | None,
    reason: Reason,
    *,
    more: str = "",
    earned_wei: int = 0,
    expected_wei: int = 0,
    fees_gwei: int = 0,
    weight: int | None = None,
) -> Explanation:
    explanation, advice = _SAYING[reason]
    return Explanation(
        round_id=round_id,
        attempt=None if found is None else found.attempt,
        seat=seat,
        reason=reason,
        explanation=explanation + more,
        advice=advice,
        earned_wei=earned_wei,
        expected_wei=expected_wei,
        fees_gwei=fees_gwei,
        weight=weight,
    )
