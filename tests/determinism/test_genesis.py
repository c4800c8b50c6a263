"""Round 0 is a function of its seed."""

import numpy as np
import pytest
import torch
from torch import nn

from learning.errors import InvalidTask
from learning.genesis import genesis
from learning.tasks.digits import DigitsTask
from protocol.errors import NonFiniteUpdate, NotRepresentable


class Odd(DigitsTask):
    """Digits with another network."""

    def __init__(self, build):
        self.build = build

    def model(self, params):
        return self.build()


def _filled(value):
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, value)
    return model


def test_equal_seeds_give_equal_models_and_others_do_not():
    task = DigitsTask()
    torch.manual_seed(5)
    layout, theta = genesis(task, seed=1)
    torch.manual_seed(6)
    again_layout, again = genesis(task, seed=1)

    assert layout == again_layout
    assert np.array_equal(theta, again)
    assert theta.dtype == np.int32
    assert not np.array_equal(theta, genesis(task, seed=2)[1])


def test_the_layout_holds_the_parameters_in_order():
    layout, theta = genesis(DigitsTask(), seed=1, segments=(4, 4))

    assert [tensor.name for tensor in layout.tensors][:2] == ["conv1.weight", "conv1.bias"]
    assert layout.element_count == 101_626
    assert layout.segment_count == 2
    assert np.count_nonzero(theta) <= 101_626


def test_running_averages_are_refused():
    with pytest.raises(InvalidTask, match="running_mean"):
        genesis(Odd(lambda: nn.BatchNorm1d(3)), seed=1)


def test_other_dtypes_are_refused():
    with pytest.raises(InvalidTask, match="weight"):
        genesis(Odd(lambda: nn.Linear(2, 2).double()), seed=1)


def test_values_that_are_no_int32_are_refused():
    with pytest.raises(NonFiniteUpdate):
        genesis(Odd(lambda: _filled(float("nan"))), seed=1)
    with pytest.raises(NotRepresentable):
        genesis(Odd(lambda: _filled(1e6)), seed=1)
