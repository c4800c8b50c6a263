"""Work beside the loop: once at a time, again after a pause, forgotten when nobody asks."""

import threading

import pytest

from network.desk import Desk, Failed, Finished
from protocol.errors import ContentUnavailable, StoreUnavailable

GONE = ContentUnavailable(cid="x")


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def desk(clock):
    woken = threading.Semaphore(0)
    made = Desk(done=woken.release, clock=lambda: clock[0])
    yield made
    made.close()


def settled(desk, name, work):
    """Ask until the job that runs has ended."""
    first = desk.ask(name, work)
    job = desk._jobs[name]
    job.future.exception(timeout=5)
    return first, desk.ask(name, work)


def test_a_job_runs_once_and_keeps_what_came_of_it(desk):
    runs = []
    for _ in range(3):
        _, found = settled(desk, ("job",), lambda: runs.append(1) or 7)
        assert found == Finished(value=7)
    assert len(runs) == 1


def test_nobody_waits_for_a_job(desk):
    gate = threading.Event()
    assert desk.ask(("slow",), gate.wait) is None
    assert desk.ask(("slow",), gate.wait) is None
    assert desk.is_busy
    gate.set()


def test_a_failed_job_is_tried_again_after_a_growing_pause(desk, clock):
    def fail():
        raise GONE

    _, found = settled(desk, ("job",), fail)
    assert found == Failed(error=GONE, tries=1)
    assert desk.again_in_s() == 1.0
    clock[0] = 0.5
    assert desk.ask(("job",), lambda: 7) == found
    clock[0] = 1.0
    _, found = settled(desk, ("job",), fail)
    assert (found.tries, desk.again_in_s()) == (2, 2.0)
    clock[0] = 3.0
    assert settled(desk, ("job",), lambda: 7)[1] == Finished(value=7)
    assert desk.again_in_s() is None


def test_a_file_that_went_is_a_store_that_does_not_answer(desk):
    def fail():
        raise FileNotFoundError("gone")

    _, found = settled(desk, ("job",), fail)
    assert isinstance(found.error, StoreUnavailable)


def test_a_bug_is_not_hidden(desk):
    with pytest.raises(ZeroDivisionError):
        settled(desk, ("job",), lambda: 1 // 0)


def test_what_nobody_asks_for_is_forgotten_once_it_ended(desk):
    gate = threading.Event()
    desk.ask(("slow",), gate.wait)
    settled(desk, ("quick",), lambda: 1)
    desk.forget_unasked()
    assert set(desk._jobs) == {("slow",), ("quick",)}
    desk.forget_unasked()
    assert set(desk._jobs) == {("slow",)}
    gate.set()


def test_whoever_waits_is_woken():
    woken = threading.Event()
    desk = Desk(done=woken.set)
    desk.ask(("job",), lambda: 1)
    assert woken.wait(5)
    desk.close()
