from hashlib import sha256

import pytest

from protocol.assignment import derive_seed, fixed_shard, segment_of, shards_of, shuffle
from protocol.errors import InvalidRound

SEED = sha256(b"test").digest()


def test_it_gives_the_vectors(vectors, unhex):
    assignment = vectors["assignment"]
    for case in assignment["shuffle"]:
        count, seed = case["count"], unhex(case["seed"])
        assert [shuffle(i, count, seed) for i in range(count)] == case["result"]
    for case in assignment["shards"]:
        dealt = shards_of(
            rank=case["rank"],
            shards_per_trainer=case["shards_per_trainer"],
            shard_count=case["shard_count"],
            seed=unhex(case["seed"]),
        )
        assert list(dealt) == case["result"]
    for case in assignment["fixed"]:
        assert fixed_shard(seat=case["seat"], shard_count=case["shard_count"]) == case["result"]
    for case in assignment["segment"]:
        segment = segment_of(
            rank=case["rank"], segment_count=case["segment_count"], seed=unhex(case["seed"])
        )
        assert segment == case["result"]
    for case in assignment["derive"]:
        derived = derive_seed(unhex(case["seed"]), case["label"], *case["indices"])
        assert derived == int(case["result"])


@pytest.mark.parametrize(
    ("count", "file_digest"),
    [
        (33, "a014701e692faf6390f43a5b32470689ffdec35891f58bcd7572eb8226b19488"),
        (1000, "1fe4a03c481ce317d63640d1caf23d3466c0583a194998a66d8a3be818a5932a"),
    ],
)
def test_shuffle_is_the_one_of_the_consensus_specification(count, file_digest):
    """The digests are of mapping.yaml files of ethereum/consensus-spec-tests, phase0, mainnet."""
    yaml = pytest.importorskip("yaml")
    seed = "0x01b4f6bd5d6a06a7b74a8565ceb4f845afe0ae96a0ac05cf5e86066bf7b538ec"
    mapping = [shuffle(i, count, bytes.fromhex(seed[2:])) for i in range(count)]
    text = yaml.safe_dump(
        {"seed": seed, "count": count, "mapping": mapping}, sort_keys=False, default_flow_style=None
    )
    assert sha256(text.encode()).hexdigest() == file_digest


def test_each_pass_over_the_shards_deals_each_of_them_once():
    dealt = [
        shard
        for rank in range(8)
        for shard in shards_of(rank=rank, shards_per_trainer=3, shard_count=12, seed=SEED)
    ]
    assert sorted(dealt[:12]) == sorted(dealt[12:]) == list(range(12))
    assert dealt[:12] != dealt[12:]


def test_segments_get_equally_many_trainers():
    segments = [segment_of(rank=rank, segment_count=3, seed=SEED) for rank in range(9)]
    assert [segments.count(s) for s in range(3)] == [3, 3, 3]


def test_labels_and_indices_tell_derived_seeds_apart():
    derived = {
        derive_seed(SEED, *args) for args in [("a",), ("b",), ("a", 0), ("a", 0, 0), ("a", 1)]
    }
    assert len(derived) == 5


@pytest.mark.parametrize(
    ("index", "count", "seed"), [(-1, 3, SEED), (3, 3, SEED), (0, 0, SEED), (0, 1, b"")]
)
def test_shuffle_refuses_what_is_no_place(index, count, seed):
    with pytest.raises(InvalidRound):
        shuffle(index, count, seed)


def test_shards_refuse_an_empty_data_set():
    with pytest.raises(InvalidRound):
        shards_of(rank=0, shards_per_trainer=1, shard_count=0, seed=SEED)
