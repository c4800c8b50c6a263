"""A task that sorts rows into classes: a subclass brings data and a network, the rest is here."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from learning.tasks.base import Task
from learning.tasks.partition import Split, partition_rows
from learning.tasks.rows import Column, Rows, Shard, pack_rows, parse_rows

if TYPE_CHECKING:
    import torch
    from torch import nn

    from learning.tasks.base import Batch


class ClassificationTask(Task):
    """Rows of inputs "x" and integer labels "y"; the model returns one score per class.

    `columns` says what a shard may hold, `row_limit` how many rows one shard has at most.
    """

    columns: ClassVar[dict[str, Column]]
    row_limit: ClassVar[int]

    @abstractmethod
    def load(self) -> tuple[Rows, Rows]:
        """Return the training rows and the test rows, the same at every call."""

    def make_shards(
        self, count: int, *, split: Split = "iid", alpha: float = 0.3, seed: int = 0
    ) -> list[Shard]:
        """Return the training rows as `count` shards; every row is in exactly one."""
        train, _ = self.load()
        parts = partition_rows(train["y"], count, split, alpha=alpha, seed=seed)
        return [pack_rows({name: v[part] for name, v in train.items()}) for part in parts]

    def test_set(self) -> bytes:
        """Return the test rows in the format of a shard."""
        _, test = self.load()
        return pack_rows(test).data

    def parse_shard(self, data: bytes) -> Rows:
        """Return "x" and "y" of a shard, or raise InvalidShard."""
        return parse_rows(data, self.columns, row_limit=self.row_limit)

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the mean cross entropy of the batch."""
        from learning.models.classifier import cross_entropy  # noqa: PLC0415 - imports torch

        return cross_entropy(model, batch)

    def evaluate(self, model: nn.Module, test: Batch) -> dict[str, float]:
        """Return "accuracy" (0..1) and mean "loss" over the test rows."""
        from learning.models.classifier import evaluate  # noqa: PLC0415 - imports torch

        return evaluate(model, test)

    def predict(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the most likely label of each row, int64."""
        from learning.models.classifier import predict  # noqa: PLC0415 - imports torch

        return predict(model, batch["x"])
