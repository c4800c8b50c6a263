"""Verifies updates and merges them beside the driver, so that it never waits for a download."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

from coordinator.aggregator import Aggregator, Inputs, MergedModel
from network.content import check_update
from network.history import RoundHistory, RunFold
from network.store import ContentStore
from protocol.cid import Cid
from protocol.errors import CommonweightError, WrongNorm
from protocol.layout import Layout
from protocol.rounds import UpdateHeader
from protocol.types import Digest, Seat, SegmentId

_log = structlog.get_logger(__name__)

CHECKERS = 4
MERGERS = 2
RETRY_S = 2.0
_CHECK_DEADLINE_S = 60.0

_Job = tuple[Digest, Inputs]


class MergeJobs:
    """Use from one thread. `done` is called in another one whenever there is something new."""

    def __init__(
        self,
        store: ContentStore,
        aggregator: Aggregator,
        layout: Layout,
        *,
        done: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._aggregator = aggregator
        self._layout = layout
        self._done = done
        self._clock = clock
        self._checkers = ThreadPoolExecutor(CHECKERS, thread_name_prefix="check")
        self._mergers = ThreadPoolExecutor(MERGERS, thread_name_prefix="merge")
        self._checks: dict[tuple[UpdateHeader, int], Future[None]] = {}
        self._merges: dict[_Job, Future[MergedModel]] = {}
        self._failed_at: dict[_Job, float] = {}
        self._failures: dict[_Job, CommonweightError] = {}
        self._closed = False
        self.version = 0

    def close(self) -> None:
        """Begin nothing new and do not wait for what runs."""
        self._closed = True
        self._checkers.shutdown(wait=False, cancel_futures=True)
        self._mergers.shutdown(wait=False, cancel_futures=True)

    def is_running(self, found: RoundHistory, inputs: Inputs) -> bool:
        """Whether `prepared` may soon have an answer."""
        merge = self._merges.get((found.parent_root, inputs))
        return merge is not None and not merge.done()

    def prepared(self, fold: RunFold, found: RoundHistory, inputs: Inputs) -> MergedModel | None:
        """The merge of these inputs; None while it is being made, or after it failed.

        A failed one is tried again after RETRY_S. No update is merged before it was verified.
        """
        job = (found.parent_root, inputs)
        merge = self._merges.get(job)
        if merge is None:
            if self._clock() - self._failed_at.get(job, -RETRY_S) >= RETRY_S:
                self._start(job, fold, found)
            return None
        if not merge.done():
            return None
        try:
            return merge.result()
        except (CommonweightError, OSError) as error:
            _log.warning("merge_failed", round=found.round_id, problem=str(error))
            del self._merges[job]
            self._failed_at[job] = self._clock()
            if isinstance(error, CommonweightError):
                self._failures[job] = error
            return None

    def failure(self, found: RoundHistory, inputs: Inputs) -> CommonweightError | None:
        """Why the last try of this merge failed; None while it runs, or before it failed."""
        job = (found.parent_root, inputs)
        return None if job in self._merges else self._failures.get(job)

    def liars(self, fold: RunFold, found: RoundHistory) -> list[Seat]:
        """Seats whose revealed header was found to lie about its norm."""
        seats = []
        for seat, revealed in found.reveals.items():
            chunks = len(self._layout.segment_chunks(fold.segment_at(found, seat)))
            check = self._checks.get((revealed.header, chunks))
            if check is not None and check.done() and not check.cancelled():
                seats += [seat] if isinstance(check.exception(), WrongNorm) else []
        return seats

    def _start(self, job: _Job, fold: RunFold, found: RoundHistory) -> None:
        self._forget_old()
        parent = self._aggregator.parent_of(fold, found)
        checks = []
        for segment, entries in enumerate(job[1]):
            chunks = len(self._layout.segment_chunks(SegmentId(segment)))
            checks += [self._check(found.reveals[e.seat].header, chunks) for e in entries]
        merge = self._mergers.submit(self._run, found, job[1], parent, checks)
        self._merges[job] = merge
        merge.add_done_callback(self._announce)

    def _check(self, header: UpdateHeader, chunks: int) -> Future[None]:
        key = (header, chunks)
        known = self._checks.get(key)
        if known is None or (known.done() and known.exception() is not None):
            known = self._checkers.submit(
                check_update, self._store, header, chunks=chunks, deadline_s=_CHECK_DEADLINE_S
            )
            self._checks[key] = known
        return known

    def _run(
        self, found: RoundHistory, inputs: Inputs, parent: Cid, checks: list[Future[None]]
    ) -> MergedModel:
        wait(checks)
        for check in checks:
            # A lie about the norm is the court's matter: the bytes are the root's.
            with contextlib.suppress(WrongNorm):
                check.result()
        return self._aggregator.merge(found, inputs, parent=parent)

    def _announce(self, _: Future[MergedModel]) -> None:
        self.version += 1
        if not self._closed:
            self._done()

    def _forget_old(self) -> None:
        """Hold on to the last few rounds only."""
        while len(self._merges) >= 2 * MERGERS:
            self._merges.pop(next(iter(self._merges)))
        while len(self._failures) >= 2 * MERGERS:
            self._failures.pop(next(iter(self._failures)))
        while len(self._checks) >= 2 * 256:
            self._checks.pop(next(iter(self._checks)))
