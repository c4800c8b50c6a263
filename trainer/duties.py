"""What a seated trainer owes an open round: a commitment, its reveal and an attestation.

In the good case the headers come by the relay and the attestation is sent before they are on chain.

Docs/protocol.md section 4. Every method may be called at any time and any number of times, also
after a crash: it looks at the chain and the journal, and does what is still missing.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from network.court.watch import CourtWatch
from network.history import Outcome, Revealed, RoundHistory
from network.keeper import View
from network.run import RunParams
from protocol.errors import CommonweightError, StoreError, WrongParentRoot
from protocol.layout import Layout
from protocol.rounds import Opinion, Phase, bitmap_of, commitment_hash, seats_in
from protocol.types import Address, Digest, Seat
from trainer.effects import EffectDesk, EffectJudge
from trainer.exchange import RevealExchange
from trainer.journal import Entry, Key, RoundJournal, Stage, key_of
from trainer.models import Models
from trainer.report import Report
from trainer.submitting import Submitter, Window
from trainer.training import Trained, Trainer
from trainer.updates import OwnUpdates, update_cid
from trainer.verifying import UpdateVerifier, Verdict

_log = structlog.get_logger(__name__)

SALT_BYTES = 32
MISSING_SHARE = 0.4
"""The share of the audit phase for which a missing update is waited for."""
CHECKING_SHARE = 0.6
"""The share of the audit phase after which a check that still runs counts as missing."""

Hook = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the node is."""

    chain_id: int
    run: Address
    trainer: Address


