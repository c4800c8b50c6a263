"""What an adversary with a seat opens instead of `trainer.setup.Session`, and how it is run."""

import signal
from contextlib import ExitStack
from functools import cached_property

from coordinator.commands import read_address
from network.heads import HeadWatcher
from network.rpc import Rpc
from network.run import RunContract
from network.settings import Settings
from network.transactions import TransactionSender
from protocol.rounds import popcount
from protocol.types import Seat
from trainer.account import TrainerAccount
from trainer.report import LineReport
from trainer.setup import Session, StartOptions

_ENROLMENT_S = 300.0


class LateAccount(TrainerAccount):
    """Takes a seat after `others` are taken, so that the first round is never short of honesty."""

    def __init__(
        self,
        *,
        rpc: Rpc,
        run: RunContract,
        sender: TransactionSender,
        heads: HeadWatcher,
        others: int,
    ) -> None:
        super().__init__(rpc=rpc, run=run, sender=sender, court=None)
        self._heads = heads
        self._others = others

    def enroll(self, stake_gwei: int) -> Seat:
        """Wait for the others, then enroll."""
        self._heads.wait_for(
            lambda: popcount(self._run.read("seatsUsed")) >= self._others or None,
            timeout_s=_ENROLMENT_S,
        )
        return super().enroll(stake_gwei)


class LyingSession(Session):
    """What `commonweight-trainer` opens, for an adversary."""

    others = 0
    pace_s = 0.0
    """How long a liar takes for an update at least."""

    @cached_property
    def account(self) -> TrainerAccount:
        """The key's money and seat."""
        return LateAccount(
            rpc=self.rpc, run=self.run, sender=self.sender, heads=self.heads, others=self.others
        )


def run_trainer(
    kind: type[LyingSession],
    settings: Settings,
    options: StartOptions,
    *,
    run: str,
    others: int,
    pace_s: float,
) -> None:
    """Train as everybody may, and lie about it."""
    report = LineReport(as_json=True)
    with ExitStack() as stack:
        session = kind(settings, stack, run=read_address("--run", run))
        session.others, session.pace_s = others, pace_s
        with session.node(options, report) as node:
            signal.signal(signal.SIGTERM, lambda *_: node.stop())
            node.follow()
