from hashlib import sha256

import numpy as np
import pytest

from protocol.codec import encode_update, model_leaves
from protocol.errors import InvalidMerge, InvalidRound, InvalidTree, InvalidUpdate
from protocol.merkle import EMPTY, MerkleTree, SumTree, leaf_node, open_sum, verify
from protocol.proofs import (
    ACCUMULATOR_BYTES,
    CLAIM_BYTES,
    SIBLING_BYTES,
    ChunkPlace,
    accumulate,
    child_siblings,
    children_below,
    chunk_place,
    chunk_proof,
    first_difference,
    inputs_preimage,
    long_opening,
    model_leaf,
    open_update,
    padding_proof,
    parse_inputs,
    short_opening,
    split_proof,
    tree_depth,
    update_leaf,
)
from protocol.rounds import InputEntry, inputs_hash


def update_of(seed, chunks):
    spread = np.random.default_rng(seed).integers(-5000, 5001, chunks * 256)
    return encode_update(spread)


def entries_of(count):
    return [
        InputEntry(
            trainer="0x" + bytes([i] * 20).hex(),
            seat=i,
            weight=65536 // count,
            update_root=sha256(b"root %d" % i).digest(),
            header_hash=sha256(b"header %d" % i).digest(),
        )
        for i in range(count)
    ]


def test_a_chunk_is_found_in_its_segment():
    ends = (3, 4, 9)
    places = [chunk_place(chunk, ends) for chunk in range(9)]
    assert [place.segment for place in places] == [0, 0, 0, 1, 2, 2, 2, 2, 2]
    assert [place.index for place in places] == [0, 1, 2, 0, 0, 1, 2, 3, 4]
    assert places[8] == ChunkPlace(segment=2, index=4, depth=3)
    for chunk in (-1, 9):
        with pytest.raises(InvalidRound):
            chunk_place(chunk, ends)


def test_a_tree_is_as_deep_as_its_builder_makes_it():
    for leaves in (1, 2, 3, 4, 5, 8, 9, 300):
        assert tree_depth(leaves) == MerkleTree.from_leaves(bytes(leaves), 1).depth


def test_inputs_are_the_bytes_that_the_inputs_hash_is_of():
    entries = entries_of(3)
    raw = inputs_preimage(entries)
    assert sha256(raw).digest() == inputs_hash(entries)
    assert parse_inputs(raw) == entries
    with pytest.raises(InvalidRound):
        parse_inputs(raw[:-1])


def test_an_honest_tree_is_opened_short_and_a_lying_one_long():
    update = update_of(1, 5)
    honest = SumTree.from_leaves(update)
    for index in range(5):
        opening = open_update(update, honest, index)
        assert opening == short_opening(update_leaf(update, index), honest.proof(index))
        assert len(opening) == 257 + 3 * SIBLING_BYTES
    lying = SumTree.from_nodes(honest.levels[0], {(0, 2): 1})
    sizes = [len(open_update(update, lying, index)) for index in range(5)]
    # To leaf 3 the lie is a sibling's sum like any other.
    assert sizes == [389, 389, 257 + 3 * CLAIM_BYTES, 389, 389]


@pytest.mark.parametrize("place", [(0, 2), (1, 1), (2, 0)])
def test_a_lying_sum_shows_on_the_paths_below_it_and_every_leaf_opens(place):
    update = update_of(2, 5)
    leaves = SumTree.from_leaves(update).levels[0]
    tree = SumTree.from_nodes(leaves, {place: 7})
    height, which = place
    for index in range(5):
        leaf, claims = update_leaf(update, index), tree.claims(index)
        opened = open_sum(root=tree.root, index=index, leaf=leaf, claims=claims)
        below = index >> height == which
        assert (opened.ok, opened.honest, opened.ssq) == (True, not below, tree.ssq)
        assert len(long_opening(leaf, claims)) == 257 + 3 * CLAIM_BYTES


def test_open_sum_answers_anything():
    update = update_of(3, 3)
    tree = SumTree.from_leaves(update)
    good = {"root": tree.root, "index": 1, "leaf": update_leaf(update, 1), "claims": tree.claims(1)}
    assert open_sum(**good).ok
    (digest, ssq, named), last = good["claims"]
    for wrong in (
        {"index": -1},
        {"index": 5},
        {"index": 0},
        {"leaf": good["leaf"][:-1]},
        {"root": bytes(32)},
        {"claims": ()},
        {"claims": ((digest[:-1], ssq, named), last)},
        {"claims": ((digest, -1, named), last)},
        {"claims": ((digest, ssq, 1 << 96), last)},
        {"claims": ((digest, ssq, named + 1), last)},
    ):
        assert not open_sum(**good | wrong).ok


