from hashlib import sha256

import pytest

from protocol.errors import InvalidRound
from protocol.merkle import MerkleTree
from protocol.rounds import (
    COMMITMENT_BYTES,
    InputEntry,
    Opinion,
    UpdateHeader,
    aggregator_rank,
    bitmap_of,
    commitment_hash,
    header_hash,
    inputs_hash,
    popcount,
    rank_of,
    reward_wei,
    seats_in,
    tally,
    trace_root,
    weights,
)

DIGEST = sha256(b"test").digest()
TRAINER = "0x" + "ab" * 20


def header(**changes):
    fields = {
        "update_root": DIGEST,
        "ssq": 1,
        "trace_root": DIGEST,
        "class_id": DIGEST,
        "update_cid": DIGEST,
        "update_size": 257,
    }
    return UpdateHeader(**(fields | changes))


def commit(**changes):
    fields = {
        "header": header(),
        "chain_id": 1,
        "run": TRAINER,
        "round_id": 1,
        "attempt": 1,
        "trainer": TRAINER,
        "salt": DIGEST,
    }
    return commitment_hash(**(fields | changes))


def entry(seat, **changes):
    fields = {"trainer": TRAINER, "seat": seat, "weight": 1, "update_root": DIGEST}
    return InputEntry(**(fields | {"header_hash": DIGEST} | changes))


def test_hashes_give_the_vectors(vectors, unhex):
    for case in vectors["rounds"]["commitments"]:
        values = {
            name: int(text) if name in {"ssq", "update_size"} else unhex(text)
            for name, text in case["header"].items()
        }
        opened = UpdateHeader(**values)
        assert header_hash(opened) == unhex(case["header_hash"])
        digest = commitment_hash(
            header=opened,
            chain_id=case["chain_id"],
            run=case["run"],
            round_id=case["round"],
            attempt=case["attempt"],
            trainer=case["trainer"],
            salt=unhex(case["salt"]),
        )
        assert digest == unhex(case["commitment"])
        assert digest[:COMMITMENT_BYTES] == unhex(case["kept"])
    for case in vectors["rounds"]["inputs"]:
        entries = [
            InputEntry(
                trainer=row["trainer"],
                seat=row["seat"],
                weight=row["weight"],
                update_root=unhex(row["update_root"]),
                header_hash=unhex(row["header_hash"]),
            )
            for row in case["entries"]
        ]
        assert inputs_hash(entries) == unhex(case["inputs_hash"])


def test_sums_give_the_vectors(vectors, unhex):
    rounds = vectors["rounds"]
    for case in rounds["weights"]:
        stakes = [int(stake) for stake in case["stakes_gwei"]]
        assert list(weights(stakes, int(case["cap"]))) == case["result"]
    for case in rounds["rewards"]:
        reward = reward_wei(
            reward_per_round_wei=int(case["reward_per_round_wei"]),
            weight=case["weight"],
            segment_count=case["segments"],
        )
        assert reward == int(case["result"])
    for case in rounds["aggregator_ranks"]:
        rank = aggregator_rank(index=case["index"], count=case["count"], seed=unhex(case["seed"]))
        assert rank == case["result"]
    for case in rounds["tallies"]:
        told = tally(
            opinions={
                int(seat): Opinion(**{name: int(bits) for name, bits in said.items()})
                for seat, said in case["opinions"].items()
            },
            stakes_gwei={int(seat): int(stake) for seat, stake in case["stakes_gwei"].items()},
            total_gwei=int(case["total_gwei"]),
        )
        assert [str(told.available), str(told.harmful), str(told.contested)] == [
            case[name] for name in ("available", "harmful", "contested")
        ]
    roster = int(rounds["ranks"]["roster"])
    for seat, rank in rounds["ranks"]["result"].items():
        assert rank_of(int(seat), roster) == rank


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 2},
        {"run": "0x" + "cd" * 20},
        {"trainer": "0x" + "cd" * 20},
        {"round_id": 2},
        {"attempt": 2},
        {"salt": bytes(32)},
        {"header": header(ssq=2)},
        {"header": header(update_root=bytes(32))},
        {"header": header(update_size=258)},
    ],
)
def test_a_commitment_binds_each_of_its_fields(changes):
    assert commit(**changes) != commit()


