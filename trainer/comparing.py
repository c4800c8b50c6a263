"""Whether an update of another class is near enough to the work done again here. Section 9."""

from dataclasses import dataclass

from network.history import Revealed, RoundHistory
from network.store import ContentStore
from protocol.distance import TOLERANCE, Likeness, measure_distance
from protocol.manifest import Manifest
from protocol.spec import RunSpec
from protocol.types import Seat
from trainer.replaying import Replay
from trainer.training import assigned_shards

_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redone:
    """A seat's work done again; `likeness` is said of another class's, where bits prove nothing."""

    replay: Replay
    likeness: Likeness | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparer:
    """Measures distances; safe for several threads. Raises what `ContentStore.get` raises."""

    store: ContentStore
    spec: RunSpec
    manifest: Manifest

    def compare(self, replay: Replay, found: RoundHistory, revealed: Revealed) -> Redone:
        """The replay, with the likeness if it is of another class."""
        if replay.same_class:
            return Redone(replay=replay)
        if replay.update_root == revealed.header.update_root:
            return Redone(replay=replay, likeness=Likeness.EQUAL)
        if not replay.update_bytes:
            return Redone(replay=replay, likeness=Likeness.APART)
        size = len(replay.update_bytes)
        if revealed.header.update_size != size:
            return Redone(replay=replay, likeness=Likeness.APART)
        data = self.store.get(revealed.cid, max_bytes=size, deadline_s=_DEADLINE_S)
        distance = measure_distance(data, replay.update_bytes)
        likeness = TOLERANCE.judge(distance, steps=self.steps(found, revealed.seat))
        return Redone(replay=replay, likeness=likeness)

    def steps(self, found: RoundHistory, seat: Seat) -> int:
        """How many local steps a seat's work has."""
        numbers = assigned_shards(self.spec, self.manifest, found, seat)
        rows = sum(self.manifest.shards[number].rows for number in numbers)
        training = self.spec.training
        return training.epochs * -(-rows // training.batch_size)
