"""Does the work of drawn updates again, says what it found, and accuses what was not done.

Docs/protocol.md section 9. A finding is journalled before anything of it leaves the process, so a
restart neither replays nor accuses twice.
"""

from dataclasses import dataclass

import structlog

from network.desk import Failed, Finished
from network.history import Outcome, Revealed, RoundHistory
from network.keeper import View
from network.keys import Signer
from network.trials.bench import Docket, TrialBench
from network.trials.clerk import Accusation
from network.trials.contract import Finding, TrialState
from network.trials.draws import Beacon, Draws
from network.trials.history import TrialFold
from protocol.distance import Likeness
from protocol.messages import finding_typed_data
from protocol.types import Seat
from trainer.casebook import AuditNote, Casebook
from trainer.comparing import Redone
from trainer.duties import Identity
from trainer.journal import key_of
from trainer.replays import Replays

_log = structlog.get_logger(__name__)

QUEUED = 2
"""Replays asked for at once: the one that runs, and the next with its model at hand."""

GIVE_UP_TRIES = 5
"""What can not be replayed so often is not waited for when the round's findings are posted."""

LATE_SHARE = 1 / 4
"""The last share of the dispute window, in which what is found is posted though some is missing."""

OPEN_STATES = (TrialState.DEFENCE, TrialState.DRAW, TrialState.SEAL, TrialState.OPEN)
"""While another's trial of the same update stands like this, a second one would add nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a replay says of an update; `note` is for whoever reads the report."""

    finding: Finding
    is_same_class: bool
    note: str = ""


_LIKENESS = {
    Likeness.EQUAL: Finding.CLOSE,
    Likeness.ALIKE: Finding.CLOSE,
    Likeness.APART: Finding.DIFFERENT,
    Likeness.UNDECIDED: Finding.NONE,
}


def judge(redone: Redone) -> Judgement:
    """Within a class bits decide; between two classes the distance does, and proves nothing."""
    replay, likeness = redone.replay, redone.likeness
    if replay.same_class or likeness is None:
        finding = Finding.SAME if replay.same else Finding.DIFFERENT
        return Judgement(finding=finding, is_same_class=replay.same_class)
    note = f"of another class: {likeness.value}"
    return Judgement(finding=_LIKENESS[likeness], is_same_class=False, note=note)