def test_an_address_means_the_same_in_either_case():
    assert commit(trainer="0x" + "AB" * 20) == commit()


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": -1},
        {"chain_id": 1 << 256},
        {"round_id": 1 << 32},
        {"attempt": 1 << 32},
        {"salt": b""},
        {"trainer": "0x1234"},
        {"trainer": "0x" + "gg" * 20},
        {"run": "ab" * 20},
    ],
)
def test_a_commitment_refuses_what_solidity_could_not_hold(changes):
    with pytest.raises(InvalidRound):
        commit(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"ssq": 1 << 96},
        {"ssq": -1},
        {"update_size": 1 << 64},
        {"update_root": b""},
        {"class_id": b"x"},
    ],
)
def test_a_header_refuses_what_solidity_could_not_hold(changes):
    with pytest.raises(InvalidRound):
        header(**changes)


@pytest.mark.parametrize(
    "entries",
    [
        [entry(2), entry(1)],
        [entry(1), entry(1)],
        [entry(256)],
        [entry(-1)],
        [entry(0, weight=65537)],
        [entry(0, weight=-1)],
        [entry(0, update_root=b"")],
        [entry(0, trainer="nobody")],
    ],
)
def test_inputs_out_of_order_or_bounds_are_refused(entries):
    with pytest.raises(InvalidRound):
        inputs_hash(entries)


def test_the_update_root_is_the_last_leaf_of_the_trace():
    states = [sha256(bytes([i])).digest() for i in range(3)]
    tree = MerkleTree.from_leaves(b"".join(states) + DIGEST, 32)
    assert trace_root(states, DIGEST) == tree.root
    for bad in ([], states * 22, [b"short"]):
        with pytest.raises(InvalidRound):
            trace_root(bad, DIGEST)


def test_a_cap_flattens_weights():
    assert weights([1, 1000], 1) == (32768, 32768)


def test_nobody_has_no_weight():
    assert weights([], 5) == ()
    for stakes, cap in (([0, 0], 5), ([1], 0), ([-1, 3], 5)):
        with pytest.raises(InvalidRound):
            weights(stakes, cap)


def test_exactly_two_thirds_of_the_stake_make_an_update_available():
    said = {0: Opinion(available=0b11), 1: Opinion(available=0b01)}
    assert tally(opinions=said, stakes_gwei={0: 1, 1: 1}, total_gwei=3).available == 0b1
    assert tally(opinions=said, stakes_gwei={0: 1, 1: 1}, total_gwei=4).available == 0


def test_harm_is_settled_when_those_who_are_silent_can_not_change_it():
    """Two thirds settle that an update is harmful, more than one third that it is not."""

    def told(*harmful):
        said = {seat: Opinion(available=1, harmful=bits) for seat, bits in enumerate(harmful)}
        found = tally(opinions=said, stakes_gwei=dict.fromkeys(range(3), 1), total_gwei=3)
        return found.harmful & 1, found.contested & 1

    assert [told(), told(0), told(1), told(1, 0), told(0, 1)] == [(0, 1)] * 5
    assert [told(1, 1), told(1, 0, 1)] == [(1, 0)] * 2
    assert [told(0, 0), told(1, 0, 0)] == [(0, 0)] * 2


def test_a_voice_without_a_stake_is_refused():
    with pytest.raises(InvalidRound):
        tally(opinions={3: Opinion(available=1)}, stakes_gwei={0: 1}, total_gwei=1)


def test_an_opinion_of_more_seats_than_there_are_is_refused():
    for wrong in (
        {"available": 1 << 256},
        {"available": -1},
        {"available": 0, "harmful": 1 << 256},
    ):
        with pytest.raises(InvalidRound):
            Opinion(**wrong)


def test_bitmaps_and_seats_are_the_same_thing():
    seats = (0, 7, 255)
    assert seats_in(bitmap_of(seats)) == seats
    assert popcount(bitmap_of(seats)) == 3
    assert [rank_of(seat, bitmap_of(seats)) for seat in seats] == [0, 1, 2]
    for bad in (256, -1):
        with pytest.raises(InvalidRound):
            bitmap_of([bad])
    for outsider in (1, -1, 256):
        with pytest.raises(InvalidRound):
            rank_of(outsider, bitmap_of(seats))


def test_every_aggregator_has_its_own_rank():
    ranks = {aggregator_rank(index=i, count=5, seed=DIGEST) for i in range(5)}
    assert ranks == set(range(5))
    with pytest.raises(InvalidRound):
        aggregator_rank(index=0, count=0, seed=DIGEST)
