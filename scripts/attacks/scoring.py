"""How good a model is, and how far an attack on it went."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.predict import predict_rows
from learning.tasks import ClassificationTask, Rows
from protocol.layout import CHUNK, Layout
from protocol.spec import RunSpec
from scripts.adversaries.retouching import BACKDOOR_LABEL, triggered

_CPU: Final = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares of test images: answered rightly, by class, and fooled by the backdoor's patch.

    `fooled` counts images of other labels that with the patch are given the backdoor's.
    """

    accuracy: float
    by_class: tuple[float, ...]
    fooled: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """Scores models of one run on its test set."""

    task: ClassificationTask
    spec: RunSpec
    test_set: bytes

    def score(self, theta: NDArray[np.int32]) -> Score:
        """The score of a model, int32 [chunks, CHUNK] or flat."""
        rows = self.task.parse_shard(self.test_set)
        labels = rows["y"].astype(np.int64)
        right = self._answers(theta, rows) == labels
        bright = self.task.columns["x"].greatest
        others = labels != BACKDOOR_LABEL
        patched = {**rows, "x": triggered(rows["x"], bright=bright)}
        fooled = self._answers(theta, patched)[others] == BACKDOOR_LABEL
        classes = range(int(self.task.columns["y"].greatest) + 1)
        return Score(
            accuracy=float(right.mean()),
            by_class=tuple(float(right[labels == one].mean()) for one in classes),
            fooled=float(fooled.mean()),
        )

    def _answers(self, theta: NDArray[np.int32], rows: Rows) -> NDArray[Any]:
        layout: Layout = self.spec.layout
        assert theta.size == layout.chunk_count * CHUNK, "a whole model"
        return predict_rows(
            task=self.task,
            theta=theta.reshape(-1),
            layout=layout,
            rows={"x": rows["x"]},
            device=_CPU,
            params=self.spec.task_params,
            fraction_bits=self.spec.fraction_bits,
        )
