"""Stochastic gradient descent with momentum, written out: v = mu * v + g, then w = w - lr * v.

Bit for bit what torch.optim.SGD computes (a test compares them). Constructing any torch optimizer
imports torch's compiler, which doubles the start-up of a trainer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from protocol.spec import Training


class Optimizer(Protocol):
    """What the loop asks of an optimizer; torch's own have it too."""

    @property
    def state(self) -> Mapping[Any, Mapping[str, Any]]:
        """The tensors that outlive a step, by parameter and name."""

    def step(self) -> object:
        """Change the parameters by their gradients."""


class SGD:
    """Momentum starts as the first gradient; weight decay is added to the gradient."""

    def __init__(self, parameters: Iterable[nn.Parameter], hyper: Training) -> None:
        self.parameters = list(parameters)
        self.hyper = hyper
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = {}

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        with torch.no_grad():
            for parameter in self.parameters:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad)

    def _move(self, parameter: nn.Parameter, gradient: torch.Tensor) -> None:
        if self.hyper.weight_decay:
            gradient = gradient.add(parameter, alpha=self.hyper.weight_decay)
        if self.hyper.momentum:
            state = self.state.setdefault(parameter, {})
            if "momentum" in state:
                state["momentum"].mul_(self.hyper.momentum).add_(gradient)
            else:
                state["momentum"] = gradient.clone()
            gradient = state["momentum"]
        parameter.add_(gradient, alpha=-self.hyper.lr)
