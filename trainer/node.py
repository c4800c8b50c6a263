"""A trainer's node: one loop that wakes for blocks, deadlines and finished work, and acts once.

Each look at the chain says what is missing, so a crash at any point costs only time: what left the
process is in the journals, and everything else is computed again. Docs/protocol.md section 4.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from network.court.watch import CourtWatch
from network.due import Kind
from network.heads import HeadWatcher
from network.history import Outcome, RoundHistory, RunHistory
from network.keeper import GWEI, Keeper, View
from network.run import RunContract
from network.store import ContentStore
from network.transactions import TransactionSender
from network.trials.watch import TrialWatch
from protocol.cid import Cid
from protocol.errors import CommonweightError, WrongParentRoot
from protocol.rounds import Phase
from protocol.types import Address, Digest, Seat
from trainer.duties import Duties
from trainer.models import Models
from trainer.report import Report
from trainer.submitting import RESEND_S
from trainer.verifying import RETRY_S

_log = structlog.get_logger(__name__)

BACKUP_GRACE_S = 6.0
BACKUP_SPACING_S = 3.0
MAX_BACKUP_RANK = 16
"""A trainer stands by for a grace that grows with its seat, so that not all act at once."""

_LONGEST_WAIT_S = 30.0
_AFTER_PROBLEM_S = 2.0


class Node:
    """Follows one run until it is told to stop or `rounds` rounds have finished.

    `keeper` makes overdue transitions where `backup` is true. Use from one thread; `stop` and
    `wake` may be called from any.
    """

    def __init__(
        self,
        *,
        run: RunContract,
        account: Address,
        heads: HeadWatcher,
        keeper: Keeper,
        models: Models,
        report: Report,
        rounds: int | None = None,
        backup: bool = True,
    ) -> None:
        self._run = run
        self._account = account
        self._heads = heads
        self._keeper = keeper
        self._models = models
        self._report = report
        self._rounds = rounds
        self._backup = backup
        self._duties: Duties | None = None
        self._watch: CourtWatch | None = None
        self._trials: TrialWatch | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._first_round: int | None = None
        self._told: set[tuple[object, ...]] = set()
        self._troubled = False

    def attach(
        self,
        duties: Duties,
        watch: CourtWatch | None = None,
        trials: TrialWatch | None = None,
    ) -> None:
        """Give the node its duties; without them it only follows and stands by.

        With a `watch` it brings wrong merges to court before anything else is done about them, with
        `trials` it audits others' updates, answers for its own and sits in juries.
        """
        self._duties = duties
        self._watch = watch
        self._trials = trials
        if watch is not None:
            self._keeper.beware(watch.is_wrong)

    def wake(self) -> None:
        """Look again now."""
        self._woken.set()
        self._heads.nudge()

    def stop(self) -> None:
        """Leave `follow` after what is being done."""
        self._stopping.set()
        self.wake()

    @property
    def _is_stopping(self) -> bool:
        return self._stopping.is_set()

    def follow(self) -> None:
        """Act until stopped or done. Errors are logged with their remedy, and tried again."""
        while not self._is_stopping:
            seen = self._heads.head
            self._woken.clear()
            wait_s, done = self._tick()
            if done:
                return
            self._heads.wait_for(
                lambda seen=seen: (  # type: ignore[misc] # binds this turn's head
                    True if self._woken.is_set() or self._heads.head != seen else None
                ),
                timeout_s=wait_s,
            )

    def _tick(self) -> tuple[float, bool]:
        """One look and what follows from it: (seconds until the next at the latest, done)."""
        self._troubled = False
        view = self._look()
        if view is None:
            return _AFTER_PROBLEM_S, False
        if self._first_round is None:
            busy = view.current.phase is not Phase.IDLE
            self._first_round = max(view.current.round_id + (0 if busy else 1), 1)
        for number in (view.current.round_id - 1, view.current.round_id):
            if number in view.fold.rounds:
                with self._surviving("merge"):
                    self._check_merge(view, view.fold.rounds[number])
        if self._watch is not None:
            with self._surviving("court"):
                self._watch.look(view)
        if self._trials is not None:
            with self._surviving("trials"):
                self._trials.look(view)
        found = view.round
        if self._duties is not None and found is not None:
            self._act(self._duties, view, found)
        self._tell_rewards(view)
        if not self._is_at_court() and self._is_done(view):
            self._leave_court()
            return 0.0, True
        if self._backup:
            with self._surviving("backup"):
                self._stand_by(view)
        return self._pause_s(view), False

    def _is_at_court(self) -> bool:
        courts = (self._watch, self._trials)
        return any(court is not None and court.is_busy for court in courts)

    def _leave_court(self) -> None:
        for court in (self._watch, self._trials):
            if court is not None:
                with self._surviving("claim"):
                    court.claim()

    def _look(self) -> View | None:
        """The chain as it is now; None while it does not answer."""
        try:
            return self._keeper.look()
        except CommonweightError as error:
            self._note_trouble("look", error)
            return None

    def _act(self, duties: Duties, view: View, found: RoundHistory) -> None:
        if found.attempt != view.current.attempt or view.current.phase in (Phase.IDLE, Phase.MERGE):
            return
        seat = self._seat(view)
        if seat is None or not found.roster >> seat & 1:
            if self._once("not in roster", found.round_id, found.attempt):
                self._report("waiting_for_seat", round=found.round_id, seat=seat)
            return
        with self._surviving(view.current.phase.name.lower()):
            duties.fulfil(view, found, seat)

    def _check_merge(self, view: View, found: RoundHistory) -> None:
        """Merge as soon as the inputs are frozen; compare with the proposal once there is one."""
        if found.outcome is Outcome.FAILED:
            if self._once("failed", found.round_id, found.attempt):
                self._report("round_failed", round=found.round_id, reason=found.failure)
            return
        if not found.inputs and found.proposal is None:
            return
        own = self._models.obtain(view.fold, found.round_id)
        name = (found.round_id, found.attempt, own.root)
        if self._once("merged", *name):
            event = "merged" if own.merged else "model_fetched"
            self._report(event, round=found.round_id, model_root=own.root.hex())
        proposal = found.proposal
        if proposal is None or not self._once("compared", *name, proposal.model_root):
            return
        matches = proposal.model_root == own.root
        self._report(
            "round_finished",
            round=found.round_id,
            attempt=found.attempt,
            model_root=proposal.model_root.hex(),
            model=proposal.model.text,
            matches=matches,
        )
        if not matches:
            error = WrongParentRoot(
                round_id=found.round_id, on_chain=proposal.model_root, computed=own.root
            )
            _log.error("merge_mismatch", problem=error.message, remedy=error.remedy)

    def _tell_rewards(self, view: View) -> None:
        for number, found in view.fold.rounds.items():
            earned_wei = found.rewards_wei.get(self._account)
            if earned_wei is not None and self._once("reward", number, found.attempt):
                self._report("rewarded", round=number, amount_wei=str(earned_wei))

    def _stand_by(self, view: View) -> None:
        due = view.due
        builds = due is not None and due.kind in (Kind.OPEN, Kind.FINALIZE)
        if builds and self._watch is not None and self._watch.holds(view):
            return  # it would stand on a merge that is being proven wrong
        if due is not None and due.kind is Kind.PROPOSE:
            bond_wei = self._run.params.proposer_bond_gwei * GWEI
            if self._run.account(self._account).free_wei < bond_wei:
                return
        made = self._keeper.make(view)
        if made is not None:
            self._report("transition_made", kind=made.kind.value, round=made.round_id)

    def _seat(self, view: View) -> Seat | None:
        for seat, trainer in view.fold.trainers.items():
            if trainer == self._account:
                return seat
        return None

    def _is_done(self, view: View) -> bool:
        last = view.current.round_id >= self._run.params.max_rounds
        if last and view.current.phase is Phase.IDLE and self._is_run_over(view):
            self._report("run_complete", rounds=view.current.round_id)
            return True
        if self._rounds is None or self._first_round is None:
            return False
        left = (Outcome.PROPOSED, Outcome.FINAL, Outcome.FAILED)
        finished = [
            number
            for number, found in view.fold.rounds.items()
            if number >= self._first_round and found.outcome in left
        ]
        return len(finished) >= self._rounds

    def _is_run_over(self, view: View) -> bool:
        """Whether nothing is left to do: all rounds are final, or proposed where a count is set."""
        if self._rounds is not None:
            return True
        return self._run.totals().last_final >= view.current.round_id

    def _pause_s(self, view: View) -> float:
        """Seconds until something may be due without a new block."""
        if self._troubled:
            return _AFTER_PROBLEM_S
        if view.current.phase in (Phase.REVEAL, Phase.AUDIT):
            return RETRY_S  # a missing header or update may have come
        moments = [float(view.current.deadline_s) + 1.0]
        if self._duties is not None:
            moments.append(self._duties.window(view).fallback_s)
            if view.current.phase is Phase.COMMIT:
                moments.append(view.now_s + RESEND_S)
        if self._backup:
            moments += self._keeper.wake_at_s(view)
        if self._watch is not None:
            moments += self._watch.wake_at_s()
        if self._trials is not None:
            moments += self._trials.wake_at_s()
        ahead = [moment - view.now_s for moment in moments if moment > view.now_s]
        return min([*ahead, _LONGEST_WAIT_S])

    @contextmanager
    def _surviving(self, doing: str) -> Iterator[None]:
        """Turn an error into a log line with its remedy; the next look tries again."""
        try:
            yield
        except CommonweightError as error:
            self._note_trouble(doing, error)

    def _note_trouble(self, doing: str, error: CommonweightError) -> None:
        self._troubled = True
        if self._once("problem", doing, error.message):
            name = type(error).__name__
            _log.error(
                "problem", doing=doing, error=name, problem=error.message, remedy=error.remedy
            )
            self._report("problem", doing=doing, error=name, message=str(error))

    def _once(self, *name: object) -> bool:
        first = name not in self._told
        self._told.add(name)
        return first


def make_keeper(
    *,
    run: RunContract,
    history: RunHistory,
    sender: TransactionSender,
    heads: HeadWatcher,
    models: Models,
    store: ContentStore,
    seat: Seat | None,
    clock: Callable[[], float] = time.time,
) -> Keeper:
    """A keeper that stands by: the later, the higher the trainer's seat."""

    def merge(found: RoundHistory) -> tuple[Digest, Cid]:
        own = models.obtain(history.fold, found.round_id)
        store.put(models.cache.open(own.root))
        return own.root, own.model

    rank = MAX_BACKUP_RANK if seat is None else min(int(seat), MAX_BACKUP_RANK)
    return Keeper(
        run,
        history,
        sender,
        heads,
        delay_s=BACKUP_GRACE_S + BACKUP_SPACING_S * rank,
        merge=merge,
        clock=clock,
    )
