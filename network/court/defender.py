"""Plays this account's part in disputes that go on, whoever began them.

Whoever has a right merge answers for it, whoever has an update shows its leaf, whoever challenged
a wrong merge follows the proposer down to the chunk. Docs/protocol.md section 8.
"""

from collections.abc import Callable

import structlog

from network.court.bench import Bench, Pending
from network.court.case import Case, find_case
from network.court.judge import Judge
from network.court.moves import Act, Player, Stance, children_of, choose
from network.history import Outcome, RunFold
from network.keeper import View
from network.transactions import Receipt
from protocol.errors import InvalidTree

_log = structlog.get_logger(__name__)

Work = Callable[[], Receipt | None]


class Defender:
    """One account's moves in one run's disputes. Use from one thread; its acts run beside."""

    def __init__(self, bench: Bench, judge: Judge) -> None:
        self._bench = bench
        self._judge = judge

    def play(self, view: View, one: Pending) -> None:
        """Make the move that is due in a dispute, if it is this account's."""
        bench, dispute = self._bench, one.dispute
        case = find_case(view.fold, dispute.round_id, dispute.proposal)
        if case is None:
            return  # the events have not come as far
        asks_tree = not one.history.asks_for_leaf
        stance = self._judge.stance(view.fold, case) if asks_tree else Stance.UNKNOWN
        move = Player(me=bench.me, now_s=bench.now_s).next_move(
            dispute, stance=stance, is_pending=self._is_pending(view.fold, case, one)
        )
        bench.is_time(dispute.deadline_s + 1)  # then it may be another's turn
        if move is None or not bench.is_time(move.due_s):
            return
        work = self._work(move.act, one, case)
        if work is not None:
            state = (dispute.state, dispute.level, dispute.index)
            done = bench.desk.ask((f"court {move.act}", one.number, *state), work)
            self._judge.note_loss(case, done)
            bench.tell_once(
                "court_move", one.number, move.act, *state, dispute=one.number, act=move.act.value
            )

    def _is_pending(self, fold: RunFold, case: Case, one: Pending) -> bool:
        found = fold.rounds.get(case.round_id)
        stands = (
            found is not None
            and found.outcome is Outcome.PROPOSED
            and found.proposal == case.proposal
            and found.seed == case.seed
        )
        # Of a merge that was rejected no leaf is owed any more.
        may_be_rejected = not one.history.asks_for_leaf
        return stands or (may_be_rejected and self._bench.clerk.is_locked(one.dispute))

    def _work(self, act: Act, one: Pending, case: Case) -> Work | None:
        """What to compute and send for an act, in a thread of its own."""
        bench, number, dispute = self._bench, one.number, one.dispute
        clerk, examiner = bench.clerk, bench.examiner

        def show() -> Receipt | None:
            tree = examiner.tree(case.proposal.model_root, case.proposal.model)
            children = children_of(tree, dispute)
            return None if children is None else clerk.show(number, dispute, children)

        def open_chunk() -> Receipt | None:
            return clerk.open_chunk(number, case, examiner.prove_chunk(case, dispute.index))

        def answer() -> Receipt | None:
            segment = case.segment_of_update(dispute.seat)
            if segment is None:
                return None
            header, chunks = case.headers[dispute.seat], len(case.chunks_of(segment))
            opening = examiner.open_leaf(header, chunks=chunks, index=dispute.index)
            return clerk.answer_leaf(number, opening)

        if act is Act.CHOOSE:
            return self._choice(one, case)
        return {
            Act.SHOW: show,
            Act.OPEN: open_chunk,
            Act.ANSWER: answer,
            Act.END: lambda: clerk.end(number),
        }[act]

    def _choice(self, one: Pending, case: Case) -> Work | None:
        own_root, dispute, shown = self._judge.own_root(case), one.dispute, one.history.shown
        if own_root is None or one.history.shown_below != dispute.node:
            return None
        bench = self._bench

        def work() -> Receipt | None:
            choice = choose(bench.examiner.tree(own_root), dispute, shown)
            if choice is None:
                reason = "the children shown are those of the own merge"
                raise InvalidTree(size=len(shown), leaf_size=1, reason=reason)
            return bench.clerk.choose(one.number, dispute, choice)

        return work
