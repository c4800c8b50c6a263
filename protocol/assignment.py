"""Who trains on what: pure functions of the round's seed (docs/protocol.md section 5)."""

from hashlib import sha256

from protocol.errors import InvalidRound
from protocol.types import DIGEST_BYTES, Digest, Seat, SegmentId, ShardId

SHUFFLE_ROUNDS = 90
MAX_SHARDS = 1 << 20
_POSITIONS = 256  # positions that one hash decides


def shuffle(index: int, count: int, seed: Digest) -> int:
    """Give the place of index in a permutation of 0..count-1 that the seed alone decides.

    The swap-or-not permutation of Ethereum's consensus specification; integers are little-endian as
    there.
    Raises InvalidRound for an index outside the permutation or a seed that is not 32 bytes.
    """
    if not 0 <= index < count:
        raise InvalidRound(field="index", reason=f"{index} is not in 0..{count - 1}")
    _check_seed(seed)
    for round_number in range(SHUFFLE_ROUNDS):
        prefix = seed + bytes((round_number,))
        pivot = int.from_bytes(sha256(prefix).digest()[:8], "little") % count
        flip = (pivot - index) % count
        position = max(index, flip)
        source = sha256(prefix + (position // _POSITIONS).to_bytes(4, "little")).digest()
        if source[position % _POSITIONS // 8] >> position % 8 & 1:
            index = flip
    return index


def shards_of(
    *, rank: int, shards_per_trainer: int, shard_count: int, seed: Digest
) -> tuple[ShardId, ...]:
    """Deal a trainer of this rank its shards; within a pass over the shards none is dealt twice.

    Raises InvalidRound for a negative rank, an empty data set or a seed that is not 32 bytes.
    """
    if rank < 0 or shards_per_trainer < 1 or not 0 < shard_count <= MAX_SHARDS:
        reason = f"rank {rank}, {shards_per_trainer} each, {shard_count} shards"
        raise InvalidRound(field="assignment", reason=reason)
    _check_seed(seed)
    dealt = []
    first = rank * shards_per_trainer
    for position in range(first, first + shards_per_trainer):
        turn, index = divmod(position, shard_count)
        key = sha256(seed + b"shards" + turn.to_bytes(4, "big")).digest()
        dealt.append(ShardId(shuffle(index, shard_count, key)))
    return tuple(dealt)


def fixed_shard(*, seat: Seat, shard_count: int) -> ShardId:
    """Give the one shard that a seat keeps under the policy `fixed`."""
    return ShardId(seat % shard_count)


def segment_of(*, rank: int, segment_count: int, seed: Digest) -> SegmentId:
    """Give the segment that a trainer of this rank updates; it is 0 if there is only one."""
    _check_seed(seed)
    offset = int.from_bytes(sha256(seed + b"segment").digest(), "big")
    return SegmentId((rank + offset) % segment_count)


def derive_seed(seed: Digest, label: str, *indices: int) -> int:
    """Derive a uint64 for one local use, told apart by its label and indices."""
    _check_seed(seed)
    tail = b"".join(index.to_bytes(8, "big") for index in indices)
    return int.from_bytes(sha256(seed + label.encode() + b"\x00" + tail).digest()[:8], "big")


def _check_seed(seed: Digest) -> None:
    if len(seed) != DIGEST_BYTES:
        raise InvalidRound(field="seed", reason=f"{len(seed)} bytes instead of {DIGEST_BYTES}")
