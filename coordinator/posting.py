"""Posts in batches what trainers sent: when everybody has, or at some moments of the phase.

A batch at half of the phase, one at three quarters and one at nine tenths bound the transactions of
a round, whoever is late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from coordinator.inbox import Inbox
from network.due import agreed
from network.history import Revealed, RoundHistory
from network.keeper import View, intent_key
from network.keys import CompactSignature
from network.run import RunContract, attestation_groups
from network.transactions import Call, TransactionSender
from protocol.errors import TransactionReverted
from protocol.rounds import Opinion, Phase, seats_in, tally
from protocol.types import Gwei, Seat

_log = structlog.get_logger(__name__)

MARKS = (0.5, 0.75, 0.9)
LATE_MARKS = (0.75, 0.9)
MAX_BATCH = 100
"""Entries of one transaction: about 5M gas."""

_FAULTY = ("BadSignature", "NotSeated", "CommitmentMismatch", "NormAboveBound")

Voices = dict[Seat, tuple[Opinion, CompactSignature | None]]


def passed_marks(
    now_s: float, *, deadline_s: int, phase_s: int, marks: Sequence[float] = MARKS
) -> int:
    """How many marks of a phase have passed."""
    return sum(now_s >= moment for moment in mark_times(deadline_s, phase_s, marks))


def mark_times(deadline_s: int, phase_s: int, marks: Sequence[float] = MARKS) -> list[float]:
    """The Unix times of a phase's marks."""
    return [deadline_s - phase_s * (1.0 - mark) for mark in marks]


def sufficient(
    voices: Voices, stakes_gwei: Mapping[Seat, Gwei], *, total_gwei: Gwei, needed: int
) -> Voices | None:
    """The fewest voices with two thirds of the stake that all call `needed` available, or None.

    They also settle which of `needed` are harmful, as all voices together would. Every signature
    costs about 7,000 gas, so the largest stakes speak.
    """
    chosen: Voices = {}
    sum_gwei = 0
    able = [seat for seat, (said, _) in voices.items() if needed & ~said.available == 0]
    for seat in sorted(able, key=lambda seat: (-stakes_gwei.get(seat, 0), seat)):
        chosen[seat] = voices[seat]
        sum_gwei += stakes_gwei.get(seat, 0)
        if 3 * sum_gwei >= 2 * total_gwei:
            told = tally(
                opinions=opinions_of(chosen),
                stakes_gwei=dict.fromkeys(chosen, Gwei(0)) | dict(stakes_gwei),
                total_gwei=total_gwei,
            )
            if not told.contested & needed:
                return chosen
    return None


def opinions_of(voices: Voices) -> dict[Seat, Opinion]:
    """Voices without their signatures."""
    return {seat: said for seat, (said, _) in voices.items()}


