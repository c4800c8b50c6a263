"""Plays this account's part in trials where it accuses or is accused. Docs/protocol.md section 9.

Every move can be made again after a restart: what it needs is in the journals.
"""

from collections.abc import Sequence

import structlog

from network.desk import Failed, Finished
from network.history import RoundHistory, RunFold
from network.keeper import View
from network.trials.bench import Docket, PendingTrial, TrialBench, round_of
from network.trials.contract import TrialState
from protocol.errors import InvalidRound
from protocol.rounds import trace_root
from protocol.types import Digest, Seat
from trainer.casebook import Casebook
from trainer.journal import RoundJournal
from trainer.replays import Replays
from trainer.workshop import Urgency

_log = structlog.get_logger(__name__)


class Party:
    """Shows the own trace, answers with the own replay, appeals. Use from one thread."""

    def __init__(
        self,
        *,
        bench: TrialBench,
        journal: RoundJournal | None,
        casebook: Casebook,
        replays: Replays,
    ) -> None:
        self._bench = bench
        self._journal = journal
        self._casebook = casebook
        self._replays = replays
        self._busy = False

    @property
    def is_busy(self) -> bool:
        """Whether a trial of this account goes on."""
        return self._busy

    def look(self, view: View, docket: Docket) -> None:
        """Make the moves that are this account's."""
        self._busy = any(self._bench.is_party(one.history) for one in docket.pending)
        for one in docket.pending:
            accused = self._bench.is_me(one.trial.accused)
            accuser = self._bench.is_me(one.trial.accuser)
            in_time = self._bench.now_s <= one.trial.deadline_s
            if not in_time:
                continue
            if one.trial.state is TrialState.DEFENCE and accused:
                self.defend(view, one)
            elif one.trial.state is TrialState.REPLY and accuser:
                self.answer(one)
            elif one.trial.state is TrialState.VERDICT and (accused or accuser):
                self._consider_appeal(view, one)

    # -- the accused

    def defend(self, view: View, one: PendingTrial) -> None:
        """Show how the own update was trained."""
        bench, trial = self._bench, one.trial
        digests = self._own_trace(view, one)
        if digests is None:
            return
        bench.tell_once("defending", one.number, trial=one.number, round=trial.round_id)
        done = bench.desk.ask(
            ("show", one.number), lambda: bench.clerk.show_trace(one.number, trial, digests)
        )
        self._tell("cannot_defend", one, done)

    def _own_trace(self, view: View, one: PendingTrial) -> Sequence[Digest] | None:
        """The digests that lead to the root committed to: journalled, or from the work redone."""
        trial = one.trial
        for entry in () if self._journal is None else self._journal.entries():
            header = entry.header
            is_it = (header.update_root, header.trace_root) == (trial.update_root, trial.trace_root)
            if is_it and entry.trace:
                return entry.trace
        return self._retrace(view, one, trial.trace_root)

    # -- the accuser

    def answer(self, one: PendingTrial) -> None:
        """Show the own replay's digests beside the accused's."""
        bench, trial = self._bench, one.trial
        shown, note = one.history.shown, self._casebook.find_own(trial.own_root)
        if not shown or note is None:
            if note is None:
                bench.tell_once(
                    "cannot_answer",
                    one.number,
                    trial=one.number,
                    problem="the casebook holds no replay of this root",
                    remedy="start the node with the data directory that accused",
                )
            return
        bench.tell_once("answering", one.number, trial=one.number, round=trial.round_id)
        bench.desk.ask(
            ("answer", one.number),
            lambda: bench.clerk.answer_trace(
                one.number,
                trial,
                accused=shown,
                own=note.own_trace,
                own_update_root=note.own_update_root,
            ),
        )

    # -- either

    def _consider_appeal(self, view: View, one: PendingTrial) -> None:
        bench, trial, jury = self._bench, one.trial, one.history.jury
        found = round_of(view.fold, trial)
        if trial.level > 0 or jury is None or found is None:
            return
        accused = bench.is_me(trial.accused)
        lost = TrialState.CONVICTED if accused else TrialState.ACQUITTED
        if jury.verdict is not lost:
            return
        claimed = trial.accused_digest if accused else trial.accuser_digest
        if not self.is_right(view.fold, found, one, claimed):
            return
        bench.tell_once("appealing", one.number, trial=one.number, round=trial.round_id)
        done = bench.desk.ask(("appeal", one.number), lambda: bench.clerk.appeal(one.number, trial))
        self._tell("cannot_appeal", one, done)

    def is_right(
        self, fold: RunFold, found: RoundHistory, one: PendingTrial, claimed: Digest
    ) -> bool:
        """Whether the disputed step, done once more, gives what this account claimed."""
        trial = one.trial
        done = self._replays.step(fold, found, Seat(trial.seat), trial.index)
        if not isinstance(done, Finished):
            return False
        if done.value != claimed:
            self._bench.tell_once(
                "own_work_differs",
                one.number,
                trial=one.number,
                round=trial.round_id,
                problem="the disputed step does not give here what was claimed before",
                remedy="run `doctor`: the machine may be faulty, or its class have changed",
            )
        return bool(done.value == claimed)

    def _retrace(self, view: View, one: PendingTrial, wanted: Digest) -> Sequence[Digest] | None:
        """The digests of the own work, done again since the journal lacks them."""
        found = round_of(view.fold, one.trial)
        revealed = None if found is None else found.reveals.get(Seat(one.trial.seat))
        if found is None or revealed is None:
            return None
        done = self._replays.whole(view.fold, found, revealed, urgency=Urgency.TRIAL)
        if not isinstance(done, Finished):
            return None
        digests = done.value.replay.trace_digests
        try:
            same = trace_root(digests, one.trial.update_root) == wanted
        except InvalidRound:
            same = False
        if same:
            return digests
        self._bench.tell_once(
            "cannot_defend",
            one.number,
            trial=one.number,
            round=one.trial.round_id,
            problem="the journal lacks the trace, and the work done again has another root",
            remedy="keep the data directory safe; run `doctor` to see whether the class is stable",
        )
        return None

    def _tell(self, event: str, one: PendingTrial, done: object) -> None:
        if isinstance(done, Failed):
            self._bench.tell_once(
                event,
                *(one.number, type(done.error).__name__),
                trial=one.number,
                round=one.trial.round_id,
                problem=done.error.message,
                remedy=done.error.remedy,
            )
