"""Brings to court what is wrong: merges, norms, and updates that nobody can have.

A wrong merge whose model can be had is proven in one act. Where it is withheld its proposer is
asked for its tree; where an update is withheld, for a leaf. Docs/protocol.md section 8.
"""

from dataclasses import dataclass

import structlog

from network.court.bench import Bench, Pending, tree_disputes
from network.court.case import Case
from network.court.evidence import WrongChunk
from network.court.judge import Judge
from network.desk import Failed, Finished
from network.history import Revealed, RoundHistory, RunFold
from network.keeper import View
from network.transactions import Receipt
from protocol.rounds import Phase
from protocol.types import Attempt, Digest, RoundId, Seat

_log = structlog.get_logger(__name__)

FETCH_TRIES = 3
"""How often the proposed model is looked for before its proposer is asked for the tree."""
GIVE_UP_TRIES = 6
"""How often an act may fail before others no longer wait for it."""
JOIN_SHARE = 1 / 2
"""The share of the window for which another's challenge of the same proposal is enough."""
LEAF_TRIES = 3
LEAF_SHARE = 1 / 4
"""How often, and for which share of the window, a missing update is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """An update whose header lies about its norm."""

    round_id: RoundId
    attempt: Attempt
    revealed: Revealed

    @property
    def name(self) -> tuple[RoundId, Attempt, Seat]:
        """What it is known by."""
        return self.round_id, self.attempt, self.revealed.seat


class Prosecutor:
    """One account's accusations in one run. Use from one thread; its acts run beside."""

    def __init__(self, bench: Bench, judge: Judge) -> None:
        self._bench = bench
        self._judge = judge
        self._since_s: dict[tuple[object, ...], float] = {}
        self._hopeless: set[Digest] = set()
        self._accusations: dict[tuple[RoundId, Attempt, Seat], Accusation] = {}

    # -- a wrong merge

    def pursue(self, view: View, case: Case, own_root: Digest, pending: list[Pending]) -> None:
        """Bring about the conviction of a wrong proposal."""
        bench = self._bench
        proposer = case.proposal.proposer
        bench.tell_once(
            "wrong_merge",
            case.id,
            round=case.round_id,
            proposer=proposer,
            on_chain=case.proposal.model_root.hex(),
            computed=own_root.hex(),
        )
        if bench.is_me(proposer) or self.is_before_court(case, pending):
            return
        since_s = self._since_s.setdefault((case.id,), bench.now_s)
        if not bench.is_time(bench.turn_s(since_s)):
            return
        wrong = self._evidence(case, own_root)
        if isinstance(wrong, WrongChunk):
            self._prove(case, wrong)
        elif wrong is not None:
            self._challenge(view, case, pending)

    def is_before_court(self, case: Case, pending: list[Pending]) -> bool:
        """Whether this account has asked for the proposal's tree, and the answer is awaited."""
        mine = self._bench.is_me
        return any(mine(one.dispute.challenger) for one in tree_disputes(pending, case.id))

    def is_hopeless(self, case: Case) -> bool:
        """Whether this account can do no more about a proposal, as far as it knows."""
        return case.id in self._hopeless or self._bench.is_me(case.proposal.proposer)

    def _evidence(self, case: Case, own_root: Digest) -> WrongChunk | bool | None:
        """The wrong chunk; False if the proposed model can not be had, None while it is sought."""
        examiner = self._bench.examiner
        found = self._bench.desk.ask(
            ("evidence", case.id), lambda: examiner.find_wrong_chunk(case, own_root)
        )
        if isinstance(found, Finished):
            return found.value or False
        self._judge.note_loss(case, found)
        return False if found is not None and found.tries >= FETCH_TRIES else None

    def _prove(self, case: Case, wrong: WrongChunk) -> None:
        clerk = self._bench.clerk
        proven = self._bench.desk.ask(("prove", case.id), lambda: clerk.prove(case, wrong))
        self._note(case, proven)

    def _challenge(self, view: View, case: Case, pending: list[Pending]) -> None:
        bench = self._bench
        if bench.now_s >= case.proposal.finalizable_at_s:
            self._hopeless.add(case.id)  # only the model itself could still prove it
            return
        if tree_disputes(pending, case.id) and not bench.is_time(_join_s(view, case)):
            return
        asked = bench.desk.ask(("challenge", case.id), lambda: bench.clerk.challenge_tree(case))
        if isinstance(asked, Finished):
            bench.tell_once("tree_challenged", case.id, round=case.round_id)
        self._note(case, asked)

    def _note(self, case: Case, outcome: Finished[Receipt | None] | Failed | None) -> None:
        """Others need not wait for an act that fails, or that the court has no more use for."""
        if isinstance(outcome, Failed) and outcome.tries < GIVE_UP_TRIES:
            return
        if isinstance(outcome, Failed) or (outcome is not None and outcome.value is None):
            self._hopeless.add(case.id)

    # -- an update that cannot be had

    def seek(self, case: Case, tries: int, pending: list[Pending]) -> None:
        """Ask for an update without which a proposal can not be checked, once."""
        bench = self._bench
        if tries < LEAF_TRIES or bench.is_me(case.proposal.proposer):
            return
        is_open = bench.now_s < case.proposal.finalizable_at_s
        if not is_open or not bench.is_time(bench.turn_s(case.share_s(LEAF_SHARE))):
            return
        found = bench.desk.ask(("missing", case.id), lambda: bench.examiner.find_missing(case))
        if not isinstance(found, Finished) or found.value is None:
            return
        missing = found.value
        if any(
            one.dispute.round_id == case.round_id and one.history.seat == missing.seat
            for one in pending
        ):
            return
        asked = bench.desk.ask(("leaf", case.id), lambda: bench.clerk.challenge_leaf(case, missing))
        if isinstance(asked, Finished):
            bench.tell_once("leaf_challenged", case.id, round=case.round_id, seat=missing.seat)

    # -- a lie about a norm

    def accuse(self, accusation: Accusation) -> None:
        """Take note of a header that lies about its norm; what is known is not taken twice."""
        self._accusations.setdefault(accusation.name, accusation)

    def press(self, view: View) -> None:
        """Prove the lies that are on chain by now."""
        for name, one in list(self._accusations.items()):
            found = view.fold.rounds.get(one.round_id)
            if found is None or _is_past(view, found, one):
                del self._accusations[name]
            elif found.reveals.get(one.revealed.seat) == one.revealed:
                self._prove_norm(view, found, one)

    def _prove_norm(self, view: View, found: RoundHistory, one: Accusation) -> None:
        bench, seat = self._bench, one.revealed.seat
        inputs = _frozen_inputs(view.fold, found, seat)
        if inputs is None:
            return  # frozen, and nothing is proposed yet
        since_s = self._since_s.setdefault(one.name, bench.now_s)
        if not bench.is_time(bench.turn_s(since_s)):
            return
        segment = view.fold.segment_at(found, seat)
        ends = view.fold.params.segment_ends
        chunks = ends[segment] - (ends[segment - 1] if segment else 0)
        header = one.revealed.header

        def work() -> Receipt | None:
            proof = bench.examiner.prove_norm(
                header, segment=segment, chunks=chunks, seat=seat, inputs=inputs
            )
            if proof is None:
                return None
            return bench.clerk.prove_norm(one.round_id, one.attempt, proof)

        bench.desk.ask(("norm", *one.name, bool(inputs)), work)


def _join_s(view: View, case: Case) -> float:
    """Until when another's challenge is enough: its challenger may lose on purpose.

    A merge may also be rejected before, when the next round's commit phase ends.
    """
    join_s = case.share_s(JOIN_SHARE)
    current = view.current
    if current.phase is Phase.COMMIT and current.round_id == case.round_id + 1:
        join_s = min(join_s, current.deadline_s - case.params.commit_s * JOIN_SHARE)
    return join_s


def _is_past(view: View, found: RoundHistory, one: Accusation) -> bool:
    seat = one.revealed.seat
    other = found.attempt != one.attempt or bool(found.convicted >> seat & 1)
    # Of what is not merged the chain knows the open attempt alone.
    left_out = not found.included >> seat & 1 and found.attempt != view.current.attempt
    age = view.current.round_id - found.round_id
    return other or left_out or age >= view.fold.params.ring_size


def _frozen_inputs(fold: RunFold, found: RoundHistory, seat: Seat) -> bytes | None:
    """The preimage that names a merged update, b"" of one that is not merged; None if too early."""
    if not found.included >> seat & 1:
        return b""
    if found.proposal is None or not found.inputs:
        return None
    return found.input_preimages()[fold.segment_at(found, seat)]
