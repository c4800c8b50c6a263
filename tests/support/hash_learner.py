"""A learner whose states are hashes and whose updates are small: all of a trainer but torch."""

from hashlib import sha256

import numpy as np

from protocol.codec import UPDATE_LEAF_BYTES
from protocol.layout import Layout
from protocol.merkle import SumTree
from protocol.types import Digest, SegmentId
from trainer.training import Learned, Learner, segment_slice

CLASS_ID = Digest(sha256(b"hashes").digest())
STEPS = 6


def make_learner(  # noqa: C901 - the functions of a learner, each of a line or two
    layout: Layout,
    *,
    false_from: int | None = None,
    lies_again: bool = False,
    class_id: Digest = CLASS_ID,
) -> Learner:
    """Honest, or with a trace made up from a digest on; who `lies_again` replays like that too."""

    def work(model, shards, seed, round_no, seat) -> bytes:
        hasher = sha256(model + seed + round_no.to_bytes(4, "big") + bytes([seat]))
        for shard in shards:
            hasher.update(shard)
        return hasher.digest()

    def trace(name: bytes, *, lies: bool) -> tuple[Digest, ...]:
        states = [sha256(name + bytes([i])).digest() for i in range(STEPS + 1)]
        if lies and false_from is not None:
            states[false_from:] = [sha256(b"x" + one).digest() for one in states[false_from:]]
        return tuple(Digest(one) for one in states)

    def leaves(name: bytes, *, lies: bool) -> bytes:
        salt = 1 if lies and false_from is not None else 0
        random = np.random.default_rng([salt, *name])
        data = np.full((layout.chunk_count, UPDATE_LEAF_BYTES), 8, np.uint8)
        data[:, 1:] = 128 + random.integers(-3, 4, (layout.chunk_count, UPDATE_LEAF_BYTES - 1))
        return data.tobytes()

    def update(*, model, shards, seed, round_no, seat) -> Learned:
        name = work(model, shards, seed, round_no, seat)
        return Learned(
            update_bytes=leaves(name, lies=True),
            trace_digests=list(trace(name, lies=True)),
            loss_first=2.0,
            loss_last=1.0,
            steps=STEPS,
            train_s=0.0,
        )

    def retrain(*, model, shards, seed, round_no, seat):
        name = work(model, shards, seed, round_no, seat)
        return trace(name, lies=lies_again), leaves(name, lies=lies_again)

    def reexecute(*, index, state, segment: SegmentId, **inputs) -> Digest:
        name = work(**inputs)
        states = trace(name, lies=lies_again)
        if index < len(states):
            return states[index]
        return SumTree.from_leaves(
            segment_slice(layout, segment, leaves(name, lies=lies_again))
        ).root

    def state_at(*, index, **inputs) -> bytes:
        return bytes([index]) + work(**inputs)

    return Learner(
        class_id=class_id,
        update=update,
        retrain=retrain,
        reexecute=reexecute,
        state_at=state_at,
    )
