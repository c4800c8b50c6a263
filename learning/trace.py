"""Digests of the training state along a local update (docs/protocol.md 3, "Trace", and 7)."""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Iterator

import torch
from torch import nn

from learning.sgd import Optimizer

GREATEST_H = 64


def checkpoint_steps(steps: int) -> list[int]:
    """Return the step counts after which the state is digested: 0 .. steps, evenly, 65 at most."""
    h = min(steps, GREATEST_H)
    return [i * steps // h for i in range(h + 1)] if h else [0]


def digest_state(model: nn.Module, optimizer: Optimizer) -> bytes:
    """Return the 32-byte digest of the parameters, then of the optimizer's state."""
    digest = hashlib.sha256()
    for name, tensor in _state_tensors(model, optimizer):
        array = tensor.detach().to("cpu").contiguous().numpy()
        if sys.byteorder == "big":
            array = array.byteswap()
        name_bytes, dtype_bytes = name.encode(), array.dtype.name.encode()
        digest.update(struct.pack(">H", len(name_bytes)) + name_bytes)
        digest.update(struct.pack(f">B{array.ndim}Q", array.ndim, *array.shape))
        digest.update(struct.pack(">H", len(dtype_bytes)) + dtype_bytes)
        digest.update(array.data)
    return digest.digest()


def _state_tensors(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters in the model's order; then for each its optimizer tensors, "name/key", by key.

    An optimizer that has not stepped yet has no state, and s_0 holds the parameters alone.
    """
    yield from model.named_parameters()
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter, {})
        for key in sorted(state):
            if isinstance(state[key], torch.Tensor):
                yield f"{name}/{key}", state[key]
