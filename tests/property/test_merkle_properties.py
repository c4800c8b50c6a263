import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode_update, dequantize_update
from protocol.merkle import MerkleTree, SumTree, verify, verify_sum


def leaves_of(seed, count, size=257):
    return np.random.default_rng(seed).integers(0, 256, count * size).astype(np.uint8).tobytes()


def flip(value, bit):
    flipped = bytearray(value)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


trees = st.tuples(st.integers(0, 2**32), st.integers(1, 20))


@given(trees)
def test_every_leaf_has_a_proof(tree_of):
    data = leaves_of(*tree_of)
    plain, summed = MerkleTree.from_leaves(data, 257), SumTree.from_leaves(data)
    for i in range(tree_of[1]):
        leaf = data[257 * i : 257 * i + 257]
        assert verify(root=plain.root, index=i, leaf=leaf, proof=plain.proof(i))
        assert verify_sum(
            root=summed.root, ssq=summed.ssq, index=i, leaf=leaf, proof=summed.proof(i)
        )


@given(trees, st.data())
def test_any_flipped_bit_fails_its_proof(tree_of, data):
    raw, count = leaves_of(*tree_of), tree_of[1]
    tree = MerkleTree.from_leaves(raw, 257)
    i = data.draw(st.integers(0, count - 1))
    leaf, proof = raw[257 * i : 257 * i + 257], list(tree.proof(i))
    bad_leaf = flip(leaf, data.draw(st.integers(0, 257 * 8 - 1)))
    assert not verify(root=tree.root, index=i, leaf=bad_leaf, proof=proof)
    assert not verify(root=flip(tree.root, 5), index=i, leaf=leaf, proof=proof)
    if proof:
        level, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        assert not verify(root=tree.root, index=i ^ 1 << level, leaf=leaf, proof=proof)
        proof[level] = flip(proof[level], bit)
        assert not verify(root=tree.root, index=i, leaf=leaf, proof=proof)


@given(trees, st.data())
def test_any_flipped_bit_or_sum_fails_its_sum_proof(tree_of, data):
    raw, count = leaves_of(*tree_of), tree_of[1]
    tree = SumTree.from_leaves(raw)
    i = data.draw(st.integers(0, count - 1))
    leaf, proof = raw[257 * i : 257 * i + 257], list(tree.proof(i))
    claim = {"root": tree.root, "ssq": tree.ssq, "index": i, "leaf": leaf, "proof": proof}
    assert verify_sum(**claim)
    bad_leaf = flip(leaf, data.draw(st.integers(0, 257 * 8 - 1)))
    assert not verify_sum(**claim | {"leaf": bad_leaf})
    assert not verify_sum(**claim | {"ssq": tree.ssq + data.draw(st.integers(1, 9))})
    if proof:
        level = data.draw(st.integers(0, len(proof) - 1))
        digest, ssq = proof[level]
        bit = data.draw(st.integers(0, 255))
        more = data.draw(st.integers(1, 2**40))
        for bad in ((flip(digest, bit), ssq), (digest, ssq + more)):
            forged = [*proof[:level], bad, *proof[level + 1 :]]
            assert not verify_sum(**claim | {"proof": forged})
            # Nor does moving the claimed total along with the lie help.
            moved = tree.ssq + bad[1] - ssq
            assert not verify_sum(**claim | {"proof": forged, "ssq": moved})


@given(trees)
def test_the_root_states_the_exact_sum_of_squares(tree_of):
    raw = leaves_of(*tree_of)
    values = dequantize_update(*decode_update(raw, tree_of[1]))
    assert SumTree.from_leaves(raw).ssq == sum(int(value) ** 2 for value in values)


@given(trees, trees)
def test_different_leaves_have_different_roots(first, second):
    one, two = leaves_of(*first), leaves_of(*second)
    same_plain = MerkleTree.from_leaves(one, 257).root == MerkleTree.from_leaves(two, 257).root
    same_sum = SumTree.from_leaves(one).root == SumTree.from_leaves(two).root
    assert same_plain == same_sum == (one == two)
