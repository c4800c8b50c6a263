"""Watches one run for its merge court: every proposal is merged again, whoever made it.

What is wrong is brought to court, what is right is defended, both by this account alone and
before anything else is done about it: a merge that trainers merely reject costs its proposer
nothing. All state is the chain's, the store's and the transaction journal's: kill it at any time.
"""

from collections.abc import Callable

import structlog

from network.bench import Report, say_nothing
from network.content import DOWNLOAD_DEADLINE_S
from network.court.bench import Bench, Pending
from network.court.case import Case, CaseFiles
from network.court.clerk import Clerk
from network.court.contract import Dispute, MergeCourtContract
from network.court.defender import Defender
from network.court.evidence import Examiner, ModelShelf
from network.court.history import CourtHistory, EventName
from network.court.judge import IsChecked, Judge, Recompute
from network.court.moves import Stance
from network.court.prosecutor import Accusation, Prosecutor
from network.desk import Desk
from network.history import Revealed, proposal_id
from network.keeper import View
from network.rpc import Rpc
from network.run import RunContract
from network.store.base import ContentStore
from network.transactions import TransactionSender
from protocol.types import Attempt, RoundId, Wei

_log = structlog.get_logger(__name__)

DISSENT_SHARE = 3 / 4
"""The share of a commit phase for which a dissent waits for the court to be asked first."""
FETCH_SHARE = 1 / 8
LEAST_FETCH_S = 5.0
"""A download may take such a share of the dispute window: who serves slowly gains nothing by it."""
HOLD_SHARE = 1 / 2
"""The share of the window for which nothing is built upon a merge that is being proven wrong."""


