"""One key's way to one chain and one run: opened from the settings, part by part."""

import os
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from network.bench import MAX_RANK
from network.court.contract import MergeCourtContract, known_court
from network.deployment import find_deployment
from network.heads import HeadWatcher
from network.history import RunHistory
from network.keys import Signer
from network.rpc import Rpc
from network.run import RunContract
from network.settings import (
    Settings,
    make_data_dir,
    open_heads,
    open_rpc,
    open_sender,
    open_signer,
    open_store,
)
from network.store import ContentStore
from network.transactions import TransactionSender
from network.trials.contract import TrainingCourtContract, known_training_court
from network.trials.history import KEEP_ALL, TrialsHistory
from protocol.errors import InvalidSetting, NotARun
from protocol.types import Address
from trainer.account import TrainerAccount
from trainer.selftest import FOLDER_VARIABLE


class Access:
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
    def trials_history(self) -> TrialsHistory:
        """All trials of the run; only where it has a training court."""
        assert self.training_court is not None, "there is nothing to follow"
        return TrialsHistory(
            self.rpc,
            self.training_court,
            self.run.address,
            first_block=self.first_block,
            kept_blocks=KEEP_ALL,
        )

    @cached_property
    def history(self) -> RunHistory:
        """The run's history, from where its factory was deployed if that is known."""
        return RunHistory(self.rpc, self.run, first_block=self.first_block)

    @cached_property
    def first_block(self) -> int:
        """The block to read events from."""
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

    @property
    def rank(self) -> int:
        """The key's turn at what anybody may do; whoever coordinates comes before the trainers."""
        seat = self.run.seat_of(self.signer.address)
        return MAX_RANK if seat is None else int(seat) + 1
