from hashlib import sha256

import numpy as np
import pytest

from protocol.errors import InvalidTree
from protocol.merkle import (
    EMPTY,
    MerkleTree,
    MerkleTreeBuilder,
    SumTree,
    SumTreeBuilder,
    inner_node,
    leaf_node,
    verify,
    verify_sum,
)


def test_trees_give_the_vectors(vectors, unhex):
    assert unhex(vectors["merkle"]["empty"]) == EMPTY
    for case in vectors["merkle"]["trees"]:
        leaves = [unhex(leaf) for leaf in case["leaves"]]
        tree = MerkleTree.from_leaves(b"".join(leaves), 8)
        assert tree.root == unhex(case["root"])
        for i, leaf in enumerate(leaves):
            proof = [unhex(node) for node in case["proofs"][i]]
            assert list(tree.proof(i)) == proof
            assert verify(root=tree.root, index=i, leaf=leaf, proof=proof)


def test_sum_trees_give_the_vectors(vectors, unhex):
    for case in vectors["merkle"]["sum_trees"]:
        leaves = [unhex(leaf) for leaf in case["leaves"]]
        tree = SumTree.from_leaves(b"".join(leaves))
        assert (tree.root, tree.ssq) == (unhex(case["root"]), int(case["ssq"]))
        for i, leaf in enumerate(leaves):
            proof = [(unhex(node), int(ssq)) for node, ssq in case["proofs"][i]]
            assert list(tree.proof(i)) == proof
            assert verify_sum(root=tree.root, ssq=tree.ssq, index=i, leaf=leaf, proof=proof)


def test_three_leaves_hash_as_the_text_says():
    a, b, c = (leaf_node(bytes([value])) for value in (1, 2, 3))
    tree = MerkleTree.from_leaves(b"\x01\x02\x03", 1)
    assert tree.root == inner_node(inner_node(a, b), inner_node(c, EMPTY))
    assert a == sha256(b"\x00\x01").digest()
    assert tree.depth == 2


def test_a_large_tree_has_the_root_of_the_plain_rule():
    data = np.random.default_rng(3).bytes(2 * 5000)
    level = [leaf_node(data[at : at + 2]) for at in range(0, len(data), 2)] + [EMPTY] * 3192
    while len(level) > 1:
        level = [inner_node(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    assert MerkleTree.from_leaves(data, 2).root == level[0]


def test_one_leaf_is_its_own_root():
    tree = MerkleTree.from_leaves(b"leaf", 4)
    assert (tree.root, tree.depth, tree.proof(0)) == (leaf_node(b"leaf"), 0, ())


@pytest.mark.parametrize("piece", [1, 7, 257, 1000, 5000])
def test_a_builder_does_not_care_how_the_bytes_arrive(piece):
    data = np.random.default_rng(0).bytes(13 * 257)
    plain, summed = MerkleTreeBuilder(257), SumTreeBuilder()
    for start in range(0, len(data), piece):
        plain.update(data[start : start + piece])
        summed.update(memoryview(data)[start : start + piece])
    assert plain.finish() == MerkleTree.from_leaves(data, 257)
    assert summed.finish() == SumTree.from_leaves(data)


@pytest.mark.parametrize("size", [0, 1, 256, 258])
def test_broken_leaves_make_no_tree(size):
    with pytest.raises(InvalidTree):
        SumTree.from_leaves(bytes(size))
    with pytest.raises(InvalidTree):
        MerkleTree.from_leaves(bytes(size), 257)


def test_there_is_no_proof_of_padding():
    tree = MerkleTree.from_leaves(bytes(3), 1)
    with pytest.raises(IndexError):
        tree.proof(3)


def test_a_lying_sum_is_convicted():
    tree = SumTree.from_leaves(bytes(4 * 257))
    proof = list(tree.proof(1))
    leaf = bytes(257)
    assert not verify_sum(root=tree.root, ssq=tree.ssq - 1, index=1, leaf=leaf, proof=proof)
    proof[1] = (proof[1][0], proof[1][1] - 1)
    assert not verify_sum(root=tree.root, ssq=tree.ssq - 1, index=1, leaf=leaf, proof=proof)


@pytest.mark.parametrize("index", [-1, 4, 1 << 40])
def test_an_index_beyond_the_tree_is_false_not_an_error(index):
    tree = MerkleTree.from_leaves(bytes(4), 1)
    assert not verify(root=tree.root, index=index, leaf=b"\x00", proof=tree.proof(0))


def test_malformed_proofs_are_false_not_an_error():
    tree = SumTree.from_leaves(bytes(2 * 257))
    good = tree.proof(0)[0]
    for bad in [(good[0][:31], good[1]), (good[0], -1), (good[0], 1 << 96)]:
        assert not verify_sum(root=tree.root, ssq=tree.ssq, index=0, leaf=bytes(257), proof=[bad])
    assert not verify_sum(root=tree.root, ssq=tree.ssq, index=0, leaf=bytes(256), proof=[good])
    assert not verify(root=tree.root, index=0, leaf=b"", proof=[b"short"])
    assert not verify(root=tree.root, index=0, leaf=b"", proof=[EMPTY] * 33)
