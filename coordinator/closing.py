"""Ends a round and begins the next: freeze, propose, settle and open, in one transaction if it can.

The merge is made while trainers check the updates, from the inputs that the freeze will fix.
"""

from collections.abc import Sequence

import structlog

from coordinator.aggregator import MergedModel
from coordinator.merge_jobs import MergeJobs
from coordinator.posting import Poster, Voices, opinions_of, sufficient
from network.due import (
    agreed,
    can_freeze_early,
    settle_batch,
    turn_opens_at_s,
)
from network.history import RoundHistory
from network.keeper import (
    GWEI,
    WAITS,
    Keeper,
    View,
    ensure_bonds,
    freeze_updates,
    intent_key,
    settle_calls,
    undisputed,
)
from network.remedies import REMEDIES
from network.run import RunContract, attestation_groups
from network.transactions import Call, TransactionSender
from protocol.errors import InsufficientFunds, TransactionReverted
from protocol.rounds import bitmap_of, popcount, seats_in
from protocol.types import Attempt, Gwei, Seat

_log = structlog.get_logger(__name__)

_NOT_YET = (
    *WAITS,
    *(
        REMEDIES[name]
        for name in ("DisputeOpen", "DisputeWindowOpen", "InputsMismatch", "WrongRound")
    ),
)
"""Refusals of what is only added to a transaction: send it with less."""


