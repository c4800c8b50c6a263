"""One thread for all that uses the device: training first, then what a jury waits for, then audits.

torch's random generators are one process's, so two trainings side by side would spoil each other.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Urgency(IntEnum):
    """What comes first; a job that has begun is never interrupted."""

    TRAINING = 0
    TRIAL = 1
    AUDIT = 2


class Workshop(Executor):
    """An executor whose `submit` is for training; safe for several threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="train")
        self._lock = threading.Lock()
        self._numbers = count()
        self._jobs: list[tuple[Urgency, int, Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Train, as soon as what runs has ended."""
        return self.queue(Urgency.TRAINING, lambda: fn(*args, **kwargs))

    def queue(self, urgency: Urgency, work: Callable[[], T]) -> Future[T]:
        """Do the work when nothing more urgent waits."""
        future: Future[T] = Future()
        with self._lock:
            heappush(self._jobs, (urgency, next(self._numbers), future, work))
        self._pool.submit(self._do_next)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the executor's own signature
        """Begin nothing new; what runs is left to end by itself."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        if not cancel_futures:
            return
        with self._lock:
            left, self._jobs = self._jobs, []
        for _, _, future, _ in left:
            future.cancel()

    def _do_next(self) -> None:
        with self._lock:
            if not self._jobs:
                return
            _, _, future, work = heappop(self._jobs)
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            future.set_exception(error)
        else:
            future.set_result(result)
