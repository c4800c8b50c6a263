"""Sends what the training court is to hear, each thing once, whatever crashes meanwhile.

Every act has a key of its own, and a question to the chain that tells whether it is done already.
Docs/protocol.md section 9. Runs in threads beside the loop: a transaction takes blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from network.acts import Acts
from network.ethereum import read_nonce
from network.keys import CompactSignature
from network.remedies import REMEDIES
from network.rpc import Rpc
from network.run import ZERO_ADDRESS, RunContract
from network.transactions import Call, Receipt, TransactionSender
from network.trials.contract import Finding, TrainingCourtContract, Trial, seal_of
from protocol.rounds import UpdateHeader
from protocol.types import Address, Digest, RoundId, Seat, SegmentId, Wei

TRIAL_RACES = tuple(
    REMEDIES[name]
    for name in (
        "AlreadyConvicted",
        "AlreadyFound",
        "AlreadyGuilty",
        "AlreadyVoted",
        "ClockRanOut",
        "NotFrozen",
        "NothingToClaim",
        "NothingToFine",
        "NothingToPay",
        "WindowClosed",
        "WrongRound",
        "WrongState",
    )
)
"""Refusals that say that somebody was faster, or that the thing is over: look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """An update that was not trained as assigned, and the trace that this account committed to.

    `inputs` is the preimage of its segment's inputs hash, `place` the update's in it, `seed` what
    tells the round from another opening of it.
    """

    round_id: RoundId
    seed: Digest
    seat: Seat
    segment: SegmentId
    inputs: bytes
    place: int
    header: UpdateHeader
    own_root: Digest


