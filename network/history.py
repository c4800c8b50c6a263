"""A run's rounds, folded from its events: what anybody can rebuild from the chain alone.

Docs/protocol.md section 4 says what each event means. The fold is pure; `RunHistory` feeds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from eth_utils.crypto import keccak

from network.abi import Event
from network.events import EventReader, Position
from network.rpc import Rpc
from network.run import RunContract, RunParams
from protocol.assignment import segment_of
from protocol.cid import Cid
from protocol.codec import model_leaf_bytes
from protocol.proofs import inputs_preimage
from protocol.rounds import (
    InputEntry,
    Opinion,
    Tally,
    UpdateHeader,
    address_bytes,
    bitmap_of,
    header_hash,
    inputs_hash,
    rank_of,
    seats_in,
    weights,
)
from protocol.types import (
    Address,
    Attempt,
    BlockNumber,
    Digest,
    Gwei,
    RoundId,
    Seat,
    SegmentId,
    Wei,
)

ALL_BPS = 10_000


class Outcome(IntEnum):
    """What became of a round so far."""

    OPEN = 0
    PROPOSED = 1
    FINAL = 2
    FAILED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """A revealed update and its author."""

    seat: Seat
    trainer: Address
    header: UpdateHeader

    @property
    def cid(self) -> Cid:
        """The update object."""
        return Cid(digest=self.header.update_cid, size=self.header.update_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed merge."""

    proposer: Address
    model_root: Digest
    model: Cid
    finalizable_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conviction:
    """A proposal that the merge court convicted, also after trainers had rejected it."""

    proposal: Proposal
    beneficiary: Address
    paid_wei: Wei
    burned_wei: Wei


def proposal_id(round_id: int, seed: Digest, proposal: Proposal) -> Digest:
    """The run's name of a proposal, by which the merge court knows it."""
    words = (
        round_id.to_bytes(32, "big"),
        seed,
        proposal.model_root,
        address_bytes(proposal.proposer).rjust(32, b"\0"),
        proposal.finalizable_at_s.to_bytes(32, "big"),
    )
    return keccak(b"".join(words))


