"""A training run and its vault on chain, typed: what the contracts hold and the calls they take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from network.artifacts import abi_of, check_deployed
from network.contract import Contract
from network.keys import CompactSignature
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.transactions import Call
from protocol.cid import Cid
from protocol.errors import NotARun
from protocol.rounds import Opinion, Phase, UpdateHeader
from protocol.types import Address, Attempt, Digest, Gwei, RoundId, Seat, Wei

RUN_ABI = ("TrainingRun", "StakeVault", "RunFactory")
CLIENT_ABI = (*RUN_ABI, "MergeCourt", "TrainingCourt", "PrevrandaoBeacon")
"""Whatever a transaction of a client may emit or revert with."""
AttestationGroup = tuple[int, int, list[tuple[Seat, bytes, bytes]]]
"""Available, harmful, and who signed that: seat, r and vs."""
ZERO_ADDRESS = Address("0x" + "00" * 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParams:
    """RunParams of contracts/types/Types.sol, in its order; docs/protocol.md section 4."""

    spec_cid: Digest
    genesis_root: Digest
    genesis_cid: Digest
    spec_size: int
    genesis_size: int
    chunks: int
    lr: int
    mu: int
    nesterov: bool
    momentum: bool
    segments: int
    norm_bound: int
    max_rounds: int
    min_trainers: int
    max_trainers: int
    ring_size: int
    min_stake_gwei: Gwei
    stake_cap_gwei: Gwei
    proposer_bond_gwei: Gwei
    absence_fee_gwei: Gwei
    no_reveal_fee_gwei: Gwei
    absence_grace: int
    evict_after: int
    slash_bps: int
    reward_per_round_wei: Wei
    commit_s: int
    reveal_s: int
    audit_s: int
    merge_turn_s: int
    merge_timeout_s: int
    dispute_s: int
    guardian: Address
    beacon: Address
    move_s: int
    jury_s: int
    audit_bps: int
    audit_reward_wei: Wei
    segment_ends: tuple[int, ...]

    @property
    def spec(self) -> Cid:
        """The run's specification."""
        return Cid(digest=self.spec_cid, size=self.spec_size)

    @property
    def genesis(self) -> Cid:
        """The genesis model."""
        return Cid(digest=self.genesis_cid, size=self.genesis_size)

    def as_tuple(self) -> tuple[Any, ...]:
        """The values in the order of the Solidity struct."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRound:
    """The open round as one storage slot holds it; `deadline_s` is Unix time."""

    round_id: RoundId
    attempt: Attempt
    phase: Phase
    deadline_s: int
    roster_count: int
    commits: int
    dissents: int
    reveals: int
    keeper_gwei: Gwei
    any_posted: bool = False
    any_excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What rarely changes."""

    roster_stake_gwei: Gwei
    enrolled_stake_gwei: Gwei
    dissent_stake_gwei: Gwei
    last_final: RoundId
    last_conviction: RoundId
    halted: bool
    closed: bool
    roster_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatState:
    """A trainer's place."""

    seat: Seat
    trainer: Address
    stake_gwei: Gwei
    absences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a seat last submitted; progress 0 none, 1 committed, 2 revealed, 3 dissented."""

    attempt: Attempt
    progress: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """A round's lasting record; status 0 none, 1 open, 2 proposed, 3 final, 4 failed.

    `frozen_at` are the low 16 bits of the number of the block that froze its inputs.
    """

    seed: Digest
    model_root: Digest
    proposer: Address
    finalizable_at_s: int
    open_disputes: int
    status: int
    any_unpaid: bool = False
    any_trial: bool = False
    frozen_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Money that the run owes an account."""

    free_wei: Wei
    locked_wei: Wei


