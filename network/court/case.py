"""What a proposal rests on, as far as the court is concerned: taken from the run's history.

Immutable, so that a thread may compute with it while the history goes on.
"""

from dataclasses import dataclass

from network.history import Proposal, RoundHistory, RunFold, proposal_id
from network.run import RunParams
from protocol.cid import Cid
from protocol.rounds import InputEntry, UpdateHeader
from protocol.types import Attempt, Digest, RoundId, Seat, SegmentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One proposal: the frozen inputs and the parent that decide whether it is right.

    `headers` are the included updates', by seat; `parent_model` is None if the chain does not say
    where the parent's object is.
    """

    params: RunParams
    round_id: RoundId
    attempt: Attempt
    seed: Digest
    parent_root: Digest
    parent_model: Cid | None
    proposal: Proposal
    inputs: tuple[tuple[InputEntry, ...], ...]
    inputs_hashes: tuple[Digest, ...]
    preimages: tuple[bytes, ...]
    headers: dict[Seat, UpdateHeader]

    @property
    def id(self) -> Digest:
        """The run's `proposalId` of it."""
        return proposal_id(self.round_id, self.seed, self.proposal)

    @property
    def opened_s(self) -> int:
        """Unix time at which it was proposed."""
        return self.proposal.finalizable_at_s - self.params.dispute_s

    @property
    def updates(self) -> int:
        """Included updates."""
        return sum(len(segment) for segment in self.inputs)

    def share_s(self, share: float) -> float:
        """Unix time at which such a share of the dispute window is over."""
        return self.opened_s + share * self.params.dispute_s

    def chunks_of(self, segment: int) -> range:
        """The chunks of a segment, counted through the whole model."""
        ends = self.params.segment_ends
        return range(ends[segment - 1] if segment else 0, ends[segment])

    def segment_of_update(self, seat: Seat) -> SegmentId | None:
        """The segment that a seat's included update is of; None if it is not included."""
        for segment, entries in enumerate(self.inputs):
            if any(entry.seat == seat for entry in entries):
                return SegmentId(segment)
        return None


class CaseFiles:
    """The cases of the proposals that stand and are not final; each is put together once."""

    def __init__(self) -> None:
        self._known: dict[tuple[RoundId, Attempt, Proposal], Case] = {}

    def pending(self, fold: RunFold, *, last_final: int, newest: int) -> list[Case]:
        """Those of the rounds behind the last final one, oldest first."""
        known: dict[tuple[RoundId, Attempt, Proposal], Case] = {}
        for number in range(last_final + 1, newest + 1):
            found = fold.rounds.get(number)
            if found is None or found.proposal is None or not found.inputs:
                continue
            name = (found.round_id, found.attempt, found.proposal)
            known[name] = self._known.get(name) or case_of(fold, found, found.proposal)
        self._known = known
        return list(known.values())


def find_case(fold: RunFold, round_id: int, proposal: Digest) -> Case | None:
    """A round's proposal of that name, also if it was rejected or the round voided."""
    here = fold.rounds.get(round_id)
    gone = (found for found in reversed(fold.voided) if found.round_id == round_id)
    for found in (*(() if here is None else (here,)), *gone):
        for one in (found.proposal, *found.rejected):
            if one is None or not found.inputs:
                continue
            if proposal_id(round_id, found.seed, one) == proposal:
                return case_of(fold, found, one)
    return None


def case_of(fold: RunFold, found: RoundHistory, proposal: Proposal) -> Case:
    """The case of one of a round's proposals."""
    included = [entry.seat for segment in found.inputs for entry in segment]
    return Case(
        params=fold.params,
        round_id=found.round_id,
        attempt=found.attempt,
        seed=found.seed,
        parent_root=found.parent_root,
        parent_model=fold.object_of(found.parent_root),
        proposal=proposal,
        inputs=found.inputs,
        inputs_hashes=found.inputs_hashes,
        preimages=tuple(found.input_preimages()),
        headers={seat: found.reveals[seat].header for seat in included},
    )
