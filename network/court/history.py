"""A run's disputes, folded from the court's events; what ended long ago is forgotten.

The court serves many runs: only what concerns the followed one is kept. A dispute's clocks and
node are in the court's storage and not in its events; `last` tells when to read them again.
"""

from dataclasses import dataclass, field

from network.abi import Event
from network.court.contract import DisputeState, MergeCourtContract
from network.events import EventReader, Position
from network.rpc import Rpc
from protocol.types import Address, BlockNumber, Digest, RoundId, Seat

KEPT_BLOCKS = 256
"""How long an ended dispute is remembered: longer than a reorganisation is deep."""

_NAMES = (
    "TreeChallenged",
    "LeafChallenged",
    "ChildrenShown",
    "ChildChosen",
    "LeafShown",
    "DisputeEnded",
)

EventName = tuple[str, int]


@dataclass(slots=True, kw_only=True)
class DisputeHistory:
    """What the events tell of one dispute; `seat` is whose leaf is asked for, if one is."""

    number: int
    round_id: RoundId
    challenger: Address
    opened_block: BlockNumber
    seat: Seat | None = None
    shown: tuple[Digest, ...] = ()
    shown_below: Digest | None = None
    ended: DisputeState | None = None
    ended_block: BlockNumber | None = None
    last: EventName = ("", 0)

    @property
    def asks_for_leaf(self) -> bool:
        """Whether an update's leaf is in dispute, and not a merge."""
        return self.seat is not None


@dataclass(slots=True, kw_only=True)
class CourtFold:
    """The disputes of one run, by number, that the court's events add up to."""

    run: Address
    disputes: dict[int, DisputeHistory] = field(default_factory=dict)

    def apply(self, event: Event) -> bool:
        """Take one event in order; False if it does not concern the run."""
        handler = getattr(self, f"_on_{event.name}", None)
        return handler is not None and bool(handler(event))

    @property
    def open(self) -> tuple[DisputeHistory, ...]:
        """Those that have not ended, oldest first."""
        return tuple(one for _, one in sorted(self.disputes.items()) if one.ended is None)

    def forget(self, before: int) -> set[int]:
        """Drop what ended before a block; gives the numbers."""
        gone = {
            number
            for number, one in self.disputes.items()
            if one.ended_block is not None and one.ended_block < before
        }
        for number in gone:
            del self.disputes[number]
        return gone

    def _open(self, event: Event, seat: Seat | None = None) -> bool:
        a = event.args
        if a.run.lower() != self.run.lower():
            return False
        self.disputes[a.id] = DisputeHistory(
            number=a.id,
            round_id=a.round,
            challenger=a.challenger,
            opened_block=BlockNumber(event.block_number),
            seat=seat,
            last=_name_of(event),
        )
        return True

    def _on_TreeChallenged(self, event: Event) -> bool:  # noqa: N802 - named after the event
        return self._open(event)

    def _on_LeafChallenged(self, event: Event) -> bool:  # noqa: N802
        return self._open(event, Seat(event.args.seat))

    def _on_ChildrenShown(self, event: Event) -> bool:  # noqa: N802
        found = self._find(event)
        if found is not None:
            found.shown = tuple(event.args.children)
            found.shown_below = event.args.node
        return found is not None

    def _on_ChildChosen(self, event: Event) -> bool:  # noqa: N802
        found = self._find(event)
        if found is not None:
            found.shown, found.shown_below = (), None
        return found is not None

    def _on_LeafShown(self, event: Event) -> bool:  # noqa: N802
        return self._find(event) is not None

    def _on_DisputeEnded(self, event: Event) -> bool:  # noqa: N802
        found = self._find(event)
        if found is not None:
            found.ended = DisputeState(event.args.state)
            found.ended_block = BlockNumber(event.block_number)
        return found is not None

    def _find(self, event: Event) -> DisputeHistory | None:
        found = self.disputes.get(event.args.id)
        if found is not None:
            found.last = _name_of(event)
        return found


class CourtHistory:
    """Follows the disputes of one run from a block on; not safe for several threads."""

    def __init__(
        self, rpc: Rpc, court: MergeCourtContract, run: Address, *, first_block: int = 0
    ) -> None:
        self._reader = EventReader(rpc, court.abi, [court.address], names=_NAMES)
        self._first = BlockNumber(first_block)
        self._position: Position | None = None
        self._log: list[Event] = []
        self.fold = CourtFold(run=run)

    def update(self) -> CourtFold:
        """Read what is new and return the fold; after a reorganisation it is folded anew."""
        for batch in self._reader.read(self._first, after=self._position):
            if batch.rewound:
                self._log = [event for event in self._log if event.block_number < batch.start]
                self.fold = CourtFold(run=self.fold.run)
                for event in self._log:
                    self.fold.apply(event)
            self._log += [event for event in batch.events if self.fold.apply(event)]
            self._position = batch.position
            gone = self.fold.forget(batch.position.block_number - KEPT_BLOCKS)
            if gone:
                self._log = [event for event in self._log if event.args.id not in gone]
        return self.fold


def _name_of(event: Event) -> EventName:
    return (event.block_hash, event.log_index)