@dataclass(frozen=True, kw_only=True)
class TrialClerk:
    """One account's acts before the training court of one run; safe for several threads.

    Methods give the receipt, None where there is nothing (more) to do. They raise what
    TransactionSender.send raises, but for lost races: InsufficientFunds if a bond is not covered.
    """

    rpc: Rpc
    run: RunContract
    court: TrainingCourtContract
    sender: TransactionSender

    @cached_property
    def _acts(self) -> Acts:
        return Acts(court="trial", run=self.run.address, sender=self.sender, races=TRIAL_RACES)

    # -- audits

    def post_findings(
        self,
        round_id: RoundId,
        *,
        block_header: bytes,
        inputs: Sequence[bytes],
        findings: Sequence[tuple[Seat, Finding, CompactSignature]],
    ) -> Receipt | None:
        """Say what this account found of the updates that it was drawn for."""
        call = self.court.post_findings(
            self.run.address, round_id, block_header=block_header, inputs=inputs, findings=findings
        )

        def is_done() -> bool:
            return all(self.is_found(round_id, seat) for seat, _, _ in findings)

        return self._acts.send(self._acts.key("findings", str(round_id), call), call, is_done)

    def fine_auditor(self, number: int) -> Receipt | None:
        """Fine the auditor who had found the same what the jury of a trial convicted."""
        call = self.court.fine_auditor(number)
        return self._acts.send(self._acts.name("fine-auditor", str(number)), call, lambda: False)

    # -- the parties

    def accuse(self, accusation: Accusation) -> Receipt | None:
        """Accuse an update's trainer."""
        one = accusation

        def make(bond_wei: Wei) -> Call:
            return self.court.accuse(
                self.run.address,
                one.round_id,
                one.segment,
                inputs=one.inputs,
                place=one.place,
                header=one.header,
                own_root=one.own_root,
                bond_wei=bond_wei,
            )

        def is_done() -> bool:
            frozen = self.run.read("frozenSeed", one.round_id)
            return frozen != one.seed or self.is_convicted(one.round_id, one.seat)

        scope = f"{one.round_id}/{one.seed.hex()[:16]}/{one.seat}"
        return self._acts.send_bonded(
            self._acts.name("accuse", scope), self._side_wei, make, is_done
        )

    def show_trace(self, number: int, trial: Trial, digests: Sequence[Digest]) -> Receipt | None:
        """Show the accused's digests."""

        def make(bond_wei: Wei) -> Call:
            return self.court.show_trace(number, digests, bond_wei=bond_wei)

        is_done = self._has_moved(number, trial)
        return self._acts.send_bonded(
            self._acts.name("show", str(number)), self._side_wei, make, is_done
        )

    def answer_trace(
        self,
        number: int,
        trial: Trial,
        *,
        accused: Sequence[Digest],
        own: Sequence[Digest],
        own_update_root: Digest,
    ) -> Receipt | None:
        """Show the accuser's digests."""
        call = self.court.answer_trace(
            number, accused=accused, own=own, own_update_root=own_update_root
        )
        return self._move("answer", number, trial, call)

    def appeal(self, number: int, trial: Trial) -> Receipt | None:
        """Have another jury judge."""
        call = self.court.appeal(number, bond_wei=self.court.bonds_of(number).appeal_wei)
        return self._move("appeal", number, trial, call)

    # -- jurors

    def seal(self, number: int, level: int, digest: Digest, salt: bytes) -> Receipt | None:
        """Seal a vote."""
        me = self.sender.address
        seal = seal_of(number=number, level=level, juror=me, digest=digest, salt=salt)
        call = self.court.seal_vote(number, seal)

        def is_done() -> bool:
            return self.court.juror(number, level, me).vote != bytes(32)

        return self._acts.send(self._acts.key("seal", f"{number}/{level}", call), call, is_done)

    def open(self, number: int, level: int, digest: Digest, salt: bytes) -> Receipt | None:
        """Open it."""
        call = self.court.open_vote(number, digest, salt)

        def is_done() -> bool:
            return self.court.juror(number, level, self.sender.address).opened

        return self._acts.send(self._acts.key("open", f"{number}/{level}", call), call, is_done)

    # -- what anybody may do

    def seat_jury(
        self,
        number: int,
        trial: Trial,
        *,
        block_header: bytes,
        inputs: Sequence[bytes],
        headers: Sequence[UpdateHeader],
    ) -> Receipt | None:
        """Draw the jury."""
        call = self.court.seat_jury(
            number, block_header=block_header, inputs=inputs, headers=headers
        )
        return self._move("jury", number, trial, call)

    def redraw(self, number: int, draw_block: int) -> Receipt | None:
        """Draw by another block."""
        call = self.court.redraw(number)

        def is_done() -> bool:
            return self.court.trial(number).draw_block != draw_block

        return self._acts.send(self._acts.name("redraw", f"{number}/{draw_block}"), call, is_done)

    def advance(self, number: int, trial: Trial) -> Receipt | None:
        """Go on with a trial whose clock ran out, or whose object is gone."""
        scope = f"{number}/{trial.level}/{trial.state}"
        call = self.court.advance(number)
        return self._acts.send(
            self._acts.name("advance", scope), call, self._has_moved(number, trial)
        )

    def pay_juror(self, number: int, level: int, juror: Address) -> Receipt | None:
        """Credit a juror that voted as the trial ended."""
        call = self.court.pay_juror(number, level, juror)
        key = self._acts.key("pay", f"{number}/{level}", call)
        return self._acts.send(key, call, lambda: self.court.juror(number, level, juror).paid)

    def fine_juror(self, number: int, level: int, juror: Address) -> Receipt | None:
        """Fine a juror that kept silent or voted otherwise."""
        call = self.court.fine_juror(number, level, juror)
        key = self._acts.key("fine", f"{number}/{level}", call)
        return self._acts.send(key, call, lambda: self.court.juror(number, level, juror).fined)

    def claim(self) -> Wei:
        """Send home what the court owes; gives the wei."""
        owed_wei = self.court.credit_of(self.sender.address)
        if not owed_wei:
            return Wei(0)
        call = self.court.claim()
        key = self._acts.name("claim", str(read_nonce(self.rpc, self.sender.address)))
        receipt = self._acts.send(key, call, lambda: not self.court.credit_of(self.sender.address))
        return Wei(0) if receipt is None else owed_wei

    # -- what the chain says

    def is_convicted(self, round_id: RoundId, seat: Seat) -> bool:
        """Whether a court convicted a seat's update of a round."""
        return bool(self.run.read("convicted", round_id) >> seat & 1)

    def is_found(self, round_id: RoundId, seat: Seat) -> bool:
        """Whether somebody's finding about an update is posted."""
        auditor, _ = self.court.read("findings", self.run.address, round_id, seat)
        return bool(auditor != ZERO_ADDRESS)

    def is_gone(self, trial: Trial) -> bool:
        """Whether what a trial is about no longer stands."""
        return bool(self.run.read("frozenSeed", trial.round_id) != trial.seed)

    # -- sending

    def _side_wei(self) -> Wei:
        return self.court.bonds(self.sender.address).side_wei

    def _move(self, what: str, number: int, trial: Trial, call: Call) -> Receipt | None:
        key = self._acts.key(what, str(number), call)
        return self._acts.send(key, call, self._has_moved(number, trial))

    def _has_moved(self, number: int, trial: Trial) -> Callable[[], bool]:
        def moved() -> bool:
            now = self.court.trial(number)
            return (now.state, now.level) != (trial.state, trial.level)

        return moved