def test_an_accumulator_is_the_sum_that_its_lanes_say():
    rng = np.random.default_rng(4)
    leaves = [bytes([e]) + rng.bytes(256) for e in (0, 7, 8, 0xFF, 3)]
    weights = [1, 20000, 3, 40000, 0]
    whole = accumulate(b"", leaves, weights)
    parts = accumulate(accumulate(b"", leaves[:2], weights[:2]), leaves[2:], weights[2:])
    assert whole == parts
    assert len(whole) == ACCUMULATOR_BYTES
    words = [int.from_bytes(whole[i : i + 32], "big") for i in range(0, 96, 32)]
    exponents = [leaf[0] & 15 for leaf in leaves]
    bias = sum(w << e + 7 for w, e in zip(weights, exponents, strict=True))
    assert words == [5, sum(weights), bias]
    lanes = np.frombuffer(whole[96:], ">u4").reshape(2, 32, 8).astype(object)
    for element in (0, 1, 37, 255):
        i, t, s = element // 32, element % 32 // 4, element % 4
        sums = lanes[0, 4 * i + s, t] + (lanes[1, 4 * i + s, t] << 8)
        biased = [
            (leaf[1 + element] << e) * w
            for leaf, e, w in zip(leaves, exponents, weights, strict=True)
        ]
        assert sums == sum(biased)


def test_an_accumulator_refuses_what_the_court_refuses():
    leaf = bytes(257)
    for args in ((b"x", [], []), (b"", [leaf, leaf], [65536, 1]), (b"", [leaf], [-1])):
        with pytest.raises(InvalidMerge):
            accumulate(*args)
    with pytest.raises(InvalidUpdate):
        accumulate(b"", [leaf[:-1]], [1])


def proof_of(count):
    theta = np.arange(5 * 256, dtype=np.int32)
    model = model_leaves(theta)
    updates = [update_of(i, 5) for i in range(count)]
    openings = [open_update(update, SumTree.from_leaves(update), 3) for update in updates]
    tree = MerkleTree.from_leaves(model, 1024)
    proof = chunk_proof(
        chunk=3,
        inputs=inputs_preimage(entries_of(count)),
        openings=openings,
        parent=model,
        parent_tree=tree,
        momentum=False,
    )
    return proof, tree


def test_a_chunk_proof_holds_the_old_leaf_and_its_path():
    proof, tree = proof_of(2)
    assert verify(root=tree.root, index=3, leaf=proof.old_leaf, proof=proof.old_siblings)
    assert proof.fields[0] == 3
    assert proof.fields[2] == b""
    assert proof.size == 2 * 88 + 2 * (257 + 3 * 44) + 1024 + 3 * 32
    with pytest.raises(IndexError):
        model_leaf(b"", 0, momentum=True)


def test_a_long_proof_is_split_so_that_each_part_begins_where_the_last_ended():
    proof, _ = proof_of(7)
    size = len(proof.openings[0])
    first, second, third = split_proof(proof, 3 * size)
    assert first.openings + second.openings + third.openings == proof.openings
    assert (first.accumulator, first.old_leaf, third.old_leaf) == (b"", b"", proof.old_leaf)
    leaves = [opening[:257] for opening in proof.openings]
    assert second.accumulator == accumulate(b"", leaves[:3], [65536 // 7] * 3)
    assert third.accumulator == accumulate(b"", leaves[:6], [65536 // 7] * 6)
    assert list(split_proof(proof, 100 * size)) == [proof]
    assert len(list(split_proof(proof, 1))) == 7
    empty, _ = proof_of(1)
    assert list(split_proof(padding_proof(7), 1)) == [padding_proof(7)]
    assert list(split_proof(empty, 1)) == [empty]


@pytest.mark.parametrize("leaves", [1, 2, 5, 300, 1000])
def test_children_lead_from_the_root_to_every_leaf(leaves):
    data = np.random.default_rng(leaves).bytes(leaves)
    tree = MerkleTree.from_leaves(data, 1)
    for chunk in {0, leaves // 2, leaves - 1, (1 << tree.depth) - 1}:
        node, height, place = tree.root, tree.depth, 0
        while height:
            step = min(8, height)
            children = children_below(tree, height, place)
            child = chunk >> height - step & (1 << step) - 1
            siblings = child_siblings(children, child)
            assert len(siblings) == step
            height, place = height - step, place << step | child
            assert verify_node(node, child, children[child], siblings)
            node = children[child]
        assert place == chunk
        assert node == (leaf_node(data[chunk : chunk + 1]) if chunk < leaves else EMPTY)
    with pytest.raises(IndexError):
        children_below(tree, 0, 0)
    with pytest.raises(IndexError):
        tree.node(0, 1 << tree.depth)


def verify_node(root, index, node, siblings):
    for height, sibling in enumerate(siblings):
        pair = (sibling, node) if index >> height & 1 else (node, sibling)
        node = sha256(b"\x01" + pair[0] + pair[1]).digest()
    return node == root


def test_siblings_want_whole_children():
    for children in ([], [EMPTY] * 3):
        with pytest.raises(InvalidTree):
            child_siblings(children, 0)
    with pytest.raises(IndexError):
        child_siblings([EMPTY] * 2, 2)
    assert child_siblings([EMPTY], 0) == ()


def test_the_first_difference_is_found():
    mine = [b"a", b"b", b"c"]
    assert first_difference(mine, mine) is None
    assert first_difference(mine, [b"a", b"x", b"y"]) == 1
