"""Everything a command needs, opened from the settings; the node is put together here.

with opened(settings) as session:          # chain, key and store: cheap
    with session.node(...) as node:        # torch, journal and lock: seconds
        node.follow()
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event

from eth_utils.address import is_address, to_checksum_address

from network.court.watch import CourtWatch, open_watch
from network.ethereum import check_clock
from network.keeper import Keeper
from network.relay import RelayClient
from network.run import RunParams
from network.settings import (
    Settings,
)
from network.spec_check import load_manifest, load_spec
from protocol.errors import InvalidSetting
from protocol.manifest import Manifest
from protocol.spec import RunSpec
from protocol.types import Address
from trainer.access import Access
from trainer.auditing import AuditLoop, AuditPlan
from trainer.comparing import Comparer
from trainer.courtroom import Courtroom, RoleMakers
from trainer.duties import Duties, Hook, Identity
from trainer.exchange import WAIT_S, RevealExchange
from trainer.journal import RoundJournal, exclusive
from trainer.models import ModelCache, Models
from trainer.node import Node, make_keeper
from trainer.replaying import Replayer
from trainer.replays import ParentModels
from trainer.report import Report
from trainer.selftest import SelfTestMode, ensure_stable
from trainer.submitting import Submitter
from trainer.training import Learner, ShardCache, Trainer, load_learner
from trainer.updates import OwnUpdates
from trainer.verifying import UpdateVerifier
from trainer.workshop import Workshop

CLOCK_TOLERANCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What `start` takes."""

    relay: str | None = None
    stake_gwei: int | None = None
    rounds: int | None = None
    bond: bool = False
    backup: bool = True
    watch: bool = True
    audit: bool = True
    jury: bool = True
    device: str = "auto"
    selftest: SelfTestMode = "once"


