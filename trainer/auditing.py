"""Audits without a seat: whoever holds a key replays what it chooses. Section 9."""

import random
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from network.heads import HeadWatcher
from network.history import Revealed, RoundHistory
from network.keeper import Keeper, View
from network.trials.bench import Docket
from network.trials.contract import Finding
from network.trials.watch import TrialWatch
from protocol.errors import CommonweightError
from protocol.rounds import Phase
from protocol.types import Seat
from trainer.auditor import Auditor, is_settled
from trainer.casebook import AuditNote

_log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 10.0
_AFTER_PROBLEM_S = 2.0

UpdateName = tuple[int, bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What is audited: one round or all, a share of the updates, now or as they come."""

    round_id: int | None = None
    follow: bool = False
    rate: float = 1.0
    accuse: bool = False


class FreeAuditor(Auditor):
    """Audits what it chooses, by randomness of its own, and posts nothing: it was not drawn."""

    def __init__(self, plan: AuditPlan, **parts: Any) -> None:
        super().__init__(**parts, accuses=plan.accuse)
        self._plan = plan
        self._random = random.Random(secrets.token_bytes(32))  # noqa: S311 - seeded by the system
        self._chosen: dict[UpdateName, bool] = {}
        self.findings: dict[UpdateName, AuditNote] = {}

    @property
    def differs(self) -> bool:
        """Whether an update was found to be other work."""
        return any(note.finding is Finding.DIFFERENT for note in self.findings.values())

    def look(self, view: View, docket: Docket) -> None:
        """Audit what was chosen, oldest round first, and accuse what is wrong."""
        self.begin()
        for found, revealed in self._choices(view):
            note = self.audit(view, found, revealed.seat)
            if note is None:
                continue
            self.findings[_name(found, revealed.seat)] = note
            if not is_settled(found):
                self.press(view, docket, found, note)

    def _choices(self, view: View) -> Iterator[tuple[RoundHistory, Revealed]]:
        for number, found in sorted(view.fold.rounds.items()):
            if self._plan.round_id not in (None, number) or not found.inputs:
                continue
            for segment in found.inputs:
                for entry in segment:
                    name = _name(found, entry.seat)
                    if name not in self._chosen:
                        self._chosen[name] = self._random.random() < self._plan.rate
                    if self._chosen[name]:
                        yield found, found.reveals[entry.seat]


def _name(found: RoundHistory, seat: Seat) -> UpdateName:
    return (found.attempt, found.seed, seat)


class AuditLoop:
    """Looks until all that was chosen is judged, or until the run is over; `stop` from anywhere."""

    def __init__(
        self,
        *,
        plan: AuditPlan,
        auditor: FreeAuditor,
        watch: TrialWatch,
        keeper: Keeper,
        heads: HeadWatcher,
        woken: threading.Event,
    ) -> None:
        self.auditor = auditor
        self._plan = plan
        self._watch = watch
        self._keeper = keeper
        self._heads = heads
        self._woken = woken
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Leave `run` after this look."""
        self._stopping.set()
        self._woken.set()
        self._heads.nudge()

    def run(self) -> bool:
        """Audit; gives whether all that was replayed is what its trainers revealed."""
        while not self._stopping.is_set():
            seen = self._heads.head
            self._woken.clear()
            wait_s, done = self._tick()
            if done:
                break
            self._heads.wait_for(self._changed_since(seen), timeout_s=wait_s)
        return not self.auditor.differs

    def _changed_since(self, seen: object) -> Callable[[], bool | None]:
        return lambda: True if self._woken.is_set() or self._heads.head != seen else None

    def _tick(self) -> tuple[float, bool]:
        try:
            view = self._keeper.look()
            self._watch.look(view)
        except CommonweightError as error:
            _log.error("problem", doing="audit", problem=error.message, remedy=error.remedy)
            return _AFTER_PROBLEM_S, False
        if not self._watch.is_busy and self._is_over(view):
            if self._plan.accuse:
                self._watch.claim()
            return 0.0, True
        ahead = [moment - view.now_s for moment in self._watch.wake_at_s()]
        return min([*(one for one in ahead if one > 0), _LONGEST_WAIT_S]), False

    def _is_over(self, view: View) -> bool:
        if not self._plan.follow:
            return True
        last = view.current.round_id >= view.fold.params.max_rounds
        is_idle = view.current.phase is Phase.IDLE
        return (last and is_idle) or view.totals.closed or view.totals.halted


class AuditTable:
    """A report for people: a line an update, and one for each thing that a trial came to."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lock = threading.Lock()

    def __call__(self, event: str, **values: Any) -> None:
        """Write a line."""
        with self._lock:
            if event == "audited":
                kind = "own class" if values["same_class"] else "other class"
                known = "  (draws are predictable)" if values["predictable"] else ""
                self._write(
                    f"round {values['round']:<5} seat {values['seat']:<4} {kind:<12} "
                    f"{values['finding']:<10} {values['note']}{known}".rstrip()
                )
                return
            said = "  ".join(f"{name}={value}" for name, value in values.items())
            self._write(f"{event.replace('_', ' ')}: {said}")
