from hypothesis import given
from hypothesis import strategies as st

from protocol.assignment import segment_of, shards_of, shuffle
from protocol.rounds import Opinion, bitmap_of, rank_of, reward_wei, seats_in, tally, weights

seeds = st.binary(min_size=32, max_size=32)


@given(st.integers(1, 60), seeds)
def test_shuffle_is_a_permutation(count, seed):
    assert sorted(shuffle(i, count, seed) for i in range(count)) == list(range(count))


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 10), seeds)
def test_shards_are_dealt_evenly(roster, each, shard_count, seed):
    dealt = [
        shard
        for rank in range(roster)
        for shard in shards_of(
            rank=rank, shards_per_trainer=each, shard_count=shard_count, seed=seed
        )
    ]
    counts = [dealt.count(shard) for shard in range(shard_count)]
    assert sum(counts) == roster * each
    assert max(counts) - min(counts) <= 1
    for start in range(0, len(dealt) - shard_count + 1, shard_count):
        assert sorted(dealt[start : start + shard_count]) == list(range(shard_count))


@given(st.integers(1, 40), st.integers(1, 8), seeds)
def test_segments_are_dealt_evenly(roster, segment_count, seed):
    dealt = [segment_of(rank=r, segment_count=segment_count, seed=seed) for r in range(roster)]
    counts = [dealt.count(segment) for segment in range(segment_count)]
    assert max(counts) - min(counts) <= 1


@given(st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=256), st.integers(1, 2**64 - 1))
def test_weights_never_add_up_to_more_than_one(stakes, cap):
    shares = weights(stakes, cap)
    assert 65536 - len(stakes) < sum(shares) <= 65536
    for (stake, share), (other, other_share) in zip(
        zip(stakes, shares, strict=True), zip(stakes[1:], shares[1:], strict=True), strict=False
    ):
        assert (min(stake, cap) <= min(other, cap)) <= (share <= other_share)


@given(
    st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=256),
    st.integers(0, 10**24),
    st.integers(1, 256),
)
def test_rewards_never_exceed_the_round(stakes, reward, segments):
    shares = weights(stakes, 2**64)
    paid = segments * sum(
        reward_wei(reward_per_round_wei=reward, weight=w, segment_count=segments) for w in shares
    )
    assert paid <= reward


@given(st.sets(st.integers(0, 255)))
def test_bitmaps_and_seats_are_the_same_thing(seats):
    bitmap = bitmap_of(seats)
    assert set(seats_in(bitmap)) == seats
    assert [rank_of(seat, bitmap) for seat in sorted(seats)] == list(range(len(seats)))


@given(
    st.dictionaries(
        st.integers(0, 255),
        st.builds(
            Opinion, available=st.integers(0, 2**256 - 1), harmful=st.integers(0, 2**256 - 1)
        ),
        max_size=8,
    ),
    st.lists(st.integers(1, 10**12), min_size=256, max_size=256),
)
def test_available_means_two_thirds_of_the_roster(votes, stakes):
    table = dict(enumerate(stakes))
    total = sum(stakes[:6])
    told = tally(opinions=votes, stakes_gwei=table, total_gwei=total)
    for name in ("available", "harmful"):
        for seat in range(256):
            voters = [who for who, said in votes.items() if getattr(said, name) >> seat & 1]
            voice = sum(table[who] for who in voters)
            assert getattr(told, name) >> seat & 1 == (voice > 0 and 3 * voice >= 2 * total)


_said = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 7)), min_size=1, max_size=7)


@given(_said, st.sets(st.integers(0, 6)))
def test_what_some_opinions_settle_all_of_them_say(people, silent):
    """Whoever picks the attestations that are counted can not pick the outcome."""
    stakes = {seat: stake for seat, (stake, _) in enumerate(people)}
    said = {seat: Opinion(available=7, harmful=bits) for seat, (_, bits) in enumerate(people)}
    part = {seat: opinion for seat, opinion in said.items() if seat not in silent}
    total = sum(stakes.values())
    some = tally(opinions=part, stakes_gwei=stakes, total_gwei=total)
    everything = tally(opinions=said, stakes_gwei=stakes, total_gwei=total)
    assert everything.contested & 7 == 0
    assert some.harmful & ~everything.harmful == 0
    assert (some.harmful ^ everything.harmful) & ~some.contested == 0