class CourtWatch:
    """One account's part in the court of one run. Use from one thread.

    `look` never waits for a transaction; it takes as long as one merge at most.
    """

    def __init__(
        self, bench: Bench, court: MergeCourtContract, history: CourtHistory, judge: Judge
    ) -> None:
        self._bench = bench
        self._court = court
        self._history = history
        self._judge = judge
        self._prosecutor = Prosecutor(bench, self._judge)
        self._defender = Defender(bench, self._judge)
        self._read: dict[int, tuple[EventName, Dispute]] = {}
        self._pending: list[Pending] = []
        self._wrong: Case | None = None
        self._files = CaseFiles()
        self._cases: list[Case] = []

    def close(self) -> None:
        """Begin nothing more and do not wait for what runs."""
        self._bench.desk.close()

    def look(self, view: View) -> None:
        """Judge what is proposed and play what is in dispute; raises what `Rpc` raises."""
        self._bench.begin(view.now_s)
        self._judge.begin()
        self._pending = self._open_disputes()
        self._wrong = None
        self._cases = self._files.pending(
            view.fold, last_final=view.totals.last_final, newest=view.current.round_id
        )
        for case in self._cases:
            if self._look_at(view, case) is Stance.WRONG:
                self._wrong = case
                break  # what stands on it falls with it
        for one in self._pending:
            self._defender.play(view, one)
        self._tell_convictions(view)
        self._prosecutor.press(view)
        self._bench.desk.forget_unasked()

    def accuse(self, round_id: RoundId, attempt: Attempt, revealed: Revealed) -> None:
        """Take note of a header that lies about its norm; it is proven once it is on chain."""
        self._prosecutor.accuse(Accusation(round_id=round_id, attempt=attempt, revealed=revealed))

    def lets_dissent(self, view: View, parent: int) -> bool:
        """Whether to say on chain now that the merge of round `parent` is wrong.

        Not before this account's own dispute holds the proposer's bond, unless it is late.
        """
        case = next((one for one in self._cases if one.round_id == parent), None)
        if case is None or self._is_settled(case):
            return True
        late_s = view.current.deadline_s - (1 - DISSENT_SHARE) * case.params.commit_s
        return self._bench.is_time(late_s)

    def holds(self, view: View) -> bool:
        """Whether opening and settling rounds waits, since a conviction is on its way."""
        case = self._wrong
        if case is None or self._is_settled(case):
            return False
        return view.now_s < case.share_s(HOLD_SHARE)

    def is_wrong(self, round_id: int) -> bool:
        """Whether a round's merge, or one that it stands on, is known to be wrong."""
        return self._wrong is not None and round_id >= self._wrong.round_id

    @property
    def is_busy(self) -> bool:
        """Whether an act or an own dispute is not over."""
        own = any(self._bench.is_me(one.dispute.challenger) for one in self._pending)
        accused = self._wrong is not None and not self._prosecutor.is_hopeless(self._wrong)
        return own or accused or self._bench.desk.is_busy

    def wake_at_s(self) -> list[float]:
        """Unix times at which there may be something to do though no block comes."""
        return self._bench.wake_at_s()

    def claim(self) -> Wei:
        """Send home what the court owes; gives the wei. Raises what TransactionSender.send does."""
        claimed_wei = self._bench.clerk.claim()
        if claimed_wei:
            self._bench.report("court_claimed", amount_wei=str(claimed_wei))
        return claimed_wei

    def _look_at(self, view: View, case: Case) -> Stance:
        stance = self._judge.stance(view.fold, case)
        own_root, failures = self._judge.own_root(case), self._judge.failures(case)
        if stance is Stance.WRONG and own_root is not None:
            self._prosecutor.pursue(view, case, own_root, self._pending)
        elif stance is Stance.UNKNOWN and failures:
            self._prosecutor.seek(case, failures, self._pending)
        return stance

    def _tell_convictions(self, view: View) -> None:
        for number in range(view.totals.last_final + 1, view.current.round_id + 1):
            found = view.fold.rounds.get(number)
            if found is None:
                continue
            for one in found.convictions:
                self._bench.tell_once(
                    "merge_convicted",
                    proposal_id(number, found.seed, one.proposal),
                    round=number,
                    proposer=one.proposal.proposer,
                    beneficiary=one.beneficiary,
                    paid_wei=str(one.paid_wei),
                )
            for event in found.events:
                if event.name == "UpdateConvicted":
                    self._bench.tell_once(
                        "update_convicted",
                        number,
                        event.args.trainer,
                        round=number,
                        trainer=event.args.trainer,
                        beneficiary=event.args.beneficiary,
                        slashed_wei=str(event.args.slashedWei),
                    )

    def _is_settled(self, case: Case) -> bool:
        prosecutor = self._prosecutor
        return prosecutor.is_before_court(case, self._pending) or prosecutor.is_hopeless(case)

    def _open_disputes(self) -> list[Pending]:
        """What goes on, as the court stores it; read again after each of its events."""
        pending, read = [], {}
        fold = self._history.update()
        for one in fold.disputes.values():
            if one.ended is not None and self._bench.is_me(one.challenger):
                state = one.ended.name.lower()
                self._bench.tell_once("dispute_ended", one.number, dispute=one.number, state=state)
        for one in fold.open:
            last, dispute = self._read.get(one.number, (None, None))
            if dispute is None or last != one.last:
                dispute = self._court.dispute(one.number)
            read[one.number] = (one.last, dispute)
            pending.append(Pending(history=one, dispute=dispute))
        self._read = read
        return pending


def open_watch(
    *,
    rpc: Rpc,
    run: RunContract,
    court: MergeCourtContract | None,
    sender: TransactionSender,
    store: ContentStore,
    shelf: ModelShelf,
    recompute: Recompute,
    is_checked: IsChecked,
    wake: Callable[[], None],
    rank: int = 0,
    report: Report | None = None,
    first_block: int = 0,
) -> CourtWatch | None:
    """The watch of a run; without a court None, and a word in the log.

    `rank` is the account's turn among all that watch. Raises what `Rpc` raises.
    """
    if court is None:
        _log.warning("no_merge_court", run=run.address, effect="wrong merges are only rejected")
        return None
    params = run.params
    bench = Bench(
        clerk=Clerk(rpc=rpc, run=run, court=court, sender=sender),
        examiner=Examiner(
            store,
            shelf,
            segment_ends=params.segment_ends,
            momentum=params.momentum,
            deadline_s=max(min(DOWNLOAD_DEADLINE_S, FETCH_SHARE * params.dispute_s), LEAST_FETCH_S),
        ),
        desk=Desk(done=wake),
        rank=rank,
        report=report or say_nothing,
        wake=wake,
    )
    history = CourtHistory(rpc, court, run.address, first_block=first_block)
    return CourtWatch(bench, court, history, Judge(bench, recompute, is_checked))
