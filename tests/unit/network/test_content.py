"""Checks and merges of what lies in a store, streamed."""

import numpy as np
import pytest

from network.content import WeightedUpdate, check_model, check_update, merge_model, model_root
from network.store import LocalStore
from protocol.cid import cid_of
from protocol.codec import decode_update, encode_update, model_leaves
from protocol.errors import ContentUnavailable, InvalidModel, InvalidUpdate
from protocol.layout import CHUNK, Layout, TensorSpec
from protocol.merge import MergeParams, merge_chunks
from protocol.merkle import SumTree
from protocol.rounds import UpdateHeader

CHUNKS = 7
LAYOUT = Layout(
    tensors=(TensorSpec(name="a", shape=(3, 256)), TensorSpec(name="b", shape=(1000,))),
    segments=(2,),
)
HALVES = Layout(tensors=LAYOUT.tensors, segments=(1, 1))


@pytest.fixture
def store(tmp_path):
    with LocalStore(tmp_path / "blocks") as opened:
        yield opened


def make_update(seed, chunks=CHUNKS):
    rng = np.random.default_rng(seed)
    return encode_update(rng.integers(-(2**18), 2**18, chunks * CHUNK, np.int64))


def header_of(data, **changes):
    tree = SumTree.from_leaves(data)
    cid = cid_of(data)
    values = {
        "update_root": tree.root,
        "ssq": tree.ssq,
        "trace_root": bytes(32),
        "class_id": bytes(32),
        "update_cid": cid.digest,
        "update_size": cid.size,
    }
    return UpdateHeader(**(values | changes))


def test_an_update_is_checked_against_all_that_its_header_says(store):
    """Root, norm, size and availability each have their error."""
    data = make_update(1)
    store.put(data)
    check_update(store, header_of(data), chunks=CHUNKS)
    with pytest.raises(InvalidUpdate, match="root"):
        check_update(store, header_of(data, update_root=b"\x01" * 32), chunks=CHUNKS)
    with pytest.raises(InvalidUpdate, match="squares"):
        check_update(store, header_of(data, ssq=1), chunks=CHUNKS)
    with pytest.raises(InvalidUpdate, match="bytes"):
        check_update(store, header_of(data), chunks=CHUNKS + 1)
    with pytest.raises(ContentUnavailable):
        check_update(store, header_of(make_update(2)), chunks=CHUNKS)


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("layout", [LAYOUT, HALVES])
def test_the_streamed_merge_is_the_merge(store, layout, momentum):
    """Pieces of any size from the store give the same bits as whole arrays."""
    rng = np.random.default_rng(3)
    theta = rng.integers(-(2**20), 2**20, (CHUNKS, CHUNK), np.int32)
    m = rng.integers(-(2**20), 2**20, (CHUNKS, CHUNK), np.int32) if momentum else None
    params = MergeParams(lr=200, mu=100 if momentum else 0, nesterov=momentum, momentum=momentum)
    weights = (40_000, 25_000)
    inputs, whole = [], []
    for segment in range(layout.segment_count):
        chunks = layout.segment_chunks(segment)
        rows = slice(chunks.start, chunks.stop)
        updates = [make_update(10 * segment + k, len(chunks)) for k in range(2)]
        inputs.append(
            [
                WeightedUpdate(cid=store.put(data), weight=weight)
                for data, weight in zip(updates, weights, strict=True)
            ]
        )
        decoded = [decode_update(data, len(chunks)) for data in updates]
        part = None if m is None else m[rows]
        whole.append(merge_chunks(theta[rows], part, decoded, weights, params))
    parent = model_leaves(theta, m)
    root, cid = merge_model(
        store,
        parent=lambda: (parent[i : i + 777] for i in range(0, len(parent), 777)),
        inputs=inputs,
        layout=layout,
        params=params,
        sink=store.put,
    )
    expected = b"".join(model_leaves(t, mm) for t, mm in whole)
    assert store.get(cid, max_bytes=cid.size) == expected
    assert root == model_root(expected, momentum=momentum)


def test_a_model_is_believed_only_by_its_root(store):
    """Another size or root is refused before anybody trains from it."""
    data = model_leaves(np.zeros((CHUNKS, CHUNK), np.int32))
    cid = store.put(data)
    root = model_root(data, momentum=False)
    assert check_model(store, cid, root, layout=LAYOUT, momentum=False) == data
    with pytest.raises(InvalidModel, match="root"):
        check_model(store, cid, bytes(32), layout=LAYOUT, momentum=False)
    with pytest.raises(InvalidModel, match="bytes"):
        check_model(store, cid, root, layout=LAYOUT, momentum=True)


def test_a_short_parent_is_an_error_and_no_model(store):
    """A truncated file on disk can not become somebody's next model."""
    data = make_update(5)
    with pytest.raises(InvalidModel):
        merge_model(
            store,
            parent=lambda: iter([b"\0" * 100]),
            inputs=[[WeightedUpdate(cid=store.put(data), weight=65536)]],
            layout=LAYOUT,
            params=MergeParams(),
            sink=store.put,
        )
