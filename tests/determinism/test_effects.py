"""An update's effect on held-out rows tells spoiled work from honest work, at its merge weight."""

from dataclasses import replace

import numpy as np
import pytest

from learning.effects import WeighedUpdate, measure_effects
from learning.genesis import genesis
from learning.local_update import train
from learning.loop import Work
from learning.predict import evaluate_model
from learning.screening import NEAR_COPY_COSINE, SeatUpdate, cosines_of, screen_updates
from learning.tasks.digits import DigitsTask
from learning.tasks.rows import pack_rows
from protocol.codec import decode_update, dequantize_update, encode_update
from protocol.errors import InvalidUpdate
from protocol.layout import CHUNK
from protocol.merge import MergeParams, merge_chunks

QUARTER = 65536 // 4


@pytest.fixture(scope="module")
def scene():
    """Four trainers in round four of a run: their work, and their updates."""
    task = DigitsTask()
    layout, theta = genesis(task, seed=1)
    shards = [shard.data for shard in task.make_shards(4, split="dirichlet", alpha=0.3, seed=1)]
    for round_no in range(1, 5):
        works = [
            Work(
                task=task,
                theta=theta,
                layout=layout,
                shards=[shard],
                hyper=task.default_hyperparameters,
                seed=bytes([round_no]) * 32,
                round_no=round_no,
                seat=seat,
                device="cpu",
            )
            for seat, shard in enumerate(shards)
        ]
        updates = [train(work).update_bytes for work in works]
        decoded = [decode_update(update, layout.chunk_count) for update in updates]
        parent = theta.reshape(-1, CHUNK)
        merged, _ = merge_chunks(parent, None, decoded, [QUARTER] * 4, MergeParams())
        theta = merged.reshape(-1)
    return works, updates


def _effects(work, updates, weight=QUARTER):
    weighed = {
        seat: WeighedUpdate(segment=0, data=data, weight=weight)
        for seat, data in enumerate(updates)
    }
    return measure_effects(
        task=work.task,
        theta=work.theta,
        layout=work.layout,
        test_set=work.task.test_set(),
        updates=weighed,
        device="cpu",
    )


def test_honest_updates_of_unequal_shards_are_not_harmful_and_no_copies(scene):
    works, updates = scene

    effects = _effects(works[0], updates)

    assert not any(effect.harmful for effect in effects.values())
    held = {seat: SeatUpdate(segment=0, data=data) for seat, data in enumerate(updates)}
    assert screen_updates(held, works[0].layout) == []
    cosines = cosines_of(updates)
    assert cosines[~np.eye(4, dtype=bool)].max() < NEAR_COPY_COSINE


def test_flipped_labels_and_boosted_updates_are_harmful(scene):
    works, updates = scene
    task, work = works[0].task, works[0]
    rows = task.parse_shard(work.shards[0])
    flipped = pack_rows({**rows, "y": 9 - rows["y"]}).data
    delta = dequantize_update(*decode_update(updates[0], work.layout.chunk_count))

    poisoned = train(replace(work, shards=[flipped])).update_bytes
    effects = _effects(work, [poisoned, encode_update(delta * 20)])

    assert [effect.harmful for effect in effects.values()] == [True, True]


def test_figures_are_those_of_the_model_that_the_merge_would_give(scene):
    works, updates = scene
    work = works[0]
    effect = _effects(work, updates[:1])[0]
    decoded = [decode_update(updates[0], work.layout.chunk_count)]
    parent = work.theta.reshape(-1, CHUNK)
    merged, _ = merge_chunks(parent, None, decoded, [QUARTER], MergeParams())

    def figures(theta):
        return evaluate_model(
            task=work.task,
            theta=theta,
            layout=work.layout,
            test_set=work.task.test_set(),
            device="cpu",
        )

    before, after = figures(work.theta), figures(merged.reshape(-1))
    assert (effect.loss_before, effect.accuracy_before) == (before["loss"], before["accuracy"])
    assert (effect.loss_after, effect.accuracy_after) == (after["loss"], after["accuracy"])


def test_an_update_without_weight_has_no_effect(scene):
    works, updates = scene

    assert _effects(works[0], updates[:1], weight=0)[0].gain == 0


def test_an_update_of_the_wrong_size_is_refused(scene):
    works, _ = scene

    with pytest.raises(InvalidUpdate):
        _effects(works[0], [bytes(257)])


def test_a_model_whose_loss_is_no_number_is_harmful(scene):
    works, updates = scene

    class Broken(DigitsTask):
        def evaluate(self, model, test):
            return {"loss": float("nan"), "accuracy": 0.0}

    assert _effects(replace(works[0], task=Broken()), updates[:1])[0].harmful
