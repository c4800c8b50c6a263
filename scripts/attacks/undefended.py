"""The same run without any defence, in one process: no norm bound, no check, no audit, no slash.

The specification, shards, seeds, local training and exact merge are those of the demo, and the
chain changes none of them: as long as the defence has not acted, both make the same models, bit for
bit, which `make attacks` checks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coordinator.create_run import publish_run
from coordinator.plan_file import plan_from
from coordinator.publish import publish_dataset
from learning.tasks import ClassificationTask, Rows, load_task
from learning.tasks.rows import pack_rows
from network.content import model_root
from network.run import ZERO_ADDRESS
from network.store import LocalStore
from protocol.assignment import fixed_shard, shards_of
from protocol.codec import UPDATE_LEAF_BYTES, decode_model, decode_update, model_leaves
from protocol.merge import merge_chunks
from protocol.rounds import weights
from protocol.spec import Assignment, RunSpec
from protocol.types import Digest, Gwei, RoundId, Seat
from scripts.adversaries.catalogue import LEARNERS
from scripts.adversaries.learners import LyingLearner, Scene
from scripts.adversaries.lies import silence
from scripts.attacks.scoring import Examiner
from scripts.beacon import fixed_seed
from trainer.training import Learner, load_learner

STAKE_GWEI = Gwei(10**9)
_CPU: Final = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who takes part: honest trainers in the first seats, then so many of one adversary."""

    honest: int
    adversary: str | None = None
    adversaries: int = 0
    companion: str | None = None
    """Who cheats beside them in one more seat."""

    @property
    def seats(self) -> int:
        """All trainers."""
        return self.honest + self.adversaries + (0 if self.companion is None else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a run starts from; equal for equal numbers of shards."""

    spec: RunSpec
    genesis: bytes
    shards: tuple[bytes, ...]
    test_set: bytes
    norm_bound: int

    @property
    def examiner(self) -> Examiner:
        """Scores the run's models."""
        task = load_task(self.spec.task)
        assert isinstance(task, ClassificationTask), "the demo's tasks are"
        return Examiner(task=task, spec=self.spec, test_set=self.test_set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The model after a round."""

    round_id: RoundId
    theta: NDArray[np.int32]
    root: Digest


def prepare(folder: Path, *, task: str, shards: int, epochs: int) -> Ground:
    """Publish into a folder what the demo publishes, and read it back."""
    loaded = load_task(task)
    with LocalStore(folder) as store:
        manifest, cid = publish_dataset(store, loaded, shards=shards, split="iid")
        plan = plan_from(
            {"epochs": epochs}, name="demo", task=loaded, manifest=cid, beacon=ZERO_ADDRESS
        )
        spec, params = publish_run(store, plan, task=loaded)
        return Ground(
            spec=spec,
            genesis=store.get(params.genesis, max_bytes=params.genesis_size),
            shards=tuple(store.get(s.cid, max_bytes=s.cid.size) for s in manifest.shards),
            test_set=store.get(manifest.test.cid, max_bytes=manifest.test.cid.size),
            norm_bound=params.norm_bound,
        )


def train_undefended(ground: Ground, cast: Cast, *, rounds: int) -> Iterator[Step]:
    """The model after each round, with everybody's bytes merged as they come."""
    spec, chunks = ground.spec, ground.spec.layout.chunk_count
    assert spec.segments == 1, "a round merges the whole model"
    shared = weights([STAKE_GWEI] * cast.seats, cap=STAKE_GWEI)
    history: dict[int, Mapping[Seat, bytes]] = {}
    learners = _seat_learners(ground, cast, history)
    model = ground.genesis
    for number in range(1, rounds + 1):
        seed = fixed_seed(number)
        updates = {}
        for rank, learner in enumerate(learners):
            dealt = _deal(ground, rank, seed)
            updates[Seat(rank)] = learner.update(
                model=model,
                shards=[ground.shards[one] for one in dealt],
                seed=seed,
                round_no=number,
                seat=rank,
            ).update_bytes
        history[number] = updates
        theta, m = decode_model(model, chunks, momentum=spec.merge.momentum)
        decoded = [decode_update(fitted(data, chunks), chunks) for data in updates.values()]
        theta, m = merge_chunks(theta, m, decoded, shared, spec.merge)
        model = model_leaves(theta, m)
        root = model_root(model, momentum=spec.merge.momentum)
        yield Step(round_id=RoundId(number), theta=theta, root=root)


def with_own_shards(ground: Ground, owners: int, retouch: Callable[[Rows], Rows]) -> Ground:
    """The same run under the policy `fixed`, where the last trainers' own shards are bad."""
    task = ground.examiner.task
    keep = len(ground.shards) - owners
    touched = [pack_rows(retouch(task.parse_shard(data))).data for data in ground.shards[keep:]]
    spec = replace(ground.spec, assignment=Assignment(policy="fixed"))
    return replace(ground, spec=spec, shards=(*ground.shards[:keep], *touched))


def _deal(ground: Ground, rank: int, seed: Digest) -> Sequence[int]:
    if ground.spec.assignment.policy == "fixed":
        return (fixed_shard(seat=Seat(rank), shard_count=len(ground.shards)),)
    return shards_of(
        rank=rank,
        shards_per_trainer=ground.spec.assignment.shards_per_trainer,
        shard_count=len(ground.shards),
        seed=seed,
    )


def fitted(update: bytes, chunks: int) -> bytes:
    """Bytes of any length as an update: what is missing changes nothing, what is over is cut."""
    size = chunks * UPDATE_LEAF_BYTES
    return update[:size] + silence(chunks)[len(update) :]


def _seat_learners(
    ground: Ground, cast: Cast, history: Mapping[int, Mapping[Seat, bytes]]
) -> list[Learner | LyingLearner]:
    honest = load_learner(ground.spec, device=_CPU)
    scene = Scene(
        spec=ground.spec,
        norm_bound=ground.norm_bound,
        earlier=lambda number: history.get(number, {}),
        device=_CPU,
    )

    def make(name: str | None) -> Learner | LyingLearner:
        # Who only accuses or sits on a jury trains as it should.
        kind = LEARNERS.get(name or "")
        return honest if kind is None else kind(honest, scene)

    liars = [make(cast.adversary) for _ in range(cast.adversaries)]
    companions = [] if cast.companion is None else [make(cast.companion)]
    return [honest] * cast.honest + liars + companions
