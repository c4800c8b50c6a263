"""A training state as bytes and back: what a digest of docs/protocol.md section 7 is the hash of.

An update's author and whoever repeats it hand each other states, so the reader takes them from a
stranger: it knows every byte but the values beforehand, and follows no length that it is sent.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator

import torch
from torch import nn

from learning.errors import InvalidState
from learning.sgd import Optimizer, ResumableOptimizer


def state_tensors(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters in the model's order; then for each its optimizer tensors, "name/key", by key.

    An optimizer that has not stepped yet has no state, and s_0 holds the parameters alone.
    """
    yield from model.named_parameters()
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter, {})
        for key in sorted(state):
            if isinstance(state[key], torch.Tensor):
                yield f"{name}/{key}", state[key]


def header_bytes(name: str, tensor: torch.Tensor) -> bytes:
    """Return what stands before a tensor's values: its name, shape and dtype."""
    name_bytes, dtype_bytes = name.encode(), str(tensor.dtype).removeprefix("torch.").encode()
    return (
        struct.pack(">H", len(name_bytes))
        + name_bytes
        + struct.pack(f">B{tensor.ndim}Q", tensor.ndim, *tensor.shape)
        + struct.pack(">H", len(dtype_bytes))
        + dtype_bytes
    )


def value_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """Return the values as little-endian uint8 [bytes] on the tensor's device; a view if it can."""
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    if sys.byteorder == "big":
        raw = raw.reshape(-1, tensor.element_size()).flip(1).reshape(-1)
    return raw


def export_state(model: nn.Module, optimizer: Optimizer) -> bytes:
    """Return the state's encoding, whose SHA-256 is the state's digest."""
    parts: list[bytes] = []
    for name, tensor in state_tensors(model, optimizer):
        parts += (header_bytes(name, tensor), value_bytes(tensor).cpu().numpy().tobytes())
    return b"".join(parts)


def load_state(data: bytes, model: nn.Module, optimizer: ResumableOptimizer) -> None:
    """Set model and optimizer to the state that a stranger's bytes encode. Values may be NaN.

    The parameters must be exactly the model's; of the optimizer's tensors, those of a parameter are
    there or not, as the optimizer may not have moved it yet. Nothing changes unless all is well.

    Raises:
        InvalidState: the bytes are no state of this model and optimizer.

    """
    reader = _Reader(data)
    parameters = dict(model.named_parameters())
    values = {name: reader.take(name, parameter) for name, parameter in parameters.items()}
    state: dict[nn.Parameter, dict[str, torch.Tensor]] = {}
    for name, parameter in parameters.items():
        for key, like in sorted(optimizer.blank_state(parameter).items()):
            if reader.is_next(f"{name}/{key}", like):
                taken = reader.take(f"{name}/{key}", like)
                state.setdefault(parameter, {})[key] = taken.to(parameter.device)
    reader.finish()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])
    optimizer.state.clear()
    optimizer.state.update(state)


class _Reader:
    """Takes tensor after tensor; each must be the one that is expected."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def is_next(self, name: str, like: torch.Tensor) -> bool:
        header = header_bytes(name, like)
        return self._data[self._at : self._at + len(header)] == header

    def take(self, name: str, like: torch.Tensor) -> torch.Tensor:
        if not self.is_next(name, like):
            raise InvalidState(reason=f"tensor {name!r} is not at byte {self._at}")
        start = self._at + len(header_bytes(name, like))
        size = like.numel() * like.element_size()
        if len(self._data) < start + size:
            raise InvalidState(reason=f"the values of {name!r} are cut short")
        self._at = start + size
        raw = torch.frombuffer(bytearray(self._data[start : start + size]), dtype=torch.uint8)
        if sys.byteorder == "big":
            raw = raw.reshape(-1, like.element_size()).flip(1).reshape(-1)
        return raw.view(like.dtype).reshape(like.shape)

    def finish(self) -> None:
        if self._at != len(self._data):
            raise InvalidState(reason=f"{len(self._data) - self._at} bytes stand behind the state")
