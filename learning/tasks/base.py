"""What a task is: data, a model, a loss and a way to tell how good the model has become.

Nothing here imports torch, so publishing or checking data starts quickly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from learning.tasks.partition import Split
from learning.tasks.rows import Rows, Shard
from protocol.spec import TaskParam, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    Batch = Mapping[str, torch.Tensor]

ModelParameters = Mapping[str, TaskParam]
NO_PARAMETERS: ModelParameters = MappingProxyType({})


class Task(ABC):
    """One kind of training job. docs/tasks.md shows how to add one from outside.

    Every method must be a pure function of its arguments: two strangers who call it get the same.
    """

    name: ClassVar[str]
    licence: ClassVar[str]
    source: ClassVar[str]
    default_hyperparameters: ClassVar[Training] = Training(
        epochs=2, batch_size=32, lr=0.05, momentum=0.9
    )

    @abstractmethod
    def model(self, params: ModelParameters) -> nn.Module:
        """Return an untrained network; its float32 parameters are its whole state (no buffers)."""

    @abstractmethod
    def make_shards(self, count: int, *, split: Split, alpha: float, seed: int) -> list[Shard]:
        """Return the training rows as `count` shards; every row is in exactly one."""

    @abstractmethod
    def test_set(self) -> bytes:
        """Return the rows that no shard holds, in the format of a shard."""

    @abstractmethod
    def parse_shard(self, data: bytes) -> Rows:
        """Return the columns of a shard, or raise InvalidShard. The bytes come from a stranger."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the scalar to descend, for a batch of the columns of `parse_shard`."""

    @abstractmethod
    def evaluate(self, model: nn.Module, test: Batch) -> dict[str, float]:
        """Return figures of merit; "accuracy" and "loss" are among them."""

    @abstractmethod
    def predict(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return one answer (a label, say) for each row of the batch."""
