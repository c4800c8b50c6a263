import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import decode_update
from protocol.merge import MergeParams, merge_chunks, merge_reference

CHUNKS = 3
params = st.one_of(
    st.builds(MergeParams, lr=st.integers(1, 1024)),
    st.builds(
        MergeParams,
        lr=st.integers(1, 1024),
        mu=st.integers(0, 255),
        nesterov=st.booleans(),
        momentum=st.just(True),
    ),
)


@st.composite
def merges(draw):
    """Give operands of every kind: foreign updates, any int32 state, any weights within the sum."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rule = draw(params)
    count = draw(st.integers(1, 6))
    cuts = sorted(draw(st.lists(st.integers(0, 65536), min_size=count, max_size=count)))
    weights = np.diff([0, *cuts]).tolist()
    state = rng.integers(-(2**31), 2**31, (2, CHUNKS, 256)).astype(np.int32)
    if draw(st.booleans()):  # the ends of int32
        state = np.where(state < 0, -(2**31), 2**31 - 1).astype(np.int32)
    updates = []
    for _ in range(count):
        leaves = rng.integers(0, 256, (CHUNKS, 257)).astype(np.uint8)
        if draw(st.booleans()):  # every value at one end
            leaves[:, 1:] = draw(st.sampled_from([0, 255]))
        if draw(st.booleans()):  # exponents near each other
            leaves[:, 0] = 6 + leaves[:, 0] % 3
        updates.append(decode_update(leaves.tobytes(), CHUNKS))
    return state[0], state[1] if rule.momentum else None, updates, weights, rule


def same(left, right):
    return all(
        (a is None and b is None) or np.array_equal(a, b) for a, b in zip(left, right, strict=True)
    )


@given(merges())
def test_the_merge_is_the_rule_of_the_text(operands):
    theta, m, updates, weights, rule = operands
    theta_new, m_new = merge_chunks(*operands)
    for c in range(CHUNKS):
        expected_theta, expected_m = merge_reference(
            theta[c].tolist(),
            None if m is None else m[c].tolist(),
            [(q[c].tolist(), int(e[c])) for q, e in updates],
            weights,
            rule,
        )
        assert theta_new[c].tolist() == expected_theta
        assert m_new is None or m_new[c].tolist() == expected_m


@given(merges(), st.randoms(use_true_random=False))
def test_the_order_of_trainers_changes_nothing(operands, random):
    theta, m, updates, weights, rule = operands
    pairs = list(zip(updates, weights, strict=True))
    random.shuffle(pairs)
    shuffled = merge_chunks(theta, m, [u for u, _ in pairs], [w for _, w in pairs], rule)
    assert same(shuffled, merge_chunks(*operands))


@given(merges())
def test_chunks_merge_alone_as_they_merge_together(operands):
    theta, m, updates, weights, rule = operands
    whole = merge_chunks(*operands)
    for c in range(CHUNKS):
        rows = slice(c, c + 1)
        alone = merge_chunks(
            theta[rows],
            None if m is None else m[rows],
            [(q[rows], e[rows]) for q, e in updates],
            weights,
            rule,
        )
        assert same(alone, [None if part is None else part[rows] for part in whole])


@given(merges())
def test_an_update_of_weight_zero_moves_nothing(operands):
    theta, m, updates, weights, rule = operands
    silent = merge_chunks(theta, m, [*updates, updates[0]], [*weights, 0], rule)
    assert same(silent, merge_chunks(*operands))


@given(merges())
def test_the_mean_is_bounded_by_what_a_codec_value_can_be(operands):
    theta, _, updates, weights, _ = operands
    zero = np.zeros_like(theta)
    moved, _ = merge_chunks(zero, None, updates, weights, MergeParams())
    assert (np.abs(moved.astype(np.int64)) <= 128 << 15).all()
