"""A judge of effects is asked beside the audit, and never holds an attestation up."""

import threading
from types import SimpleNamespace

import pytest
from unit.trainer.makers import ME, Story, digest, header, key

from network.history import Revealed
from trainer.effects import JUDGING_SHARE, EffectDesk

EARLY, LATE = 0.0, JUDGING_SHARE
PARENT = b"the parent's model object"


def updates(*seats):
    return {seat: Revealed(seat=seat, trainer=ME, header=header(10 + seat)) for seat in seats}


class Asked:
    """A desk whose judge is the test's; `wait` returns when it has ended."""

    def __init__(self, judge):
        self.done = threading.Event()
        self.read = []
        cache = SimpleNamespace(read=self._read)
        self.desk = EffectDesk(judge, models=SimpleNamespace(cache=cache), done=self.done.set)
        self.found = Story().enrolled().opened().fold.rounds[1]

    def _read(self, root):
        self.read.append(root)
        return PARENT

    def look(self, *seats, share=EARLY, attempt=1):
        return self.desk.look(key(attempt=attempt), self.found, updates(*seats), share=share)

    def wait(self):
        assert self.done.wait(10)
        self.done.clear()


def test_without_a_judge_nobody_is_called_harmful():
    asked = Asked(None)
    assert asked.look(0, 1) == 0
    assert asked.read == []


def test_the_judge_sees_the_parent_model_and_the_headers_of_the_available_updates():
    cases = []

    def judge(case):
        cases.append(case)
        return 0b10

    asked = Asked(judge)
    assert asked.look(0, 1) is None
    asked.wait()
    assert asked.look(0, 1) == 0b10
    (case,) = cases
    assert (case.round_id, case.attempt, case.parent) == (1, 1, PARENT)
    assert case.updates == updates(0, 1)
    assert asked.read == [digest(2)]


def test_the_judge_is_asked_once_for_each_set_of_updates():
    cases = []
    asked = Asked(lambda case: cases.append(case) or 0)
    for seats in ((0,), (0, 1)):
        assert asked.look(*seats) is None
        asked.wait()
        assert [asked.look(*seats), asked.look(*seats)] == [0, 0]
    assert [sorted(case.updates) for case in cases] == [[0], [0, 1]]


def test_only_available_updates_are_called_harmful():
    asked = Asked(lambda _: 0b1110)
    asked.look(0, 1)
    asked.wait()
    assert asked.look(0, 1) == 0b10


def test_a_judge_that_takes_too_long_is_not_waited_for():
    may_go = threading.Event()
    asked = Asked(lambda _: 0b1 if may_go.wait(10) else None)
    assert asked.look(0) is None
    assert asked.look(0, share=LATE) == 0
    may_go.set()
    asked.wait()
    assert asked.look(0, share=LATE) == 0b1  # the journal keeps what was attested before


def test_a_judge_that_is_asked_late_is_not_waited_for():
    asked = Asked(lambda _: 0b1)
    assert asked.look(0, share=LATE) == 0
    asked.wait()


@pytest.mark.parametrize("answer", [None, ZeroDivisionError("no rows")], ids=["none", "error"])
def test_a_judge_that_can_not_tell_calls_nobody_harmful(answer):
    def judge(_):
        if answer is not None:
            raise answer

    asked = Asked(judge)
    asked.look(0)
    asked.wait()
    assert asked.look(0) == 0


def test_a_closed_desk_wakes_nobody():
    may_go, ended = threading.Event(), threading.Event()

    def judge(_):
        may_go.wait(10)
        ended.set()

    asked = Asked(judge)
    asked.look(0)
    asked.desk.close()
    may_go.set()
    assert ended.wait(10)
    assert not asked.done.wait(0.1)
