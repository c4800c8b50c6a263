"""Work done in stretches, each by somebody else, is the work done in one go, bit for bit."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from learning.errors import InvalidState
from learning.genesis import genesis
from learning.local_update import local_update, train
from learning.loop import TrainingLoop, Work
from learning.replay import NO_UPDATE, reexecute, retrain, state_at
from learning.tasks.digits import DigitsTask
from protocol.errors import InvalidRound, NonFiniteUpdate
from protocol.merkle import SumTree
from protocol.spec import Training

PLAIN = Training(epochs=1, batch_size=32, lr=0.05)
MOMENTUM = Training(epochs=2, batch_size=32, lr=0.05, momentum=0.9, weight_decay=0.01)
# 360 rows in batches of 50: eight steps an epoch, the last of ten rows; stretches cross epochs.
SHORT_BATCH = Training(epochs=3, batch_size=50, lr=0.05, momentum=0.9, checkpoints=5)
DIVERGING = Training(epochs=1, batch_size=128, lr=1e30, checkpoints=2)


@pytest.fixture(scope="module")
def work():
    task = DigitsTask()
    layout, theta = genesis(task, seed=1, segments=(4, 4))
    shards = [shard.data for shard in task.make_shards(4, split="iid", seed=1)[:1]]
    return Work(
        task=task,
        theta=theta,
        layout=layout,
        shards=shards,
        hyper=MOMENTUM,
        seed=bytes(range(32)),
        round_no=3,
        seat=2,
        device="cpu",
    )


def _stretches(work, *, segment=0):
    """Each index from the state that the one before it left."""
    state = None
    for index in range(len(TrainingLoop(work).checkpoints) + 1):
        done = reexecute(work, index, state=state, segment=segment)
        yield done
        state = done.data


@pytest.mark.parametrize(
    "hyper", [PLAIN, MOMENTUM, SHORT_BATCH], ids=["plain", "momentum", "short"]
)
def test_every_stretch_from_its_pre_state_gives_the_digest_of_the_whole(work, hyper):
    work = replace(work, hyper=hyper)
    whole = train(work)

    *states, update = _stretches(work)

    assert [state.digest for state in states] == whole.trace_digests
    assert all(hashlib.sha256(state.data).digest() == state.digest for state in states)
    chunks = work.layout.segment_chunks(0)
    assert update.data == whole.update_bytes[: len(chunks) * 257]
    assert update.digest == SumTree.from_leaves(update.data).root


def test_the_update_is_the_seats_segment(work):
    work = replace(work, hyper=SHORT_BATCH)
    whole = train(work).update_bytes
    last = len(TrainingLoop(work).checkpoints)

    both = [reexecute(work, last, state=state_at(work, last - 1), segment=s) for s in (0, 1)]

    assert both[0].data + both[1].data == whole


def test_a_state_can_be_had_at_every_checkpoint(work):
    work = replace(work, hyper=SHORT_BATCH)
    digests = train(work).trace_digests

    assert [hashlib.sha256(state_at(work, i)).digest() for i in range(6)] == digests
    for index in (-1, 6):
        with pytest.raises(InvalidRound):
            state_at(work, index)


def test_the_first_step_needs_no_state_and_later_ones_do(work):
    work = replace(work, hyper=SHORT_BATCH)
    digests = train(work).trace_digests

    assert reexecute(work, 1).digest == digests[1]
    assert reexecute(work, 1, state=state_at(work, 0)).digest == digests[1]
    with pytest.raises(InvalidState, match="missing"):
        reexecute(work, 2)
    with pytest.raises(InvalidState):
        reexecute(work, 2, state=b"\x80\x04pickle")
    for index in (-1, 7):
        with pytest.raises(InvalidRound):
            reexecute(work, index)


def test_a_forged_state_is_taken_for_what_it_is(work):
    """A juror goes on from the state that both sides agreed upon, whatever is in it."""
    work = replace(work, hyper=SHORT_BATCH)
    forged = replace(work, theta=np.zeros_like(work.theta))

    ours, theirs = state_at(work, 2), state_at(forged, 2)

    assert reexecute(work, 3, state=ours).digest != reexecute(work, 3, state=theirs).digest


def test_training_that_diverges_has_states_but_no_update(work):
    work = replace(work, hyper=DIVERGING)
    with pytest.raises(NonFiniteUpdate):
        train(work)

    again = retrain(work)
    *states, update = _stretches(work)

    assert [state.digest for state in states] == list(again.trace_digests)
    assert (update.digest, update.data) == (NO_UPDATE, b"")
    assert again.update_bytes == b""


def test_a_retraining_is_the_training(work):
    again, whole = retrain(work), train(work)

    assert list(again.trace_digests) == whole.trace_digests
    assert again.update_bytes == whole.update_bytes


def test_the_specification_says_how_many_states_are_digested(work):
    for checkpoints in (1, 4, 64):
        hyper = replace(MOMENTUM, checkpoints=checkpoints)
        update = train(replace(work, hyper=hyper))
        assert len(update.trace_digests) == min(checkpoints, update.steps) + 1


def test_keywords_and_work_are_the_same_call(work):
    fields = {name: getattr(work, name) for name in Work.__dataclass_fields__}

    assert local_update(**fields).trace_digests == train(work).trace_digests
