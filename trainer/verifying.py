"""Which revealed updates are available, well-formed and inside the norm bound: a few at a time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum

import structlog

from network.content import check_update
from network.history import Revealed
from network.store import ContentStore
from protocol.errors import CommonweightError, InvalidUpdate, StoreError, WrongNorm
from protocol.rounds import UpdateHeader

_log = structlog.get_logger(__name__)

WORKERS = 4
_CHECK_DEADLINE_S = 60.0
RETRY_S = 2.0
"""How long a missing update is left alone before it is looked for again."""

_Name = tuple[UpdateHeader, int]


class Verdict(Enum):
    """What a check found; a missing object may yet come, and a lie can be proven."""

    GOOD = "good"
    BAD = "bad"
    LYING = "lying"
    MISSING = "missing"


class UpdateVerifier:
    """Checks each revealed update once, and a missing one again when asked again.

    `done` is called in a worker's thread after each check. Use from one thread.
    """

    def __init__(
        self,
        store: ContentStore,
        *,
        norm_bound: int,
        done: Callable[[], None],
        workers: int = WORKERS,
    ) -> None:
        self._store = store
        self._norm_bound = norm_bound
        self._done = done
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="verify")
        self._closing = threading.Event()
        self._checks: dict[_Name, Future[Verdict]] = {}
        self._missed_at: dict[_Name, float] = {}

    def close(self) -> None:
        """Stop; checks in progress end at their own deadline."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self, revealed: Revealed, *, chunks: int) -> Verdict | None:
        """The verdict on an update; None while its check runs."""
        name = (revealed.header, chunks)
        check = self._checks.get(name)
        if check is None:
            self._start(name, revealed)
            return None
        if not check.done():
            return None
        verdict = check.result()
        if verdict is Verdict.MISSING:
            since = self._missed_at.setdefault(name, time.monotonic())
            if time.monotonic() - since > RETRY_S:
                del self._missed_at[name]
                self._start(name, revealed)
        return verdict

    def forget(self) -> None:
        """Drop the verdicts of a round that is over."""
        for name in [name for name, check in self._checks.items() if check.done()]:
            del self._checks[name]
            self._missed_at.pop(name, None)

    def _start(self, name: _Name, revealed: Revealed) -> None:
        future = self._pool.submit(self._check, revealed, name[1])
        self._checks[name] = future
        future.add_done_callback(lambda _: None if self._closing.is_set() else self._done())

    def _check(self, revealed: Revealed, chunks: int) -> Verdict:
        try:
            if revealed.header.ssq > self._norm_bound:
                raise InvalidUpdate(
                    what="sum of squares", expected=self._norm_bound, actual=revealed.header.ssq
                )
            check_update(self._store, revealed.header, chunks=chunks, deadline_s=_CHECK_DEADLINE_S)
        except StoreError as error:
            _log.warning("update_missing", seat=revealed.seat, problem=error.message)
            return Verdict.MISSING
        except WrongNorm as error:
            _log.warning("update_lies", seat=revealed.seat, problem=error.message)
            return Verdict.LYING
        except CommonweightError as error:
            _log.warning("update_bad", seat=revealed.seat, problem=error.message)
            return Verdict.BAD
        return Verdict.GOOD
