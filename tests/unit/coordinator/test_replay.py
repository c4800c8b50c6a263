"""A replay believes nobody: it merges each round again, also those that a court had to do with."""

import pytest
from unit.network.court.makers import CHUNKS, LIAR, STRANGER, Round
from unit.trainer.makers import ME, digest

from coordinator.audit.replay import replay_run
from protocol.cid import Cid
from protocol.layout import CHUNK, Layout, TensorSpec
from protocol.merge import MergeParams
from protocol.spec import Assignment, RunSpec, Training

SPEC = RunSpec(
    name="test",
    task="digits",
    task_params={},
    layout=Layout(tensors=(TensorSpec(name="w", shape=(CHUNKS * CHUNK,)),), segments=(1,)),
    merge=MergeParams(),
    assignment=Assignment(),
    training=Training(epochs=1, batch_size=1, lr=0.1),
    manifest=Cid(digest=digest(1), size=1),
    ssq_bound=10**20,
)


def problems(made):
    return [one.problems for one in replay_run(fold=made.fold, spec=SPEC, store=made.store)]


@pytest.mark.parametrize("reason", [4, 5], ids=["rejected", "convicted"])
def test_a_round_is_verified_by_the_proposal_that_stands(tmp_path, reason):
    made = Round(tmp_path)
    made.propose()
    made.story.tell("MergeReopened", round=1, proposer=LIAR, reason=reason)
    assert problems(made) == []
    made.store.put(made.right)
    made.propose(made.right)
    assert problems(made) == [()]


def test_a_wrong_merge_that_stands_is_a_problem(tmp_path):
    made = Round(tmp_path)
    made.propose()
    ((first, *_),) = problems(made)
    assert first.startswith("proposed ")


def test_a_lie_about_a_norm_is_a_problem_unless_its_author_was_convicted(tmp_path):
    """The merge is right either way."""
    made = Round(tmp_path, liars=(0,))
    made.store.put(made.right)
    made.propose(made.right)
    assert any("sum of squares" in one for one in problems(made)[0])
    made.story.tell("UpdateConvicted", round=1, trainer=ME, beneficiary=STRANGER, slashedWei=1)
    assert problems(made) == [()]


def test_a_merge_that_could_not_be_checked_left_its_parents_model(tmp_path):
    made = Round(tmp_path, missing=(1,))
    made.propose(made.right)
    made.story.tell("RoundFailed", round=1, reason=7)
    assert problems(made) == [()]
