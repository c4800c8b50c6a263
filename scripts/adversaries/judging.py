"""Participants that abuse the training court: `false-accuser`, `silent-juror`, and accomplices."""

from dataclasses import replace
from hashlib import sha256

from network.history import Revealed, RoundHistory
from network.keeper import View
from network.trials.bench import PendingTrial
from network.trials.contract import Finding
from protocol.types import Digest
from scripts.adversaries.sessions import LyingSession
from trainer.auditor import Auditor, Judgement
from trainer.casebook import AuditNote
from trainer.comparing import Redone
from trainer.courtroom import Parts
from trainer.juror import JurorRole
from trainer.replaying import Replay


def falsified(replay: Replay) -> Replay:
    """A replay whose trace parts from the true one half way."""
    digests = replay.trace_digests
    half = len(digests) // 2
    wrong = tuple(Digest(sha256(one).digest()) for one in digests[half:])
    return replace(replay, trace_digests=(*digests[:half], *wrong))


class FalseAuditor(Auditor):
    """Finds everything that it is drawn for wrong, and has a trace to show for it."""

    def judge(self, redone: Redone, revealed: Revealed) -> Judgement:
        """Not what was to be done."""
        del redone, revealed
        return Judgement(finding=Finding.DIFFERENT, is_same_class=True)

    def note(self, found: RoundHistory, revealed: Revealed, redone: Redone) -> AuditNote:
        """An invented replay, written down like a true one."""
        return super().note(found, revealed, replace(redone, replay=falsified(redone.replay)))


class BlindAuditor(Auditor):
    """Finds nothing wrong, ever: whoever cheats has no interest in audits."""

    def judge(self, redone: Redone, revealed: Revealed) -> Judgement:
        """All as it should be."""
        del redone, revealed
        return Judgement(finding=Finding.SAME, is_same_class=True)


class SilentJuror(JurorRole):
    """Takes its seat in a jury, and never votes."""

    def verdict(self, view: View, one: PendingTrial) -> Digest | None:
        """Nothing, for as long as it is asked."""
        del view, one
        return None


class PartialJuror(JurorRole):
    """Votes for whoever is accused."""

    def verdict(self, view: View, one: PendingTrial) -> Digest | None:
        """What the accused claims."""
        del view
        return Digest(one.trial.accused_digest)


class AccompliceSession(LyingSession):
    """An adversary in court: blind as auditor, and as juror for the accused."""

    def make_auditor(self, parts: Parts) -> Auditor:
        """Blind."""
        return _auditor(BlindAuditor, parts)

    def make_juror(self, parts: Parts) -> JurorRole:
        """For the accused."""
        return PartialJuror(bench=parts.bench, casebook=parts.casebook, replays=parts.replays)


class FalseAccuserSession(LyingSession):
    """Trains and votes as it should; as an auditor it accuses honest work."""

    def make_auditor(self, parts: Parts) -> Auditor:
        """False."""
        return _auditor(FalseAuditor, parts)


class SilentJurorSession(LyingSession):
    """Trains and audits as it should; as a juror it keeps silent."""

    def make_juror(self, parts: Parts) -> JurorRole:
        """Silent."""
        return SilentJuror(bench=parts.bench, casebook=parts.casebook, replays=parts.replays)


def _auditor(kind: type[Auditor], parts: Parts) -> Auditor:
    return kind(
        bench=parts.bench,
        identity=parts.identity,
        signer=parts.signer,
        casebook=parts.casebook,
        replays=parts.replays,
        draws=parts.draws,
        beacon=parts.beacon,
    )
