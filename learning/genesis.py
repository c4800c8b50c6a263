"""Round 0: the model that a run starts from (docs/protocol.md 2)."""

from __future__ import annotations

import torch

from learning import determinism
from learning.parameters import Theta, describe_layout, quantize_model
from learning.tasks.base import NO_PARAMETERS, ModelParameters, Task
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import Layout


def genesis(
    task: Task,
    seed: int,
    *,
    params: ModelParameters = NO_PARAMETERS,
    segments: tuple[int, ...] = (),
    fraction_bits: int = FRACTION_BITS,
) -> tuple[Layout, Theta]:
    """Return the layout and the initial theta (int32 [chunks * 256]); equal seeds give equal bits.

    The sponsor publishes the result, so nobody has to repeat it on another machine. torch's own
    generator is left as it was.

    Raises:
        InvalidTask: the model keeps state beside its parameters.
        NonFiniteUpdate, NotRepresentable: an initial value is no int32 in units of 2^-F.

    """
    determinism.pin()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = task.model(params)
    layout = describe_layout(task, model, segments)
    return layout, quantize_model(model, layout, fraction_bits, step=0)
