"""Work by name in a few threads of its own: each once at a time, what failed again a while later.

The loop that watches asks for a job at every look and takes what there is; it never waits. What
is no longer asked for is forgotten once it has ended.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from protocol.errors import CommonweightError, StoreUnavailable

_log = structlog.get_logger(__name__)

T = TypeVar("T")

WORKERS = 16
"""Acts that wait for their blocks side by side: who is challenged often must answer as often."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

JobName = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Generic[T]):
    """A job that came to an end, and what came of it."""

    value: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A job that failed so many times in a row; it is tried again."""

    error: CommonweightError
    tries: int


@dataclass(slots=True, kw_only=True)
class _Job:
    future: Future[Any]
    tries: int = 0
    again_s: float = 0.0
    failure: Failed | None = None
    asked: bool = True


@dataclass(slots=True)
class Desk:
    """Use from one thread; `done` is called in another whenever a job has ended."""

    done: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    _jobs: dict[JobName, _Job] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(WORKERS, thread_name_prefix="court")
    )
    _closing: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        """Begin nothing new and do not wait for what runs."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, name: JobName, work: Callable[[], T]) -> Finished[T] | Failed | None:
        """What came of the job of this name; None while it runs for the first time.

        It is begun if nobody asked for it before, and again some time after it failed.
        """
        job = self._jobs.get(name)
        if job is None:
            self._jobs[name] = _Job(future=self._submit(work))
            return None
        job.asked = True
        if not job.future.done():
            return job.failure
        error = job.future.exception()
        if error is None:
            return Finished(value=job.future.result())
        if not isinstance(error, CommonweightError | OSError):
            raise error
        if job.again_s == 0.0:
            self._note(name, job, error)
        elif self.clock() >= job.again_s:
            job.again_s = 0.0
            job.future = self._submit(work)
        return job.failure

    def again_in_s(self) -> float | None:
        """Seconds until a failed job is due again; None if there is none."""
        waiting = [job.again_s for job in self._jobs.values() if job.again_s > 0.0]
        return max(min(waiting) - self.clock(), 0.0) if waiting else None

    @property
    def is_busy(self) -> bool:
        """Whether a job runs."""
        return any(not job.future.done() for job in self._jobs.values())

    def forget_unasked(self) -> None:
        """Drop what ended and was not asked for since the last call."""
        for name, job in list(self._jobs.items()):
            if not job.asked and job.future.done():
                del self._jobs[name]
            job.asked = False

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: None if self._closing.is_set() else self.done())
        return future

    def _note(self, name: JobName, job: _Job, error: CommonweightError | OSError) -> None:
        known: CommonweightError
        if isinstance(error, CommonweightError):
            known = error
        else:  # a model's file went while it was read
            known = StoreUnavailable(place="the models on disk", reason=str(error))
        job.tries += 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** (job.tries - 1), LONGEST_PAUSE_S)
        job.again_s = self.clock() + pause_s
        job.failure = Failed(error=known, tries=job.tries)
        _log.warning(
            "court_work_failed", work=str(name[0]), problem=known.message, remedy=known.remedy
        )
