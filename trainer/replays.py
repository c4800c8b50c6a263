"""Other trainers' work done again, beside the own: each piece once, in the workshop's order."""

from dataclasses import dataclass
from typing import Protocol

from network.content import check_model
from network.desk import Desk, Failed, Finished
from network.history import Revealed, RoundHistory, RunFold
from network.store import ContentStore
from protocol.cid import Cid
from protocol.errors import ContentUnavailable
from protocol.layout import Layout
from protocol.types import Digest, Seat
from trainer.comparing import Comparer, Redone
from trainer.models import ModelCache
from trainer.replaying import Replay
from trainer.workshop import Urgency, Workshop


class Replaying(Protocol):
    """The part of `trainer.replaying.Replayer` that the roles need."""

    @property
    def class_id(self) -> Digest:
        """This machine's determinism class."""

    def replay(
        self, *, model: bytes, found: RoundHistory, seat: Seat, revealed: Revealed
    ) -> Replay:
        """Do all of a seat's work again, and compare."""

    def step(
        self,
        *,
        model: bytes,
        found: RoundHistory,
        seat: Seat,
        index: int,
        state: bytes | None,
    ) -> Digest:
        """The digest at a trace index, by own work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentModels:
    """Reads the models that rounds began with; safe for several threads.

    Raises what the store raises, and InvalidModel.
    """

    store: ContentStore
    cache: ModelCache
    layout: Layout
    momentum: bool

    def read(self, root: Digest, model: Cid | None) -> bytes:
        """The model of a root, from the disk or from where the chain says that it is."""
        if self.cache.has(root):
            return self.cache.read(root)
        if model is None:
            raise ContentUnavailable(cid=root.hex(), reason="the chain names no object of it")
        return check_model(self.store, model, root, layout=self.layout, momentum=self.momentum)


class Replays:
    """Asks are answered by what came of the work; None while it waits or runs. Use from one thread.

    `desk` wakes the loop when a piece of work has ended.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        workshop: Workshop,
        replayer: Replaying,
        models: ParentModels,
        comparer: Comparer,
    ) -> None:
        self._desk = desk
        self._workshop = workshop
        self._replayer = replayer
        self._models = models
        self._comparer = comparer

    @property
    def class_id(self) -> Digest:
        """This machine's determinism class."""
        return self._replayer.class_id

    def whole(
        self,
        fold: RunFold,
        found: RoundHistory,
        revealed: Revealed,
        *,
        urgency: Urgency = Urgency.AUDIT,
    ) -> Finished[Redone] | Failed | None:
        """All of an update's training."""
        root, model = found.parent_root, fold.object_of(found.parent_root)

        def work() -> Redone:
            parent = self._models.read(root, model)
            replay = self._workshop.queue(
                urgency,
                lambda: self._replayer.replay(
                    model=parent, found=found, seat=revealed.seat, revealed=revealed
                ),
            ).result()
            return self._comparer.compare(replay, found, revealed)

        name = ("replay", found.attempt, found.seed, found.parent_root, revealed)
        return self._desk.ask(name, work)

    def step(
        self, fold: RunFold, found: RoundHistory, seat: Seat, index: int
    ) -> Finished[Digest] | Failed | None:
        """One disputed step."""
        root, model = found.parent_root, fold.object_of(found.parent_root)

        def work() -> Digest:
            parent = self._models.read(root, model)
            return self._workshop.queue(
                Urgency.TRIAL,
                lambda: self._replayer.step(
                    model=parent, found=found, seat=seat, index=index, state=None
                ),
            ).result()

        name = ("step", found.attempt, found.seed, found.parent_root, seat, index)
        return self._desk.ask(name, work)
