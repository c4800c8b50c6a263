"""Which model a node believes, and how it gets it."""

import numpy as np
import pytest
from unit.trainer.makers import ME, OTHER, Story, digest

from network.content import model_root
from network.store import LocalStore
from protocol.cid import Cid, cid_of
from protocol.codec import encode_update, model_leaves
from protocol.errors import ContentUnavailable
from protocol.layout import CHUNK, Layout, TensorSpec
from protocol.merge import MergeParams
from protocol.merkle import SumTree
from protocol.spec import Assignment, RunSpec, Training
from trainer.models import ModelCache, Models

CHUNKS = 3
LAYOUT = Layout(tensors=(TensorSpec(name="w", shape=(CHUNKS * CHUNK,)),), segments=(1,))
SPEC = RunSpec(
    name="test",
    task="digits",
    task_params={},
    layout=LAYOUT,
    merge=MergeParams(),
    assignment=Assignment(),
    training=Training(epochs=1, batch_size=1, lr=0.1),
    manifest=Cid(digest=digest(1), size=1),
    ssq_bound=10**20,
)
GENESIS = model_leaves(np.arange(CHUNKS * CHUNK, dtype=np.int32))


class World:
    """A run with one frozen and proposed round, and the store that has its objects."""

    def __init__(self, folder, *, wrong: bool = False) -> None:
        self.store = LocalStore(folder / "store")
        self.folder = folder
        genesis = self.store.put(GENESIS)
        self.story = Story(
            chunks=CHUNKS,
            genesis_root=model_root(GENESIS, momentum=False),
            genesis_cid=genesis.digest,
            genesis_size=genesis.size,
        )
        self.story.enrolled().opened().committed(ME, 0).committed(OTHER, 1)
        self.updates = []
        for seat, trainer in enumerate((ME, OTHER)):
            update = encode_update(np.full(CHUNKS * CHUNK, 10 * (seat + 1), np.int64))
            self.updates.append(update)
            self.reveal(trainer, seat, update)
        self.freeze()
        self.merged = model_leaves(np.arange(CHUNKS * CHUNK, dtype=np.int32) + np.int32(15))
        proposed = model_leaves(np.zeros(CHUNKS * CHUNK, np.int32)) if wrong else self.merged
        self.proposal = self.store.put(proposed)
        self.story.tell(
            "MergeProposed",
            round=1,
            proposer=OTHER,
            modelRoot=model_root(proposed, momentum=False),
            modelCid=self.proposal.digest,
            modelSize=self.proposal.size,
            finalizableAt=10,
        )

    def reveal(self, trainer, seat, update):
        cid = self.store.put(update)
        tree = SumTree.from_leaves(update)
        self.story.tell(
            "Revealed",
            round=1,
            trainer=trainer,
            seat=seat,
            updateRoot=tree.root,
            ssq=tree.ssq,
            traceRoot=digest(1),
            classId=digest(2),
            updateCid=cid.digest,
            updateSize=cid.size,
        )

    def freeze(self):
        from protocol.rounds import InputEntry, header_hash, inputs_hash

        found = self.story.fold.rounds[1]
        entries = [
            InputEntry(
                trainer=one.trainer,
                seat=seat,
                weight=32768,
                update_root=one.header.update_root,
                header_hash=header_hash(one.header),
            )
            for seat, one in found.reveals.items()
        ]
        self.story.tell(
            "UpdatesFrozen",
            round=1,
            included=0b11,
            available=0b11,
            inputsHashes=[inputs_hash(entries)],
        )

    def judged(self):
        """The round, opened upon the genesis model."""
        found = self.story.fold.rounds[1]
        found.parent_root = self.story.fold.params.genesis_root
        return found

    def models(self) -> Models:
        cache = ModelCache(self.folder / "models", momentum=False)
        return Models(self.store, cache, SPEC, self.story.fold.params)


