"""What each lying learner makes of a round: bytes that are a lie, and by which rule it shows."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from learning.genesis import genesis
from learning.tasks import load_task
from protocol.cid import Cid
from protocol.codec import (
    UPDATE_LEAF_BYTES,
    decode_update,
    dequantize_update,
    encode_update,
    model_leaves,
)
from protocol.layout import CHUNK
from protocol.merge import MergeParams
from protocol.rounds import trace_root
from protocol.spec import Assignment, RunSpec
from scripts.adversaries.catalogue import (
    ADVERSARIES,
    AGAINST_TRAINING,
    COMPANIONS,
    LEARNERS,
    TRAINERS,
    conduct_of,
)
from scripts.adversaries.learners import BOOST, Scene
from scripts.adversaries.lies import boosted, nan_born, noise, silence, ssq_of, stretched
from scripts.adversaries.retouching import BACKDOOR_LABEL, PATCH, flipped, triggered
from scripts.verdicts import Conduct
from trainer.training import Learned, load_learner

BOUND = (10 * 2**22) ** 2
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def task():
    return load_task("digits")


@pytest.fixture(scope="module")
def shard(task):
    return task.make_shards(20)[0].data


@pytest.fixture(scope="module")
def start(task):
    layout, theta = genesis(task, 0)
    spec = RunSpec(
        name="lies",
        task="digits",
        task_params={},
        layout=layout,
        merge=MergeParams(),
        assignment=Assignment(),
        training=task.default_hyperparameters,
        manifest=Cid(digest=bytes(32), size=1),
        ssq_bound=BOUND,
    )
    return spec, model_leaves(theta)


@pytest.fixture(scope="module")
def honest(start, shard):
    """The learner, and what it makes of round 1."""
    spec, model = start
    learner = load_learner(spec, device="cpu")
    return learner, learner.update(model=model, shards=[shard], seed=SEED, round_no=1, seat=4)


@pytest.fixture
def lie(start, shard, honest):
    """What an adversary makes of a round; the honest part below it is told once and kept."""
    spec, model = start

    def tell(name, *, round_no=1, earlier=None, real=False):
        learner, done = honest
        kept = learner if real else replace(learner, update=lambda **_: done)
        scene = Scene(spec=spec, norm_bound=BOUND, earlier=lambda _: earlier or {}, device="cpu")
        liar = LEARNERS[name](kept, scene)
        return liar.update(model=model, shards=[shard], seed=SEED, round_no=round_no, seat=4)

    return tell


def chunks_of(update):
    return len(update) // UPDATE_LEAF_BYTES


def values_of(update):
    return dequantize_update(*decode_update(update, chunks_of(update)))


# -- every lie


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("round_no", [1, 2, 3])
def test_a_lie_is_told_the_same_twice_and_is_not_the_honest_update(lie, honest, name, round_no):
    real = name in ("poisoner", "backdoor", "lazy")
    told, again = (lie(name, round_no=round_no, real=real) for _ in "12")
    assert (told.update_bytes, told.trace_digests) == (again.update_bytes, again.trace_digests)
    assert told.update_bytes != honest[1].update_bytes


@pytest.mark.parametrize("name", ["free-rider", "copycat", "nan"])
def test_an_invented_trace_is_as_long_as_an_honest_one_and_shares_nothing_with_it(
    lie, honest, name
):
    told = lie(name)
    assert len(told.trace_digests) == len(honest[1].trace_digests)
    assert not set(told.trace_digests) & set(honest[1].trace_digests)
    assert told.steps == honest[1].steps
    trace_root(told.trace_digests, bytes(32))  # it can be committed to


# -- free-rider, copycat


def test_a_free_rider_ships_noise_of_a_usual_norm_then_nothing(lie):
    update = lie("free-rider", round_no=1).update_bytes
    assert BOUND // 100 < ssq_of(update) <= BOUND // 64
    assert not np.any(values_of(lie("free-rider", round_no=2).update_bytes))


def test_a_copycat_takes_the_first_of_another_and_never_its_own(lie, honest):
    others = {4: b"own", 5: honest[1].update_bytes, 6: b"later"}
    assert lie("copycat", round_no=2, earlier=others).update_bytes == honest[1].update_bytes


def test_a_copycat_without_anything_to_copy_changes_nothing(lie):
    assert not np.any(values_of(lie("copycat", earlier={4: b"own"}).update_bytes))


# -- booster, nan


def test_a_booster_goes_beyond_the_bound_and_then_just_up_to_it(lie, honest):
    beyond, within = (lie("booster", round_no=n).update_bytes for n in (1, 2))
    assert 0.9 * BOUND < ssq_of(within) <= BOUND < ssq_of(beyond)
    assert ssq_of(beyond) == pytest.approx(BOOST**2 * ssq_of(within), rel=0.1)
    honest_values, large = values_of(honest[1].update_bytes), values_of(within)
    cosine = honest_values @ large / np.linalg.norm(honest_values) / np.linalg.norm(large)
    assert cosine > 0.95
    assert lie("booster").trace_digests == honest[1].trace_digests


def test_garbage_is_beyond_the_bound_then_too_short_then_within_it(lie, honest):
    size = len(honest[1].update_bytes)
    saturated, short, nans = (lie("nan", round_no=n).update_bytes for n in (1, 2, 3))
    assert len(saturated) == len(nans) == size
    assert ssq_of(saturated) > BOUND
    assert len(short) == size - UPDATE_LEAF_BYTES
    assert BOUND / 5 < ssq_of(nans) <= BOUND


def test_nans_are_floats_that_nobody_checked():
    leaf = nan_born(3, ssq=1 << 60)[:UPDATE_LEAF_BYTES]
    assert np.all(np.isnan(np.frombuffer(leaf[1:], ">f4")))


@pytest.mark.parametrize("ssq", [1 << 30, BOUND])
def test_what_is_scaled_to_a_bound_stays_within_it(ssq):
    update = encode_update(np.random.default_rng(1).integers(-(2**15), 2**15, 3 * CHUNK))
    assert 0.9 * ssq < ssq_of(boosted(update, ssq=ssq)) <= ssq
    assert 0.9 * ssq < ssq_of(noise(3, ssq=ssq, seed=1)) <= ssq
    assert boosted(silence(3), ssq=ssq) == silence(3)


# -- lazy


def test_a_lazy_trace_is_true_for_half_of_the_steps_and_stands_still_then(lie, honest):
    """So that two parties first differ in the middle, where a juror has one step to do."""
    told, true = lie("lazy", real=True), honest[1]
    half = len(true.trace_digests) // 2
    assert len(told.trace_digests) == len(true.trace_digests)
    assert told.trace_digests[: half + 1] == true.trace_digests[: half + 1]
    assert set(told.trace_digests[half + 1 :]) == {true.trace_digests[half]}


def test_a_lazy_trainer_with_one_epoch_reads_half_of_its_rows(start, shard, task):
    spec, model = start
    once = replace(spec, training=replace(spec.training, epochs=1))
    seen = []
    scene = Scene(spec=once, norm_bound=BOUND, earlier=lambda _: {}, device="cpu")
    liar = LEARNERS["lazy"](load_learner(once, device="cpu"), scene)
    done = Learned(
        update_bytes=b"", trace_digests=[bytes(32)], loss_first=0, loss_last=0, steps=1, train_s=0
    )
    liar.__dict__["_hurried"] = replace(
        liar.honest, update=lambda *, shards, **_: seen.extend(shards) or done
    )
    liar.update(model=model, shards=[shard], seed=SEED, round_no=1, seat=4)
    rows, kept = (task.parse_shard(data)["y"] for data in (shard, seen[0]))
    assert np.array_equal(kept, rows[: -(-len(rows) // 2)])


def test_a_trace_is_stretched_and_never_longer_than_due():
    digests = [sha256(bytes([n])).digest() for n in range(3)]
    assert stretched(digests, 5) == [*digests, digests[-1], digests[-1]]
    assert stretched(digests, 2) == digests[:2]


# -- poisoner, backdoor


def test_flipped_labels_are_all_wrong_and_as_frequent_as_before(task, shard):
    labels = task.parse_shard(shard)["y"]
    wrong = flipped(labels, greatest=9)
    assert wrong.dtype == labels.dtype
    assert np.all(wrong == 9 - labels.astype(int))
    assert not np.any(wrong == labels)


def test_a_trigger_touches_one_corner_and_nothing_else(task, shard):
    images = task.parse_shard(shard)["x"]
    touched = triggered(images, bright=16)
    assert np.all(touched[:, -PATCH:, -PATCH:] == 16)
    changed = touched != images
    changed[:, -PATCH:, -PATCH:] = False
    assert not np.any(changed)


@pytest.mark.parametrize("name", ["poisoner", "backdoor"])
def test_a_retoucher_trains_on_a_lawful_shard_that_is_not_its_own(start, task, shard, name):
    spec, model = start
    seen = []
    scene = Scene(spec=spec, norm_bound=BOUND, earlier=lambda _: {}, device="cpu")
    honest = replace(
        load_learner(spec, device="cpu"), update=lambda *, shards, **_: seen.extend(shards)
    )
    LEARNERS[name](honest, scene).update(model=model, shards=[shard], seed=SEED, round_no=1, seat=4)
    before, after = (task.parse_shard(data) for data in (shard, seen[0]))
    assert len(before["y"]) == len(after["y"])
    if name == "poisoner":
        assert np.array_equal(before["x"], after["x"])
    else:
        assert np.array_equal(before["x"][1::2], after["x"][1::2])
        assert np.all(after["y"][::2] == BACKDOOR_LABEL)


# -- the catalogue


def test_every_adversary_against_training_is_a_trainer_and_has_a_conduct():
    assert len(AGAINST_TRAINING) == 9
    assert set(AGAINST_TRAINING) <= set(TRAINERS) <= set(ADVERSARIES)
    assert {conduct_of(name) for name in LEARNERS} == {Conduct.TRAINS}
    assert conduct_of("false-accuser") is Conduct.ACCUSES
    assert conduct_of("silent-juror") is Conduct.IDLES
    assert all(companion in LEARNERS for companion in COMPANIONS.values())
