"""Participants that break the protocol: the real roles with one part replaced by a lying one.

`python -m scripts.adversaries NAME ...` is what `make demo ARGS="--adversary NAME"` starts beside
the honest processes. An adversary has its own key, stake and bond; nothing of it is simulated.
"""

import secrets
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np

from coordinator.commands import coordinate, read_address
from coordinator.output import Output
from network.heads import HeadWatcher
from network.history import RoundHistory
from network.logs import configure_logs
from network.rpc import Rpc
from network.run import RunContract
from network.settings import Settings, load_settings, open_store
from network.store import Content, ContentStore
from network.store.base import pieces_of
from network.transactions import Call, TransactionSender
from protocol.cid import Cid, CidBuilder, Codec, cid_of
from protocol.codec import UPDATE_LEAF_BYTES, model_leaf_bytes
from protocol.errors import CommonweightError
from protocol.merkle import MerkleTree, SumTree
from protocol.rounds import popcount
from protocol.types import Address, Digest, RoundId, Seat
from trainer.account import TrainerAccount
from trainer.report import LineReport, Report
from trainer.setup import Session, StartOptions
from trainer.training import Trained, Trainer

_ELEMENT_BYTES = 4
_LARGEST = 2**31 - 1
_STEEPEST_EXPONENT = 15
_LARGEST_STEP = 127
_ENROLMENT_S = 300.0


# -- lies -------------------------------------------------------------------------------------


def off_by_one(model: bytes) -> bytes:
    """A model object whose first element is one unit off: the smallest wrong merge there is."""
    first = int.from_bytes(model[:_ELEMENT_BYTES], "big", signed=True)
    wrong = first + 1 if first < _LARGEST else first - 1
    return wrong.to_bytes(_ELEMENT_BYTES, "big", signed=True) + model[_ELEMENT_BYTES:]


def poisoned(update: bytes) -> bytes:
    """An update object that goes against an honest one as far as the encoding reaches."""
    leaves = np.frombuffer(update, np.uint8).reshape(-1, UPDATE_LEAF_BYTES).copy()
    steps = leaves[:, 1:].astype(np.int16) - 128
    leaves[:, 0] = _STEEPEST_EXPONENT
    leaves[:, 1:] = 128 - _LARGEST_STEP * np.sign(steps)
    return leaves.tobytes()


def understated(trained: Trained, *, norm_bound: int) -> Trained:
    """The poisoned update under its true tree, with a header that states the largest legal norm."""
    update = poisoned(trained.update_bytes)
    cid = cid_of(update)
    header = replace(
        trained.header,
        update_root=SumTree.from_leaves(update).root,
        ssq=norm_bound,
        update_cid=cid.digest,
        update_size=cid.size,
    )
    return replace(trained, header=header, update_bytes=update)


# -- an aggregator that lies --------------------------------------------------------------------


class LyingRun(RunContract):
    """The client of a run whose every proposal is a lie, the same one however often it is sent.

    The driver above it believes its own proposals, as an accomplice would, and so opens the next
    round upon them.
    """

    def __init__(self, rpc: Rpc, address: Address, *, store: ContentStore, report: Report) -> None:
        super().__init__(rpc, address)
        self._store = store
        self._report = report
        self._lies: dict[Digest, tuple[Digest, Cid]] = {}

    def lie(self, model: Cid) -> tuple[Digest, Cid]:
        """A root and an object to propose instead of a right model."""
        raise NotImplementedError

    def propose_merge(self, *, round_id: RoundId, model_root: Digest, model: Cid) -> Call:
        """Propose a lie."""
        if model_root not in self._lies:
            self._lies[model_root] = self.lie(model)
        wrong_root, wrong_model = self._lies[model_root]
        self._report(
            "lie", round=round_id, right_root=model_root.hex(), proposed_root=wrong_root.hex()
        )
        return super().propose_merge(round_id=round_id, model_root=wrong_root, model=wrong_model)


class WrongMergeRun(LyingRun):
    """Proposes a model that is wrong in one element, and publishes it."""

    def lie(self, model: Cid) -> tuple[Digest, Cid]:
        """Off by one."""
        wrong = off_by_one(self._store.get(model, max_bytes=model.size))
        leaf_bytes = model_leaf_bytes(momentum=self.params.momentum)
        return MerkleTree.from_leaves(wrong, leaf_bytes).root, self._store.put(wrong)


class WithheldModelRun(LyingRun):
    """Proposes a root that no tree has, and a content id that no object has."""

    def lie(self, model: Cid) -> tuple[Digest, Cid]:
        """Nothing at all."""
        nothing = Cid(digest=Digest(secrets.token_bytes(32)), size=model.size)
        return Digest(secrets.token_bytes(32)), nothing


# -- trainers that lie --------------------------------------------------------------------------


