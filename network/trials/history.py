"""A run's trials and findings, folded from the training court's events.

The court serves many runs: only what concerns the followed one is kept. A trial's clocks are in the
court's storage and not in its events; `last` tells when to read them again.
"""

from dataclasses import dataclass, field

from network.abi import Event
from network.events import EventReader, Position
from network.rpc import Rpc
from network.trials.contract import Finding, TrainingCourtContract, TrialState
from protocol.types import Address, BlockNumber, Digest, RoundId, Seat, Wei

KEPT_BLOCKS = 8_192
"""How long an ended trial is remembered: jurors are paid and fined after its end."""
KEEP_ALL = 1 << 62

_NAMES = (
    "Accused",
    "TraceShown",
    "Diverged",
    "JurySeated",
    "VoteSealed",
    "VotingStarted",
    "VoteOpened",
    "VotesCounted",
    "Appealed",
    "Redrawn",
    "TrialEnded",
    "JurorPaid",
    "JurorFined",
    "FindingPosted",
    "AuditorFined",
)

EventName = tuple[str, int]


@dataclass(slots=True, kw_only=True)
class JuryHistory:
    """A jury: its members' tickets, who sealed, what was opened, who was paid and fined."""

    tickets: dict[Address, int]
    sealed: set[Address] = field(default_factory=set)
    opened: dict[Address, Digest] = field(default_factory=dict)
    paid_wei: dict[Address, Wei] = field(default_factory=dict)
    fined: set[Address] = field(default_factory=set)
    verdict: TrialState | None = None


@dataclass(slots=True, kw_only=True)
class TrialHistory:
    """What the events tell of one trial."""

    number: int
    round_id: RoundId
    seat: Seat
    accused: Address
    accuser: Address
    class_id: Digest
    own_root: Digest
    opened_block: BlockNumber
    defender: Address | None = None
    shown: tuple[Digest, ...] = ()
    index: int | None = None
    before: Digest | None = None
    accused_digest: Digest | None = None
    accuser_digest: Digest | None = None
    juries: dict[int, JuryHistory] = field(default_factory=dict)
    appellant: Address | None = None
    ended: TrialState | None = None
    winner: Address | None = None
    ended_block: BlockNumber | None = None
    last: EventName = ("", 0)

    @property
    def jury(self) -> JuryHistory | None:
        """The jury that was seated last."""
        return self.juries[max(self.juries)] if self.juries else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedFinding:
    """What a drawn auditor found of an update, and what it was paid for that."""

    round_id: RoundId
    seat: Seat
    auditor: Address
    finding: Finding
    paid_wei: Wei
    block_number: BlockNumber


