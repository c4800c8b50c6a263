"""Four clients and the exact integer merge learn to read digits."""

from itertools import count

import pytest

from learning.genesis import genesis
from learning.local_update import local_update
from learning.predict import evaluate_model, predict_rows
from learning.tasks.digits import DigitsTask
from protocol.codec import decode_update
from protocol.layout import CHUNK
from protocol.merge import WEIGHT_ONE, MergeParams, merge_chunks

TRAINERS = 4


@pytest.mark.timeout(180)
def test_four_trainers_reach_97_percent_within_12_rounds():
    """The figures of shared numerics: 6 or 7 rounds with these settings, by seed."""
    task = DigitsTask()
    shards = task.make_shards(TRAINERS, split="iid", seed=1)
    test_set = task.test_set()
    layout, theta = genesis(task, seed=1)
    weights = [WEIGHT_ONE // TRAINERS] * TRAINERS
    accuracy = 0.0
    for round_no in count(1):
        updates = [
            local_update(
                task=task,
                theta=theta,
                layout=layout,
                shards=[shard.data],
                hyper=task.default_hyperparameters,
                seed=bytes([round_no]) * 32,
                round_no=round_no,
                seat=seat,
                device="cpu",
            )
            for seat, shard in enumerate(shards)
        ]
        decoded = [decode_update(update.update_bytes, layout.chunk_count) for update in updates]
        merged, _ = merge_chunks(theta.reshape(-1, CHUNK), None, decoded, weights, MergeParams())
        theta = merged.reshape(-1)
        figures = evaluate_model(
            task=task, theta=theta, layout=layout, test_set=test_set, device="cpu"
        )
        accuracy = figures["accuracy"]
        if accuracy >= 0.97 or round_no == 12:
            break

    assert accuracy >= 0.97, f"{accuracy:.3f} after {round_no} rounds"
    print(f"{accuracy:.3f} after {round_no} rounds")
    rows = task.parse_shard(test_set)
    labels = predict_rows(
        task=task, theta=theta, layout=layout, rows={"x": rows["x"]}, device="cpu"
    )
    assert (labels == rows["y"]).mean() == pytest.approx(accuracy)
