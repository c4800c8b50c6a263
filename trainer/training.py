"""One round's training: shards, local update, header. Docs/protocol.md sections 3 and 5.

torch is imported by the first `train` or `class_id`, in the thread that trains.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from network.history import RoundHistory
from network.run import RunParams
from network.store import ContentStore
from protocol.assignment import fixed_shard, segment_of, shards_of
from protocol.cid import cid_of
from protocol.codec import UPDATE_LEAF_BYTES, decode_model
from protocol.errors import InvalidUpdate
from protocol.layout import Layout
from protocol.manifest import Manifest
from protocol.merkle import SumTree
from protocol.rounds import UpdateHeader, rank_of, trace_root
from protocol.spec import RunSpec
from protocol.types import Digest, Seat, SegmentId, ShardId

_log = structlog.get_logger(__name__)

MAX_SHARD_BYTES = 1 << 30
_SHARD_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """An update ready to be committed to, how its training went, and s_0 .. s_H to defend it."""

    header: UpdateHeader
    update_bytes: bytes
    segment: SegmentId
    shards: tuple[ShardId, ...]
    loss_first: float
    loss_last: float
    steps: int
    train_s: float
    trace_digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What `learning.local_update` gives, as far as a commitment needs it."""

    update_bytes: bytes
    trace_digests: list[bytes]
    loss_first: float
    loss_last: float
    steps: int
    train_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """The part of `learning` that a node needs; a test brings its own.

    All take `model`, `shards`, `seed`, `round_no` and `seat`. `retrain` gives (s_0 .. s_H, update
    of the whole model, empty if training diverged); `reexecute` takes `index`, `state` and
    `segment` too and gives the digest at that trace index; `state_at` takes `index`.
    """

    class_id: Digest
    update: Callable[..., Learned]
    retrain: Callable[..., tuple[tuple[Digest, ...], bytes]]
    reexecute: Callable[..., Digest]
    state_at: Callable[..., bytes]


def load_learner(spec: RunSpec, *, device: str = "auto") -> Learner:
    """Import torch, load the run's task and name this machine's determinism class.

    Raises UnknownTask, DeviceUnavailable.
    """
    from learning import determinism, replay  # noqa: PLC0415 - torch takes seconds, checks go first
    from learning.local_update import train  # noqa: PLC0415 - as above
    from learning.loop import Work  # noqa: PLC0415 - as above
    from learning.tasks import load_task  # noqa: PLC0415 - as above

    task = load_task(spec.task)
    determinism.pin()
    where = determinism.pick_device(device)  # type: ignore[arg-type] # it refuses unknown names

    def work(*, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int) -> Work:
        theta, _ = decode_model(model, spec.layout.chunk_count, momentum=spec.merge.momentum)
        return Work(
            task=task,
            theta=theta.reshape(-1),
            layout=spec.layout,
            shards=shards,
            hyper=spec.training,
            seed=seed,
            round_no=round_no,
            seat=seat,
            device=device,  # type: ignore[arg-type] # as above
            params=spec.task_params,
            fraction_bits=spec.fraction_bits,
        )

    def update(**inputs: Any) -> Learned:
        done = train(work(**inputs))
        return Learned(
            update_bytes=done.update_bytes,
            trace_digests=done.trace_digests,
            loss_first=done.loss_first,
            loss_last=done.loss_last,
            steps=done.steps,
            train_s=done.train_seconds,
        )

    def retrain(**inputs: Any) -> tuple[tuple[Digest, ...], bytes]:
        again = replay.retrain(work(**inputs))
        return again.trace_digests, again.update_bytes

    def reexecute(*, index: int, state: bytes | None, segment: SegmentId, **inputs: Any) -> Digest:
        return replay.reexecute(work(**inputs), index, state=state, segment=segment).digest

    def state_at(*, index: int, **inputs: Any) -> bytes:
        return replay.state_at(work(**inputs), index)

    return Learner(
        class_id=Digest(determinism.class_id(where)),
        update=update,
        retrain=retrain,
        reexecute=reexecute,
        state_at=state_at,
    )