@dataclass(slots=True, kw_only=True)
class TrialFold:
    """The trials and findings of one run that the court's events add up to."""

    run: Address
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    findings: dict[tuple[int, int], PostedFinding] = field(default_factory=dict)
    fined_auditors: dict[tuple[int, int], Address] = field(default_factory=dict)

    def apply(self, event: Event) -> bool:
        """Take one event in order; False if it does not concern the run."""
        handler = getattr(self, f"_on_{event.name}", None)
        return handler is not None and bool(handler(event))

    @property
    def open(self) -> tuple[TrialHistory, ...]:
        """Those that have not ended, oldest first."""
        return tuple(one for _, one in sorted(self.trials.items()) if one.ended is None)

    @property
    def ended(self) -> tuple[TrialHistory, ...]:
        """Those that have ended, oldest first."""
        return tuple(one for _, one in sorted(self.trials.items()) if one.ended is not None)

    def trials_of(self, round_id: int, seat: int) -> tuple[TrialHistory, ...]:
        """The trials of one update, oldest first."""
        return tuple(
            one
            for _, one in sorted(self.trials.items())
            if one.round_id == round_id and one.seat == seat
        )

    def forget(self, before: int) -> set[int]:
        """Drop the trials that ended before a block; gives their numbers."""
        gone = {
            number
            for number, one in self.trials.items()
            if one.ended_block is not None and one.ended_block < before
        }
        for number in gone:
            del self.trials[number]
        return gone

    def _is_ours(self, event: Event) -> bool:
        return bool(event.args.run.lower() == self.run.lower())

    def _on_Accused(self, event: Event) -> bool:  # noqa: N802 - named after the event
        if not self._is_ours(event):
            return False
        a = event.args
        self.trials[a.id] = TrialHistory(
            number=a.id,
            round_id=a.round,
            seat=a.seat,
            accused=a.accused,
            accuser=a.accuser,
            class_id=a.classId,
            own_root=a.ownRoot,
            opened_block=BlockNumber(event.block_number),
            last=_name_of(event),
        )
        return True

    def _on_TraceShown(self, event: Event) -> bool:  # noqa: N802
        found = self._find(event)
        if found is not None:
            found.defender, found.shown = event.args.defender, tuple(event.args.digests)
        return found is not None

    def _on_Diverged(self, event: Event) -> bool:  # noqa: N802
        found, a = self._find(event), event.args
        if found is not None:
            found.index, found.before = a.index, a.before
            found.accused_digest, found.accuser_digest = a.accusedDigest, a.accuserDigest
        return found is not None

    def _on_JurySeated(self, event: Event) -> bool:  # noqa: N802
        found, a = self._find(event), event.args
        if found is not None:
            tickets = dict(zip(a.jurors, a.tickets, strict=True))
            found.juries[a.level] = JuryHistory(tickets=tickets)
        return found is not None

    def _on_VoteSealed(self, event: Event) -> bool:  # noqa: N802
        jury = self._find_jury(event)
        if jury is not None:
            jury.sealed.add(event.args.juror)
        return jury is not None

    def _on_VotingStarted(self, event: Event) -> bool:  # noqa: N802
        return self._find(event) is not None

    def _on_VoteOpened(self, event: Event) -> bool:  # noqa: N802
        jury = self._find_jury(event)
        if jury is not None:
            jury.opened[event.args.juror] = event.args.digest
        return jury is not None

    def _on_VotesCounted(self, event: Event) -> bool:  # noqa: N802
        jury = self._find_jury(event)
        if jury is not None:
            jury.verdict = TrialState(event.args.verdict)
        return jury is not None

    def _on_Appealed(self, event: Event) -> bool:  # noqa: N802
        found = self._find(event)
        if found is not None:
            found.appellant = event.args.appellant
        return found is not None

    def _on_Redrawn(self, event: Event) -> bool:  # noqa: N802
        return self._find(event) is not None

    def _on_TrialEnded(self, event: Event) -> bool:  # noqa: N802
        found = self._find(event)
        if found is not None:
            found.ended = TrialState(event.args.state)
            found.winner = event.args.winner
            found.ended_block = BlockNumber(event.block_number)
        return found is not None

    def _on_JurorPaid(self, event: Event) -> bool:  # noqa: N802
        jury = self._find_jury(event)
        if jury is not None:
            jury.paid_wei[event.args.juror] = Wei(event.args.amountWei)
        return jury is not None

    def _on_JurorFined(self, event: Event) -> bool:  # noqa: N802
        jury = self._find_jury(event)
        if jury is not None:
            jury.fined.add(event.args.juror)
        return jury is not None

    def _on_FindingPosted(self, event: Event) -> bool:  # noqa: N802
        if not self._is_ours(event):
            return False
        a = event.args
        self.findings[(a.round, a.seat)] = PostedFinding(
            round_id=a.round,
            seat=a.seat,
            auditor=a.auditor,
            finding=Finding(a.finding),
            paid_wei=Wei(a.paidWei),
            block_number=BlockNumber(event.block_number),
        )
        return True

    def _on_AuditorFined(self, event: Event) -> bool:  # noqa: N802
        if not self._is_ours(event):
            return False
        self.fined_auditors[(event.args.round, event.args.seat)] = event.args.auditor
        return True

    def _find(self, event: Event) -> TrialHistory | None:
        found = self.trials.get(event.args.id)
        if found is not None:
            found.last = _name_of(event)
        return found

    def _find_jury(self, event: Event) -> JuryHistory | None:
        found = self._find(event)
        return None if found is None else found.juries.get(event.args.level)


class TrialsHistory:
    """Follows the trials of one run from a block on; not safe for several threads."""

    def __init__(
        self,
        rpc: Rpc,
        court: TrainingCourtContract,
        run: Address,
        *,
        first_block: int = 0,
        kept_blocks: int = KEPT_BLOCKS,
    ) -> None:
        self._reader = EventReader(rpc, court.abi, [court.address], names=_NAMES)
        self._first = BlockNumber(first_block)
        self._kept_blocks = kept_blocks
        self._position: Position | None = None
        self._log: list[Event] = []
        self.fold = TrialFold(run=run)

    def update(self) -> TrialFold:
        """Read what is new and return the fold; after a reorganisation it is folded anew."""
        for batch in self._reader.read(self._first, after=self._position):
            if batch.rewound:
                self._log = [event for event in self._log if event.block_number < batch.start]
                self.fold = TrialFold(run=self.fold.run)
                for event in self._log:
                    self.fold.apply(event)
            self._log += [event for event in batch.events if self.fold.apply(event)]
            self._position = batch.position
            gone = self.fold.forget(batch.position.block_number - self._kept_blocks)
            if gone:
                self._log = [e for e in self._log if getattr(e.args, "id", None) not in gone]
        return self.fold


def _name_of(event: Event) -> EventName:
    return (event.block_hash, event.log_index)
