"""Auditors and jurors do a seat's work again from what is public, and get what it got."""

from hashlib import sha256
from types import SimpleNamespace

import pytest

from learning.genesis import genesis
from learning.tasks import load_task
from network.history import Revealed
from network.store import LocalStore
from protocol.codec import model_leaves
from protocol.errors import InvalidRound
from protocol.manifest import Manifest, Shard
from protocol.merge import MergeParams
from protocol.rounds import UpdateHeader
from protocol.spec import Assignment, RunSpec, Training
from trainer.replaying import NO_UPDATE, Replayer
from trainer.training import ShardCache, Trainer, load_learner

SEED = bytes(range(32))


class Scene:
    """A round of digits in two segments, and who trains and audits in it."""

    def __init__(self, folder, lr=0.05):
        task = load_task("digits")
        store = LocalStore(folder / "blocks")
        shards = [
            Shard(cid=store.put(shard.data), rows=shard.rows)
            for shard in task.make_shards(8, split="iid", alpha=0.3, seed=0)
        ]
        manifest = Manifest(
            name="digits",
            task="digits",
            source="scikit-learn",
            licence="BSD-3-Clause",
            shards=tuple(shards),
            test=Shard(cid=store.put(task.test_set()), rows=360),
        )
        layout, theta = genesis(task, 1, segments=(4, 4))
        spec = RunSpec(
            name="test",
            task="digits",
            task_params={},
            layout=layout,
            merge=MergeParams(),
            assignment=Assignment(),
            training=Training(epochs=1, batch_size=64, lr=lr, momentum=0.9, checkpoints=2),
            manifest=store.put(manifest.canonical_bytes()),
            ssq_bound=10**20,
        )
        self.model = model_leaves(theta)
        parts = {
            "spec": spec,
            "params": SimpleNamespace(segments=2, norm_bound=10**20),
            "shards": ShardCache(store, folder / "shards", manifest),
            "learner": load_learner(spec, device="cpu"),
        }
        self.trainer, self.replayer = Trainer(**parts), Replayer(**parts)
        self.found = SimpleNamespace(seed=SEED, round_id=3, roster=0b1110)

    def round(self, seat):
        return {"model": self.model, "found": self.found, "seat": seat}


def _revealed(header, **changes):
    values = {name: getattr(header, name) for name in UpdateHeader.__dataclass_fields__}
    return Revealed(seat=1, trainer="0x" + "11" * 20, header=UpdateHeader(**values | changes))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.mark.parametrize("seat", [1, 2, 3])
def test_a_replay_of_honest_work_gives_header_trace_and_bytes(scene, seat):
    trained = scene.trainer.train(**scene.round(seat))

    again = scene.replayer.replay(**scene.round(seat), revealed=_revealed(trained.header))

    assert (again.same, again.same_class) == (True, True)
    assert again.header == trained.header
    assert again.update_bytes == trained.update_bytes
    assert again.trace_digests == trained.trace_digests
    assert len(trained.trace_digests) == 3
    assert again.update_root == trained.header.update_root


@pytest.mark.parametrize("field", ["update_root", "trace_root"])
def test_a_replay_of_other_work_differs(scene, field):
    trained = scene.trainer.train(**scene.round(1))

    revealed = _revealed(trained.header, **{field: bytes(32)})

    assert not scene.replayer.replay(**scene.round(1), revealed=revealed).same


def test_a_replay_says_if_the_work_was_done_in_another_class(scene):
    trained = scene.trainer.train(**scene.round(1))

    again = scene.replayer.replay(
        **scene.round(1), revealed=_revealed(trained.header, class_id=bytes(32))
    )

    assert (again.same, again.same_class) == (True, False)


def test_a_juror_gets_each_digest_from_the_state_before_it_or_from_the_start(scene):
    trained = scene.trainer.train(**scene.round(2))
    expected = [*trained.trace_digests, trained.header.update_root]
    states = [scene.replayer.state(**scene.round(2), index=i) for i in range(3)]

    assert [sha256(state).digest() for state in states] == list(trained.trace_digests)
    for index, digest in enumerate(expected):
        before = states[index - 1] if index else None
        for state in (before, None):
            voted = scene.replayer.step(**scene.round(2), index=index, state=state)
            assert voted == digest


def test_an_index_that_the_work_does_not_have_is_refused(scene):
    with pytest.raises(InvalidRound):
        scene.replayer.step(**scene.round(1), index=4, state=None)
    with pytest.raises(InvalidRound):
        scene.replayer.state(**scene.round(1), index=3)


def test_an_update_where_training_diverges_is_other_work(tmp_path):
    scene = Scene(tmp_path, lr=100.0)
    header = Scene(tmp_path).trainer.train(**scene.round(1)).header

    again = scene.replayer.replay(**scene.round(1), revealed=_revealed(header))

    assert (again.same, again.header, again.update_bytes) == (False, None, b"")
    assert again.update_root == NO_UPDATE
    assert scene.replayer.step(**scene.round(1), index=3, state=None) == NO_UPDATE