class RunContract(Contract):
    """One TrainingRun. Reads raise what `Contract.read` raises."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        abi = abi_of(*RUN_ABI)
        super().__init__(rpc, address, abi, RevertCatalogue(abi, REMEDIES))
        self.reverts = RevertCatalogue(abi, REMEDIES)

    def check(self) -> None:
        """Promise that this version made the code: the run's, its office's and its vault's.

        Raises NotAContract, CodeMismatch, and NotARun if the vault's factory did not make it.
        """
        check_deployed(self._rpc, self.address, "TrainingRun")
        check_deployed(self._rpc, self.read("OFFICE"), "RunOffice")
        check_deployed(self._rpc, self.vault.address, "StakeVault")
        factory = Contract(self._rpc, self.vault.read("FACTORY"), self.abi, self.reverts)
        if not factory.read("isRun", self.address):
            raise NotARun(address=self.address, factory=factory.address)

    @cached_property
    def params(self) -> RunParams:
        """The run's parameters; they never change."""
        values = self.read("params")
        names = (field.name for field in fields(RunParams))
        return RunParams(**dict(zip(names, values, strict=True)))

    @cached_property
    def vault(self) -> Contract:
        """The vault that holds the stakes."""
        return Contract(self._rpc, Address(self.read("vault")), self.abi, self.reverts)

    def current(self) -> OpenRound:
        """The open round, or the last one while none is open."""
        values = self.read("current")
        names = (field.name for field in fields(OpenRound))
        found = dict(zip(names, values, strict=True))
        return OpenRound(**{**found, "phase": Phase(found["phase"])})

    def totals(self) -> Totals:
        """Stakes, the last final round, and whether the run is halted or closed."""
        names = (field.name for field in fields(Totals))
        return Totals(**dict(zip(names, self.read("totals"), strict=True)))

    def seat(self, seat: int, *, block: int | str = "latest") -> SeatState:
        """Who has a seat; the zero address if nobody."""
        trainer, stake_gwei, absences, _ = self.read("seats", seat, block=block)
        return SeatState(seat=Seat(seat), trainer=trainer, stake_gwei=stake_gwei, absences=absences)

    def seat_of(self, trainer: Address) -> Seat | None:
        """A trainer's seat, whether or not it takes part in the open round."""
        plus_one = self.read("seatPlusOneOf", trainer)
        return Seat(plus_one - 1) if plus_one else None

    def is_leaving(self, seat: Seat) -> bool:
        """Whether a seat gives up its place."""
        return bool(self.read("leaving") >> seat & 1)

    def submission(self, seat: Seat) -> Submission:
        """What a seat last submitted."""
        attempt, progress, digest = self.read("submissions", seat)
        return Submission(attempt=attempt, progress=progress, digest=digest)

    def round_record(self, round_id: int) -> RoundRecord:
        """A round's lasting record; raises TransactionReverted if the ring no longer holds it."""
        (values,) = (self.read("getRound", round_id),)
        names = (field.name for field in fields(RoundRecord))
        return RoundRecord(**dict(zip(names, values, strict=True)))

    def account(self, address: Address) -> AccountState:
        """What the run owes an account."""
        free_wei, locked_wei = self.read("accounts", address)
        return AccountState(free_wei=free_wei, locked_wei=locked_wei)

    # -- calls --------------------------------------------------------------------------------

    def commit(
        self, *, attempt: Attempt, seat: Seat, parent_root: Digest, commitment: Digest
    ) -> Call:
        """A trainer's own commitment."""
        return self.prepare("commit", attempt, seat, parent_root, commitment)

    def commit_batch(
        self,
        *,
        attempt: Attempt,
        parent_root: Digest,
        signed: Sequence[tuple[Seat, Digest, CompactSignature]],
    ) -> Call:
        """Commitments that trainers signed."""
        batch = [(seat, commitment, s.r, s.vs) for seat, commitment, s in signed]
        return self.prepare("commitBatch", attempt, parent_root, batch)

    def reveal_batch(
        self, *, attempt: Attempt, reveals: Sequence[tuple[Seat, UpdateHeader, bytes]]
    ) -> Call:
        """Headers and the salts that open their commitments."""
        batch = [_reveal_words(seat, header, salt) for seat, header, salt in reveals]
        return self.prepare("revealBatch", attempt, batch)

    def freeze_with_reveals(
        self,
        *,
        attempt: Attempt,
        groups: Sequence[Any],
        reveals: Sequence[tuple[Seat, UpdateHeader, bytes]],
    ) -> Call:
        """Reveal and freeze at once; `reveals` of every committed seat, ascending."""
        batch = [_reveal_words(seat, header, salt) for seat, header, salt in reveals]
        return self.prepare("freezeWithReveals", attempt, list(groups), batch)

    def post_attestations(self, *, attempt: Attempt, groups: Sequence[Any]) -> Call:
        """Attestations whose two thirds are to be recorded; see `attestation_groups`."""
        return self.prepare("postAttestations", attempt, list(groups))

    def freeze(
        self,
        *,
        attempt: Attempt,
        groups: Sequence[Any],
        updates: Sequence[tuple[Seat, Digest, Digest]],
    ) -> Call:
        """Fix the inputs; `updates` are (seat, update root, header hash), ascending by seat."""
        return self.prepare("freeze", attempt, list(groups), list(updates))

    def propose_merge(self, *, round_id: RoundId, model_root: Digest, model: Cid) -> Call:
        """Propose the merged model."""
        return self.prepare("proposeMerge", round_id, model_root, model.digest, model.size)

    def finalize(self, *, round_id: RoundId, inputs: Sequence[bytes]) -> Call:
        """Settle a round; `inputs` are the preimages of its inputs hashes, by segment."""
        return self.prepare("finalize", round_id, list(inputs))

    def multicall(self, calls: Sequence[Call]) -> Call:
        """Several calls in one transaction."""
        return self.prepare("multicall", [call.data for call in calls])


def _reveal_words(seat: Seat, header: UpdateHeader, salt: bytes) -> tuple[Any, ...]:
    return (
        seat,
        header.update_root,
        header.ssq,
        header.trace_root,
        header.class_id,
        header.update_cid,
        header.update_size,
        salt,
    )


def attestation_groups(
    attestations: Mapping[Seat, tuple[Opinion, CompactSignature | None]],
) -> list[AttestationGroup]:
    """Group signatures by what they attest, as the contract wants them.

    None for a signature names an attestation that its trainer made on chain.
    """
    groups: dict[Opinion, list[tuple[Seat, bytes, bytes]]] = {}
    for seat, (opinion, signature) in sorted(attestations.items()):
        r, vs = (signature.r, signature.vs) if signature else (bytes(32), bytes(32))
        groups.setdefault(opinion, []).append((seat, r, vs))
    return [(one.available, one.harmful, signed) for one, signed in groups.items()]
