"""Training comes first, then what a jury waits for, then audits; one at a time."""

import threading

import pytest

from trainer.workshop import Urgency, Workshop


@pytest.fixture
def workshop():
    made = Workshop()
    yield made
    made.shutdown(wait=True, cancel_futures=True)


def test_what_is_more_urgent_overtakes_what_waits(workshop):
    begun, gate, order = threading.Event(), threading.Event(), []

    def hold():
        begun.set()
        gate.wait(5)

    first = workshop.queue(Urgency.AUDIT, hold)
    begun.wait(5)
    jobs = [
        workshop.queue(Urgency.AUDIT, lambda: order.append("audit")),
        workshop.queue(Urgency.TRIAL, lambda: order.append("trial")),
        workshop.submit(order.append, "training"),
        workshop.queue(Urgency.AUDIT, lambda: order.append("later audit")),
    ]
    gate.set()
    for job in (first, *jobs):
        job.result(5)
    assert order == ["training", "trial", "audit", "later audit"]


def test_an_error_is_whose_who_waits_for_the_work(workshop):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        workshop.submit(fail).result(5)
    assert workshop.submit(lambda: 7).result(5) == 7


def test_what_waits_is_cancelled_at_the_end():
    workshop, begun, gate = Workshop(), threading.Event(), threading.Event()

    def hold():
        begun.set()
        gate.wait(5)
        return "done"

    running = workshop.submit(hold)
    begun.wait(5)
    waiting = workshop.queue(Urgency.AUDIT, lambda: None)
    workshop.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    gate.set()
    assert running.result(5) == "done"
