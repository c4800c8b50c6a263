"""What anybody may do for the trials of a run: seat juries, call time, fine who neglected a duty.

Whoever has a part in a trial goes first, the others stand by in the order of their rank. Docs/
protocol.md section 9.
"""

from collections.abc import Callable

import structlog

from network.desk import Failed, Finished
from network.history import RoundHistory
from network.keeper import View
from network.remedies import REMEDIES
from network.transactions import Receipt
from network.trials.bench import Docket, PendingTrial, TrialBench, round_of
from network.trials.contract import Finding, Trial, TrialState
from network.trials.draws import Beacon
from network.trials.history import JuryHistory, TrialFold, TrialHistory
from protocol.types import Address, Digest

_log = structlog.get_logger(__name__)

FORGOTTEN_BLOCKS = 8_191
"""So many block hashes a chain with EIP-2935 remembers; others remember 256."""

GIVE_UP_TRIES = 5
"""A duty that only tidies up is left to others after so many failures."""

Work = Callable[[], Receipt | None]


class Usher:
    """One account's public duties in one run's trials. Use from one thread."""

    def __init__(self, bench: TrialBench, beacon: Beacon) -> None:
        self._bench = bench
        self._beacon = beacon
        self._since_s: dict[tuple[object, ...], float] = {}
        self._busy = False

    @property
    def is_busy(self) -> bool:
        """Whether this account's pay as a juror is on its way."""
        return self._busy

    def look(self, view: View, docket: Docket) -> None:
        """Do what is overdue."""
        self._busy = False
        for one in docket.pending:
            self._go_on(view, one)
        for ended in docket.fold.ended:
            self._settle(docket.fold, ended)

    # -- trials that go on

    def _go_on(self, view: View, one: PendingTrial) -> None:
        trial, bench = one.trial, self._bench
        if trial.state is TrialState.NONE or trial.state.is_over:
            return
        found = round_of(view.fold, trial)
        if found is None and bench.clerk.is_gone(trial):
            self._advance(one, bench.now_s)
        elif trial.state is TrialState.DRAW:
            self._draw(one, found)
            self._advance(one, trial.deadline_s + 1)
        else:
            self._advance(one, trial.deadline_s + 1)

    def _advance(self, one: PendingTrial, since_s: float) -> None:
        bench = self._bench
        if since_s == bench.now_s:
            since_s = self._since_s.setdefault(("advance", *one.name), since_s)
        if bench.is_time(self._turn_s(one.history, since_s)):
            bench.desk.ask(
                ("advance", *one.name), lambda: bench.clerk.advance(one.number, one.trial)
            )

    def _draw(self, one: PendingTrial, found: RoundHistory | None) -> None:
        bench, trial = self._bench, one.trial
        age = self._beacon.head_number() - trial.draw_block
        if age < 0 and not self._beacon.is_predictable:
            return  # the next block wakes the loop
        since_s = self._since_s.setdefault(("draw", one.number, trial.draw_block), bench.now_s)
        if not bench.is_time(self._turn_s(one.history, since_s)):
            return
        name = (one.number, trial.level, trial.draw_block)
        if age > FORGOTTEN_BLOCKS:
            bench.desk.ask(
                ("redraw", *name), lambda: bench.clerk.redraw(one.number, trial.draw_block)
            )
        elif found is not None:
            work = self._seating(one, trial, found)
            tried = bench.desk.ask(("seat jury", *name), work)
            if isinstance(tried, Failed) and isinstance(tried.error, REMEDIES["BlockNotKnown"]):
                bench.desk.ask(
                    ("redraw", *name), lambda: bench.clerk.redraw(one.number, trial.draw_block)
                )

    def _seating(self, one: PendingTrial, trial: Trial, found: RoundHistory) -> Work:
        inputs = found.input_preimages()
        headers = [
            found.reveals[entry.seat].header for segment in found.inputs for entry in segment
        ]

        def work() -> Receipt | None:
            return self._bench.clerk.seat_jury(
                one.number,
                trial,
                block_header=self._beacon.header_of(trial.draw_block),
                inputs=inputs,
                headers=headers,
            )

        return work

    def _turn_s(self, one: TrialHistory, since_s: float) -> float:
        return since_s if self._bench.is_party(one) else self._bench.turn_s(since_s)

    # -- trials that have ended

    def _settle(self, trials: TrialFold, one: TrialHistory) -> None:
        clerk = self._bench.clerk
        for level, jury in one.juries.items():
            for account in jury.tickets:
                self._settle_juror(one, level, jury, account)
        posted = trials.findings.get((one.round_id, one.seat))
        is_wrong = one.ended is TrialState.CONVICTED and one.juries
        is_fined = (one.round_id, one.seat) in trials.fined_auditors
        if is_wrong and posted is not None and posted.finding is Finding.SAME and not is_fined:
            self._tidy(("fine auditor", one.number), lambda: clerk.fine_auditor(one.number))

    def _settle_juror(
        self, one: TrialHistory, level: int, jury: JuryHistory, account: Address
    ) -> None:
        bench, clerk, name = self._bench, self._bench.clerk, (one.number, level, account)
        if earned(one, jury, account):
            if bench.is_me(account) and account not in jury.paid_wei:
                done = bench.desk.ask(
                    ("pay juror", *name), lambda: clerk.pay_juror(one.number, level, account)
                )
                given_up = isinstance(done, Failed) and done.tries >= GIVE_UP_TRIES
                self._busy = self._busy or not (given_up or isinstance(done, Finished))
            return
        owes = right_digest(one) is not None and account not in jury.fined
        if owes and not bench.is_me(account):
            self._tidy(("fine juror", *name), lambda: clerk.fine_juror(one.number, level, account))

    def _tidy(self, name: tuple[object, ...], work: Work) -> None:
        bench = self._bench
        since_s = self._since_s.setdefault(name, bench.now_s)
        if since_s == float("inf") or not bench.is_time(bench.turn_s(since_s)):
            return
        done = bench.desk.ask(name, work)
        given_up = isinstance(done, Failed) and done.tries >= GIVE_UP_TRIES
        if given_up or isinstance(done, Finished):
            self._since_s[name] = float("inf")


def right_digest(one: TrialHistory) -> Digest | None:
    """What a juror should have voted for, as the trial ended; None if that was left open."""
    return {
        TrialState.CONVICTED: one.accuser_digest,
        TrialState.ACQUITTED: one.accused_digest,
    }.get(one.ended or TrialState.NONE)


def earned(one: TrialHistory, jury: JuryHistory, account: Address) -> bool:
    """Whether a juror voted as the trial ended; in a hung one, whether it voted."""
    digest = jury.opened.get(account)
    if one.ended is TrialState.HUNG:
        return digest is not None
    return digest is not None and digest == right_digest(one)
