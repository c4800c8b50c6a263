"""State digests are the bytes of docs/protocol.md section 7."""

import hashlib
from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from learning.trace import checkpoint_steps, digest_state


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
