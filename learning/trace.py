"""Digests of the training state along a local update (docs/protocol.md 3, "Trace", and 7).

Hashing takes a second core, not the training's time: `record` copies the state into a buffer, and
one thread hashes it while the next steps run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import torch
from torch import nn

from learning.sgd import Optimizer
from learning.state import header_bytes, state_tensors, value_bytes
from protocol.rounds import MAX_TRACE_STEPS

BUFFERS = 2


def checkpoint_steps(steps: int, checkpoints: int = MAX_TRACE_STEPS) -> list[int]:
    """Return the step counts after which the state is digested: 0 .. steps, evenly.

    There are H + 1 of them, H = min(steps, checkpoints).
    """
    h = min(steps, checkpoints)
    return [i * steps // h for i in range(h + 1)] if h else [0]


def digest_state(model: nn.Module, optimizer: Optimizer) -> bytes:
    """Return the 32-byte digest of the parameters, then of the optimizer's state."""
    digest = hashlib.sha256()
    for name, tensor in state_tensors(model, optimizer):
        digest.update(header_bytes(name, tensor))
        digest.update(value_bytes(tensor).cpu().numpy().data)
    return digest.digest()


class TraceRecorder:
    """Digests states one after the other, equal to `digest_state`, while training goes on.

    with TraceRecorder() as trace:
        trace.record(model, optimizer)  # returns once the state is copied
        digests = trace.digests()  # waits for the last

    At most BUFFERS states wait to be hashed; then `record` waits. What fails in the thread is
    raised by a later `record` or by `digests`.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trace")
        self._buffers = [_Buffer() for _ in range(BUFFERS)]
        self._digests: list[Future[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def record(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Take the state as it is now; the caller may change it as soon as this returns."""
        count = len(self._digests)
        if count >= BUFFERS:
            self._digests[count - BUFFERS].result()  # its buffer is free from here on
        buffer = self._buffers[count % BUFFERS]
        buffer.fill(list(state_tensors(model, optimizer)))
        self._digests.append(self._thread.submit(buffer.digest))

    def digests(self) -> list[bytes]:
        """Return the digests of all recorded states, in order."""
        return [digest.result() for digest in self._digests]


class _Buffer:
    """One encoded state on the host; headers are written once, values anew at every `fill`."""

    def __init__(self) -> None:
        self._headers: list[bytes] = []
        self._data = torch.empty(0, dtype=torch.uint8)
        self._slots: list[torch.Tensor] = []
        self._copied: torch.cuda.Event | None = None

    def fill(self, tensors: Sequence[tuple[str, torch.Tensor]]) -> None:
        headers = [header_bytes(name, tensor) for name, tensor in tensors]
        if headers != self._headers:
            self._allocate(headers, [tensor for _, tensor in tensors])
        for slot, (_, tensor) in zip(self._slots, tensors, strict=True):
            # From a GPU the copy is queued behind the step that made the values and before the
            # next, which the training queues on the same stream.
            slot.copy_(value_bytes(tensor), non_blocking=True)
        if any(tensor.is_cuda for _, tensor in tensors):
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call] # torch: untyped
            self._copied.record()

    def digest(self) -> bytes:
        if self._copied is not None:
            self._copied.synchronize()
        return hashlib.sha256(self._data.numpy().data).digest()

    def _allocate(self, headers: list[bytes], tensors: Sequence[torch.Tensor]) -> None:
        sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
        total = sum(map(len, headers)) + sum(sizes)
        # Only from pinned memory on can a copy run beside the training.
        pinned = any(tensor.is_cuda for tensor in tensors)
        self._data = torch.empty(total, dtype=torch.uint8, pin_memory=pinned)
        self._headers, self._slots, at = headers, [], 0
        for header, size in zip(headers, sizes, strict=True):
            end = at + len(header)
            self._data[at:end] = torch.frombuffer(bytearray(header), dtype=torch.uint8)
            self._slots.append(self._data[end : end + size])
            at = end + size
