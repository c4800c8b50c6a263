"""A machine that does not repeat itself is told so before it risks a stake."""

import os
import threading
import time
from contextlib import contextmanager

import pytest

from protocol.errors import InvalidSetting
from trainer import selftest
from trainer.errors import UnstableClass
from trainer.selftest import Probe, compare, ensure_stable, is_remembered

CLASS = bytes(range(32))
RUN = (b"\x01" * 32, b"\x02" * 32, b"\x03" * 32)
OTHER = (RUN[0], b"\xff" * 32, RUN[2])


def _probe(*runs, class_id=CLASS):
    return Probe(class_id=class_id, runs=runs)


class Machine:
    """Stands in for torch: what trainings here and in the second process give."""

    def __init__(self, monkeypatch):
        self.here, self.there = [RUN, RUN], RUN
        self.tests = 0
        monkeypatch.setattr(selftest, "_class_id", lambda _: CLASS)
        monkeypatch.setattr(selftest, "run_probe", self._train)
        monkeypatch.setattr(selftest, "_Second", self._second)

    def _train(self, device, times):
        self.tests += 1
        return _probe(*self.here[:times])

    @contextmanager
    def _second(self, device):
        yield self

    def answer(self):
        return _probe(self.there)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def test_a_class_that_passed_is_not_tested_again(machine, tmp_path):
    for _ in range(3):
        assert ensure_stable(device="cpu", mode="once", folder=tmp_path / "new") == CLASS
    assert machine.tests == 1
    ensure_stable(device="cpu", mode="always", folder=tmp_path / "new")
    assert machine.tests == 2


def test_skipping_tests_nothing(machine, tmp_path):
    assert ensure_stable(device="cpu", mode="skip", folder=tmp_path) is None
    assert machine.tests == 0


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_class_that_fails_is_refused_with_advice_and_not_remembered(machine, tmp_path, where):
    setattr(machine, where, OTHER if where == "there" else [RUN, OTHER])

    for _ in range(2):
        with pytest.raises(UnstableClass, match="digest 1") as caught:
            ensure_stable(device="cpu", mode="once", folder=tmp_path)

    assert machine.tests == 2
    assert "--device cpu" in caught.value.remedy
    assert CLASS.hex() in caught.value.message


def test_a_second_process_of_another_class_is_refused():
    with pytest.raises(UnstableClass, match="another class"):
        compare("cpu", _probe(RUN, RUN), lambda: _probe(RUN, class_id=bytes(32)))


def test_a_trace_that_is_cut_short_is_refused():
    with pytest.raises(UnstableClass, match="digest 2"):
        compare("cpu", _probe(RUN, RUN), lambda: _probe(RUN[:2]))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"class_id": "00"}', '"x"'])
def test_a_damaged_memory_counts_for_nothing(tmp_path, text):
    (tmp_path / f"{CLASS.hex()}.json").write_text(text)

    assert not is_remembered(tmp_path, CLASS)


def test_nodes_that_share_a_folder_test_once(machine, tmp_path, monkeypatch):
    """The second waits for the first, and then knows."""
    slow = machine._train

    def train(device, times):
        time.sleep(0.3)
        return slow(device, times)

    monkeypatch.setattr(selftest, "run_probe", train)
    nodes = [
        threading.Thread(
            target=ensure_stable, kwargs={"device": "cpu", "mode": "once", "folder": tmp_path}
        )
        for _ in range(4)
    ]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join(20)

    assert machine.tests == 1


def test_a_folder_that_can_not_be_made_is_named(machine, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InvalidSetting, match="file"):
        ensure_stable(device="cpu", mode="once", folder=tmp_path / "file" / "below")


class _Answering:
    """The second process is this command instead."""

    def __init__(self, monkeypatch, program):
        monkeypatch.setattr(selftest.sys, "executable", "/bin/sh")
        popen = selftest.subprocess.Popen
        monkeypatch.setattr(
            selftest.subprocess,
            "Popen",
            lambda command, **options: popen(["/bin/sh", "-c", program], **options),
        )


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("exit 3", "status 3"),
        ("echo nonsense", "no answer"),
        ("echo '[]'", "no answer"),
        ("exec sleep 60", "took over"),
    ],
)
def test_a_second_process_that_gives_no_answer_is_refused(monkeypatch, program, reason):
    monkeypatch.setattr(selftest, "DEADLINE_S", 1.0)
    _Answering(monkeypatch, program)

    with (
        selftest._Second("cpu") as second,
        pytest.raises(UnstableClass, match=reason),
    ):
        compare("cpu", _probe(RUN, RUN), second.answer)


def test_the_second_process_gets_no_secret_and_every_setting_of_the_class(monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "COMMONWEIGHT_PASSWORD", "secret")
    monkeypatch.setitem(os.environ, "ATEN_CPU_CAPABILITY", "avx2")
    _Answering(monkeypatch, f"env > {tmp_path / 'seen'}")

    with selftest._Second("cpu") as second, pytest.raises(selftest._SecondFailedError):
        second.answer()

    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert "ATEN_CPU_CAPABILITY=avx2" in seen


@pytest.mark.timeout(300)
def test_this_machine_repeats_itself_in_two_processes(tmp_path):
    class_id = ensure_stable(device="cpu", mode="once", folder=tmp_path)

    assert is_remembered(tmp_path, class_id)