class Poster:
    """Posts for one run; each method tells whether it sent anything. Use from one thread."""

    def __init__(self, run: RunContract, sender: TransactionSender, inbox: Inbox) -> None:
        self._run = run
        self._sender = sender
        self._inbox = inbox
        self._posted_at: dict[tuple[int, Phase], int] = {}
        self._passed = 0

    def wake_at_s(self, view: View) -> list[float]:
        """When the next mark of the open phase comes."""
        current, params = view.current, self._run.params
        phase_s = {
            Phase.COMMIT: params.commit_s,
            Phase.REVEAL: params.reveal_s,
            Phase.AUDIT: params.audit_s,
        }.get(current.phase)
        return mark_times(current.deadline_s, phase_s) if phase_s else []

    def post_commitments(self, view: View, found: RoundHistory) -> bool:
        """Post signed commitments that are not on chain yet."""
        spoke = found.commitments.keys() | found.dissents.keys()
        waiting = {s: m for s, m in self._inbox.commitments().items() if s not in spoke}
        missing = set(seats_in(found.roster)) - spoke - waiting.keys()
        if not self._is_time(view, self._run.params.commit_s, bool(waiting), not missing):
            return False
        batch = list(waiting.values())[:MAX_BATCH]
        call = self._run.commit_batch(
            attempt=found.attempt,
            parent_root=found.parent_root,
            signed=[(m.seat, m.commitment, m.signature) for m in batch],
        )
        return self._send("commit", view, call, len(batch))

    def whole(self, view: View, found: RoundHistory) -> RoundHistory | None:
        """The round as if every reveal were on chain; None while one is missing, or one is."""
        if found.reveals or view.current.reveals or view.current.commits != len(found.commitments):
            return None
        sent = {s: m for s, m in self._inbox.reveals().items() if m.attempt == found.attempt}
        is_all = sent.keys() == found.commitments.keys() <= view.fold.trainers.keys()
        if not sent or not is_all:
            return None
        reveals = {
            seat: Revealed(seat=seat, trainer=view.fold.trainers[seat], header=message.header)
            for seat, message in sent.items()
        }
        return replace(found, reveals=reveals)

    def is_past_half(self, view: View) -> bool:
        """Whether what is missing in the reveal phase is no longer waited for."""
        return view.now_s >= view.current.deadline_s - self._run.params.reveal_s * (1 - MARKS[0])

    def freeze_call(self, found: RoundHistory, voices: Voices) -> Call:
        """Reveal and freeze at once."""
        return self._run.freeze_with_reveals(
            attempt=found.attempt,
            groups=attestation_groups(voices),
            reveals=[(m.seat, m.header, m.salt) for m in self._inbox.reveals().values()],
        )

    def post_reveals(self, view: View, found: RoundHistory, *, waits: bool) -> bool:
        """Post reveals that are not on chain yet; if it `waits`, only when a mark has passed."""
        waiting = {s: m for s, m in self._inbox.reveals().items() if s not in found.reveals}
        missing = found.commitments.keys() - found.reveals.keys() - waiting.keys()
        is_all = not waits and not missing
        if not self._is_time(view, self._run.params.reveal_s, bool(waiting), is_all):
            return False
        batch = list(waiting.values())[:MAX_BATCH]
        call = self._run.reveal_batch(
            attempt=found.attempt, reveals=[(m.seat, m.header, m.salt) for m in batch]
        )
        return self._send("reveal", view, call, len(batch))

    def post_attestations(self, view: View, found: RoundHistory) -> bool:
        """Late in the audit, record what two thirds of the stake attested so far.

        Then a keeper without these attestations can not freeze the round without the updates, nor
        have those paid that do harm.
        """
        voices = self.voices(found)
        told = agreed(found, view.fold, opinions_of(voices))
        gained = told.available & ~found.posted.available | told.harmful & ~found.posted.harmful
        if not self._is_time(view, self._run.params.audit_s, gained != 0, False, LATE_MARKS):  # noqa: FBT003
            return False
        call = self._run.post_attestations(attempt=found.attempt, groups=attestation_groups(voices))
        return self._send("attest", view, call, len(voices))

    def voices(self, found: RoundHistory) -> Voices:
        """Every attestation known: the trainers' own on chain, else what they sent here."""
        roster = set(seats_in(found.roster))
        sent: Voices = {
            seat: (message.opinion, message.signature)
            for seat, message in self._inbox.attestations().items()
            if message.attempt == found.attempt
        }
        made: Voices = {seat: (said, None) for seat, said in found.attested.items()}
        return {seat: voice for seat, voice in {**sent, **made}.items() if seat in roster}

    def _is_time(
        self,
        view: View,
        phase_s: int,
        is_any: bool,  # noqa: FBT001 - two plain answers
        is_all: bool,  # noqa: FBT001
        marks: Sequence[float] = MARKS,
    ) -> bool:
        if not is_any or view.now_s > view.current.deadline_s:
            return False
        passed = passed_marks(
            view.now_s, deadline_s=view.current.deadline_s, phase_s=phase_s, marks=marks
        )
        self._passed = passed
        place = (view.current.attempt, view.current.phase)
        return is_all or passed > self._posted_at.get(place, 0)

    def _send(self, kind: str, view: View, call: Call, count: int) -> bool:
        current = view.current
        scope = f"{current.round_id}/{current.attempt}"
        key = intent_key(self._run.address, kind, scope, call)

        def is_over() -> bool:
            now = self._run.current()
            return (now.attempt, now.phase) != (current.attempt, current.phase)

        try:
            receipt = self._sender.send(key, call, already_done=is_over)
        except TransactionReverted as refusal:
            if refusal.error_name in _FAULTY and refusal.error_args:
                # Nobody's faulty message may hold up the others'.
                self._inbox.drop(Seat(int(str(refusal.error_args[0]))))
            raise
        self._posted_at = {(current.attempt, current.phase): self._passed}
        if receipt is not None:
            _log.info(
                f"{kind}_batch_posted", round=current.round_id, entries=count, gas=receipt.gas_used
            )
        return True
