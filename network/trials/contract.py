"""The training court on chain, typed: what a trial is, and the calls that the court takes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import structlog
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from network.artifacts import abi_of, check_deployed
from network.contract import Contract
from network.ethereum import read_head
from network.keys import CompactSignature
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.run import CLIENT_ABI, ZERO_ADDRESS, RunContract
from network.transactions import Call
from protocol.errors import CodeMismatch, NotAContract
from protocol.rounds import UpdateHeader, address_bytes
from protocol.types import Address, BlockNumber, Digest, RoundId, Seat, SegmentId, Wei

_log = structlog.get_logger(__name__)

COURT = "TrainingCourt"
_BOND_GAS = 100_000
"""What reading the bonds may take."""


class TrialState(IntEnum):
    """Whose move it is in a trial, or how it ended; the values are the contract's."""

    NONE = 0
    DEFENCE = 1
    REPLY = 2
    DRAW = 3
    SEAL = 4
    OPEN = 5
    VERDICT = 6
    CONVICTED = 7
    ACQUITTED = 8
    HUNG = 9
    MOOT = 10

    @property
    def is_over(self) -> bool:
        """Whether no move is left."""
        return self >= TrialState.CONVICTED


class Finding(IntEnum):
    """What an auditor found; the values are the contract's."""

    NONE = 0
    SAME = 1
    CLOSE = 2
    DIFFERENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial as the court stores it: Trial of ITrainingCourt.sol, in its order."""

    run: Address
    round_id: RoundId
    state: TrialState
    seat: Seat
    segment: SegmentId
    level: int
    index: int
    verdict: TrialState
    accuser: Address
    deadline_s: int
    draw_block: BlockNumber
    accused: Address
    accuser_bond_wei: Wei
    defender: Address
    defender_bond_wei: Wei
    appellant: Address
    appeal_bond_wei: Wei
    ticket_wei: Wei
    jurors_wei: Wei
    move_s: int
    jury_s: int
    seed: Digest
    inputs_hash: Digest
    class_id: Digest
    update_root: Digest
    trace_root: Digest
    own_root: Digest
    shown: Digest
    before: Digest
    accused_digest: Digest
    accuser_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Tickets of a jury by what they voted for."""

    seated: int
    sealed: int
    opened: int
    for_accused: int
    for_accuser: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Juror:
    """A juror of one jury; `vote` is what was sealed, or the digest once it is opened."""

    seat: Seat
    tickets: int
    opened: bool
    fined: bool
    paid: bool
    vote: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonds:
    """What a side of a trial deposits, and who appeals."""

    side_wei: Wei
    appeal_wei: Wei


_ACCOUNTS = ("run", "accuser", "accused", "defender", "appellant")


