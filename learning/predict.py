"""Using a model: its figures on the test set, and answers for rows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from learning import determinism
from learning.parameters import Theta, build_model
from learning.tasks.base import NO_PARAMETERS, ModelParameters, Task
from learning.tasks.rows import Rows
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import Layout


def evaluate_model(
    *,
    task: Task,
    theta: Theta,
    layout: Layout,
    test_set: bytes,
    device: determinism.Device = "auto",
    params: ModelParameters = NO_PARAMETERS,
    fraction_bits: int = FRACTION_BITS,
) -> dict[str, float]:
    """Return the task's figures ("accuracy", "loss", ...) of theta (int32 [chunks * 256]).

    Raises:
        InvalidShard: the test set's bytes are not what the task allows.

    """
    determinism.pin()
    where = determinism.pick_device(device)
    test = {name: to_tensor(v).to(where) for name, v in task.parse_shard(test_set).items()}
    model = build_model(task, params, layout, theta, fraction_bits).to(where)
    return task.evaluate(model, test)


def predict_rows(
    *,
    task: Task,
    theta: Theta,
    layout: Layout,
    rows: Rows,
    device: determinism.Device = "auto",
    params: ModelParameters = NO_PARAMETERS,
    fraction_bits: int = FRACTION_BITS,
) -> NDArray[np.generic]:
    """Return one answer per row, a classifier's label say; `rows` needs only the inputs."""
    determinism.pin()
    where = determinism.pick_device(device)
    batch = {name: to_tensor(values).to(where) for name, values in rows.items()}
    model = build_model(task, params, layout, theta, fraction_bits).to(where)
    answers: NDArray[np.generic] = task.predict(model, batch).cpu().numpy()
    return answers


def to_tensor(values: NDArray[np.generic]) -> torch.Tensor:
    """Return the column as a tensor on the host that owns its memory."""
    return torch.from_numpy(np.array(values))
