"""What every classifier shares: its loss, its labels and its figures on a test set.

Legend: B rows, K classes. A batch has the inputs in column "x" and the labels in column "y".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

EVALUATION_BATCH = 1024


def cross_entropy(model: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the mean cross entropy of the batch as a scalar that can be differentiated."""
    return F.cross_entropy(model(batch["x"]), batch["y"].long())


@torch.no_grad()
def predict(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return the most likely label [B] of each input, int64."""
    model.eval()
    labels = [model(part).argmax(dim=1) for part in torch.split(x, EVALUATION_BATCH)]
    return torch.cat(labels)


@torch.no_grad()
def evaluate(model: nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Return "accuracy" (0..1) and the mean "loss" over all rows of the batch."""
    model.eval()
    right, loss_sum = 0, 0.0
    parts = zip(*(torch.split(batch[name], EVALUATION_BATCH) for name in "xy"), strict=True)
    for x, y_B in parts:
        scores_BK = model(x)
        right += int((scores_BK.argmax(dim=1) == y_B).sum())
        loss_sum += float(F.cross_entropy(scores_BK, y_B.long(), reduction="sum"))
    rows = len(batch["y"])
    return {"accuracy": right / rows, "loss": loss_sum / rows}
