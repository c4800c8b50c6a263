"""Handwritten digits, 8 x 8, from scikit-learn: the smallest task that a network is needed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from learning.errors import InvalidTask
from learning.tasks.base import ModelParameters
from learning.tasks.classification import ClassificationTask
from learning.tasks.rows import Column, Rows

if TYPE_CHECKING:
    from torch import nn

TEST_PART = 0.2
SPLIT_SEED = 0


class DigitsTask(ClassificationTask):
    """1,797 images of ten digits; a stratified fifth of them is the test set."""

    name: ClassVar[str] = "digits"
    licence: ClassVar[str] = "BSD-3-Clause"
    source: ClassVar[str] = "scikit-learn: sklearn.datasets.load_digits (UCI optical digits, 1998)"
    columns: ClassVar[dict[str, Column]] = {
        "x": Column(dtype="uint8", shape=(8, 8), least=0, greatest=16),
        "y": Column(dtype="uint8", shape=(), least=0, greatest=9),
    }
    row_limit: ClassVar[int] = 1797

    def model(self, params: ModelParameters) -> nn.Module:
        """Return the untrained network of 101,626 parameters; it has nothing to choose."""
        if params:
            raise InvalidTask(task=self.name, reason=f"the model takes no {sorted(params)}")
        from learning.models.cnn import DigitsCNN  # noqa: PLC0415 - publishing data needs no torch

        return DigitsCNN()

    def load(self) -> tuple[Rows, Rows]:
        """Return 1,437 training rows and 360 test rows, always the same."""
        from sklearn.datasets import load_digits  # noqa: PLC0415 - takes seconds; trainers skip it
        from sklearn.model_selection import train_test_split  # noqa: PLC0415 - as above

        images, labels = load_digits(return_X_y=True)
        x, y = images.reshape(-1, 8, 8).astype(np.uint8), labels.astype(np.uint8)
        x_train, x_test, y_train, y_test = train_test_split(
            x, y, test_size=TEST_PART, stratify=y, random_state=SPLIT_SEED
        )
        return {"x": x_train, "y": y_train}, {"x": x_test, "y": y_test}
