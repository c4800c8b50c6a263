"""Drives a run's rounds: posts what trainers sent, merges, proposes, settles and opens.

Woken by heads, messages and deadlines, never by a sleep. All state is the chain's, the store's and
the transaction journal's: it may be killed at any point and started again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import structlog

from coordinator.aggregator import Aggregator
from coordinator.closing import Closer
from coordinator.inbox import Inbox, OpenWindow
from coordinator.merge_jobs import MergeJobs
from coordinator.posting import Poster
from network.court.watch import CourtWatch
from network.heads import HeadWatcher
from network.history import Outcome, RoundHistory, RunFold, RunHistory
from network.keeper import RACES, Keeper, View, ensure_bonds
from network.run import RunContract
from network.store import ContentStore
from network.transactions import TransactionSender
from protocol.errors import CommonweightError, WrongMerge
from protocol.layout import Layout
from protocol.rounds import Phase
from protocol.types import Digest

_log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 30.0
_RETRY_S = 1.0

RoundSink = Callable[[RoundHistory], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveOptions:
    """`rounds`: stop once the run's round of that number is over; `wait_final`: and settled.

    `register`: join the aggregators that propose in turn. `proposes`: merge and propose at all.
    `settle_every`: so many rounds are finalized in one transaction, if the ring lets them wait.
    """

    rounds: int | None = None
    wait_final: bool = False
    register: bool = False
    proposes: bool = True
    settle_every: int = 8


_RING_SLACK = 4
"""Places of the ring that rounds waiting to be settled together leave free."""


class Driver:
    """Drives one run. Use as a context manager, from one thread.

    `on_round` hears of each round that is proposed, final or failed from now on.
    """

    def __init__(
        self,
        run: RunContract,
        history: RunHistory,
        sender: TransactionSender,
        heads: HeadWatcher,
        inbox: Inbox,
        *,
        store: ContentStore,
        aggregator: Aggregator,
        layout: Layout,
        options: DriveOptions | None = None,
        on_round: RoundSink = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._run = run
        self._history = history
        self._sender = sender
        self._heads = heads
        self._inbox = inbox
        self._options = options or DriveOptions()
        self._on_round = on_round
        self._clock = clock
        self._last_round = min(self._options.rounds or run.params.max_rounds, run.params.max_rounds)
        settle_every = max(min(self._options.settle_every, run.params.ring_size - _RING_SLACK), 1)
        self._keeper = Keeper(
            run,
            history,
            sender,
            heads,
            max_rounds=self._last_round,
            settle_every=settle_every,
            clock=clock,
        )
        self._jobs = MergeJobs(store, aggregator, layout, done=heads.nudge)
        self._poster = Poster(run, sender, inbox)
        self._closer = Closer(
            run,
            sender,
            self._keeper,
            self._jobs,
            self._poster,
            last_round=self._last_round,
            proposes=self._options.proposes,
            settle_every=settle_every,
            waits_final=self._options.wait_final,
        )
        self._vouched: set[Digest] = {run.params.genesis_root}
        self._wrong: set[Digest] = set()
        self._reported: dict[int, Outcome] | None = None
        self._watch: CourtWatch | None = None
        self._woken = 0

    def attach(self, watch: CourtWatch) -> None:
        """Bring wrong merges to court before anything else is done about them."""
        self._watch = watch
        self._keeper.beware(watch.is_wrong)

    def recompute(self, fold: RunFold, found: RoundHistory) -> Digest | None:
        """The root of a frozen round's merge; None while it is made, an error if it can not be."""
        merged = self._jobs.prepared(fold, found, found.inputs)
        failure = None if merged is not None else self._jobs.failure(found, found.inputs)
        if failure is not None:
            raise failure
        return None if merged is None else merged.root

    def wake(self) -> None:
        """Look again now; from any thread."""
        self._woken += 1
        self._heads.nudge()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.close()
        self._jobs.close()

    def drive(self, *, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Until the rounds asked for are over. What fails is logged and tried again."""
        waiting = self._sender.resume()
        if waiting:
            _log.info("transactions_resumed", count=len(waiting))
        while not should_stop():
            seen = self._signs()
            view: View | None = None
            acted = False
            try:
                view = self._look()
                self._attend_court(view)
                if self._is_finished(view):
                    self._leave_court()
                    return
                acted = self._act(view)
            except RACES as refusal:
                _log.info("too_late", problem=refusal.message)
            except CommonweightError as error:
                _log.warning("driver_retries", problem=error.message, remedy=error.remedy)
            if not acted:
                self._wait(seen, view)

    def _look(self) -> View:
        view = self._keeper.look()
        found = view.round
        window = None
        if found is not None and view.current.phase is not Phase.IDLE:
            window = OpenWindow.of(
                found, view.current.phase, dict(view.fold.trainers), view.current.deadline_s
            )
        self._inbox.watch(window)
        self._report(view)
        return view

    def _attend_court(self, view: View) -> None:
        """What the court is to hear; that it can not hear now keeps nothing else from going on."""
        if self._watch is None:
            return
        found = view.round
        for seat in [] if found is None else self._jobs.liars(view.fold, found):
            assert found is not None, "it has the liars"
            self._watch.accuse(found.round_id, found.attempt, found.reveals[seat])
        try:
            self._watch.look(view)
        except CommonweightError as error:
            _log.warning("court_not_seen", problem=error.message, remedy=error.remedy)

    def _leave_court(self) -> None:
        try:
            if self._watch is not None:
                self._watch.claim()
        except CommonweightError as error:
            _log.warning("not_claimed", problem=error.message, remedy=error.remedy)

    def _act(self, view: View) -> bool:
        found, phase = view.round, view.current.phase
        if phase is Phase.IDLE:
            return self._begin(view)
        if found is None or found.attempt > view.current.attempt:
            return False
        if view.now_s > view.current.deadline_s and phase is not Phase.AUDIT:
            return self._keeper.make(view) is not None
        steps = {
            Phase.COMMIT: self._poster.post_commitments,
            Phase.REVEAL: self._closer.reveal,
            Phase.AUDIT: self._closer.audit,
            Phase.MERGE: self._closer.propose,
        }
        return steps[phase](view, found)

    def _begin(self, view: View) -> bool:
        """Settle, and open the next round upon a model that this coordinator vouches for."""
        if self._options.register:
            self._register(view)
        is_held = self._watch is not None and self._watch.holds(view)
        if is_held or not self._vouches(view):
            return False
        return self._keeper.make(view) is not None

    def _vouches(self, view: View) -> bool:
        """Whether the last merge is right; another's is computed again before it is built upon."""
        found = view.round
        if found is None or found.proposal is None or found.outcome is Outcome.FINAL:
            return True
        root = found.proposal.model_root
        if root in self._vouched:
            return True
        if root in self._wrong:
            return False
        if found.proposal.proposer.lower() != self._sender.address.lower() and found.inputs:
            merged = self._jobs.prepared(view.fold, found, found.inputs)
            if merged is None:
                return False
            if merged.root != root:
                self._wrong.add(root)
                raise WrongMerge(round_id=found.round_id, on_chain=root, computed=merged.root)
        self._vouched.add(root)
        return True

    def _register(self, view: View) -> None:
        """Join the list of aggregators, unless it is full or the money is missing."""
        mine = self._sender.address
        if mine.lower() in (one.lower() for one in self._run.read("aggregators")):
            return
        times = sum(
            event.name == "AggregatorRemoved" and event.args.aggregator == mine
            for event in self._history.events
        )
        scope = f"register/{times}"
        try:
            ensure_bonds(self._run, self._sender, bonds=2, scope=scope)
            self._sender.send(
                f"{scope}/{self._run.address.lower()}", self._run.prepare("registerAggregator")
            )
        except CommonweightError as error:
            _log.warning("not_registered", problem=error.message, remedy=error.remedy)
        else:
            _log.info("aggregator_registered", account=mine, round=view.current.round_id)

    def _is_finished(self, view: View) -> bool:
        if view.totals.closed:
            return True
        over = view.current.phase is Phase.IDLE and view.current.round_id >= self._last_round
        if not over or (self._watch is not None and self._watch.is_busy):
            return False
        return not self._options.wait_final or view.totals.last_final >= self._last_round

    def _report(self, view: View) -> None:
        """Tell of rounds whose outcome changed since the last look."""
        outcomes = {number: found.outcome for number, found in view.fold.rounds.items()}
        if self._reported is not None:
            for number, outcome in sorted(outcomes.items()):
                if outcome is not Outcome.OPEN and self._reported.get(number) is not outcome:
                    self._on_round(view.fold.rounds[number])
        self._reported = outcomes

    def _signs(self) -> tuple[object, ...]:
        return (self._inbox.version, self._jobs.version, self._woken, self._heads.head)

    def _wait(self, seen: tuple[object, ...], view: View | None) -> None:
        """Until a head, a message, a merge or the next moment at which something is due."""
        now_s = self._keeper.now_s()
        moments = [now_s + _RETRY_S] if view is None or view.due is not None else []
        if view is not None:
            moments += self._keeper.wake_at_s(view) + self._poster.wake_at_s(view)
        if self._watch is not None:
            moments += self._watch.wake_at_s()
        # Moments are block time; the watcher counts in this clock's.
        ahead_s = now_s - self._clock()
        wake_at = [moment - ahead_s for moment in moments if moment > now_s]
        first = min(wake_at, default=None)

        def is_due() -> bool | None:
            changed = self._signs() != seen or (first is not None and self._clock() >= first)
            return changed or None

        self._heads.wait_for(is_due, timeout_s=_LONGEST_WAIT_S, wake_at_s=wake_at)