class Duties:
    """One trainer's duties in one run. Use from one thread; training runs in another.

    `judge_effects` says in a thread of its own which updates do harm; without it none does.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        params: RunParams,
        layout: Layout,
        journal: RoundJournal,
        models: Models,
        trainer: Trainer,
        worker: Executor | None = None,
        updates: OwnUpdates,
        verifier: UpdateVerifier,
        submitter: Submitter,
        exchange: RevealExchange | None,
        report: Report,
        wake: Callable[[], None],
        watch: CourtWatch | None = None,
        judge_effects: EffectJudge | None = None,
        hook: Hook = lambda _: None,
    ) -> None:
        self._id = identity
        self._params = params
        self._layout = layout
        self._journal = journal
        self._models = models
        self._trainer = trainer
        self._updates = updates
        self._verifier = verifier
        self._submitter = submitter
        self._exchange = exchange
        self._report = report
        self._wake = wake
        self._watch = watch
        self._hook = hook
        self._effects = EffectDesk(judge_effects, models=models, done=wake)
        self._worker = worker or ThreadPoolExecutor(1, thread_name_prefix="train")
        self._training: tuple[Key, Future[Trained]] | None = None
        self._skipped: set[Key] = set()
        self._told: set[tuple[str, Key]] = set()

    def close(self) -> None:
        """Begin nothing more; a training that runs is left to end by itself."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._verifier.close()
        self._effects.close()
        if self._exchange is not None:
            self._exchange.close()

    def fulfil(self, view: View, found: RoundHistory, seat: Seat) -> None:
        """Do what the seat owes the round now; raises what the parts raise."""
        key = key_of(self._id.run, found)
        phase = view.current.phase
        if phase is Phase.COMMIT:
            self._commit(view, found, key, seat)
        elif phase is Phase.REVEAL:
            self._reveal(view, found, key, seat)
            self._attest_early(view, found, key, seat)
        elif phase is Phase.AUDIT:
            self._attest(view, found, key, seat)

    # -- commit -------------------------------------------------------------------------------

    def _commit(self, view: View, found: RoundHistory, key: Key, seat: Seat) -> None:
        if seat in found.dissents or key in self._skipped:
            return
        held = found.commitments.get(seat)
        if held is not None:
            self._note_committed(key, held)
            return
        entry = self._journal.find(key)
        if entry is None:
            entry = self._train(view, found, key, seat)
        if entry is None:
            return
        self._updates.publish(entry.header)
        self._hook("published")
        how = self._submitter.commit(entry, self.window(view))
        if how is not None:
            self._report("commit_sent", round=key.round_id, attempt=key.attempt, by=how)
        self._hook("sent")

    def _note_committed(self, key: Key, held: Digest) -> Entry | None:
        entry = self._journal.find_commitment(held)
        if entry is None:
            if self._once("foreign", key):
                _log.error(
                    "foreign_commitment",
                    round=key.round_id,
                    remedy="another node uses this key, or the journal was lost; find and stop it",
                )
            return None
        if entry.stage < Stage.COMMITTED:
            entry = self._journal.advance(entry, Stage.COMMITTED)
            self._report(
                "committed", round=key.round_id, attempt=key.attempt, commitment=held.hex()
            )
        return entry

    def _train(self, view: View, found: RoundHistory, key: Key, seat: Seat) -> Entry | None:
        """Start training, or take what came of it; None while there is nothing to commit to."""
        if self._training is None:
            own = self._models.obtain(view.fold, found.round_id - 1)
            if own.root != found.parent_root:
                self._dissent(view, found, key, seat, own.root)
                return None
            model = self._models.cache.read(own.root)
            future = self._worker.submit(self._trainer.train, model=model, found=found, seat=seat)
            self._training = (key, future)
            future.add_done_callback(lambda _: self._wake())
            self._report("training", round=found.round_id, attempt=found.attempt, seat=seat)
            return None
        trained_key, future = self._training
        if not future.done():
            return None
        self._training = None
        try:
            trained = future.result()
        except StoreError:
            raise  # a shard may come yet: train again at the next look
        except CommonweightError as error:
            if trained_key == key:
                self._skipped.add(key)
                self._report("round_skipped", round=key.round_id, problem=str(error))
            raise
        if trained_key != key:  # of a round that is over: begin with the open one
            return self._train(view, found, key, seat)
        return self._bind(found, key, seat, trained)

    def _bind(self, found: RoundHistory, key: Key, seat: Seat, trained: Trained) -> Entry:
        """Journal the commitment. From here on the node can only repeat it."""
        self._hook("trained")
        self._updates.keep(trained.header, trained.update_bytes)
        salt = secrets.token_bytes(SALT_BYTES)
        commitment = commitment_hash(
            header=trained.header,
            chain_id=self._id.chain_id,
            run=self._id.run,
            round_id=found.round_id,
            attempt=found.attempt,
            trainer=self._id.trainer,
            salt=salt,
        )
        entry = self._journal.bind(
            Entry(
                key=key,
                seat=seat,
                parent_root=found.parent_root,
                commitment=commitment,
                header=trained.header,
                salt=salt,
                trace=trained.trace_digests,
            )
        )
        self._hook("journalled")
        self._report(
            "round_trained",
            round=key.round_id,
            attempt=key.attempt,
            seat=seat,
            segment=trained.segment,
            shards=list(trained.shards),
            steps=trained.steps,
            loss_first=round(trained.loss_first, 6),
            loss_last=round(trained.loss_last, 6),
            train_s=round(trained.train_s, 3),
            update=update_cid(trained.header).text,
            update_bytes=trained.header.update_size,
            ssq=str(trained.header.ssq),
        )
        return entry

    def _dissent(
        self, view: View, found: RoundHistory, key: Key, seat: Seat, own_root: Digest
    ) -> None:
        error = WrongParentRoot(
            round_id=found.round_id, on_chain=found.parent_root, computed=own_root
        )
        if self._once("wrong parent", key):
            _log.error("wrong_parent_root", problem=error.message, remedy=error.remedy)
            self._report(
                "wrong_parent_root",
                round=found.round_id,
                on_chain=found.parent_root.hex(),
                computed=own_root.hex(),
            )
        parent = view.fold.rounds.get(found.round_id - 1)
        if parent is None or parent.outcome is not Outcome.PROPOSED:
            return
        if self._watch is not None and not self._watch.lets_dissent(view, parent.round_id):
            return  # rejected without a dispute, the merge would cost its proposer nothing
        if self._submitter.dissent(key, seat, own_root, self.window(view)) is not None:
            self._report("dissented", round=found.round_id, computed=own_root.hex())

    # -- reveal -------------------------------------------------------------------------------

    def _reveal(self, view: View, found: RoundHistory, key: Key, seat: Seat) -> None:
        held = found.commitments.get(seat)
        if held is None:
            if self._journal.find(key) is not None and self._once("missed", key):
                self._report("commit_missed", round=key.round_id, attempt=key.attempt)
            return
        entry = self._note_committed(key, held)
        if entry is None:
            return
        if seat in found.reveals:
            self._note_revealed(entry)
            return
        try:
            self._updates.publish(entry.header)
        except StoreError as error:
            # Unavailable costs this round's pay, not revealing costs a fee.
            _log.error("update_not_published", problem=error.message, remedy=error.remedy)
        relayed: set[Seat] = set()
        if self._exchange is not None:
            relayed = self._exchange.look(key, found, view.fold.trainers)
        how = self._submitter.reveal(entry, self.window(view), is_held=seat in relayed)
        if how is not None:
            self._report("reveal_sent", round=key.round_id, attempt=key.attempt, by=how)

    def _note_revealed(self, entry: Entry) -> None:
        if entry.stage < Stage.REVEALED:
            self._journal.advance(entry, Stage.REVEALED)
            self._report("revealed", round=entry.key.round_id, attempt=entry.key.attempt)

    def _attest_early(self, view: View, found: RoundHistory, key: Key, seat: Seat) -> None:
        """Check what is known; attest as soon as every committed seat's update was checked."""
        if self._exchange is None:
            self._look_at_updates(view, found, found.reveals)
            return
        self._exchange.look(key, found, view.fold.trainers)
        known = self._exchange.known(found)
        verdicts = self._look_at_updates(view, found, known)
        if known.keys() != found.commitments.keys() or not known:
            return
        if any(verdict in (None, Verdict.MISSING) for verdict in verdicts.values()):
            return
        opinion = self._form_opinion(view, found, key, known, verdicts)
        if opinion is not None and self._submitter.attest_early(key, seat, opinion):
            self._note_attested(key, opinion, set(known), "relay")

    # -- audit --------------------------------------------------------------------------------

    def _look_at_updates(
        self, view: View, found: RoundHistory, known: dict[Seat, Revealed]
    ) -> dict[Seat, Verdict | None]:
        verdicts = {
            seat: self._verifier.look(
                revealed,
                chunks=len(self._layout.segment_chunks(view.fold.segment_at(found, seat))),
            )
            for seat, revealed in sorted(known.items())
        }
        for seat, verdict in verdicts.items():
            if verdict is Verdict.LYING and self._watch is not None:
                self._watch.accuse(found.round_id, found.attempt, known[seat])
        return verdicts

    def _attest(self, view: View, found: RoundHistory, key: Key, seat: Seat) -> None:
        held = found.commitments.get(seat)
        entry = self._note_committed(key, held) if held is not None else None
        if entry is not None and seat in found.reveals:
            self._note_revealed(entry)
        opinion = self._journal.attested(key)
        if opinion is None:
            verdicts = self._look_at_updates(view, found, found.reveals)
            if self._is_worth_waiting(view, verdicts):
                return
            opinion = self._form_opinion(view, found, key, found.reveals, verdicts)
        if opinion is None or found.attested.get(seat) == opinion:
            return
        how = self._submitter.attest(key, seat, opinion, self.window(view))
        if how is None:
            return
        self._note_attested(key, opinion, set(found.reveals), how)

    def _form_opinion(
        self,
        view: View,
        found: RoundHistory,
        key: Key,
        known: dict[Seat, Revealed],
        verdicts: dict[Seat, Verdict | None],
    ) -> Opinion | None:
        """Journal what to attest; None while the judge of effects runs and may be waited for."""
        opinion = self._journal.attested(key)
        if opinion is not None:
            return opinion
        good = {one: known[one] for one, verdict in verdicts.items() if verdict is Verdict.GOOD}
        harmful = self._effects.look(key, found, good, share=self._share(view))
        if harmful is None:
            return None
        return self._journal.attest(key, Opinion(available=bitmap_of(good), harmful=harmful))

    def _note_attested(self, key: Key, opinion: Opinion, known: set[Seat], how: str) -> None:
        entry = self._journal.find(key)
        if entry is not None:
            self._journal.advance(entry, Stage.ATTESTED)
        self._report(
            "attested",
            round=key.round_id,
            attempt=key.attempt,
            by=how,
            available=list(seats_in(opinion.available)),
            refused=[one for one in sorted(known) if not opinion.available >> one & 1],
            harmful=list(seats_in(opinion.harmful)),
        )

    def _is_worth_waiting(self, view: View, verdicts: dict[Seat, Verdict | None]) -> bool:
        share = self._share(view)
        if any(verdict is None for verdict in verdicts.values()) and share < CHECKING_SHARE:
            return True
        return Verdict.MISSING in verdicts.values() and share < MISSING_SHARE

    def _share(self, view: View) -> float:
        """How much of the open phase is over."""
        window = self.window(view)
        return (view.now_s - window.started_s) / max(window.deadline_s - window.started_s, 1.0)

    def window(self, view: View) -> Window:
        """The phase that is open now."""
        lengths_s = {
            Phase.COMMIT: self._params.commit_s,
            Phase.REVEAL: self._params.reveal_s,
            Phase.AUDIT: self._params.audit_s,
            Phase.MERGE: self._params.merge_timeout_s,
        }
        deadline_s = float(view.current.deadline_s)
        return Window(
            started_s=deadline_s - lengths_s.get(view.current.phase, 0), deadline_s=deadline_s
        )

    def _once(self, what: str, key: Key) -> bool:
        first = (what, key) not in self._told
        self._told.add((what, key))
        return first
