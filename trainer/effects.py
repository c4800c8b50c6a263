"""Which updates do the model harm, judged beside the audit, which is never held up for it.

What two thirds of the stake call harmful is merged all the same, but not paid: docs/protocol.md
section 4. How a judge finds out is its own affair; the node has it asked in a thread of its own.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from network.history import Revealed, RoundHistory
from protocol.rounds import bitmap_of
from protocol.types import Attempt, RoundId, Seat
from trainer.journal import Key
from trainer.models import Models

_log = structlog.get_logger(__name__)

JUDGING_SHARE = 0.4
"""The share of a phase after which the judge is no longer waited for: before a relay is, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCase:
    """What a judge of effects is asked: the parent's model object, and the available updates."""

    round_id: RoundId
    attempt: Attempt
    parent: bytes
    updates: Mapping[Seat, Revealed]


EffectJudge = Callable[[EffectCase], int | None]
"""Gives the bitmap of the seats whose updates do harm; None where it can not tell."""


class EffectDesk:
    """Asks one judge, once for each set of updates of an attempt. Use from one thread.

    `done` is called in the judge's thread after each judgement.
    """

    def __init__(
        self,
        judge: EffectJudge | None,
        *,
        models: Models,
        done: Callable[[], None],
    ) -> None:
        self._judge = judge
        self._models = models
        self._done = done
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="effects")
        self._asked: tuple[Key, int] | None = None
        self._answer: Future[int | None] | None = None
        self._is_closed = False

    def close(self) -> None:
        """Ask nothing more; a judge that is at work is left to end by itself."""
        self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(
        self, key: Key, found: RoundHistory, updates: dict[Seat, Revealed], *, share: float
    ) -> int | None:
        """The harmful ones among `updates`; None while the judge may be waited for.

        A judge that fails, or still thinks at JUDGING_SHARE of the phase, calls nobody harmful.
        """
        if self._judge is None or not updates:
            return 0
        asked = (key, bitmap_of(updates))
        if asked != self._asked or self._answer is None:
            self._ask(self._judge, found, updates)
            self._asked = asked
            return None if share < JUDGING_SHARE else 0
        if not self._answer.done():
            if share < JUDGING_SHARE:
                return None
            _log.warning(
                "effects_not_judged", round=key.round_id, problem="the judge took too long"
            )
            return 0
        error = self._answer.exception()
        if error is not None:
            _log.warning("effects_not_judged", round=key.round_id, problem=repr(error))
            return 0
        return (self._answer.result() or 0) & asked[1]

    def _ask(self, judge: EffectJudge, found: RoundHistory, updates: dict[Seat, Revealed]) -> None:
        if self._answer is not None:
            self._answer.cancel()  # of an attempt that is over; one at work is left alone

        def work() -> int | None:
            parent = self._models.cache.read(found.parent_root)
            case = EffectCase(
                round_id=found.round_id, attempt=found.attempt, parent=parent, updates=updates
            )
            return judge(case)

        self._answer = self._pool.submit(work)
        self._answer.add_done_callback(lambda _: None if self._is_closed else self._done())