class Auditor:
    """One account's audits in one run. Use from one thread; replays run in another.

    Override `judge` to lie. With `accuses` false it only says what it found.
    """

    def __init__(
        self,
        *,
        bench: TrialBench,
        identity: Identity,
        signer: Signer,
        casebook: Casebook,
        replays: Replays,
        draws: Draws,
        beacon: Beacon,
        accuses: bool = True,
    ) -> None:
        self._bench = bench
        self._id = identity
        self._signer = signer
        self._casebook = casebook
        self._replays = replays
        self._draws = draws
        self._beacon = beacon
        self._accuses = accuses
        self._queued = 0
        self._owed = 0

    @property
    def is_busy(self) -> bool:
        """Whether a drawn update was not judged yet."""
        return self._owed > 0

    def judge(self, redone: Redone, revealed: Revealed) -> Judgement:  # noqa: ARG002 - a liar's may look at whose it is
        """What a replay says of an update."""
        return judge(redone)

    def look(self, view: View, docket: Docket) -> None:
        """Audit what this account was drawn for, oldest round first."""
        self.begin()
        for number in range(view.totals.last_final + 1, view.current.round_id + 1):
            found = view.fold.rounds.get(number)
            if found is None or not found.inputs or is_settled(found):
                continue
            drawn = self._draws.drawn_for(view.fold, found, self._bench.me)
            if not drawn:
                continue
            notes = {seat: self.audit(view, found, seat) for seat in drawn}
            self._post(docket.fold, found, [note for note in notes.values() if note is not None])
            for note in notes.values():
                if note is not None:
                    self.press(view, docket, found, note)

    # -- replays

    def begin(self) -> None:
        """A new look."""
        self._queued = self._owed = 0

    def audit(self, view: View, found: RoundHistory, seat: Seat) -> AuditNote | None:
        """The note on an update; None while there is none."""
        revealed = found.reveals[seat]
        note = self.find(found, revealed)
        if note is not None:
            return note
        if self._queued >= QUEUED:
            self._owed += 1
            return None
        done = self._replays.whole(view.fold, found, revealed)
        if isinstance(done, Finished):
            return self.note(found, revealed, done.value)
        self._queued += 1
        if isinstance(done, Failed) and done.tries >= GIVE_UP_TRIES:
            self._bench.tell_once(
                "audit_failed",
                *(found.attempt, seat),
                round=found.round_id,
                seat=seat,
                problem=done.error.message,
            )
        else:
            self._owed += 1
        return None

    def find(self, found: RoundHistory, revealed: Revealed) -> AuditNote | None:
        """What was found of an update before, also by an earlier process."""
        return self._casebook.find(
            key_of(self._id.run, found),
            revealed.seat,
            update_root=revealed.header.update_root,
            trace_root=revealed.header.trace_root,
        )

    def note(self, found: RoundHistory, revealed: Revealed, redone: Redone) -> AuditNote:
        """Judge a replay, and write down what it found."""
        judged, replay = self.judge(redone, revealed), redone.replay
        note = self._casebook.keep(
            AuditNote(
                key=key_of(self._id.run, found),
                seat=revealed.seat,
                update_root=revealed.header.update_root,
                trace_root=revealed.header.trace_root,
                class_id=revealed.header.class_id,
                finding=judged.finding,
                is_same_class=judged.is_same_class,
                own_update_root=replay.update_root,
                own_trace=tuple(replay.trace_digests),
                note=judged.note,
            )
        )
        self._bench.tell_once(
            "audited",
            *note.name,
            round=found.round_id,
            seat=revealed.seat,
            trainer=revealed.trainer,
            finding=note.finding.name.lower(),
            same_class=note.is_same_class,
            note=note.note,
            predictable=self._beacon.is_predictable,
        )
        return note

    # -- what is found is posted

    def _post(self, trials: TrialFold, found: RoundHistory, notes: list[AuditNote]) -> None:
        bench = self._bench
        due = [
            note
            for note in notes
            if note.finding is not Finding.NONE
            and (found.round_id, note.seat) not in trials.findings
        ]
        if not due or (self._owed and not self._is_late(found)):
            return
        signed = []
        for note in due:
            data = finding_typed_data(
                chain_id=self._id.chain_id,
                court=bench.clerk.court.address,
                run=self._id.run,
                round_id=found.round_id,
                seat=note.seat,
                update_root=note.update_root,
                finding=int(note.finding),
            )
            signed.append((note.seat, note.finding, self._signer.sign_typed_data(data)))
        block, inputs = self._draws.block_of(found), found.input_preimages()

        def work() -> None:
            bench.clerk.post_findings(
                found.round_id,
                block_header=self._beacon.header_of(block),
                inputs=inputs,
                findings=signed,
            )

        seats = tuple(note.seat for note in due)
        bench.tell_once(
            "posting_findings",
            *(found.attempt, found.seed, seats),
            round=found.round_id,
            findings={int(note.seat): note.finding.name.lower() for note in due},
        )
        bench.desk.ask(("findings", found.attempt, found.seed, seats), work)

    def _is_late(self, found: RoundHistory) -> bool:
        if found.proposal is None:
            return False
        left_s = LATE_SHARE * self._bench.clerk.run.params.dispute_s
        return self._bench.is_time(found.proposal.finalizable_at_s - left_s)

    # -- what is wrong is accused

    def press(
        self,
        view: View,
        docket: Docket,
        found: RoundHistory,
        note: AuditNote,
    ) -> None:
        """Accuse an update that a note says was not trained, once, unless another does."""
        bench = self._bench
        if not (self._accuses and note.accuses) or found.convicted >> note.seat & 1:
            return
        known = docket.fold.trials_of(found.round_id, note.seat)
        own = [one for one in known if bench.is_me(one.accuser) and one.own_root == note.own_root]
        if own or is_covered(found, note.seat, docket):
            return
        accusation = accusation_of(view, found, note)
        bench.tell_once("accusing", *note.name, round=found.round_id, seat=note.seat)
        done = bench.desk.ask(
            ("accuse", *note.name, len(known)), lambda: bench.clerk.accuse(accusation)
        )
        if isinstance(done, Failed):
            bench.tell_once(
                "cannot_accuse",
                *note.name,
                type(done.error).__name__,
                round=found.round_id,
                seat=note.seat,
                problem=done.error.message,
                remedy=done.error.remedy,
            )


def is_covered(found: RoundHistory, seat: Seat, docket: Docket) -> bool:
    """Whether another's trial of the update goes on, so that a second one would add nothing."""
    return any(
        one.trial.seed == found.seed and one.trial.seat == seat and one.trial.state in OPEN_STATES
        for one in docket.pending
    )


def is_settled(found: RoundHistory) -> bool:
    """Whether no update of the round can be accused any more."""
    return found.outcome in (Outcome.FINAL, Outcome.FAILED)


def accusation_of(view: View, found: RoundHistory, note: AuditNote) -> Accusation:
    """What the court is to hear of a note."""
    segment = view.fold.segment_at(found, note.seat)
    seats = [entry.seat for entry in found.inputs[segment]]
    return Accusation(
        round_id=found.round_id,
        seed=found.seed,
        seat=note.seat,
        segment=segment,
        inputs=found.input_preimages()[segment],
        place=seats.index(note.seat),
        header=found.reveals[note.seat].header,
        own_root=note.own_root,
    )
