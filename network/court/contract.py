"""The merge court on chain, typed: what a dispute is, and the calls that the court takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum

import structlog
from eth_utils.address import to_checksum_address

from network.artifacts import abi_of, check_deployed
from network.contract import Contract
from network.ethereum import read_head
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.run import CLIENT_ABI, ZERO_ADDRESS, RunContract
from network.transactions import Call
from protocol.errors import CodeMismatch, NotAContract
from protocol.proofs import ChunkProof
from protocol.rounds import UpdateHeader
from protocol.types import Address, Digest, RoundId, Seat, SegmentId, Wei

_log = structlog.get_logger(__name__)

_BOND_GAS = 100_000
"""What reading a bond may take."""


class DisputeState(IntEnum):
    """Whose move it is in a dispute, or how it ended; the values are the contract's."""

    NONE = 0
    CHILDREN = 1
    CHOICE = 2
    CHUNK = 3
    LEAF = 4
    UPHELD = 5
    REJECTED = 6
    MOOT = 7

    @property
    def is_over(self) -> bool:
        """Whether no move is left."""
        return self >= DisputeState.UPHELD

    @property
    def is_answer(self) -> bool:
        """Whether the proposer's side, or whoever holds an update, owes the move."""
        return self in (DisputeState.CHILDREN, DisputeState.CHUNK, DisputeState.LEAF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as the court stores it: Dispute of IMergeCourt.sol, in its order.

    `proposer` is who is bound to `node`: of a leaf that is asked for, the update's trainer.
    """

    run: Address
    round_id: RoundId
    state: DisputeState
    level: int
    deadline_s: int
    seat: Seat
    challenger: Address
    bond_wei: Wei
    proposer: Address
    answer_bank_s: int
    choice_bank_s: int
    index: int
    move_s: int
    node: Digest
    proposal: Digest
    inputs: Digest

    @property
    def began_s(self) -> int:
        """Unix time at which the clock of the present move began to run."""
        choosing = self.state is DisputeState.CHOICE
        bank_s = self.choice_bank_s if choosing else self.answer_bank_s
        return self.deadline_s - self.move_s - bank_s


@dataclass(frozen=True, slots=True, kw_only=True)
class NormProof:
    """A leaf of an update, with the sums that its trainer's digests name; `inputs` once frozen."""

    segment: SegmentId
    inputs: bytes
    seat: Seat
    header: UpdateHeader
    index: int
    opening: bytes = field(repr=False)

    @property
    def fields(self) -> tuple[object, ...]:
        """The values in the order of the Solidity struct."""
        header = self.header
        return (
            self.segment,
            self.inputs,
            self.seat,
            header.update_root,
            (
                header.ssq,
                header.trace_root,
                header.class_id,
                header.update_cid,
                header.update_size,
            ),
            self.index,
            self.opening,
        )


class MergeCourtContract(Contract):
    """One MergeCourt, which serves many runs. Reads raise what `Contract.read` raises."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        abi = abi_of("MergeCourt")
        self.reverts = RevertCatalogue(abi_of(*CLIENT_ABI), REMEDIES)
        super().__init__(rpc, address, abi, self.reverts)

    def check(self) -> None:
        """Promise that this version made the court's code; raises NotAContract, CodeMismatch."""
        check_deployed(self._rpc, self.address, "MergeCourt")

    def dispute(self, number: int) -> Dispute:
        """A dispute; one that never was has the state NONE."""
        values = self.read("disputes", number)
        named = dict(zip((one.name for one in fields(Dispute)), values, strict=True))
        for name in ("run", "challenger", "proposer"):
            named[name] = to_checksum_address(named[name])
        return Dispute(**{**named, "state": DisputeState(named["state"])})

    def credit_of(self, account: Address) -> Wei:
        """What the court owes an account."""
        return Wei(self.read("creditOf", account))

    def bond_wei(self, answer: DisputeState, updates: int, payer: Address) -> Wei:
        """The bond of a move that demands `answer`, at the base fee of the newest block.

        Asked as by `payer` for a fee: a node that is not told of one answers as if gas were free.
        """
        head = read_head(self._rpc)
        base_fee_wei = 0 if head is None else head.base_fee_wei
        return Wei(
            self.read(
                "bondWei",
                answer,
                updates,
                options={
                    "from": payer,
                    "gas": hex(_BOND_GAS),
                    "maxFeePerGas": hex(2 * base_fee_wei),
                },
            )
        )

    # -- calls --------------------------------------------------------------------------------

    def prove_merge(
        self,
        run: Address,
        round_id: RoundId,
        proof: ChunkProof,
        *,
        node: Digest,
        siblings: Sequence[Digest],
    ) -> Call:
        """Convict a proposal of one wrong chunk; `node` and `siblings` are the proposed tree's."""
        return self.prepare("proveMerge", run, round_id, proof.fields, node, list(siblings))

    def feed(self, run: Address, round_id: RoundId, proof: ChunkProof) -> Call:
        """Add up a part of a proof that is too long for one transaction."""
        return self.prepare("feed", run, round_id, proof.fields)

    def prove_norm(self, run: Address, round_id: RoundId, proof: NormProof) -> Call:
        """Convict an update whose header lies about its norm."""
        return self.prepare("proveNorm", run, round_id, proof.fields)

    def challenge_tree(self, run: Address, round_id: RoundId, *, bond_wei: Wei) -> Call:
        """Ask a proposer for its tree."""
        return self.prepare("challengeTree", run, round_id, value_wei=bond_wei)

    def show_children(self, number: int, children: Sequence[Digest]) -> Call:
        """Show the nodes below the one in dispute."""
        return self.prepare("showChildren", number, list(children))

    def choose_child(
        self, number: int, child: int, node: Digest, siblings: Sequence[Digest], *, bond_wei: Wei
    ) -> Call:
        """Choose the `child`-th of the nodes that were shown, with its path to their ancestor."""
        return self.prepare("chooseChild", number, child, node, list(siblings), value_wei=bond_wei)

    def open_chunk(
        self, number: int, parent_root: Digest, inputs_hashes: Sequence[Digest], proof: ChunkProof
    ) -> Call:
        """Have the chunk computed that the game arrived at."""
        return self.prepare("openChunk", number, parent_root, list(inputs_hashes), proof.fields)

    def challenge_leaf(
        self,
        run: Address,
        round_id: RoundId,
        chunk: int,
        *,
        inputs: bytes,
        place: int,
        bond_wei: Wei,
    ) -> Call:
        """Ask for the leaf of one chunk of the frozen update at a place of its segment's inputs."""
        return self.prepare(
            "challengeLeaf", run, round_id, chunk, inputs, place, value_wei=bond_wei
        )

    def answer_leaf(self, number: int, opening: bytes) -> Call:
        """Show the leaf: its 257 bytes, then 44 a level."""
        return self.prepare("answerLeaf", number, opening)

    def end_dispute(self, number: int) -> Call:
        """End a dispute whose mover's clock ran out, or whose object is gone."""
        return self.prepare("endDispute", number)

    def claim(self) -> Call:
        """Send home what the court owes."""
        return self.prepare("claim")


def court_of(rpc: Rpc, run: RunContract) -> MergeCourtContract | None:
    """The court that a run names; None if it names none. Raises what `Contract.read` raises."""
    address = Address(run.read("mergeCourt"))
    return None if address == ZERO_ADDRESS else MergeCourtContract(rpc, address)


def known_court(rpc: Rpc, run: RunContract) -> MergeCourtContract | None:
    """The run's court, its code checked, for it takes bonds; None if there is none to trust.

    Raises what `Contract.read` raises.
    """
    court = court_of(rpc, run)
    if court is None:
        return None
    try:
        court.check()
    except (NotAContract, CodeMismatch) as error:
        _log.warning("merge_court_unknown", problem=error.message, remedy=error.remedy)
        return None
    return court
