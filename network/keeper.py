"""Making a run's transitions: anyone may, the coordinator does, every trainer stands by.

So one live honest staker is enough for a round to go on. Docs/protocol.md section 4. Losing a race
to another keeper is no error: look again and go on.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import takewhile

import structlog

from network.due import Kind, Transition, due_transition, settle_batch, turn_opens_at_s
from network.heads import HeadWatcher
from network.history import RoundHistory, RunFold, RunHistory
from network.remedies import REMEDIES
from network.run import AttestationGroup, OpenRound, RunContract, Totals, attestation_groups
from network.transactions import Call, Receipt, TransactionSender
from protocol.cid import Cid
from protocol.rounds import Phase, header_hash
from protocol.types import Address, Digest, RoundId, Seat, Wei

_log = structlog.get_logger(__name__)

GWEI = 10**9

RACES = tuple(
    REMEDIES[name]
    for name in (
        "AlreadyAggregator",
        "AlreadySubmitted",
        "CommitmentMismatch",
        "DisputeOpen",
        "DisputeWindowOpen",
        "EmptyBatch",
        "InputsMismatch",
        "NotYourTurn",
        "PhaseNotOver",
        "PhaseOver",
        "WrongAttempt",
        "WrongParentRoot",
        "WrongPhase",
        "WrongRound",
        "WrongUpdates",
    )
)
"""Refusals that say that the chain has moved on, or not yet: look again."""

WAITS = tuple(
    REMEDIES[name] for name in ("InsufficientFunds", "RunComplete", "RunStopped", "TooFewTrainers")
)
"""Refusals of `openRound` that another's action may lift."""

MergeMaker = Callable[[RoundHistory], tuple[Digest, Cid]]
"""Merges a frozen round; gives the model's root and its object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at a run: what the chain says now, and what its events add up to."""

    current: OpenRound
    totals: Totals
    fold: RunFold
    due: Transition | None
    now_s: float

    @property
    def round(self) -> RoundHistory | None:
        """The round that `current` speaks of, if the events have come as far."""
        return self.fold.rounds.get(self.current.round_id)


def freeze_updates(found: RoundHistory) -> list[tuple[Seat, Digest, Digest]]:
    """What `freeze` wants to know of every revealed update, in ascending seat order."""
    return [
        (seat, revealed.header.update_root, header_hash(revealed.header))
        for seat, revealed in sorted(found.reveals.items())
    ]


def chain_groups(found: RoundHistory) -> list[AttestationGroup]:
    """The attestations that trainers made on chain themselves, as `freeze` wants them."""
    return attestation_groups({seat: (said, None) for seat, said in found.attested.items()})


def intent_key(run: Address, kind: str, scope: str, call: Call) -> str:
    """The key of a call for TransactionSender: the same only for the same call in the same scope.

    A restarted keeper may know fewer attestations than before: then its call is another one, and
    `already_done` and the simulation keep it from being made twice.
    """
    return f"{kind}/{run.lower()}/{scope}/{sha256(call.data).hexdigest()[:16]}"


def ensure_bonds(
    run: RunContract, sender: TransactionSender, *, bonds: int, scope: str
) -> Wei | None:
    """Top the account's free money in the run up to so many proposer bonds; gives what was sent.

    Raises what TransactionSender.send raises, InsufficientFunds among it.
    """
    needed_wei = bonds * run.params.proposer_bond_gwei * GWEI
    free_wei = run.account(sender.address).free_wei
    if free_wei >= needed_wei:
        return None
    call = run.prepare("depositBond", value_wei=needed_wei - free_wei)
    sender.send(
        f"bond/{run.address.lower()}/{scope}/{call.value_wei}",
        call,
        already_done=lambda: run.account(sender.address).free_wei >= needed_wei,
    )
    _log.info("bond_deposited", run=run.address, amount_wei=call.value_wei)
    return call.value_wei


