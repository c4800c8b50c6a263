"""Puts a node's parts before the training court together: auditor, party, juror and usher.

Whoever wants one of them to behave otherwise overrides its maker. Docs/protocol.md section 9.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from network.bench import MAX_RANK, Report
from network.heads import HeadWatcher
from network.keys import Signer
from network.rpc import Rpc
from network.run import ZERO_ADDRESS, RunContract
from network.transactions import TransactionSender
from network.trials.bench import Role, TrialBench
from network.trials.contract import TrainingCourtContract
from network.trials.draws import Beacon, Draws
from network.trials.history import TrialsHistory
from network.trials.usher import Usher
from network.trials.watch import TrialWatch, make_bench
from protocol.errors import InvalidSetting
from trainer.auditing import AuditPlan, FreeAuditor
from trainer.auditor import Auditor
from trainer.casebook import Casebook
from trainer.comparing import Comparer
from trainer.duties import Identity
from trainer.journal import RoundJournal
from trainer.juror import JurorRole
from trainer.party import Party
from trainer.replays import ParentModels, Replaying, Replays
from trainer.workshop import Workshop

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the roles of one account in one run share."""

    bench: TrialBench
    identity: Identity
    signer: Signer
    casebook: Casebook
    replays: Replays
    draws: Draws
    beacon: Beacon
    journal: RoundJournal | None


class RoleMakers:
    """How each role is made; a session has these methods, and an adversary's has others."""

    def make_auditor(self, parts: Parts) -> Auditor:
        """Who does other trainers' work again."""
        return Auditor(
            bench=parts.bench,
            identity=parts.identity,
            signer=parts.signer,
            casebook=parts.casebook,
            replays=parts.replays,
            draws=parts.draws,
            beacon=parts.beacon,
        )

    def make_party(self, parts: Parts) -> Party:
        """Who defends the own updates, and goes on with the own accusations."""
        return Party(
            bench=parts.bench,
            journal=parts.journal,
            casebook=parts.casebook,
            replays=parts.replays,
        )

    def make_juror(self, parts: Parts) -> JurorRole:
        """Who judges where it was drawn."""
        return JurorRole(bench=parts.bench, casebook=parts.casebook, replays=parts.replays)

    def make_usher(self, parts: Parts) -> Usher:
        """Who goes on with what is overdue."""
        return Usher(parts.bench, parts.beacon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Courtroom:
    """What a session lends to the roles."""

    makers: RoleMakers
    rpc: Rpc
    run: RunContract
    court: TrainingCourtContract | None
    sender: TransactionSender
    signer: Signer
    heads: HeadWatcher
    chain_id: int
    folder: Path
    journal: RoundJournal | None
    workshop: Workshop
    replayer: Replaying
    models: ParentModels
    comparer: Comparer
    first_block: int = 0

    def open(
        self,
        stack: ExitStack,
        *,
        wake: Callable[[], None],
        report: Report,
        rank: int,
        audit: bool = True,
        jury: bool = True,
    ) -> TrialWatch | None:
        """The account's part before the run's training court; without one None, and a word of it.

        Raises JournalCorrupt, and what `Rpc` raises.
        """
        court = self.court
        if court is None:
            _log.warning(
                "no_training_court", run=self.run.address, effect="no update is proven wrong"
            )
            return None
        parts = self._parts(stack, court, wake=wake, report=report, rank=rank)
        roles: list[Role] = [self.makers.make_party(parts)]
        if jury:
            roles.append(self.makers.make_juror(parts))
        if audit:
            roles.append(self.makers.make_auditor(parts))
        roles.append(self.makers.make_usher(parts))
        return self.watch(stack, parts, court, roles)

    def open_audit(
        self, stack: ExitStack, plan: AuditPlan, *, wake: Callable[[], None], report: Report
    ) -> tuple[FreeAuditor, TrialWatch]:
        """An auditor without a seat; with a plan to accuse it goes on with its trials too.

        Raises InvalidSetting for such a plan where the run has no training court.
        """
        court = self.court
        if court is None:
            if plan.accuse:
                raise InvalidSetting(
                    name="accuse",
                    reason="the run has no training court that this version knows",
                    hint="audit without --accuse",
                )
            court = TrainingCourtContract(self.rpc, ZERO_ADDRESS)
        parts = self._parts(stack, court, wake=wake, report=report, rank=MAX_RANK)
        auditor = FreeAuditor(
            plan,
            bench=parts.bench,
            identity=parts.identity,
            signer=parts.signer,
            casebook=parts.casebook,
            replays=parts.replays,
            draws=parts.draws,
            beacon=parts.beacon,
        )
        roles: list[Role] = [auditor]
        if plan.accuse:
            roles = [self.makers.make_party(parts), auditor, self.makers.make_usher(parts)]
        return auditor, self.watch(stack, parts, court, roles)

    def watch(
        self,
        stack: ExitStack,
        parts: Parts,
        court: TrainingCourtContract,
        roles: list[Role],
    ) -> TrialWatch:
        """A watch of these roles."""
        history = TrialsHistory(self.rpc, court, self.run.address, first_block=self.first_block)
        watch = TrialWatch(parts.bench, court, history, roles)
        stack.callback(watch.close)
        return watch

    def _parts(
        self,
        stack: ExitStack,
        court: TrainingCourtContract,
        *,
        wake: Callable[[], None],
        report: Report,
        rank: int,
    ) -> Parts:
        casebook = Casebook(self.folder / "casebook.jsonl")
        stack.callback(casebook.close)
        bench = make_bench(
            rpc=self.rpc,
            run=self.run,
            court=court,
            sender=self.sender,
            wake=wake,
            rank=rank,
            report=report,
        )
        beacon = Beacon(self.rpc, self.run, lambda: _number_of(self.heads))
        return Parts(
            bench=bench,
            identity=Identity(
                chain_id=self.chain_id, run=self.run.address, trainer=self.sender.address
            ),
            signer=self.signer,
            casebook=casebook,
            replays=Replays(
                desk=bench.desk,
                workshop=self.workshop,
                replayer=self.replayer,
                models=self.models,
                comparer=self.comparer,
            ),
            draws=Draws(beacon),
            beacon=beacon,
            journal=self.journal,
        )


def _number_of(heads: HeadWatcher) -> int:
    head = heads.head
    return 0 if head is None else head.number
