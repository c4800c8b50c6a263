"""Stochastic gradient descent with momentum, written out: v = mu * v + g, then w = w - lr * v.

Bit for bit what torch.optim.SGD computes (a test compares them). Constructing any torch optimizer
imports torch's compiler, which doubles the start-up of a trainer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
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


class ResumableOptimizer(Optimizer, Protocol):
    """An optimizer that a trainer may use: others can set it to a state and go on from there."""

    @property
    def state(self) -> MutableMapping[Any, dict[str, Any]]:
        """As above; whoever resumes writes it."""

    def blank_state(self, parameter: nn.Parameter) -> Mapping[str, torch.Tensor]:
        """Return tensors of the names, shapes and types that a step keeps for the parameter."""


class SGD:
    """Momentum starts as the first gradient; weight decay is added to the gradient."""

    def __init__(self, parameters: Iterable[nn.Parameter], hyper: Training) -> None:
        self.parameters = list(parameters)
        self.hyper = hyper
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = {}

    def blank_state(self, parameter: nn.Parameter) -> dict[str, torch.Tensor]:
        """Return the momentum that a step keeps for the parameter, its values not set."""
        return {"momentum": torch.empty_like(parameter)} if self.hyper.momentum else {}

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