class Closer:
    """Closes the rounds of one run; `last_round` is the last one it opens. Use from one thread."""

    def __init__(
        self,
        run: RunContract,
        sender: TransactionSender,
        keeper: Keeper,
        jobs: MergeJobs,
        poster: Poster,
        *,
        last_round: int,
        proposes: bool = True,
        settle_every: int = 1,
        waits_final: bool = False,
    ) -> None:
        self._run = run
        self._sender = sender
        self._keeper = keeper
        self._jobs = jobs
        self._poster = poster
        self._last_round = last_round
        self._proposes = proposes
        self._settle_every = settle_every
        self._waits_final = waits_final
        self._refused: Attempt | None = None

    def reveal(self, view: View, found: RoundHistory) -> bool:
        """Reveal, freeze and all that follows at once, when every header and voice came in time.

        Else the reveals go on chain, and the audit follows.
        """
        whole = self._poster.whole(view, found)
        if whole is None or self._refused == found.attempt:
            return self._poster.post_reveals(view, found, waits=not view.current.reveals)
        everything = bitmap_of(whole.reveals)
        included = everything & ~self._excluded(view, whole)
        merged = self._merge(view, whole, included)
        voices = self._poster.voices(whole)
        chosen = self._sufficient(view, whole, voices, everything)
        if chosen is None:
            waits = not self._is_hopeless(view, whole, voices, everything)
            return self._poster.post_reveals(view, found, waits=waits)
        is_past_half = self._poster.is_past_half(view)
        if merged is None and not is_past_half and self._may_come(view, whole, included):
            return False
        call = self._poster.freeze_call(whole, chosen)
        try:
            return self._close(view, whole, call, merged, included)
        except TransactionReverted:
            self._refused = found.attempt  # whatever the reason, the slow way is open
            raise

    def audit(self, view: View, found: RoundHistory) -> bool:
        """Prepare the merge; freeze and what follows as soon as attestations or the clock allow."""
        if len(found.reveals) != view.current.reveals:
            return False
        voices = self._poster.voices(found)
        opinions = opinions_of(voices)
        is_over = view.now_s > view.current.deadline_s
        is_settled = can_freeze_early(found, view.fold, opinions)
        available = bitmap_of(found.reveals)
        if is_over or is_settled:
            available = agreed(found, view.fold, opinions).available
        included = available & ~self._excluded(view, found)
        merged = self._merge(view, found, included)
        waits = not is_settled or (merged is None and self._may_come(view, found, included))
        if not is_over and waits:
            return self._poster.post_attestations(view, found)
        everything = bitmap_of(found.reveals)
        if available == everything:  # else the freeze may rest on everybody having spoken
            voices = self._sufficient(view, found, voices, everything) or voices
        freeze = self._run.freeze(
            attempt=found.attempt,
            groups=attestation_groups(voices),
            updates=freeze_updates(found),
        )
        return self._close(view, found, freeze, merged, included)

    def _close(
        self,
        view: View,
        found: RoundHistory,
        freeze: Call,
        merged: MergedModel | None,
        included: int,
    ) -> bool:
        """Freeze, and in the same transaction whatever can follow."""
        fails = popcount(included) < self._run.params.min_trainers
        calls = [freeze]
        if merged is not None and self._is_first(found):
            calls.append(self._proposal(view, found, merged))
        elif not fails:
            return self._send("freeze", view, [calls])
        return self._send("close", view, self._with_more(view, calls))

    def _excluded(self, view: View, found: RoundHistory) -> int:
        return int(self._run.read("excluded", found.attempt)) if view.current.any_excluded else 0

    def _sufficient(
        self, view: View, found: RoundHistory, voices: Voices, needed: int
    ) -> Voices | None:
        return sufficient(
            voices,
            self._stakes(view, found.roster),
            total_gwei=view.totals.roster_stake_gwei,
            needed=needed,
        )

    def _is_hopeless(self, view: View, found: RoundHistory, voices: Voices, needed: int) -> bool:
        """Whether those who have not spoken can no longer settle that every update is available."""
        stakes_gwei = self._stakes(view, found.roster)
        against = sum(
            stakes_gwei.get(seat, 0)
            for seat, (said, _) in voices.items()
            if needed & ~said.available
        )
        return 3 * against > view.totals.roster_stake_gwei

    def propose(self, view: View, found: RoundHistory) -> bool:
        """Propose the merge of a frozen round when it is this account's turn."""
        if not self._proposes or not found.inputs or not found.included:
            return False
        merged = self._merge(view, found, found.included)
        if merged is None or view.now_s < self._keeper.turn_s(view):
            return False
        calls = [self._proposal(view, found, merged)]
        return self._send("propose", view, self._with_more(view, calls))

    def _merge(self, view: View, found: RoundHistory, included: int) -> MergedModel | None:
        if not self._proposes or popcount(included) < self._run.params.min_trainers:
            return None
        inputs = view.fold.inputs_of(found, included, self._stakes(view, included))
        return self._jobs.prepared(view.fold, found, inputs)

    def _may_come(self, view: View, found: RoundHistory, included: int) -> bool:
        if not self._proposes or popcount(included) < self._run.params.min_trainers:
            return False
        inputs = view.fold.inputs_of(found, included, self._stakes(view, included))
        return self._jobs.is_running(found, inputs)

    def _stakes(self, view: View, included: int) -> dict[Seat, Gwei]:
        """Stakes as the freeze will read them; only the chain knows what a court took."""
        if not view.totals.last_conviction:
            return view.fold.stakes_gwei
        return {seat: self._run.seat(seat).stake_gwei for seat in seats_in(included)}

    def _is_first(self, found: RoundHistory) -> bool:
        """Whether this account may propose in the very block of the freeze."""
        params = self._run.params
        turn_s = turn_opens_at_s(
            params,
            deadline_s=params.merge_timeout_s,
            seed=found.seed,
            aggregators=self._run.read("aggregators"),
            account=self._sender.address,
        )
        return turn_s == 0

    def _proposal(self, view: View, found: RoundHistory, merged: MergedModel) -> Call:
        scope = f"{found.round_id}/{view.current.attempt}/{len(found.rejected)}"
        bond_wei = self._run.params.proposer_bond_gwei * GWEI
        if self._run.account(self._sender.address).free_wei < bond_wei:
            # One deposit for all the proposals that will be bonded until the next settlement.
            bonds = min(self._settle_every, self._last_round - found.round_id + 1)
            try:
                ensure_bonds(self._run, self._sender, bonds=max(bonds, 1), scope=scope)
            except InsufficientFunds:
                ensure_bonds(self._run, self._sender, bonds=1, scope=scope)
        return self._run.propose_merge(
            round_id=found.round_id, model_root=merged.root, model=merged.model
        )

    def _with_more(self, view: View, calls: list[Call]) -> list[list[Call]]:
        """The calls with settlement and the next round added; then with less, should that fail."""
        params, totals, round_id = self._run.params, view.totals, view.current.round_id
        is_last = round_id >= self._last_round
        rounds = settle_batch(
            view.now_s,
            params,
            view.current,
            totals,
            view.fold,
            every=1 if is_last and not self._waits_final else self._settle_every,
        )
        rounds = undisputed(self._run, self._keeper.right(rounds))
        settle = settle_calls(self._run, view.fold, rounds)
        pending = round_id - totals.last_final - len(rounds)
        opens = (
            not totals.halted
            and not totals.closed
            and not is_last
            and pending + 2 <= params.ring_size
        )
        variants = [calls]
        if settle:
            variants.insert(0, [*calls, *settle])
        if opens:
            variants.insert(0, [*variants[0], self._run.prepare("openRound")])
        return variants

    def _send(self, kind: str, view: View, variants: Sequence[list[Call]]) -> bool:
        """Send the first variant that the chain takes."""
        current = view.current
        origin = (current.round_id, current.attempt, current.phase, current.deadline_s)

        def is_done() -> bool:
            now = self._run.current()
            return (now.round_id, now.attempt, now.phase, now.deadline_s) != origin

        scope = f"{current.round_id}/{current.attempt}/{current.deadline_s}"
        for last, calls in enumerate(variants, start=1 - len(variants)):
            call = calls[0] if len(calls) == 1 else self._run.multicall(calls)
            key = intent_key(self._run.address, kind, scope, call)
            try:
                receipt = self._sender.send(key, call, already_done=is_done)
            except _NOT_YET as refusal:
                if last == 0:
                    raise
                _log.info("sent_with_less", round=current.round_id, problem=refusal.message)
                continue
            if receipt is not None:
                _log.info(
                    "round_moved",
                    step=kind,
                    round=current.round_id,
                    calls=len(calls),
                    gas=receipt.gas_used,
                )
            break
        return True
