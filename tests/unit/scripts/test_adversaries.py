"""Each adversary's lie, judged by the functions that honest participants judge with."""

from dataclasses import replace

import numpy as np
import pytest
from unit.trainer.makers import header, params

from network.content import check_model, check_update, model_root
from network.rpc import Rpc
from network.store import LocalStore
from protocol.cid import cid_of
from protocol.codec import decode_update, dequantize_update, encode_update, model_leaves, update_ssq
from protocol.errors import ContentUnavailable, InvalidUpdate
from protocol.layout import CHUNK, Layout, TensorSpec
from protocol.merkle import SumTree, verify_sum
from protocol.types import RoundId
from scripts.adversaries.lies import off_by_one, poisoned, understated
from scripts.adversaries.merging import WithheldModelRun, WrongMergeRun
from scripts.adversaries.publishing import WithholdingStore
from trainer.training import Trained
from trainer.updates import OwnUpdates, update_cid

LAYOUT = Layout(tensors=(TensorSpec(name="a", shape=(3, CHUNK)),), segments=(1,))
RUN = "0x" + "11" * 20


@pytest.fixture
def store(tmp_path):
    with LocalStore(tmp_path / "blocks") as opened:
        yield opened


@pytest.fixture
def model():
    theta = np.random.default_rng(1).integers(-(2**20), 2**20, (3, CHUNK), np.int32)
    return model_leaves(theta)


@pytest.fixture
def told():
    return []


@pytest.fixture
def liar(store, told, request):
    """An aggregator's client of a run whose chain is not asked for anything."""

    def make(kind):
        rpc = Rpc(["http://127.0.0.1:1"], chain_id=1)
        request.addfinalizer(rpc.close)
        made = kind(rpc, RUN, store=store, report=lambda event, **values: told.append(values))
        made.__dict__["params"] = params(chunks=3)
        return made

    return make


def trained(update):
    tree, cid = SumTree.from_leaves(update), cid_of(update)
    honest = replace(
        header(),
        update_root=tree.root,
        ssq=tree.ssq,
        update_cid=cid.digest,
        update_size=cid.size,
    )
    return Trained(
        header=honest,
        update_bytes=update,
        segment=0,
        shards=(0,),
        loss_first=1.0,
        loss_last=0.5,
        steps=1,
        train_s=0.1,
    )


def honest_update(seed=3):
    rng = np.random.default_rng(seed)
    return encode_update(rng.integers(-(2**15), 2**15, 3 * CHUNK, np.int64))


# -- wrong-merge


@pytest.mark.parametrize("first", [0, 5, -1, 2**31 - 1, -(2**31)])
def test_a_wrong_merge_is_one_element_off_by_one(first):
    theta = np.zeros((3, CHUNK), np.int32)
    theta[0, 0] = first
    right = model_leaves(theta)
    wrong = off_by_one(right)
    difference = np.frombuffer(wrong, ">i4").astype(int) - np.frombuffer(right, ">i4")
    assert np.count_nonzero(difference) == 1
    assert abs(difference[0]) == 1


def test_a_wrong_merge_is_published_whole_under_its_own_root(liar, store, model):
    """Whoever looks only at bytes and root finds nothing: the merge alone tells it is wrong."""
    root, cid = liar(WrongMergeRun).lie(store.put(model))
    assert check_model(store, cid, root, layout=LAYOUT, momentum=False) == off_by_one(model)
    assert root != model_root(model, momentum=False)


@pytest.mark.parametrize("kind", [WrongMergeRun, WithheldModelRun])
def test_a_proposal_that_is_sent_again_is_the_same_lie(liar, store, model, told, kind):
    """The transaction journal knows a proposal by its bytes."""
    run, cid = liar(kind), store.put(model)
    right = model_root(model, momentum=False)
    calls = [run.propose_merge(round_id=RoundId(2), model_root=right, model=cid) for _ in "12"]
    assert calls[0] == calls[1]
    assert right not in calls[0].data
    assert told[0]["right_root"] == right.hex()


# -- withheld-model


def test_a_withheld_model_has_a_legal_size_and_no_bytes(liar, store, model):
    right = store.put(model)
    root, cid = liar(WithheldModelRun).lie(right)
    assert cid.size == right.size
    assert root != model_root(model, momentum=False)
    with pytest.raises(ContentUnavailable):
        check_model(store, cid, root, layout=LAYOUT, momentum=False)


# -- lying-norm


def test_poison_goes_against_the_update_as_far_as_the_encoding_reaches():
    update = honest_update()
    values = [dequantize_update(*decode_update(data, 3)) for data in (update, poisoned(update))]
    signs = np.sign(values[0])
    assert np.array_equal(values[1], -signs * 127 * 2**15)


def test_the_lying_header_states_a_legal_norm_over_a_true_tree():
    """The tree proves the true norm, so one opening convicts; the header alone looks honest."""
    update = honest_update()
    bound = 2 * SumTree.from_leaves(update).ssq
    lie = understated(trained(update), norm_bound=bound)
    tree = SumTree.from_leaves(lie.update_bytes)
    q, e = decode_update(lie.update_bytes, 3)
    assert lie.header.ssq <= bound < tree.ssq == update_ssq(q, e)
    leaf = lie.update_bytes[:257]
    assert lie.header.update_root == tree.root
    assert verify_sum(root=tree.root, ssq=tree.ssq, index=0, leaf=leaf, proof=tree.proof(0))
    assert update_cid(lie.header) == cid_of(lie.update_bytes)


def test_an_honest_checker_refuses_the_lying_header(store):
    update = honest_update()
    lie = understated(trained(update), norm_bound=2 * SumTree.from_leaves(update).ssq)
    store.put(lie.update_bytes)
    with pytest.raises(InvalidUpdate, match="squares"):
        check_update(store, lie.header, chunks=3)


# -- withheld-update


def test_a_withholding_store_names_what_it_does_not_keep(store, model):
    withholding = WithholdingStore(store)
    cid = withholding.put(model)
    assert cid == cid_of(model)
    assert not store.has(cid)
    assert not withholding.has(cid)


def test_a_withholding_store_reads_what_others_keep(store, model):
    cid = store.put(model)
    assert WithholdingStore(store).get(cid, max_bytes=len(model)) == model


def test_an_honest_checker_misses_a_withheld_update(store, tmp_path):
    """The trainer's own part believes that it published."""
    work = trained(honest_update())
    own = OwnUpdates(WithholdingStore(store), tmp_path / "updates")
    own.keep(work.header, work.update_bytes)
    own.publish(work.header)
    with pytest.raises(ContentUnavailable):
        check_update(store, work.header, chunks=3)
