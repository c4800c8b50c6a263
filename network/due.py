"""Which transition of a run is due: a pure function of the chain's state (docs/protocol.md 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from network.history import Outcome, RoundHistory, RunFold
from network.run import OpenRound, RunParams, Totals
from protocol.rounds import (
    Opinion,
    Phase,
    Tally,
    aggregator_rank,
    bitmap_of,
    popcount,
    seats_in,
    tally,
)
from protocol.types import Address, Attempt, Digest, RoundId, Seat


class Kind(StrEnum):
    """What a keeper can do for a round."""

    OPEN = "open"
    ADVANCE = "advance"
    FREEZE = "freeze"
    PROPOSE = "propose"
    FINALIZE = "finalize"


Origin = tuple[RoundId, Attempt, Phase, int]
"""Round, attempt, phase and deadline that a transition leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A transition that is due now.

    `settle` are rounds to finalize in the same transaction, oldest first; `rejected` counts the
    proposals of the round that were taken back.
    """

    kind: Kind
    origin: Origin
    settle: tuple[RoundId, ...] = ()
    rejected: int = 0

    @property
    def round_id(self) -> RoundId:
        """The round it acts on: the next one where one is opened."""
        after = 1 if self.kind is Kind.OPEN else 0
        return RoundId(self.origin[0] + after)

    @property
    def key(self) -> str:
        """A name that no other transition of the run has."""
        round_id, attempt, phase, deadline_s = self.origin
        if self.kind is Kind.FINALIZE:
            return f"finalize/{self.settle[0]}-{self.settle[-1]}/{attempt}"
        return f"{self.kind}/{round_id}/{attempt}/{phase.value}/{deadline_s}/{self.rejected}"

    def without_open(self) -> "Transition | None":
        """What remains if no round is to be opened."""
        return replace(self, kind=Kind.FINALIZE) if self.settle else None


def due_transition(
    now_s: float, params: RunParams, current: OpenRound, totals: Totals, fold: RunFold
) -> Transition | None:
    """What anyone may do to the run at `now_s` (Unix time) so that it goes on; None while it waits.

    Propose is due in turn (`turn_opens_at_s`). Whether the pool can pay for a new round and enough
    trainers are enrolled, only the chain says. Where the events lag behind the chain: None.
    """
    if current.phase is Phase.IDLE:
        return _due_when_idle(now_s, params, current, totals, fold)
    found = fold.rounds.get(current.round_id)
    if found is None:
        return None
    kind = _due_in_phase(now_s, current, found, fold)
    if kind is None:
        return None
    return Transition(kind=kind, origin=origin_of(current), rejected=len(found.rejected))


def origin_of(current: OpenRound) -> Origin:
    """Where the open round stands."""
    return (current.round_id, current.attempt, current.phase, current.deadline_s)


def _due_in_phase(
    now_s: float, current: OpenRound, found: RoundHistory, fold: RunFold
) -> Kind | None:
    over = now_s > current.deadline_s
    if current.phase is Phase.AUDIT:
        lags = len(found.reveals) != current.reveals or found.attempt != current.attempt
        due = not lags and (over or can_freeze_early(found, fold))
        return Kind.FREEZE if due else None
    if over:
        return Kind.ADVANCE
    return Kind.PROPOSE if current.phase is Phase.MERGE and found.inputs else None


def _due_when_idle(
    now_s: float, params: RunParams, current: OpenRound, totals: Totals, fold: RunFold
) -> Transition | None:
    origin = origin_of(current)
    settle = settleable(now_s, params, current, totals, fold)
    pending = current.round_id - totals.last_final - len(settle)
    can_open = (
        not totals.halted
        and not totals.closed
        and current.round_id < params.max_rounds
        and pending + 2 <= params.ring_size
    )
    if can_open:
        return Transition(kind=Kind.OPEN, origin=origin, settle=settle)
    return Transition(kind=Kind.FINALIZE, origin=origin, settle=settle) if settle else None


def settleable(
    now_s: float, params: RunParams, current: OpenRound, totals: Totals, fold: RunFold
) -> tuple[RoundId, ...]:
    """The rounds that can be finalized now, oldest first. An open dispute only the chain knows.

    A merge waits until the commit phase of the next round has ended without rejecting it. Where no
    round can follow time decides, and where nobody opens one, `merge_timeout_s` more of it.
    """
    may_go_on = current.round_id < params.max_rounds and not totals.halted and not totals.closed
    rounds = []
    for number in range(totals.last_final + 1, current.round_id + 1):
        found = fold.rounds.get(number)
        if found is None or (number == current.round_id and current.phase is not Phase.IDLE):
            break
        if found.outcome is not Outcome.FAILED:
            proposal = found.proposal
            if proposal is None or not found.inputs:
                break
            last = number == current.round_id
            wait_s = params.merge_timeout_s if last and may_go_on else 0
            if now_s < proposal.finalizable_at_s + wait_s:
                break
            if number + 1 == current.round_id and current.phase is Phase.COMMIT:
                break
        rounds.append(RoundId(number))
    return tuple(rounds)


MAX_SETTLED = 512
"""Rewards credited in one transaction, beyond those of its first round: about 5M gas."""


def settle_batch(
    now_s: float,
    params: RunParams,
    current: OpenRound,
    totals: Totals,
    fold: RunFold,
    *,
    every: int,
) -> tuple[RoundId, ...]:
    """The rounds to finalize in one transaction now: none before there are `every` of them.

    Less will do where the ring would keep the round after the current one from opening.
    """
    rounds = settleable(now_s, params, current, totals, fold)
    is_full = current.round_id - totals.last_final + 2 > params.ring_size
    if len(rounds) < every and not is_full:
        return ()
    batch: list[RoundId] = []
    credits_due = 0
    for number in rounds:
        credits_due += popcount(fold.rounds[number].included)
        if batch and credits_due > MAX_SETTLED:
            break
        batch.append(number)
    return tuple(batch)


def agreed(found: RoundHistory, fold: RunFold, opinions: Mapping[Seat, Opinion]) -> Tally:
    """What two thirds of the stake, or what was posted, say of the revealed updates."""
    known = {seat: one for seat, one in opinions.items() if seat in fold.stakes_gwei}
    told = tally(opinions=known, stakes_gwei=fold.stakes_gwei, total_gwei=found.roster_stake_gwei)
    revealed, posted = bitmap_of(found.reveals), found.posted
    return Tally(
        available=(told.available | posted.available) & revealed,
        harmful=(told.harmful | posted.harmful) & revealed,
        contested=told.contested & posted.contested & revealed,
    )


def can_freeze_early(
    found: RoundHistory, fold: RunFold, opinions: Mapping[Seat, Opinion] | None = None
) -> bool:
    """Whether `freeze` need not wait for the deadline: no further attestation changes anything.

    So it is once every revealed update is available and it is settled which of them are harmful, or
    everybody has attested. Looks at the attestations made on chain unless others are given.
    """
    voices = found.attested if opinions is None else opinions
    if not found.reveals:
        return False
    everybody = all(seat in voices for seat in seats_in(found.roster))
    told = agreed(found, fold, voices)
    return everybody or (told.available == bitmap_of(found.reveals) and not told.contested)


def turn_opens_at_s(
    params: RunParams,
    *,
    deadline_s: int,
    seed: Digest,
    aggregators: Sequence[Address],
    account: Address,
) -> float:
    """Unix time from which an account may propose in the merge phase that ends at `deadline_s`."""
    started_s = deadline_s - params.merge_timeout_s
    count = len(aggregators)
    if count == 0:
        return float(started_s)
    listed = [one.lower() for one in aggregators]
    rank = count
    if account.lower() in listed:
        rank = aggregator_rank(index=listed.index(account.lower()), count=count, seed=seed)
    return float(started_s + rank * params.merge_turn_s)