class Keeper:
    """Makes what is due in one run, from the chain alone. Not safe for several threads.

    `delay_s` is how long a transition must have been due before this keeper makes it: 0 for a
    coordinator, some seconds for a trainer who stands by. Without `merge` it proposes nothing;
    with it, it deposits the bond that a proposal needs. It settles `settle_every` rounds at once,
    fewer when the ring is full, and at the end of `max_rounds` all that are left.
    """

    def __init__(
        self,
        run: RunContract,
        history: RunHistory,
        sender: TransactionSender,
        heads: HeadWatcher,
        *,
        delay_s: float = 0.0,
        merge: MergeMaker | None = None,
        max_rounds: int | None = None,
        settle_every: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._run = run
        self._history = history
        self._sender = sender
        self._heads = heads
        self._delay_s = delay_s
        self._merge = merge
        self._max_rounds = max_rounds
        self._settle_every = settle_every
        self._clock = clock
        self._due_since: tuple[str, float] | None = None
        self._is_wrong: Callable[[RoundId], bool] = lambda _: False

    def beware(self, is_wrong: Callable[[RoundId], bool]) -> None:
        """Settle no round that is known to be wrong."""
        self._is_wrong = is_wrong

    def now_s(self) -> float:
        """Block time as far as known: this clock, or the last block where that is ahead."""
        head = self._heads.head
        return max(self._clock(), float(head.timestamp_s) if head else 0.0)

    def look(self) -> View:
        """Read the chain."""
        current, totals = self._run.current(), self._run.totals()
        fold = self._history.update()
        now_s = self.now_s()
        due = due_transition(now_s, self._run.params, current, totals, fold)
        if (
            due is not None
            and due.kind is Kind.OPEN
            and self._max_rounds is not None
            and current.round_id >= self._max_rounds
        ):
            due = due.without_open()
        return View(current=current, totals=totals, fold=fold, due=due, now_s=now_s)

    def wake_at_s(self, view: View) -> list[float]:
        """Unix times at which something may become due though no block comes."""
        moments = [view.current.deadline_s + 1.0 + self._delay_s]
        if self._due_since is not None:
            moments.append(self._due_since[1] + self._delay_s)
        if view.current.phase is Phase.MERGE:
            moments.append(self.turn_s(view) + self._delay_s)
        moments += [
            float(found.proposal.finalizable_at_s) + self._delay_s
            for found in view.fold.rounds.values()
            if found.proposal is not None
        ]
        return moments

    def step(self) -> Transition | None:
        """Make what has been due for long enough; gives what was made, None if nothing was."""
        return self.make(self.look())

    def make(self, view: View) -> Transition | None:
        """As `step`, on a view that was just read."""
        due = view.due
        if due is None or not self._is_patient_enough(due, view.now_s):
            return None
        try:
            made = self._make(due, view)
        except RACES as refusal:
            _log.info("keeper_too_late", transition=due.key, problem=refusal.message)
            return None
        if made:
            self._due_since = None
            _log.info("transition_made", run=self._run.address, transition=due.key)
        return due if made else None

    def _is_patient_enough(self, due: Transition, now_s: float) -> bool:
        if self._due_since is None or self._due_since[0] != due.key:
            self._due_since = (due.key, now_s)
        return now_s >= self._due_since[1] + self._delay_s

    def _make(self, due: Transition, view: View) -> bool:
        run, found = self._run, view.round
        if due.kind is Kind.ADVANCE:
            self._send(due, run.prepare("advance"))
        elif due.kind is Kind.FREEZE and found is not None:
            self._send(
                due,
                run.freeze(
                    attempt=found.attempt,
                    groups=chain_groups(found),
                    updates=freeze_updates(found),
                ),
            )
        elif due.kind is Kind.PROPOSE and found is not None:
            return self._propose(due, found, view)
        elif due.kind in (Kind.OPEN, Kind.FINALIZE):
            return self._open_or_settle(due, view)
        return True

    def turn_s(self, view: View) -> float:
        """Unix time from which this account may propose in the open merge phase."""
        found = view.round
        if found is None:
            return view.now_s
        return turn_opens_at_s(
            self._run.params,
            deadline_s=view.current.deadline_s,
            seed=found.seed,
            aggregators=self._run.read("aggregators"),
            account=self._sender.address,
        )

    def _propose(self, due: Transition, found: RoundHistory, view: View) -> bool:
        if self._merge is None or view.now_s < self.turn_s(view):
            return False
        model_root, model = self._merge(found)
        ensure_bonds(self._run, self._sender, bonds=1, scope=due.key)
        call = self._run.propose_merge(round_id=found.round_id, model_root=model_root, model=model)
        self._send(due, call)
        return True

    def _open_or_settle(self, due: Transition, view: View) -> bool:
        batch = self._undisputed(view, self._settle_every)
        pending = view.current.round_id - view.totals.last_final - len(batch)
        if due.kind is Kind.OPEN and pending + 2 <= self._run.params.ring_size:
            calls = settle_calls(self._run, view.fold, batch)
            try:
                self._send(due, self._together([*calls, self._run.prepare("openRound")]))
            except WAITS as refusal:
                _log.info("round_not_opened", run=self._run.address, problem=refusal.message)
            else:
                return True
        return self._settle(due, view)

    def _settle(self, due: Transition, view: View) -> bool:
        """Nothing else is to be done: settle what can be settled, the last rounds all at once."""
        left = view.current.round_id - view.totals.last_final
        rounds = self._undisputed(view, 1)
        is_end = view.current.round_id >= (self._max_rounds or self._run.params.max_rounds)
        if not rounds or (is_end and len(due.settle) < min(left, self._settle_every)):
            return False
        rest = replace(due, kind=Kind.FINALIZE, settle=rounds)
        self._send(rest, self._together(settle_calls(self._run, view.fold, rounds)))
        return True

    def _undisputed(self, view: View, every: int) -> tuple[RoundId, ...]:
        batch = settle_batch(
            view.now_s, self._run.params, view.current, view.totals, view.fold, every=every
        )
        return undisputed(self._run, self.right(batch))

    def right(self, rounds: Sequence[RoundId]) -> tuple[RoundId, ...]:
        """The rounds up to the first that is known to be wrong."""
        return tuple(takewhile(lambda n: not self._is_wrong(n), rounds))

    def _together(self, calls: Sequence[Call]) -> Call:
        return calls[0] if len(calls) == 1 else self._run.multicall(calls)

    def _send(self, due: Transition, call: Call) -> Receipt | None:
        key = intent_key(self._run.address, due.kind.value, due.key, call)
        return self._sender.send(key, call, already_done=lambda: self.is_done(due))

    def is_done(self, due: Transition) -> bool:
        """Whether the chain is past a transition."""
        if due.kind is Kind.FINALIZE:
            return self._run.totals().last_final >= due.settle[-1]
        current = self._run.current()
        return (current.round_id, current.attempt, current.phase, current.deadline_s) != due.origin


def settle_calls(run: RunContract, fold: RunFold, rounds: Sequence[int]) -> list[Call]:
    """The `finalize` calls of some rounds, in order."""
    return [
        run.finalize(round_id=fold.rounds[n].round_id, inputs=fold.rounds[n].input_preimages())
        for n in rounds
    ]


def undisputed(run: RunContract, rounds: Sequence[RoundId]) -> tuple[RoundId, ...]:
    """The rounds up to the first that is under dispute or on trial; only the chain knows."""
    return tuple(takewhile(lambda n: not _is_held(run, n), rounds))


def _is_held(run: RunContract, round_id: RoundId) -> bool:
    record = run.round_record(round_id)
    if record.open_disputes:
        return True
    return record.any_trial and run.read("openTrials", round_id) != 0
