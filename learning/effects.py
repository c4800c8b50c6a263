"""What each revealed update alone does to the model's figures on held-out rows.

For reports and the split of rewards, never for slashing: an honest update of an odd shard may hurt,
and a useless one need not. An update counts at its merge weight, which is what it does in a round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from learning import determinism
from learning.parameters import Theta, build_model, set_parameters
from learning.predict import to_tensor
from learning.tasks.base import NO_PARAMETERS, ModelParameters, Task
from protocol.codec import decode_update
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import CHUNK, Layout
from protocol.merge import MergeParams, merge_chunks
from protocol.types import Seat, SegmentId

HARM_MARGIN = 0.2
"""Loss that an update may add before it is called harmful, in the task's unit (nats for classes).

Measured on digits, four equal trainers, 12 rounds, 3 seeds: honest updates add 0.041 at most where
shards are alike, 0.179 with Dirichlet(0.3), so none of 288 is called harmful. Flipped labels are in
every round from the third on; in the first two the model knows nothing yet that they could spoil.
An update boosted twentyfold always is; noise of an honest norm never, since it does next to
nothing: replay finds it, and this does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedUpdate:
    """An update object of a segment, and its merge weight in 1/65536."""

    segment: SegmentId
    data: bytes
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Figures of the parent model, and with this update alone merged into it at its weight."""

    loss_before: float
    loss_after: float
    accuracy_before: float
    accuracy_after: float

    @property
    def gain(self) -> float:
        """By how much the loss falls; negative if it grows, minus infinity if it is no number."""
        gain = self.loss_before - self.loss_after
        return gain if math.isfinite(gain) else -math.inf

    @property
    def harmful(self) -> bool:
        """Whether the loss grows by more than the margin."""
        return self.gain < -HARM_MARGIN


def measure_effects(
    *,
    task: Task,
    theta: Theta,
    layout: Layout,
    test_set: bytes,
    updates: Mapping[Seat, WeighedUpdate],
    device: determinism.Device = "auto",
    params: ModelParameters = NO_PARAMETERS,
    fraction_bits: int = FRACTION_BITS,
) -> dict[Seat, Effect]:
    """Evaluate each update alone on top of theta (int32 [chunks * 256]); one model serves for all.

    Raises:
        InvalidShard: the test set's bytes are not what the task allows.
        InvalidUpdate: an update has not the size of its segment.
        InvalidMerge: a weight is outside 0..65536.

    """
    determinism.pin()
    where = determinism.pick_device(device)
    test = {
        name: to_tensor(column).to(where) for name, column in task.parse_shard(test_set).items()
    }
    model = build_model(task, params, layout, theta, fraction_bits).to(where)
    before = task.evaluate(model, test)
    effects: dict[Seat, Effect] = {}
    for seat, update in updates.items():
        set_parameters(model, layout, _merged_alone(theta, layout, update), fraction_bits)
        after = task.evaluate(model, test)
        effects[seat] = Effect(
            loss_before=before["loss"],
            loss_after=after["loss"],
            accuracy_before=before["accuracy"],
            accuracy_after=after["accuracy"],
        )
    return effects


def _merged_alone(theta: Theta, layout: Layout, update: WeighedUpdate) -> Theta:
    chunks = layout.segment_chunks(update.segment)
    part = slice(chunks.start, chunks.stop)
    merged = theta.reshape(-1, CHUNK).copy()
    decoded = decode_update(update.data, len(chunks))
    merged[part], _ = merge_chunks(merged[part], None, [decoded], [update.weight], MergeParams())
    return np.ascontiguousarray(merged).reshape(-1)