class Session(Access, RoleMakers):
    """What a command of the trainer works with; an adversary's makes other parts."""

    def make_learner(self, spec: RunSpec, *, device: str) -> Learner:
        """What learns; raises UnknownTask and DeviceUnavailable."""
        return load_learner(spec, device=device)

    def make_trainer(
        self, *, spec: RunSpec, params: RunParams, shards: ShardCache, learner: Learner
    ) -> Trainer:
        """What trains for this key."""
        return Trainer(spec=spec, params=params, shards=shards, learner=learner)

    def make_replayer(
        self, *, spec: RunSpec, params: RunParams, shards: ShardCache, learner: Learner
    ) -> Replayer:
        """What does others' work again."""
        return Replayer(spec=spec, params=params, shards=shards, learner=learner)

    def courtroom(
        self,
        *,
        spec: RunSpec,
        cache: ModelCache,
        workshop: Workshop,
        replayer: Replayer,
        manifest: Manifest,
        journal: RoundJournal | None,
    ) -> Courtroom:
        """What the roles before the training court are made of."""
        return Courtroom(
            makers=self,
            rpc=self.rpc,
            run=self.run,
            court=self.training_court,
            sender=self.sender,
            signer=self.signer,
            heads=self.heads,
            chain_id=self.settings.chain_id,
            folder=self.folder,
            journal=journal,
            workshop=workshop,
            replayer=replayer,
            models=ParentModels(
                store=self.store, cache=cache, layout=spec.layout, momentum=spec.merge.momentum
            ),
            comparer=Comparer(store=self.store, spec=spec, manifest=manifest),
            first_block=self.first_block,
        )

    @contextmanager
    def node(
        self, options: StartOptions, report: Report, *, hook: Hook = lambda _: None
    ) -> Iterator[Node]:
        """A node ready to follow the run; what can be checked cheaply is checked first.

        Raises AlreadyRunning, JournalCorrupt, ClockSkew, SpecMismatch, UnstableClass, UnknownTask,
        what store and chain raise, and what `enroll` raises.
        """
        run, store = self.run, self.store
        check_clock(self.rpc, tolerance_s=CLOCK_TOLERANCE_S)
        with ExitStack() as stack:
            stack.enter_context(exclusive(self.folder / "lock"))
            journal = RoundJournal(self.folder / "journal.jsonl")
            stack.callback(journal.close)
            spec = load_spec(store, run.params)
            manifest = load_manifest(store, spec)
            # Before the seat is taken: the work of such a class costs its stake.
            ensure_stable(device=options.device, mode=options.selftest, folder=self.selftest_folder)
            learner = self.make_learner(spec, device=options.device)
            report(
                "ready",
                run=run.address,
                trainer=self.signer.address,
                task=spec.task,
                class_id=learner.class_id.hex(),
            )
            if options.stake_gwei is not None:
                seat = self.account.enroll(options.stake_gwei)
                report("enrolled", seat=seat, stake_gwei=run.seat(seat).stake_gwei)
            if options.bond:
                report("bonded", deposited_wei=str(self.account.bond()))
            cache = ModelCache(self.folder / "models", momentum=spec.merge.momentum)
            models = Models(store, cache, spec, run.params)
            keeper = make_keeper(
                run=run,
                history=self.history,
                sender=self.sender,
                heads=self.heads,
                models=models,
                store=store,
                seat=run.seat_of(self.signer.address),
            )
            node = Node(
                run=run,
                account=self.signer.address,
                heads=self.heads,
                keeper=keeper,
                models=models,
                report=report,
                rounds=options.rounds,
                backup=options.backup,
            )
            verifier = UpdateVerifier(store, norm_bound=run.params.norm_bound, done=node.wake)
            watch = self._watch(models, node, verifier, report) if options.watch else None
            if watch is not None:
                stack.callback(watch.close)
            workshop = Workshop()
            stack.callback(workshop.shutdown, wait=False, cancel_futures=True)
            shards = ShardCache(store, self.settings.data_dir / "shards", manifest)
            replayer = self.make_replayer(
                spec=spec, params=run.params, shards=shards, learner=learner
            )
            trials = self.courtroom(
                spec=spec,
                cache=cache,
                workshop=workshop,
                replayer=replayer,
                manifest=manifest,
                journal=journal,
            ).open(
                stack,
                wake=node.wake,
                report=report,
                rank=self.rank,
                audit=options.audit,
                jury=options.jury,
            )
            relay, exchange = None, None
            if options.relay is not None:
                relay = stack.enter_context(RelayClient(options.relay))
                exchange = RevealExchange(
                    relay,
                    chain_id=self.settings.chain_id,
                    norm_bound=run.params.norm_bound,
                    done=node.wake,
                    wait_s=min(WAIT_S, run.params.reveal_s / 8),
                )
            duties = Duties(
                identity=Identity(
                    chain_id=self.settings.chain_id,
                    run=run.address,
                    trainer=self.signer.address,
                ),
                params=run.params,
                layout=spec.layout,
                journal=journal,
                models=models,
                trainer=self.make_trainer(
                    spec=spec, params=run.params, shards=shards, learner=learner
                ),
                worker=workshop,
                updates=OwnUpdates(store, self.folder / "updates"),
                verifier=verifier,
                submitter=Submitter(
                    run=run,
                    chain_id=self.settings.chain_id,
                    signer=self.signer,
                    sender=self.sender,
                    relay=relay,
                    clock=keeper.now_s,
                ),
                exchange=exchange,
                report=report,
                wake=node.wake,
                watch=watch,
                hook=hook,
            )
            stack.callback(duties.close)
            node.attach(duties, watch, trials)
            yield node

    @contextmanager
    def audit(
        self, plan: AuditPlan, report: Report, *, device: str = "auto"
    ) -> Iterator[AuditLoop]:
        """A loop that audits without a seat.

        Raises AlreadyRunning, JournalCorrupt, SpecMismatch, UnknownTask, InvalidSetting, and what
        store and chain raise.
        """
        run, store = self.run, self.store
        with ExitStack() as stack:
            stack.enter_context(exclusive(self.folder / "lock"))
            spec = load_spec(store, run.params)
            manifest = load_manifest(store, spec)
            shards = ShardCache(store, self.settings.data_dir / "shards", manifest)
            learner = self.make_learner(spec, device=device)
            workshop = Workshop()
            stack.callback(workshop.shutdown, wait=False, cancel_futures=True)
            woken = Event()

            def wake() -> None:
                woken.set()
                self.heads.nudge()

            auditor, watch = self.courtroom(
                spec=spec,
                cache=ModelCache(self.folder / "models", momentum=spec.merge.momentum),
                workshop=workshop,
                replayer=self.make_replayer(
                    spec=spec, params=run.params, shards=shards, learner=learner
                ),
                manifest=manifest,
                journal=None,
            ).open_audit(stack, plan, wake=wake, report=report)
            keeper = Keeper(run, self.history, self.sender, self.heads)
            yield AuditLoop(
                plan=plan,
                auditor=auditor,
                watch=watch,
                keeper=keeper,
                heads=self.heads,
                woken=woken,
            )

    def _watch(
        self, models: Models, node: Node, verifier: UpdateVerifier, report: Report
    ) -> CourtWatch | None:
        """This key's part in the run's court; whoever coordinates comes before the trainers."""
        return open_watch(
            rpc=self.rpc,
            run=self.run,
            court=self.court,
            sender=self.sender,
            store=self.store,
            shelf=models.cache,
            recompute=lambda fold, found: models.recompute(fold, found).root,
            is_checked=verifier.is_sound,
            wake=node.wake,
            rank=self.rank,
            report=report,
            first_block=self.first_block,
        )


@contextmanager
def opened(settings: Settings, *, run: str | None) -> Iterator[Session]:
    """A session whose parts are closed at the end; raises InvalidSetting for a bad address."""
    if run is not None and not is_address(run):
        raise InvalidSetting(name="run", reason=f"{run!r} is no address", hint="0x and 40 digits")
    address = None if run is None else Address(to_checksum_address(run))
    with ExitStack() as stack:
        yield Session(settings, stack, run=address)
