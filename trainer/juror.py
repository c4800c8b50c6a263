"""Does disputed steps again where this account was drawn as juror, and votes for what comes of it.

Docs/protocol.md section 9. The salt is journalled before the seal is sent.
"""

from collections.abc import Iterable

import structlog

from network.desk import Failed, Finished
from network.keeper import View
from network.trials.bench import Docket, PendingTrial, TrialBench, round_of
from network.trials.contract import TrialState
from network.trials.history import JuryHistory, TrialHistory
from protocol.errors import InvalidRound
from protocol.types import Address, Digest, Seat
from trainer.casebook import Casebook
from trainer.replays import Replays

_log = structlog.get_logger(__name__)

NOTHING = Digest(bytes(32))
"""What every trace has behind its update's root."""


class JurorRole:
    """One account's duty as juror in one run. Use from one thread; override `verdict` to lie."""

    def __init__(self, *, bench: TrialBench, casebook: Casebook, replays: Replays) -> None:
        self._bench = bench
        self._casebook = casebook
        self._replays = replays
        self._busy = False

    @property
    def is_busy(self) -> bool:
        """Whether a jury that this account sits in has not ended its work."""
        return self._busy

    def look(self, view: View, docket: Docket) -> None:
        """Seal and open what is due."""
        self._busy = False
        for known in docket.fold.trials.values():
            self._tell_votes(known)
        for one in docket.pending:
            jury = one.history.juries.get(one.trial.level)
            if jury is None or self._tickets(jury) == 0:
                continue
            if one.trial.class_id != self._replays.class_id:
                self._abstain(one)
                continue
            self._busy = True
            self._bench.tell_once(
                "juror_seated",
                *(one.number, one.trial.level),
                trial=one.number,
                round=one.trial.round_id,
                seat=one.trial.seat,
                level=one.trial.level,
                tickets=self._tickets(jury),
                index=one.trial.index,
            )
            in_time = self._bench.now_s <= one.trial.deadline_s
            if in_time and one.trial.state is TrialState.SEAL:
                self._seal(view, one, jury)
            elif in_time and one.trial.state is TrialState.OPEN:
                self._open(one, jury)

    def verdict(self, view: View, one: PendingTrial) -> Digest | None:
        """The digest of the disputed step, by own work; None while it is done."""
        found = round_of(view.fold, one.trial)
        if found is None:
            return None
        done = self._replays.step(view.fold, found, Seat(one.trial.seat), one.trial.index)
        if isinstance(done, Failed) and isinstance(done.error, InvalidRound):
            return NOTHING  # an honest trace is shorter
        if isinstance(done, Failed):
            self._bench.tell_once(
                "jury_work_failed",
                *(one.number, one.trial.level, done.error.message),
                trial=one.number,
                round=one.trial.round_id,
                problem=done.error.message,
                remedy=done.error.remedy,
            )
        return done.value if isinstance(done, Finished) else None

    def _seal(self, view: View, one: PendingTrial, jury: JuryHistory) -> None:
        bench, court, level = self._bench, self._bench.clerk.court, one.trial.level
        if self._has(jury.sealed):
            return
        ballot = self._casebook.find_ballot(court.address, one.number, level)
        if ballot is None:
            digest = self.verdict(view, one)
            if digest is None:
                return
            ballot = self._casebook.vote(court.address, one.number, level, digest)
        bench.desk.ask(
            ("seal", one.number, level),
            lambda: bench.clerk.seal(one.number, level, ballot.digest, ballot.salt),
        )

    def _open(self, one: PendingTrial, jury: JuryHistory) -> None:
        bench, court, level = self._bench, self._bench.clerk.court, one.trial.level
        ballot = self._casebook.find_ballot(court.address, one.number, level)
        if ballot is None or not self._has(jury.sealed) or self._has(jury.opened):
            return
        bench.desk.ask(
            ("open", one.number, level),
            lambda: bench.clerk.open(one.number, level, ballot.digest, ballot.salt),
        )

    def _tell_votes(self, one: TrialHistory) -> None:
        """What of the own votes is on chain."""
        for level, jury in one.juries.items():
            name = {"trial": one.number, "round": one.round_id, "level": level}
            if self._has(jury.sealed):
                self._bench.tell_once("vote_sealed", one.number, level, **name)
            for account, digest in jury.opened.items():
                if self._bench.is_me(account):
                    self._bench.tell_once(
                        "vote_opened", one.number, level, **name, digest=digest.hex()
                    )

    def _abstain(self, one: PendingTrial) -> None:
        self._bench.tell_once(
            "vote_abstained",
            *(one.number, one.trial.level),
            trial=one.number,
            round=one.trial.round_id,
            level=one.trial.level,
            problem="this machine is of another class now than when its update was trained",
            remedy="go back to the device and the packages of that round; silence costs a fine",
        )

    def _tickets(self, jury: JuryHistory) -> int:
        return sum(n for account, n in jury.tickets.items() if self._bench.is_me(account))

    def _has(self, accounts: Iterable[Address]) -> bool:
        return any(self._bench.is_me(account) for account in accounts)
