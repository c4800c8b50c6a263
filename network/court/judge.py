"""What this node's own merge says of a proposal; a fetched model says nothing.

The merge counts only once every included update was seen to be its root's: two thirds of the stake
may have frozen others, of which the court knows better.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from network.court.bench import Bench
from network.court.case import Case
from network.court.moves import Stance
from network.desk import Failed, Finished
from network.history import RoundHistory, RunFold
from protocol.errors import CommonweightError, ContentUnavailable
from protocol.rounds import UpdateHeader
from protocol.types import Digest

_log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 30.0
_KEPT = 64

T = TypeVar("T")

Recompute = Callable[[RunFold, RoundHistory], Digest | None]
"""The root of a frozen round's merge upon the parent that the chain names; None while it is made.

Raises a CommonweightError if it can not be made now.
"""

IsChecked = Callable[[UpdateHeader, int], bool]
"""Whether this process found an update of so many chunks to be its root's."""

_Name = tuple[Digest, tuple[Digest, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A merge that could not be made so many times in a row; tried again when `clock` says so."""

    error: CommonweightError
    tries: int
    again: float


class Judge:
    """Compares proposals with own merges; one merge a look, since it may take long."""

    def __init__(self, bench: Bench, recompute: Recompute, is_checked: IsChecked) -> None:
        self._bench = bench
        self._recompute = recompute
        self._is_checked = is_checked
        self._sound: dict[_Name, bool] = {}
        self._gaps: dict[_Name, int] = {}
        self._roots: dict[_Name, Digest] = {}
        self._troubles: dict[_Name, Trouble] = {}
        self._has_merged = False
        self._is_merging = False

    def begin(self) -> None:
        """A new look, in which one merge may be made."""
        self._has_merged, self._is_merging = False, False

    def own_root(self, case: Case) -> Digest | None:
        """The root of the own merge; None if it was not made yet."""
        return self._roots.get(_name_of(case))

    def note_loss(self, case: Case, outcome: object) -> None:
        """If a job failed since the own merge is gone from the disk: make it again."""
        own = self.own_root(case)
        error = outcome.error if isinstance(outcome, Failed) else None
        if own is not None and isinstance(error, ContentUnavailable) and error.cid == own.hex():
            del self._roots[_name_of(case)]

    def failures(self, case: Case) -> int:
        """How often in a row the own merge, or a check of its inputs, failed."""
        trouble = self._troubles.get(_name_of(case))
        return max(0 if trouble is None else trouble.tries, self._gaps.get(_name_of(case), 0))

    def stance(self, fold: RunFold, case: Case) -> Stance:
        """Whether the proposal is right; UNKNOWN while own merge or inputs are not there."""
        is_sound = self._has_sound_inputs(case)
        own = self.own_root(case) or self._merge(fold, case)
        if own is None or not is_sound:
            return Stance.UNKNOWN
        return Stance.RIGHT if own == case.proposal.model_root else Stance.WRONG

    def _has_sound_inputs(self, case: Case) -> bool:
        name = _name_of(case)
        if name in self._sound:
            return True
        left = frozenset(
            entry.seat
            for segment, entries in enumerate(case.inputs)
            for entry in entries
            if not self._is_checked(case.headers[entry.seat], len(case.chunks_of(segment)))
        )
        if left:
            examiner = self._bench.examiner
            found = self._bench.desk.ask(
                ("inputs", name), lambda: examiner.check_inputs(case, left)
            )
            if isinstance(found, Failed):
                _keep(self._gaps, name, found.tries)
            if not isinstance(found, Finished):
                return False
        self._gaps.pop(name, None)
        _keep(self._sound, name, value=True)
        return True

    def _merge(self, fold: RunFold, case: Case) -> Digest | None:
        found = fold.rounds.get(case.round_id)
        if found is None or found.inputs_hashes != case.inputs_hashes or found.seed != case.seed:
            return None
        name = _name_of(case)
        trouble = self._troubles.get(name)
        if trouble is not None and not self._bench.is_after(trouble.again):
            return None
        if self._is_merging:
            return None
        if self._has_merged:
            self._bench.wake()
            return None
        try:
            root = self._recompute(fold, found)
        except CommonweightError as error:
            self._has_merged = True
            self._note(name, case, error)
            return None
        self._has_merged, self._is_merging = root is not None, root is None
        if root is not None:
            self._troubles.pop(name, None)
            _keep(self._roots, name, root)
        return root

    def _note(self, name: _Name, case: Case, error: CommonweightError) -> None:
        before = self._troubles.get(name)
        tries = 1 if before is None else before.tries + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** (tries - 1), LONGEST_PAUSE_S)
        again = self._bench.clock() + pause_s
        _keep(self._troubles, name, Trouble(error=error, tries=tries, again=again))
        self._bench.is_after(again)
        _log.warning("merge_not_checked", round=case.round_id, problem=error.message)


def _name_of(case: Case) -> _Name:
    return (case.parent_root, case.inputs_hashes)


def _keep(known: dict[_Name, T], name: _Name, value: T) -> None:
    while len(known) >= _KEPT:
        known.pop(next(iter(known)))
    known[name] = value