class WithholdingStore(ContentStore):
    """Says that it keeps what it is given, and forgets it. Reads come from another store."""

    def __init__(self, inner: ContentStore) -> None:
        self._inner = inner
        self.place = inner.place
        self.read_ahead = inner.read_ahead

    def put(self, content: Content) -> Cid:
        """The content id of an object that is kept nowhere."""
        builder = CidBuilder()
        for piece in pieces_of(content):
            builder.update(piece)
        return builder.finish()

    def get_block(self, digest: Digest, codec: Codec, *, timeout_s: float) -> bytes:
        """One block of the other store."""
        return self._inner.get_block(digest, codec, timeout_s=timeout_s)

    def has(self, cid: Cid) -> bool:
        """Whether the other store has it."""
        return self._inner.has(cid)

    def pin(self, cid: Cid) -> None:
        """Pin in the other store."""
        self._inner.pin(cid)

    def forget(self, cid: Cid) -> None:
        """Forget in the other store."""
        self._inner.forget(cid)


class PoisoningTrainer(Trainer):
    """Trains honestly, so that its work looks real, and commits to the opposite."""

    def train(self, *, model: bytes, found: RoundHistory, seat: Seat) -> Trained:
        """The opposite of a real update, beyond the norm bound, under a header that hides it."""
        trained = super().train(model=model, found=found, seat=seat)
        return understated(trained, norm_bound=self._params.norm_bound)


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

    @cached_property
    def account(self) -> TrainerAccount:
        """The key's money and seat."""
        return LateAccount(
            rpc=self.rpc, run=self.run, sender=self.sender, heads=self.heads, others=self.others
        )


class LyingNormSession(LyingSession):
    """Trains with `PoisoningTrainer`."""

    def make_trainer(self, **parts: Any) -> Trainer:
        """Trains to lie."""
        return PoisoningTrainer(**parts)


class WithheldUpdateSession(LyingSession):
    """Publishes nothing."""

    @cached_property
    def store(self) -> ContentStore:
        """A store that takes everything and keeps nothing."""
        return WithholdingStore(self._stack.enter_context(open_store(self.settings)))


# -- processes ----------------------------------------------------------------------------------


def run_aggregator(kind: type[LyingRun], settings: Settings, run: str, rounds: int) -> None:
    """Coordinate as everybody may, and lie in every turn."""
    report = LineReport(as_json=True)
    with open_store(settings) as store:
        coordinate(
            settings,
            Output(as_json=True),
            run=run,
            rounds=rounds,
            wait_final=False,
            settle_every=1,
            register=True,
            no_propose=False,
            relay_host="127.0.0.1",
            relay_port=0,
            unchecked=False,
            no_watch=True,  # it would convict itself
            make_contract=lambda rpc, address: kind(rpc, address, store=store, report=report),
        )


def run_trainer(
    kind: type[LyingSession], settings: Settings, run: str, others: int, options: StartOptions
) -> None:
    """Train as everybody may, and lie about it."""
    report = LineReport(as_json=True)
    with ExitStack() as stack:
        session = kind(settings, stack, run=read_address("--run", run))
        session.others = others
        with session.node(options, report) as node:
            signal.signal(signal.SIGTERM, lambda *_: node.stop())
            node.follow()


AGGREGATORS: dict[str, type[LyingRun]] = {
    "wrong-merge": WrongMergeRun,
    "withheld-model": WithheldModelRun,
}
TRAINERS: dict[str, type[LyingSession]] = {
    "lying-norm": LyingNormSession,
    "withheld-update": WithheldUpdateSession,
}
ADVERSARIES = (*AGGREGATORS, *TRAINERS)


@click.command()
@click.argument("name", type=click.Choice(ADVERSARIES))
@click.option("--rpc", multiple=True)
@click.option("--ws", multiple=True)
@click.option("--chain-id", type=int)
@click.option("--store", multiple=True)
@click.option("--keystore")
@click.option("--passphrase-file", type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(path_type=Path))
@click.option("--factory")
@click.option("--run", required=True)
@click.option("--rounds", type=int, required=True, help="rounds of the run")
@click.option("--relay", help="trainers: the relay")
@click.option("--stake", "stake_gwei", type=int, help="trainers: gwei to enroll with")
@click.option("--others", type=int, default=0, help="trainers: seats to be taken by others first")
def main(
    name: str,
    run: str,
    rounds: int,
    relay: str | None,
    stake_gwei: int | None,
    others: int,
    **flags: Any,
) -> None:
    """Take part in a run and cheat in it; settings are those of the honest commands."""
    configure_logs(as_json=True, verbose=False)
    try:
        settings = load_settings(flags, config=None)
        if name in AGGREGATORS:
            run_aggregator(AGGREGATORS[name], settings, run, rounds)
            return
        options = StartOptions(
            relay=relay, stake_gwei=stake_gwei, rounds=rounds, backup=False, watch=False
        )
        run_trainer(TRAINERS[name], settings, run, others, options)
    except CommonweightError as error:
        click.echo(f"error: {error.message}\n-> {error.remedy}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
