"""Sends what the court is to hear, each thing once, whatever crashes meanwhile.

Every act has a key of its own, and a question to the chain that tells whether it is done already.
Docs/protocol.md section 8. Runs in the court's own threads: a transaction takes blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from network.acts import Acts
from network.court.case import Case
from network.court.contract import Dispute, DisputeState, MergeCourtContract, NormProof
from network.court.evidence import MissingUpdate, WrongChunk
from network.court.moves import Choice
from network.ethereum import read_nonce
from network.remedies import REMEDIES
from network.rpc import Rpc
from network.run import RunContract
from network.transactions import Call, Receipt, TransactionSender
from protocol.proofs import ACCUMULATOR_BYTES, ChunkProof, split_proof
from protocol.types import Attempt, Digest, RoundId, Seat, Wei

COURT_RACES = tuple(
    REMEDIES[name]
    for name in (
        "AlreadyConvicted",
        "ClockRanOut",
        "NotPending",
        "NotRejected",
        "NothingToClaim",
        "WindowClosed",
        "WrongMove",
        "WrongRound",
    )
)
"""Refusals that say that somebody was faster, or that the thing is over: look again."""

MAX_CALL_BYTES = 100_000
"""Calldata of one transaction at most: nodes relay 128 KiB, and its floor price is 4M gas."""

_WORD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """One account's acts before the court of one run; safe for several threads.

    Methods give the receipt, None where there is nothing (more) to do. They raise what
    TransactionSender.send raises, but for lost races.
    """

    rpc: Rpc
    run: RunContract
    court: MergeCourtContract
    sender: TransactionSender

    # -- one transaction, or as many as a long proof needs

    def prove(self, case: Case, wrong: WrongChunk) -> Receipt | None:
        """Convict a proposal of a wrong chunk."""

        def last(proof: ChunkProof) -> Call:
            return self.court.prove_merge(
                self.run.address, case.round_id, proof, node=wrong.node, siblings=wrong.siblings
            )

        return self._prove_in_parts(case, wrong.proof, "prove", last, lambda: self._is_gone(case))

    def open_chunk(self, number: int, case: Case, proof: ChunkProof) -> Receipt | None:
        """Have the chunk of a dispute computed."""

        def last(part: ChunkProof) -> Call:
            return self.court.open_chunk(number, case.parent_root, case.inputs_hashes, part)

        def is_done() -> bool:
            return self.court.dispute(number).state is not DisputeState.CHUNK

        return self._prove_in_parts(case, proof, f"open/{number}", last, is_done)

    def prove_norm(self, round_id: RoundId, attempt: Attempt, proof: NormProof) -> Receipt | None:
        """Convict an update whose header lies about its norm."""
        scope = f"{round_id}/{attempt}/{proof.seat}"
        call = self.court.prove_norm(self.run.address, round_id, proof)
        return self._send(
            self._key("norm", scope, call), call, lambda: self.is_convicted(round_id, proof.seat)
        )

    # -- the tree game

    def challenge_tree(self, case: Case) -> Receipt | None:
        """Ask the proposer for its tree."""

        def call(bond_wei: Wei) -> Call:
            return self.court.challenge_tree(self.run.address, case.round_id, bond_wei=bond_wei)

        key = self._name("challenge", case.id.hex())
        return self._send_bonded(key, _first_answer(case), call, lambda: self._is_gone(case))

    def show(self, number: int, dispute: Dispute, children: list[Digest]) -> Receipt | None:
        """Show the nodes below the one in dispute."""
        call = self.court.show_children(number, children)
        scope = f"{number}/{dispute.level}"
        return self._send(
            self._key("show", scope, call), call, lambda: self._has_moved(number, dispute)
        )

    def choose(self, number: int, dispute: Dispute, choice: Choice) -> Receipt | None:
        """Say which child is wrong."""

        def call(bond_wei: Wei) -> Call:
            return self.court.choose_child(
                number, choice.child, choice.node, choice.siblings, bond_wei=bond_wei
            )

        answer = DisputeState.CHILDREN if choice.next_level else DisputeState.CHUNK
        key = self._name("choose", f"{number}/{dispute.level}/{choice.node.hex()[:16]}")
        return self._send_bonded(key, answer, call, lambda: self._has_moved(number, dispute))

    # -- an update that cannot be had

    def challenge_leaf(self, case: Case, missing: MissingUpdate) -> Receipt | None:
        """Ask for a leaf of an update."""

        def call(bond_wei: Wei) -> Call:
            return self.court.challenge_leaf(
                self.run.address,
                case.round_id,
                missing.chunk,
                inputs=case.preimages[missing.segment],
                place=missing.place,
                bond_wei=bond_wei,
            )

        key = self._name("leaf", case.id.hex())
        return self._send_bonded(key, DisputeState.LEAF, call, lambda: self._is_gone(case))

    def answer_leaf(self, number: int, opening: bytes) -> Receipt | None:
        """Show a leaf."""
        call = self.court.answer_leaf(number, opening)
        return self._send(
            self._key("answer", str(number), call), call, lambda: self._is_over(number)
        )

    # -- ends

    def end(self, number: int) -> Receipt | None:
        """End a dispute whose clock ran out, or whose object is gone."""
        call = self.court.end_dispute(number)
        return self._send(self._key("end", str(number), call), call, lambda: self._is_over(number))

    def claim(self) -> Wei:
        """Send home what the court owes; gives the wei."""
        owed_wei = self.court.credit_of(self.sender.address)
        if not owed_wei:
            return Wei(0)
        call = self.court.claim()
        nonce = read_nonce(self.rpc, self.sender.address)
        key = self._name("claim", str(nonce))
        receipt = self._send(key, call, lambda: not self.court.credit_of(self.sender.address))
        return Wei(0) if receipt is None else owed_wei

    # -- what the chain says

    def is_convicted(self, round_id: RoundId, seat: Seat) -> bool:
        """Whether a court convicted a seat's update of a round."""
        return bool(self.run.read("convicted", round_id) >> seat & 1)

    def is_locked(self, dispute: Dispute) -> bool:
        """Whether what is disputed was rejected, and its bond waits for the court."""
        _, disputes = self.run.read("rejected", dispute.proposal)
        return bool(disputes)

    def _is_gone(self, case: Case) -> bool:
        return bool(self.run.read("proposalId", case.round_id) != case.id)

    def _is_over(self, number: int) -> bool:
        return self.court.dispute(number).state.is_over

    def _has_moved(self, number: int, dispute: Dispute) -> bool:
        now = self.court.dispute(number)
        return (now.state, now.level) != (dispute.state, dispute.level)

    # -- sending

    def _prove_in_parts(
        self,
        case: Case,
        proof: ChunkProof,
        what: str,
        last: Callable[[ChunkProof], Call],
        is_done: Callable[[], bool],
    ) -> Receipt | None:
        """Send a proof; what is too long for one transaction is fed to the court before."""
        scope = f"{case.id.hex()[:32]}/{proof.chunk}"
        *first, rest = split_proof(proof, part_bytes(proof, last))
        for part in first:
            call = self.court.feed(self.run.address, case.round_id, part)
            if self._send(self._key(f"feed/{what}", scope, call), call, is_done) is None:
                return None
        call = last(rest)
        return self._send(self._key(what, scope, call), call, is_done)

    def _send_bonded(
        self,
        key: str,
        answer: DisputeState,
        make: Callable[[Wei], Call],
        is_done: Callable[[], bool],
    ) -> Receipt | None:
        """Send a move with its bond."""

        def price_wei() -> Wei:
            updates = self.run.current().roster_count
            return self.court.bond_wei(answer, updates, self.sender.address)

        return self._acts.send_bonded(key, price_wei, make, is_done)

    def _send(self, key: str, call: Call, is_done: Callable[[], bool]) -> Receipt | None:
        return self._acts.send(key, call, is_done)

    def _name(self, what: str, scope: str) -> str:
        return self._acts.name(what, scope)

    def _key(self, what: str, scope: str, call: Call) -> str:
        return self._acts.key(what, scope, call)

    @property
    def _acts(self) -> Acts:
        return Acts(court="court", run=self.run.address, sender=self.sender, races=COURT_RACES)


def _first_answer(case: Case) -> DisputeState:
    """What a challenge demands: of a model of one chunk, at once the chunk."""
    return DisputeState.CHUNK if case.params.chunks == 1 else DisputeState.CHILDREN


def part_bytes(proof: ChunkProof, last: Callable[[ChunkProof], Call]) -> int:
    """How many bytes of openings a transaction may carry, so that it stays below MAX_CALL_BYTES.

    `last` makes the call that carries most besides: the leaf and paths of the two models.
    """
    if not proof.openings:
        return MAX_CALL_BYTES
    longest = max(len(opening) for opening in proof.openings)
    on_wire = 2 * _WORD + -(-longest // _WORD) * _WORD  # offset, length, padded bytes
    head = replace(proof, openings=(), accumulator=bytes(ACCUMULATOR_BYTES))
    count = (MAX_CALL_BYTES - len(last(head).data)) // on_wire
    return max(count, 1) * longest