class TrainingCourtContract(Contract):
    """One TrainingCourt, which serves many runs. Reads raise what `Contract.read` raises."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.reverts = RevertCatalogue(abi_of(*CLIENT_ABI), REMEDIES)
        super().__init__(rpc, address, abi_of(COURT), self.reverts)

    def check(self) -> None:
        """Promise that this version made the court's code; raises NotAContract, CodeMismatch."""
        check_deployed(self._rpc, self.address, COURT)

    def trial(self, number: int) -> Trial:
        """A trial; one that never was has the state NONE."""
        values = self.read("trials", number)
        named = dict(zip((one.name for one in fields(Trial)), values, strict=True))
        for name in _ACCOUNTS:
            named[name] = to_checksum_address(named[name])
        states = {name: TrialState(named[name]) for name in ("state", "verdict")}
        return Trial(**{**named, **states})

    def tally(self, number: int, level: int) -> Tally:
        """How a jury voted so far."""
        names = (one.name for one in fields(Tally))
        return Tally(**dict(zip(names, self.read("tallies", number, level), strict=True)))

    def juror(self, number: int, level: int, account: Address) -> Juror:
        """A jury's member; one without tickets is none."""
        names = (one.name for one in fields(Juror))
        values = self.read("jurors", number, level, account)
        return Juror(**dict(zip(names, values, strict=True)))

    def credit_of(self, account: Address) -> Wei:
        """What the court owes an account."""
        return Wei(self.read("creditOf", account))

    def audit_pool_wei(self, run: Address) -> Wei:
        """What is left for a run's audits."""
        return Wei(self.read("auditPoolWei", run))

    def bonds_of(self, number: int) -> Bonds:
        """The bonds of showing a trace and of an appeal in a trial."""
        side_wei, appeal_wei = self.read("bondsOf", number)
        return Bonds(side_wei=Wei(side_wei), appeal_wei=Wei(appeal_wei))

    def bonds(self, payer: Address) -> Bonds:
        """The bonds of a trial that begins at the base fee of the newest block.

        Asked as by `payer` for a fee: a node that is not told of one answers as if gas were free.
        """
        head = read_head(self._rpc)
        base_fee_wei = 0 if head is None else head.base_fee_wei
        side_wei, appeal_wei = self.read(
            "bondsWei",
            options={"from": payer, "gas": hex(_BOND_GAS), "maxFeePerGas": hex(2 * base_fee_wei)},
        )
        return Bonds(side_wei=Wei(side_wei), appeal_wei=Wei(appeal_wei))

    # -- audits -------------------------------------------------------------------------------

    def post_findings(
        self,
        run: Address,
        round_id: RoundId,
        *,
        block_header: bytes,
        inputs: Sequence[bytes],
        findings: Sequence[tuple[Seat, Finding, CompactSignature]],
    ) -> Call:
        """What drawn auditors signed; `inputs` are the preimages of the inputs hashes."""
        signed = [(seat, finding, one.r, one.vs) for seat, finding, one in findings]
        return self.prepare("postFindings", run, round_id, block_header, list(inputs), signed)

    def fine_auditor(self, number: int) -> Call:
        """Fine the auditor who had found the same what the jury of a trial convicted."""
        return self.prepare("fineAuditor", number)

    # -- a trial ------------------------------------------------------------------------------

    def accuse(
        self,
        run: Address,
        round_id: RoundId,
        segment: SegmentId,
        *,
        inputs: bytes,
        place: int,
        header: UpdateHeader,
        own_root: Digest,
        bond_wei: Wei,
    ) -> Call:
        """Say that an update was not trained as assigned; `place` is its place in the inputs."""
        return self.prepare(
            "accuse",
            run,
            round_id,
            segment,
            inputs,
            place,
            header_words(header),
            own_root,
            value_wei=bond_wei,
        )

    def show_trace(self, number: int, digests: Sequence[Digest], *, bond_wei: Wei) -> Call:
        """Show the digests s_0 .. s_H of the accused."""
        return self.prepare("showTrace", number, list(digests), value_wei=bond_wei)

    def answer_trace(
        self,
        number: int,
        *,
        accused: Sequence[Digest],
        own: Sequence[Digest],
        own_update_root: Digest,
    ) -> Call:
        """Show the accuser's digests beside those that were shown for the accused."""
        return self.prepare("answerTrace", number, list(accused), list(own), own_update_root)

    def seat_jury(
        self,
        number: int,
        *,
        block_header: bytes,
        inputs: Sequence[bytes],
        headers: Sequence[UpdateHeader],
    ) -> Call:
        """Draw the jury; `headers` of every included update, segment by segment."""
        words = [header_words(header) for header in headers]
        return self.prepare("seatJury", number, block_header, list(inputs), words)

    def redraw(self, number: int) -> Call:
        """Draw by another block, since the chain has forgotten the one that was to draw."""
        return self.prepare("redraw", number)

    def seal_vote(self, number: int, seal: Digest) -> Call:
        """Seal a vote; see `seal_of`."""
        return self.prepare("sealVote", number, seal)

    def open_vote(self, number: int, digest: Digest, salt: bytes) -> Call:
        """Open a sealed vote."""
        return self.prepare("openVote", number, digest, salt)

    def appeal(self, number: int, *, bond_wei: Wei) -> Call:
        """Have another jury judge."""
        return self.prepare("appeal", number, value_wei=bond_wei)

    def advance(self, number: int) -> Call:
        """Go on with a trial whose clock ran out, or whose object is gone."""
        return self.prepare("advance", number)

    def pay_juror(self, number: int, level: int, juror: Address) -> Call:
        """Credit a juror that voted as the trial ended."""
        return self.prepare("payJuror", number, level, juror)

    def fine_juror(self, number: int, level: int, juror: Address) -> Call:
        """Fine a juror that kept silent or voted otherwise."""
        return self.prepare("fineJuror", number, level, juror)

    def claim(self) -> Call:
        """Send home what the court owes."""
        return self.prepare("claim")


def header_words(header: UpdateHeader) -> tuple[object, ...]:
    """A header in the order of the Solidity struct, without its root."""
    return (
        header.ssq,
        header.trace_root,
        header.class_id,
        header.update_cid,
        header.update_size,
    )


def seal_of(*, number: int, level: int, juror: Address, digest: Digest, salt: bytes) -> Digest:
    """Seal a vote: keccak256(abi.encode(id, level, juror, digest, salt))."""
    words = (
        number.to_bytes(32, "big"),
        level.to_bytes(32, "big"),
        address_bytes(juror).rjust(32, b"\0"),
        digest,
        salt,
    )
    return keccak(b"".join(words))


def known_training_court(rpc: Rpc, run: RunContract) -> TrainingCourtContract | None:
    """The run's training court, its code checked, for it takes bonds; None if there is none.

    Raises what `Contract.read` raises.
    """
    address = Address(run.read("trainingCourt"))
    if address == ZERO_ADDRESS:
        return None
    court = TrainingCourtContract(rpc, address)
    try:
        court.check()
    except (NotAContract, CodeMismatch) as error:
        _log.warning("training_court_unknown", problem=error.message, remedy=error.remedy)
        return None
    return court