@dataclass(slots=True, kw_only=True)
class RoundHistory:
    """One round, as far as it got; a reopened round starts anew with a higher attempt.

    `rejected` are the proposals that no longer stand, oldest first; `convictions` those of them
    that the merge court convicted. Bitmaps of seats: `convicted` are those whose updates a court
    convicted, `unpaid` those whose included updates two thirds of the stake called harmful.
    `posted` is what `postAttestations` recorded.
    """

    round_id: RoundId
    attempt: Attempt
    seed: Digest
    parent_root: Digest
    roster: int
    roster_stake_gwei: Gwei
    opened: Event
    commitments: dict[Seat, Digest] = field(default_factory=dict)
    dissents: dict[Seat, Digest] = field(default_factory=dict)
    reveals: dict[Seat, Revealed] = field(default_factory=dict)
    attested: dict[Seat, Opinion] = field(default_factory=dict)
    posted: Tally = field(default_factory=Tally)
    included: int = 0
    inputs_hashes: tuple[Digest, ...] = ()
    inputs: tuple[tuple[InputEntry, ...], ...] = ()
    proposal: Proposal | None = None
    rejected: list[Proposal] = field(default_factory=list)
    convictions: list[Conviction] = field(default_factory=list)
    convicted: int = 0
    unpaid: int = 0
    outcome: Outcome = Outcome.OPEN
    failure: int | None = None
    rewards_wei: dict[Address, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def model_root(self) -> Digest | None:
        """The root this round left, or its parent's if it failed; None while undecided."""
        if self.outcome is Outcome.FAILED:
            return self.parent_root
        return self.proposal.model_root if self.proposal else None

    def take_back(self) -> None:
        """The proposal no longer stands."""
        if self.proposal is not None:
            self.rejected.append(self.proposal)
        self.proposal = None

    def input_preimages(self) -> list[bytes]:
        """What `finalize` wants: the preimage of each segment's inputs hash. Section 4."""
        return [inputs_preimage(segment) for segment in self.inputs]


@dataclass(slots=True, kw_only=True)
class RunFold:
    """The state that a run's events add up to."""

    params: RunParams
    rounds: dict[int, RoundHistory] = field(default_factory=dict)
    stakes_gwei: dict[Seat, Gwei] = field(default_factory=dict)
    trainers: dict[Seat, Address] = field(default_factory=dict)
    voided: list[RoundHistory] = field(default_factory=list)

    def apply(self, event: Event) -> None:
        """Take one event in order."""
        handler = getattr(self, f"_on_{event.name}", None)
        if handler is not None:
            handler(event)
        number = getattr(event.args, "round", None)
        if number is not None and number in self.rounds:
            self.rounds[number].events.append(event)

    def _on_Enrolled(self, event: Event) -> None:  # noqa: N802 - named after the event
        self.stakes_gwei[event.args.seat] = event.args.stakeGwei
        self.trainers[event.args.seat] = event.args.trainer

    def _on_Released(self, event: Event) -> None:  # noqa: N802
        self.stakes_gwei.pop(event.args.seat, None)
        self.trainers.pop(event.args.seat, None)

    def _on_FeeCharged(self, event: Event) -> None:  # noqa: N802
        for seat, trainer in self.trainers.items():
            if trainer == event.args.trainer:
                self.stakes_gwei[seat] = Gwei(self.stakes_gwei[seat] - event.args.feeGwei)

    def _on_RoundOpened(self, event: Event) -> None:  # noqa: N802
        a = event.args
        self.rounds[a.round] = RoundHistory(
            round_id=a.round,
            attempt=a.attempt,
            seed=a.seed,
            parent_root=a.parentRoot,
            roster=a.roster,
            roster_stake_gwei=a.rosterStakeGwei,
            opened=event,
        )

    def _on_Committed(self, event: Event) -> None:  # noqa: N802
        self.rounds[event.args.round].commitments[event.args.seat] = event.args.commitment

    def _on_Dissented(self, event: Event) -> None:  # noqa: N802
        self.rounds[event.args.round].dissents[event.args.seat] = event.args.parentRoot

    def _on_Revealed(self, event: Event) -> None:  # noqa: N802
        a = event.args
        self.rounds[a.round].reveals[a.seat] = Revealed(
            seat=a.seat,
            trainer=a.trainer,
            header=UpdateHeader(
                update_root=a.updateRoot,
                ssq=a.ssq,
                trace_root=a.traceRoot,
                class_id=a.classId,
                update_cid=a.updateCid,
                update_size=a.updateSize,
            ),
        )

    def _on_Attested(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        for seat, trainer in self.trainers.items():
            if trainer == event.args.trainer:
                found.attested[seat] = Opinion(
                    available=event.args.available, harmful=event.args.harmful
                )

    def _on_AttestationsPosted(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        found.posted = Tally(
            available=found.posted.available | event.args.available,
            harmful=found.posted.harmful | event.args.harmful,
            contested=event.args.contested,
        )

    def _on_UpdatesFrozen(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        found.included = event.args.included
        found.inputs_hashes = tuple(event.args.inputsHashes)
        found.inputs = self.freeze_inputs(found, self.stakes_gwei)

    def _on_UpdatesUnpaid(self, event: Event) -> None:  # noqa: N802
        self.rounds[event.args.round].unpaid = event.args.seats

    def _on_MergeProposed(self, event: Event) -> None:  # noqa: N802
        a = event.args
        found = self.rounds[a.round]
        found.proposal = Proposal(
            proposer=a.proposer,
            model_root=a.modelRoot,
            model=Cid(digest=a.modelCid, size=a.modelSize),
            finalizable_at_s=a.finalizableAt,
        )
        found.outcome = Outcome.PROPOSED

    def _on_RoundFailed(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        found.take_back()
        found.outcome, found.failure = Outcome.FAILED, event.args.reason

    def _on_RoundVoided(self, event: Event) -> None:  # noqa: N802
        found = self.rounds.pop(event.args.round, None)
        if found is not None:
            self.voided.append(found)

    def _on_MergeReopened(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        found.take_back()
        found.outcome = Outcome.OPEN

    def _on_MergeConvicted(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        if found.rejected:  # the same call took it back
            found.convictions.append(_conviction(found.rejected[-1], event))

    def _on_RejectedConvicted(self, event: Event) -> None:  # noqa: N802
        for found in (*self.rounds.values(), *self.voided):
            for one in found.rejected:
                if proposal_id(found.round_id, found.seed, one) == event.args.proposal:
                    found.convictions.append(_conviction(one, event))

    def _on_UpdateConvicted(self, event: Event) -> None:  # noqa: N802
        found = self.rounds.get(event.args.round)
        if found is not None:
            mine = (s for s, r in found.reveals.items() if r.trainer == event.args.trainer)
            found.convicted |= bitmap_of(mine)
        # The run takes its share of what lies at the seat; what was unbonding does not count here.
        for seat, trainer in self.trainers.items():
            if trainer == event.args.trainer:
                held = self.stakes_gwei[seat]
                self.stakes_gwei[seat] = Gwei(held - held * self.params.slash_bps // ALL_BPS)

    def _on_RewardCredited(self, event: Event) -> None:  # noqa: N802
        self.rounds[event.args.round].rewards_wei[event.args.trainer] = event.args.amountWei

    def _on_RoundFinalized(self, event: Event) -> None:  # noqa: N802
        found = self.rounds[event.args.round]
        if found.outcome is Outcome.PROPOSED:
            found.outcome = Outcome.FINAL

    def object_of(self, root: Digest) -> Cid | None:
        """Where the chain says that a model is; None if it names no object of a model's size."""
        size = self.params.chunks * model_leaf_bytes(momentum=self.params.momentum)
        if root == self.params.genesis_root:
            return self.params.genesis
        for _, found in sorted(self.rounds.items(), reverse=True):
            for one in (found.proposal, *found.rejected):
                if one is not None and one.model_root == root and one.model.size == size:
                    return one.model
        return None

    def freeze_inputs(
        self, found: RoundHistory, stakes_gwei: dict[Seat, Gwei]
    ) -> tuple[tuple[InputEntry, ...], ...]:
        """The included updates and their weights, by segment.

        Empty if they do not hash to the chain's inputs hashes: a court took stake meanwhile.
        """
        inputs = self.inputs_of(found, found.included, stakes_gwei)
        hashes = tuple(inputs_hash(entries) for entries in inputs)
        return inputs if hashes == found.inputs_hashes else ()

    def inputs_of(
        self, found: RoundHistory, included: int, stakes_gwei: dict[Seat, Gwei]
    ) -> tuple[tuple[InputEntry, ...], ...]:
        """What a freeze that includes these seats would fix, by segment. Section 4."""
        members: list[list[Seat]] = [[] for _ in range(self.params.segments)]
        for seat in seats_in(included):
            members[self.segment_at(found, seat)].append(seat)
        inputs = []
        for seats in members:
            stakes = [stakes_gwei[seat] for seat in seats]
            shares = weights(stakes, self.params.stake_cap_gwei)
            inputs.append(
                tuple(
                    InputEntry(
                        trainer=found.reveals[seat].trainer,
                        seat=seat,
                        weight=share,
                        update_root=found.reveals[seat].header.update_root,
                        header_hash=header_hash(found.reveals[seat].header),
                    )
                    for seat, share in zip(seats, shares, strict=True)
                )
            )
        return tuple(inputs)

    def segment_at(self, found: RoundHistory, seat: Seat) -> SegmentId:
        """The segment that a seat trains in a round. Section 5."""
        return segment_of(
            rank=rank_of(seat, found.roster), segment_count=self.params.segments, seed=found.seed
        )


def _conviction(proposal: Proposal, event: Event) -> Conviction:
    a = event.args
    return Conviction(
        proposal=proposal,
        beneficiary=a.beneficiary,
        paid_wei=a.paidWei,
        burned_wei=a.burnedWei,
    )


class RunHistory:
    """Follows one run's events from the block that made it; not safe for several threads."""

    def __init__(self, rpc: Rpc, run: RunContract, *, first_block: int = 0) -> None:
        self._run = run
        self._reader = EventReader(rpc, run.abi, [run.address])
        self._first = BlockNumber(first_block)
        self._position: Position | None = None
        self._log: list[Event] = []
        self.fold = RunFold(params=run.params)

    def update(self) -> RunFold:
        """Read what is new and return the fold; after a reorganisation it is folded anew."""
        for batch in self._reader.read(self._first, after=self._position):
            if batch.rewound:
                self._log = [event for event in self._log if event.block_number < batch.start]
                self.fold = RunFold(params=self._run.params)
                for event in self._log:
                    self.fold.apply(event)
            for event in batch.events:
                self._log.append(event)
                self.fold.apply(event)
            self._position = batch.position
        return self.fold

    @property
    def events(self) -> tuple[Event, ...]:
        """Every event so far, in order."""
        return tuple(self._log)

    def finished_rounds(self) -> Iterator[RoundHistory]:
        """Rounds that left a model, in order."""
        for _, found in sorted(self.fold.rounds.items()):
            if found.outcome in (Outcome.PROPOSED, Outcome.FINAL):
                yield found