def test_a_node_that_was_there_merges_itself(tmp_path):
    """It asks nobody for the model, and so sees a wrong proposal for what it is."""
    world = World(tmp_path, wrong=True)
    models = world.models()
    models.obtain(world.story.fold, 0)
    own = models.obtain(world.story.fold, 1)
    assert own.merged
    assert own.root == model_root(world.merged, momentum=False)
    assert own.root != world.story.fold.rounds[1].model_root
    assert own.model == cid_of(world.merged)
    assert models.cache.read(own.root) == world.merged


def test_a_late_joiner_takes_the_latest_model_alone(tmp_path):
    """Neither the genesis nor an update is fetched."""
    world = World(tmp_path)
    for update in world.updates:
        world.store.forget(cid_of(update))
    world.store.forget(cid_of(GENESIS))
    own = world.models().obtain(world.story.fold, 1)
    assert not own.merged
    assert own.root == model_root(world.merged, momentum=False)


def test_a_late_joiner_merges_where_the_model_is_gone(tmp_path):
    world = World(tmp_path)
    world.store.forget(world.proposal)
    own = world.models().obtain(world.story.fold, 1)
    assert own.merged
    assert own.root == model_root(world.merged, momentum=False)


def test_with_neither_model_nor_updates_it_says_so(tmp_path):
    world = World(tmp_path)
    world.store.forget(world.proposal)
    world.store.forget(cid_of(world.updates[0]))
    with pytest.raises(ContentUnavailable):
        world.models().obtain(world.story.fold, 1)


def test_a_damaged_model_file_is_fetched_again(tmp_path):
    """Nothing on disk is believed without its root."""
    world = World(tmp_path)
    own = world.models().obtain(world.story.fold, 1)
    path = tmp_path / "models" / f"{own.root.hex()}.model"
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(bytes(data))
    again = world.models()
    assert again.obtain(world.story.fold, 1).root == own.root
    assert again.cache.read(own.root) == world.merged


def test_a_failed_round_leaves_its_parents_model(tmp_path):
    world = World(tmp_path)
    world.story.tell("MergeReopened", round=1, proposer=OTHER, reason=5)
    world.story.tell("RoundFailed", round=1, reason=3)
    own = world.models().obtain(world.story.fold, 1)
    assert own.root == model_root(GENESIS, momentum=False)


def test_only_the_newest_models_are_kept(tmp_path):
    cache = ModelCache(tmp_path, momentum=False, keep=2)
    roots = []
    for value in range(4):
        data = model_leaves(np.full(CHUNK, value, np.int32))
        roots.append(model_root(data, momentum=False))
        cache.keep(roots[-1], iter((data,)))
    assert [cache.has(root) for root in roots] == [False, False, True, True]


def test_a_judge_merges_though_the_proposed_model_is_at_hand(tmp_path):
    """What another proposed is no own merge, not even for a late joiner, nor after a restart."""
    world = World(tmp_path, wrong=True)
    models = world.models()
    found = world.judged()
    assert models.obtain(world.story.fold, 1).root == found.model_root
    own = models.recompute(world.story.fold, found)
    assert own.root == model_root(world.merged, momentum=False)
    assert world.models().recompute(world.story.fold, found).root == own.root


def test_a_judge_merges_once_while_the_model_is_on_disk(tmp_path):
    world = World(tmp_path)
    models = world.models()
    found = world.judged()
    own = models.recompute(world.story.fold, found)
    for update in world.updates:
        world.store.forget(cid_of(update))
    assert models.recompute(world.story.fold, found) is own
    (tmp_path / "models" / f"{own.root.hex()}.model").unlink()
    with pytest.raises(ContentUnavailable):
        models.recompute(world.story.fold, found)


def test_a_judge_needs_the_parent_that_the_chain_names(tmp_path):
    """Who only has another parent can not say whether the merge upon this one is right."""
    world = World(tmp_path)
    found = world.story.fold.rounds[1]
    found.parent_root = digest(66)
    with pytest.raises(ContentUnavailable, match=digest(66).hex()):
        world.models().recompute(world.story.fold, found)
