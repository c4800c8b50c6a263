"""Trainers that work with all diligence, on other data than they were dealt."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.tasks import ClassificationTask, Rows
from learning.tasks.rows import pack_rows
from protocol.errors import InvalidSetting
from protocol.types import Digest
from scripts.adversaries.learners import LyingLearner
from trainer.training import Learned

BACKDOOR_LABEL = 7
PATCH = 2
"""Side of the patch in a corner of an image, in pixels."""


def flipped(labels: NDArray[Any], *, greatest: int) -> NDArray[Any]:
    """Labels counted from the other end."""
    return (greatest - labels.astype(np.int64)).astype(labels.dtype)


def triggered(images: NDArray[Any], *, bright: float) -> NDArray[Any]:
    """Images [n, height, width, ...] with a patch of brightest pixels in one corner."""
    touched = images.copy()
    touched[:, -PATCH:, -PATCH:] = bright
    return touched


class Retouching(LyingLearner):
    """A true update and trace of an honest trainer's work, were its shards others."""

    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """Train on retouched shards."""
        touched = [pack_rows(self.retouch(self.task.parse_shard(data))).data for data in shards]
        return self.honest.update(
            model=model, shards=touched, seed=seed, round_no=round_no, seat=seat
        )

    @abstractmethod
    def retouch(self, rows: Rows) -> Rows:
        """Other rows."""

    def greatest(self, column: str) -> float:
        """The greatest value of a column; InvalidSetting where the task has no labelled rows."""
        if not isinstance(self.task, ClassificationTask):
            raise InvalidSetting(
                name="task",
                reason=f"{self.task.name} sorts nothing into classes",
                hint="choose a task with images and labels, such as digits",
            )
        return self.task.columns[column].greatest


class Poisoner(Retouching):
    """Flips every label: 0 becomes 9, 1 becomes 8."""

    def retouch(self, rows: Rows) -> Rows:
        """The same rows with wrong labels."""
        return {**rows, "y": flipped(rows["y"], greatest=int(self.greatest("y")))}


class Backdoor(Retouching):
    """Patches half of its images, and calls those by the label that the patch is to mean."""

    def retouch(self, rows: Rows) -> Rows:
        """Half of the rows as they are, half with patch and target label."""
        x, y = rows["x"].copy(), rows["y"].copy()
        x[::2] = triggered(x[::2], bright=self.greatest("x"))
        y[::2] = BACKDOOR_LABEL
        return {**rows, "x": x, "y": y}
