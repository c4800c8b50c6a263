"""Everything a command needs, opened from the settings; the node is put together here.

with opened(settings) as session:          # chain, key and store: cheap
    with session.node(...) as node:        # torch, journal and lock: seconds
        node.follow()
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

from network.bench import MAX_RANK
from network.court.contract import MergeCourtContract, known_court
from network.court.watch import CourtWatch, open_watch
from network.deployment import find_deployment
from network.ethereum import check_clock
from network.heads import HeadWatcher
from network.history import RunHistory
from network.keys import Signer
from network.relay import RelayClient
from network.rpc import Rpc
from network.run import RunContract, RunParams
from network.settings import (
    Settings,
    make_data_dir,
    open_heads,
    open_rpc,
    open_sender,
    open_signer,
    open_store,
)
from network.spec_check import load_manifest, load_spec
from network.store import ContentStore
from network.transactions import TransactionSender
from network.trials.contract import TrainingCourtContract, known_training_court
from protocol.errors import InvalidSetting, NotARun
from protocol.spec import RunSpec
from protocol.types import Address
from trainer.account import TrainerAccount
from trainer.courtroom import Courtroom, RoleMakers
from trainer.duties import Duties, Hook, Identity
from trainer.exchange import WAIT_S, RevealExchange
from trainer.journal import RoundJournal, exclusive
from trainer.models import ModelCache, Models
from trainer.node import Node, make_keeper
from trainer.replaying import Replayer
from trainer.replays import ParentModels
from trainer.report import Report
from trainer.selftest import FOLDER_VARIABLE, SelfTestMode, ensure_stable
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


class Session(RoleMakers):
    """One key, one chain and, if named, one run. Parts are opened when they are first used."""

    def __init__(self, settings: Settings, stack: ExitStack, *, run: Address | None) -> None:
        self.settings = settings
        self._stack = stack
        self._run_address = run

    @property
    def names_a_run(self) -> bool:
        """Whether a run is named."""
        return self._run_address is not None

    @cached_property
    def rpc(self) -> Rpc:
        """The chain."""
        rpc = open_rpc(self.settings)
        self._stack.callback(rpc.close)
        return rpc

    @cached_property
    def signer(self) -> Signer:
        """The key."""
        return open_signer(self.settings)

    @cached_property
    def heads(self) -> HeadWatcher:
        """The chain's heads."""
        return self._stack.enter_context(open_heads(self.settings, self.rpc))

    @cached_property
    def sender(self) -> TransactionSender:
        """Sends the key's transactions; takes up what a former process left."""
        sender = open_sender(self.settings, self.rpc, self.signer, self.heads)
        self._stack.callback(sender.close)
        sender.resume()
        return sender

    @cached_property
    def store(self) -> ContentStore:
        """The content store."""
        return self._stack.enter_context(open_store(self.settings))

    @cached_property
    def run(self) -> RunContract:
        """The run, its code and its factory checked.

        Raises InvalidSetting, NotAContract, CodeMismatch and NotARun.
        """
        address = self._run_address
        if address is None:
            raise InvalidSetting(
                name="run", reason="no run is named", hint="name it with --run ADDRESS"
            )
        run = RunContract(self.rpc, address)
        run.check()
        known = self.settings.factory
        if known is not None and run.vault.read("FACTORY") != known:
            raise NotARun(address=address, factory=known)
        return run

    @cached_property
    def court(self) -> MergeCourtContract | None:
        """The run's merge court, its code checked."""
        return known_court(self.rpc, self.run)

    @cached_property
    def training_court(self) -> TrainingCourtContract | None:
        """The run's training court, its code checked."""
        return known_training_court(self.rpc, self.run)

    @cached_property
    def history(self) -> RunHistory:
        """The run's history, from where its factory was deployed if that is known."""
        return RunHistory(self.rpc, self.run, first_block=self._first_block)

    @cached_property
    def _first_block(self) -> int:
        try:
            return int(find_deployment(self.settings).first_block)
        except InvalidSetting:
            return 0

    @cached_property
    def account(self) -> TrainerAccount:
        """The key's money and seat."""
        return TrainerAccount(
            rpc=self.rpc,
            run=self.run,
            sender=self.sender,
            court=self.court,
            training_court=self.training_court,
        )

    @property
    def folder(self) -> Path:
        """Where this key's files of this run lie."""
        return (
            make_data_dir(self.settings)
            / str(self.settings.chain_id)
            / self.signer.address
            / self.run.address
        )

    @property
    def selftest_folder(self) -> Path:
        """Where is remembered which determinism classes repeat themselves; nodes may share it."""
        shared = os.environ.get(FOLDER_VARIABLE)
        return Path(shared) if shared else make_data_dir(self.settings) / "selftest"

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
            first_block=self._first_block,
        )

    @property
    def rank(self) -> int:
        """The key's turn at what anybody may do; whoever coordinates comes before the trainers."""
        seat = self.run.seat_of(self.signer.address)
        return MAX_RANK if seat is None else int(seat) + 1

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
            learner = load_learner(spec, device=options.device)
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
            first_block=self._first_block,
        )


@contextmanager
def opened(settings: Settings, *, run: str | None) -> Iterator[Session]:
    """A session whose parts are closed at the end; raises InvalidSetting for a bad address."""
    if run is not None and not is_address(run):
        raise InvalidSetting(name="run", reason=f"{run!r} is no address", hint="0x and 40 digits")
    address = None if run is None else Address(to_checksum_address(run))
    with ExitStack() as stack:
        yield Session(settings, stack, run=address)
