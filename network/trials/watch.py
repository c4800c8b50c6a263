"""Watches the trials of one run: every role looks, and what is overdue is gone on with.

All state is the chain's and the journals': kill it at any time.
"""

from collections.abc import Callable, Sequence

import structlog

from network.bench import Report, say_nothing
from network.desk import Desk
from network.keeper import View
from network.rpc import Rpc
from network.run import RunContract
from network.transactions import TransactionSender
from network.trials.bench import Docket, PendingTrial, Role, TrialBench
from network.trials.clerk import TrialClerk
from network.trials.contract import TrainingCourtContract, Trial
from network.trials.history import EventName, TrialFold, TrialHistory, TrialsHistory
from protocol.errors import CommonweightError
from protocol.types import Wei

_log = structlog.get_logger(__name__)


class TrialWatch:
    """One account's part before the training court of one run. Use from one thread.

    `look` never waits for a transaction or a replay.
    """

    def __init__(
        self,
        bench: TrialBench,
        court: TrainingCourtContract,
        history: TrialsHistory,
        roles: Sequence[Role],
    ) -> None:
        self._bench = bench
        self._court = court
        self._history = history
        self._roles = tuple(roles)
        self._read: dict[int, tuple[EventName, Trial]] = {}

    def close(self) -> None:
        """Begin nothing more and do not wait for what runs."""
        self._bench.desk.close()

    def look(self, view: View) -> None:
        """Let every role do its part; raises the first error that one of them had."""
        self._bench.begin(view.now_s)
        trials = self._history.update()
        docket = Docket(fold=trials, pending=self._open_trials(trials))
        self._tell(trials)
        failure: CommonweightError | None = None
        for role in self._roles:
            try:
                role.look(view, docket)
            except CommonweightError as error:
                failure = failure or error
        for one in docket.pending:
            self._bench.is_time(one.trial.deadline_s + 1)  # then it may be another's turn
        self._bench.desk.forget_unasked()
        if failure is not None:
            raise failure

    @property
    def is_busy(self) -> bool:
        """Whether a duty, an act or a trial of this account is not over."""
        return self._bench.desk.is_busy or any(role.is_busy for role in self._roles)

    def wake_at_s(self) -> list[float]:
        """Unix times at which there may be something to do though no block comes."""
        return self._bench.wake_at_s()

    def claim(self) -> Wei:
        """Send home what the court owes; gives the wei. Raises what TransactionSender.send does."""
        claimed_wei = self._bench.clerk.claim()
        if claimed_wei:
            self._bench.report("training_court_claimed", amount_wei=str(claimed_wei))
        return claimed_wei

    def _open_trials(self, trials: TrialFold) -> tuple[PendingTrial, ...]:
        """What goes on, as the court stores it; read again after each of its events."""
        pending, read = [], {}
        for one in trials.open:
            last, trial = self._read.get(one.number, (None, None))
            if trial is None or last != one.last:
                trial = self._court.trial(one.number)
            read[one.number] = (one.last, trial)
            pending.append(PendingTrial(history=one, trial=trial))
        self._read = read
        return tuple(pending)

    def _tell(self, trials: TrialFold) -> None:
        for one in trials.trials.values():
            self._tell_trial(one)
        for (round_id, seat), posted in trials.findings.items():
            finding = posted.finding.name.lower()
            self._bench.tell_once(
                "finding_posted",
                *(round_id, seat, posted.auditor, finding),
                round=round_id,
                seat=seat,
                auditor=posted.auditor,
                finding=finding,
                paid_wei=str(posted.paid_wei),
            )
        for (round_id, seat), auditor in trials.fined_auditors.items():
            self._bench.tell_once(
                "fined", round_id, seat, round=round_id, seat=seat, auditor=auditor
            )

    def _tell_trial(self, one: TrialHistory) -> None:
        tell, about = self._bench.tell_once, {"trial": one.number, "round": one.round_id}
        tell("accused", one.number, **about, seat=one.seat, by=one.accuser, trainer=one.accused)
        if one.shown:
            tell("trace_shown", one.number, **about, by=one.defender, digests=len(one.shown))
        if one.index is not None:
            tell("trace_parted", one.number, **about, index=one.index)
        for level, jury in one.juries.items():
            name, seats = (one.number, level), dict(jury.tickets)
            tell("jury_seated", *name, **about, level=level, tickets=seats)
            if jury.verdict is not None:
                verdict = jury.verdict.name.lower()
                tell("votes_counted", *name, verdict, **about, level=level, verdict=verdict)
            for account, paid_wei in jury.paid_wei.items():
                tell("paid", *name, account, **about, juror=account, amount_wei=str(paid_wei))
            for account in jury.fined:
                tell("fined", *name, account, **about, juror=account)
        if one.appellant is not None:
            tell("appealed", one.number, **about, by=one.appellant)
        if one.ended is not None:
            tell(
                "trial_ended", one.number, **about, state=one.ended.name.lower(), winner=one.winner
            )


def make_bench(
    *,
    rpc: Rpc,
    run: RunContract,
    court: TrainingCourtContract,
    sender: TransactionSender,
    wake: Callable[[], None],
    rank: int = 0,
    report: Report | None = None,
) -> TrialBench:
    """What the roles of one account share; `rank` is its turn among all that stand by."""
    return TrialBench(
        clerk=TrialClerk(rpc=rpc, run=run, court=court, sender=sender),
        desk=Desk(done=wake),
        rank=rank,
        report=report or say_nothing,
        wake=wake,
    )
