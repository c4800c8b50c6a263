"""Training states travel between strangers: written one way, and read strictly."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from learning.errors import InvalidState
from learning.sgd import SGD
from learning.state import export_state, load_state
from learning.trace import digest_state
from protocol.spec import Training


def _pair(steps=0, momentum=0.9, seed=1, width=3):
    """A tiny model and its optimizer, a few steps on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 1))
    hyper = Training(epochs=1, batch_size=1, lr=0.1, momentum=momentum)
    optimizer = SGD(model.parameters(), hyper)
    for _ in range(steps):
        model.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_state_comes_back_bit_for_bit(momentum, steps):
    source, target = _pair(steps, momentum), _pair(0, momentum, seed=2)

    load_state(export_state(*source), *target)

    assert export_state(*target) == export_state(*source)
    assert hashlib.sha256(export_state(*source)).digest() == digest_state(*source)


def test_going_on_from_a_state_is_going_on():
    straight, target = _pair(3), _pair(0, seed=2)
    load_state(export_state(*_pair(2)), *target)

    model, optimizer = target
    model.zero_grad()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()

    assert export_state(*target) == export_state(*straight)


def test_a_first_state_takes_the_optimizers_memory_away():
    target = _pair(2)

    load_state(export_state(*_pair(0)), *target)

    assert export_state(*target) == export_state(*_pair(0))


def test_nan_with_its_payload_comes_back():
    source, target = _pair(1), _pair(0, seed=2)
    with torch.no_grad():
        bits = torch.tensor([0x7FC12345], dtype=torch.int32)
        source[0][0].weight[0, 0] = bits.view(torch.float32)[0]

    load_state(export_state(*source), *target)

    assert export_state(*target) == export_state(*source)


def test_parameters_without_a_gradient_have_no_memory():
    """An optimizer keeps nothing for what it never moved, and so says the state."""
    model, optimizer = _pair(0)
    model[0](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    target = _pair(0, seed=2)

    load_state(export_state(model, optimizer), *target)

    assert export_state(*target) == export_state(model, optimizer)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(export_state(*_pair(1)) + b"\x00", id="a byte too many"),
        pytest.param(export_state(*_pair(1))[:-1], id="a byte short"),
        pytest.param(export_state(*_pair(1)) * 2, id="twice"),
        pytest.param(export_state(*_pair(1, width=4)), id="another width"),
        pytest.param(export_state(*_pair(1)).replace(b"float32", b"float64"), id="other dtype"),
        pytest.param(export_state(*_pair(1)).replace(b"momentum", b"momentom"), id="other key"),
        pytest.param(b"\x80\x04pickle", id="pickle"),
    ],
)
def test_what_is_no_state_of_this_model_is_refused_and_changes_nothing(data):
    target = _pair(1, seed=2)
    before = export_state(*target)

    with pytest.raises(InvalidState):
        load_state(data, *target)

    assert export_state(*target) == before


def test_momentum_is_refused_where_there_is_none():
    with pytest.raises(InvalidState, match="behind"):
        load_state(export_state(*_pair(1, momentum=0.9)), *_pair(0, momentum=0.0))


_GOOD = export_state(*_pair(1))


@given(st.integers(0, len(_GOOD) - 1), st.integers(0, 255), st.integers(0, 9))
def test_a_damaged_state_is_read_as_it_is_or_refused(place, value, cut):
    """Never another error, and never a state that encodes to other bytes."""
    damaged = bytearray(_GOOD)
    damaged[place] = value
    data = bytes(damaged[: len(damaged) - cut])
    target = _pair(0, seed=2)

    try:
        load_state(data, *target)
    except InvalidState:
        return
    assert export_state(*target) == data


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data):
    with pytest.raises(InvalidState):
        load_state(data, *_pair(0))
