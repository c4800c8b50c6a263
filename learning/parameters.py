"""Between the integer vector that the protocol agrees on and a torch model (docs/protocol.md 2)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning.errors import InvalidTask
from learning.tasks.base import ModelParameters, Task
from protocol.errors import NonFiniteUpdate
from protocol.fixedpoint import dequantize, quantize
from protocol.layout import Layout, TensorSpec

Theta = NDArray[np.int32]


def describe_layout(task: Task, model: nn.Module, segments: tuple[int, ...] = ()) -> Layout:
    """Return the model's tensors in the order in which chunks number them.

    `segments` says how many tensors each segment takes; without it one segment takes all.

    Raises:
        InvalidTask: the model keeps state beside float32 parameters, which a round would lose.

    """
    parameters = dict(model.named_parameters())
    buffers = model.state_dict().keys() & {name for name, _ in model.named_buffers()}
    strange = sorted(buffers | {n for n, p in parameters.items() if p.dtype != torch.float32})
    if strange:
        reason = f"{strange} are no float32 parameters; GroupNorm, say, does without them"
        raise InvalidTask(task=task.name, reason=reason)
    tensors = tuple(TensorSpec(name=name, shape=tuple(p.shape)) for name, p in parameters.items())
    return Layout(tensors=tensors, segments=segments or (len(tensors),))


def build_model(
    task: Task, params: ModelParameters, layout: Layout, theta: Theta, fraction_bits: int
) -> nn.Module:
    """Return the task's model, on the host, with parameters theta * 2^-F rounded to float32.

    Raises:
        InvalidTask: the model has other tensors than the layout.

    """
    model = task.model(params)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    if shapes != {tensor.name: tensor.shape for tensor in layout.tensors}:
        raise InvalidTask(task=task.name, reason="its model and the run's layout differ")
    set_parameters(model, layout, theta, fraction_bits)
    return model


def set_parameters(model: nn.Module, layout: Layout, theta: Theta, fraction_bits: int) -> None:
    """Set the parameters of a model of this layout to theta * 2^-F rounded to float32."""
    arrays = layout.unflatten(dequantize(theta, fraction_bits))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[name]))


def quantize_model(model: nn.Module, layout: Layout, fraction_bits: int, step: int) -> Theta:
    """Return the model's parameters after `step` steps as one padded vector [chunks * 256].

    Raises:
        NonFiniteUpdate: a parameter is NaN or infinite.
        NotRepresentable: a finite parameter is too large for int32.

    """
    tensors: dict[str, Theta] = {}
    for name, parameter in model.named_parameters():
        values = parameter.detach().cpu().numpy()
        if not np.isfinite(values).all():
            raise NonFiniteUpdate(tensor=name, step=step)
        tensors[name] = quantize(values, fraction_bits)
    theta: Theta = layout.flatten(tensors, np.int32)
    return theta