class ShardCache:
    """The run's shards, fetched once, each verified whenever it is read."""

    def __init__(self, store: ContentStore, folder: Path, manifest: Manifest) -> None:
        self._store = store
        self._folder = folder
        self.manifest = manifest
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, shard: ShardId) -> bytes:
        """A shard's bytes; raises what `ContentStore.get` raises."""
        cid = self.manifest.shards[shard].cid
        path = self._folder / cid.text
        if path.exists():
            data = path.read_bytes()
            if cid_of(data) == cid:
                return data
            _log.warning("shard_file_damaged", path=str(path))
        data = self._store.get(cid, max_bytes=MAX_SHARD_BYTES, deadline_s=_SHARD_DEADLINE_S)
        aside = path.with_suffix(f".{os.getpid()}.part")
        try:
            aside.write_bytes(data)
            aside.replace(path)
        except OSError as error:
            # The bytes are here and good; a full disk costs only the next fetch.
            _log.warning("shard_not_cached", shard=shard, reason=str(error))
        return data


def assigned_shards(
    spec: RunSpec, manifest: Manifest, found: RoundHistory, seat: Seat
) -> tuple[ShardId, ...]:
    """The shards that a seat trains on in a round. Section 5."""
    count = len(manifest.shards)
    if spec.assignment.policy == "fixed":
        return (fixed_shard(seat=seat, shard_count=count),)
    return shards_of(
        rank=rank_of(seat, found.roster),
        shards_per_trainer=spec.assignment.shards_per_trainer,
        shard_count=count,
        seed=found.seed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What a seat trains on in a round, and for which segment."""

    numbers: tuple[ShardId, ...]
    shards: list[bytes]
    segment: SegmentId

    def inputs(self, found: RoundHistory, seat: Seat) -> dict[str, Any]:
        """What every function of a `Learner` takes, but for the model."""
        return {
            "shards": self.shards,
            "seed": found.seed,
            "round_no": found.round_id,
            "seat": seat,
        }


def assign(
    spec: RunSpec, params: RunParams, cache: ShardCache, found: RoundHistory, seat: Seat
) -> Assigned:
    """A seat's shards, fetched, and its segment; raises what the store raises. Section 5."""
    numbers = assigned_shards(spec, cache.manifest, found, seat)
    segment = segment_of(
        rank=rank_of(seat, found.roster), segment_count=params.segments, seed=found.seed
    )
    shards = [cache.get(number) for number in numbers]
    return Assigned(numbers=numbers, shards=shards, segment=segment)


class Trainer:
    """Trains one round at a time; its `train` may run in any one thread."""

    def __init__(
        self, *, spec: RunSpec, params: RunParams, shards: ShardCache, learner: Learner
    ) -> None:
        self._spec = spec
        self._params = params
        self._shards = shards
        self._learner = learner

    @property
    def class_id(self) -> Digest:
        """This machine's determinism class."""
        return self._learner.class_id

    def train(self, *, model: bytes, found: RoundHistory, seat: Seat) -> Trained:
        """The update of a seat's segment, from the parent model's bytes.

        Raises NonFiniteUpdate, OutOfMemory, InvalidShard, what the store raises, and InvalidUpdate
        if the update is beyond the run's norm bound.
        """
        assigned = assign(self._spec, self._params, self._shards, found, seat)
        learned = self._learner.update(model=model, **assigned.inputs(found, seat))
        update = segment_slice(self._spec.layout, assigned.segment, learned.update_bytes)
        digests = tuple(Digest(digest) for digest in learned.trace_digests)
        header = describe_update(update, digests, self._learner.class_id)
        if header.ssq > self._params.norm_bound:
            raise InvalidUpdate(
                what="sum of squares", expected=self._params.norm_bound, actual=header.ssq
            )
        return Trained(
            header=header,
            update_bytes=update,
            segment=assigned.segment,
            shards=assigned.numbers,
            loss_first=learned.loss_first,
            loss_last=learned.loss_last,
            steps=learned.steps,
            train_s=learned.train_s,
            trace_digests=digests,
        )


def describe_update(update: bytes, digests: Sequence[Digest], class_id: Digest) -> UpdateHeader:
    """The header of a segment's update object whose training left these digests. Section 3."""
    tree = SumTree.from_leaves(update)
    cid = cid_of(update)
    return UpdateHeader(
        update_root=tree.root,
        ssq=tree.ssq,
        trace_root=trace_root(digests, tree.root),
        class_id=class_id,
        update_cid=cid.digest,
        update_size=cid.size,
    )


def segment_slice(layout: Layout, segment: SegmentId, update_bytes: bytes) -> bytes:
    """The leaves of one segment out of the leaves of the whole model."""
    chunks = layout.segment_chunks(segment)
    return update_bytes[chunks.start * UPDATE_LEAF_BYTES : chunks.stop * UPDATE_LEAF_BYTES]
