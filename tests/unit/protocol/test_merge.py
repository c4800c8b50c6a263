import numpy as np
import pytest

from protocol.codec import decode_model, decode_update, model_leaves
from protocol.errors import InvalidMerge
from protocol.merge import MergeParams, merge_chunks, merge_reference

THETA = np.zeros((2, 256), np.int32)
UPDATE = (np.ones((2, 256), np.int8), np.zeros(2, np.uint8))


def test_it_gives_the_vectors(vectors, unhex):
    for case in vectors["merge"]["cases"]:
        params = MergeParams(**{name: case[name] for name in ("lr", "mu", "nesterov", "momentum")})
        theta, m = decode_model(unhex(case["old_leaf"]), 1, momentum=params.momentum)
        updates = [decode_update(unhex(leaf), 1) for leaf in case["updates"]]
        new = merge_chunks(theta, m, updates, case["weights"], params)
        assert model_leaves(*new) == unhex(case["new_leaf"]), case["name"]


def test_the_reference_gives_the_vectors(vectors, unhex):
    for case in vectors["merge"]["cases"]:
        params = MergeParams(**{name: case[name] for name in ("lr", "mu", "nesterov", "momentum")})
        theta, m = decode_model(unhex(case["old_leaf"]), 1, momentum=params.momentum)
        updates = [decode_update(unhex(leaf), 1) for leaf in case["updates"]]
        theta_new, m_new = merge_reference(
            theta[0].tolist(),
            None if m is None else m[0].tolist(),
            [(q[0].tolist(), int(e[0])) for q, e in updates],
            case["weights"],
            params,
        )
        arrays = [None if row is None else np.array(row, np.int32) for row in (theta_new, m_new)]
        assert model_leaves(*arrays) == unhex(case["new_leaf"]), case["name"]


def test_blocks_of_any_size_and_spread_of_exponents_merge_alike(monkeypatch):
    rng = np.random.default_rng(1)
    chunks = 600
    updates = [decode_update(rng.bytes(257 * chunks), chunks) for _ in range(3)]
    for _, e in updates:
        e[:300] = 5 + e[:300] % 4
    theta, m = rng.integers(-(2**31), 2**31, (2, chunks, 256)).astype(np.int32)
    params = MergeParams(lr=700, mu=200, nesterov=True, momentum=True)
    results = []
    for block in (7, 256, 1000):
        monkeypatch.setattr("protocol.merge._BLOCK_CHUNKS", block)
        results.append(
            model_leaves(*merge_chunks(theta, m, updates, [30000, 20000, 15536], params))
        )
    assert results[0] == results[1] == results[2]


def test_operands_stay_as_they_are():
    theta, m = THETA.copy(), THETA.copy()
    merge_chunks(theta, m, [UPDATE], [65536], MergeParams(momentum=True))
    assert not theta.any()
    assert not m.any()


def test_the_whole_weight_on_one_update_adds_it():
    theta, m = merge_chunks(THETA, None, [UPDATE], [65536], MergeParams())
    assert (theta == 1).all()
    assert m is None


def test_no_update_leaves_momentum_as_it_is():
    m = np.full((2, 256), 1000, np.int32)
    _, m_new = merge_chunks(THETA, m, [], [], MergeParams(mu=128, momentum=True))
    assert (m_new == m).all()


@pytest.mark.parametrize(
    "params", [{"lr": 0}, {"lr": 1025}, {"mu": 256}, {"mu": -1}, {"mu": 1}, {"nesterov": True}]
)
def test_parameters_outside_their_bounds_are_refused(params):
    with pytest.raises(InvalidMerge):
        MergeParams(**params)


@pytest.mark.parametrize(
    ("theta", "m", "updates", "weights"),
    [
        (THETA.astype(np.int64), None, [UPDATE], [1]),
        (THETA.reshape(-1), None, [UPDATE], [1]),
        (THETA, THETA, [UPDATE], [1]),
        (THETA, None, [UPDATE], []),
        (THETA, None, [UPDATE], [65537]),
        (THETA, None, [UPDATE], [-1]),
        (THETA, None, [(UPDATE[0][:1], UPDATE[1])], [1]),
        (THETA, None, [(UPDATE[0], UPDATE[1][:1])], [1]),
        (THETA, None, [(UPDATE[0], UPDATE[1] + 16)], [1]),
    ],
)
def test_operands_that_do_not_fit_together_are_refused(theta, m, updates, weights):
    with pytest.raises(InvalidMerge):
        merge_chunks(theta, m, updates, weights, MergeParams())


def test_momentum_needs_its_state():
    with pytest.raises(InvalidMerge):
        merge_chunks(THETA, None, [UPDATE], [1], MergeParams(momentum=True))
    with pytest.raises(InvalidMerge):
        merge_chunks(THETA, THETA[:1], [UPDATE], [1], MergeParams(momentum=True))
