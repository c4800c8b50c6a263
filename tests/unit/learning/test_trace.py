"""State digests are the bytes of docs/protocol.md section 7."""

import hashlib
import threading
import time
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from learning import trace
from learning.sgd import SGD
from learning.trace import TraceRecorder, checkpoint_steps, digest_state
from protocol.spec import Training


@given(st.integers(1, 5000))
def test_checkpoints_run_from_0_to_the_last_step_evenly(steps):
    points = checkpoint_steps(steps)

    gaps = {b - a for a, b in pairwise(points)}
    assert points[0] == 0
    assert points[-1] == steps
    assert len(points) == min(steps, 64) + 1
    assert max(gaps) - min(gaps) <= 1


def test_a_digest_is_the_hash_of_the_written_encoding():
    model = nn.Linear(1, 2)
    nn.init.zeros_(model.weight)
    nn.init.ones_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)

    expected = (
        b"\x00\x06weight\x02" + (2).to_bytes(8, "big") + (1).to_bytes(8, "big")
        + b"\x00\x07float32" + bytes(8)
        + b"\x00\x04bias\x01" + (2).to_bytes(8, "big")
        + b"\x00\x07float32" + bytes.fromhex("0000803f0000803f")
    )  # fmt: skip
    assert digest_state(model, optimizer) == hashlib.sha256(expected).digest()


def test_the_optimizers_momentum_is_part_of_the_state():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0, momentum=0.9)
    before = digest_state(model, optimizer)

    model(torch.ones(1)).backward()
    optimizer.step()

    assert digest_state(model, optimizer) != before


@given(st.integers(1, 500), st.integers(1, 64))
def test_a_run_chooses_how_many_states_are_digested(steps, checkpoints):
    points = checkpoint_steps(steps, checkpoints)

    assert (points[0], points[-1]) == (0, steps)
    assert len(points) == min(steps, checkpoints) + 1


def _walk(steps=9):
    """A model that changes in place at every step, and grows momentum at the first."""
    model = nn.Linear(40, 40)
    optimizer = SGD(model.parameters(), Training(epochs=1, batch_size=1, lr=0.1, momentum=0.9))
    yield model, optimizer
    for _ in range(steps):
        model.zero_grad()
        model(torch.ones(1, 40)).square().sum().backward()
        optimizer.step()
        yield model, optimizer


def test_digests_made_beside_the_training_are_those_made_in_it(monkeypatch):
    """Even if hashing is so slow that it is always behind."""
    digest = trace._Buffer.digest

    def slowly(self):
        time.sleep(0.02)
        return digest(self)

    monkeypatch.setattr(trace._Buffer, "digest", slowly)
    expected = []
    with TraceRecorder() as recorder:
        for model, optimizer in _walk():
            recorder.record(model, optimizer)
            expected.append(digest_state(model, optimizer))
        digests = recorder.digests()

    assert digests == expected
    assert len(set(digests)) == 10


def test_few_states_wait_to_be_hashed(monkeypatch):
    go_on, recorded = threading.Event(), threading.Semaphore(0)
    monkeypatch.setattr(trace._Buffer, "digest", lambda _: go_on.wait(30) and bytes(32))
    model, optimizer = next(_walk())

    def record_all():
        for _ in range(5):
            recorder.record(model, optimizer)
            recorded.release()

    with TraceRecorder() as recorder:
        thread = threading.Thread(target=record_all)
        thread.start()
        for _ in range(trace.BUFFERS):
            assert recorded.acquire(timeout=20)
        assert not recorded.acquire(timeout=0.1)
        go_on.set()
        thread.join(20)
        assert recorder.digests() == [bytes(32)] * 5


def test_what_fails_beside_the_training_fails_the_training(monkeypatch):
    def fail(_):
        raise MemoryError

    monkeypatch.setattr(trace._Buffer, "digest", fail)
    model, optimizer = next(_walk())

    with TraceRecorder() as recorder:
        recorder.record(model, optimizer)
        with pytest.raises(MemoryError):
            recorder.digests()
    with TraceRecorder() as recorder:
        for _ in range(trace.BUFFERS):
            recorder.record(model, optimizer)
        with pytest.raises(MemoryError):
            recorder.record(model, optimizer)


@pytest.mark.gpu
def test_a_gpus_states_are_digested_as_they_were():
    expected = []
    model = nn.Linear(2000, 2000, device="cuda")
    optimizer = SGD(model.parameters(), Training(epochs=1, batch_size=1, lr=0.1, momentum=0.9))
    with TraceRecorder() as recorder:
        for _ in range(6):
            model.zero_grad()
            model(torch.ones(1, 2000, device="cuda")).square().mean().backward()
            optimizer.step()
            recorder.record(model, optimizer)
            with torch.no_grad():
                expected.append(digest_state(model, optimizer))
        digests = recorder.digests()

    assert digests == expected
