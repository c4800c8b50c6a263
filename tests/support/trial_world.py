"""A run of real contracts with a real training court, its nodes as processes, and a keeper."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from network.artifacts import abi_of
from network.content import model_root
from network.heads import HeadWatcher
from network.history import RunHistory
from network.keeper import Keeper
from network.keys import Signer, create_keystore
from network.rpc import Rpc
from network.run import CLIENT_ABI, RunContract
from network.store import LocalStore
from network.transactions import TransactionSender
from network.trials.contract import TrainingCourtContract, known_training_court
from network.trials.history import TrialFold, TrialsHistory
from protocol.codec import model_leaves
from protocol.errors import CommonweightError
from protocol.layout import CHUNK, Layout, TensorSpec
from protocol.manifest import Manifest, Shard
from protocol.merge import MergeParams
from protocol.spec import Assignment, RunSpec, Training
from support.anvil import Anvil, run_anvil
from support.evm import Evm
from support.runs import SPONSOR, Stage
from trainer.models import ModelCache, Models

ROOT = Path(__file__).parents[2]
PASSPHRASE = "correct horse"
CHUNKS = 3
TIMES = {
    "commitS": 60,
    "revealS": 30,
    "auditS": 30,
    "mergeTurnS": 5,
    "mergeTimeoutS": 120,
    "disputeS": 12,
    "moveS": 8,
    "juryS": 8,
}


@dataclass
class TrialWorld:
    """One run; `start` and `kill` its nodes by name."""

    anvil: Anvil
    folder: Path
    run: RunContract
    court: TrainingCourtContract
    rpc: Rpc
    heads: HeadWatcher
    trials: TrialsHistory
    history: RunHistory
    trainers: int
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, role: str = "honest", point: str = "never") -> None:
        """Start a node, or start it again."""
        keystore, passphrase = self.folder / f"{name}.json", self.folder / "passphrase"
        if not keystore.exists():
            passphrase.write_text(PASSPHRASE)
            signer = create_keystore(keystore, PASSPHRASE, iterations=1024)
            self.addresses[name] = signer.address
            self.rpc.call("anvil_setBalance", signer.address, hex(10**20))
        arguments = (
            *(role, point, self.run.address, self.anvil.url, self.anvil.websocket_url),
            *(str(keystore), str(passphrase), str(self.folder / name)),
            f"local:{self.folder / 'blocks'}",
        )
        with (
            (self.folder / f"{name}.out").open("a") as out,
            (self.folder / f"{name}.err").open("a") as err,
        ):
            self.processes[name] = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/support/trial_node.py"), *arguments],
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
                text=True,
            )

    def wait(self, name: str, timeout_s: float = 90.0) -> int:
        """The exit status of a node that ends by itself."""
        try:
            return self.processes[name].wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name} goes on:\n{self.log(name)}") from None

    def log(self, name: str) -> str:
        """What a node wrote last, for a failed test."""
        said = (self.folder / f"{name}.out").read_text().splitlines()[-12:]
        return "\n".join([*said, *(self.folder / f"{name}.err").read_text().splitlines()[-12:]])

    def events(self, name: str) -> list[dict[str, Any]]:
        """What a node reported, whole lines only."""
        lines = (self.folder / f"{name}.out").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def said(self, name: str) -> list[str]:
        """The names of the events."""
        return [one["event"] for one in self.events(name)]

    def seat_of(self, name: str) -> int:
        seat = self.run.seat_of(self.addresses[name])  # type: ignore[arg-type]
        assert seat is not None, name
        return int(seat)

    def stake_of(self, name: str) -> int:
        return int(self.run.seat(self.seat_of(name)).stake_gwei)

    def wait_for(self, what: Any, timeout_s: float = 90.0) -> Any:
        """What `what` gives of the trials, once it is true."""

        def look() -> Any:
            try:
                return what(self.trials.update()) or None
            except CommonweightError:
                return None

        found = self.heads.wait_for(look, timeout_s=timeout_s)
        if not found:
            logs = {name: self.log(name) for name in self.processes}
            raise AssertionError("\n\n".join(f"{n}:\n{log}" for n, log in logs.items()))
        return found

    def seat(self, roles: dict[str, str], **points: str) -> None:
        """Start nodes one after the other, so that each has the seat of its place."""
        for count, (name, role) in enumerate(roles.items(), start=1):
            self.start(name, role, points.get(name, "never"))
            self.wait_for(lambda _, n=count: self.run.read("seatsUsed").bit_count() >= n)  # type: ignore[misc] # binds this turn's

    def ended(self, number: int = 1, timeout_s: float = 90.0) -> Any:
        """A trial that has ended."""

        def look(fold: TrialFold) -> Any:
            one = fold.trials.get(number)
            return one if one is not None and one.ended is not None else None

        return self.wait_for(look, timeout_s)


@contextmanager
def trial_world(
    folder: Path,
    *,
    trainers: int,
    anvil_flags: tuple[str, ...] = (),
    beacon: str | None = None,
    **overrides: Any,
) -> Iterator[TrialWorld]:
    """A run that a keeper moves; its nodes end with the block."""
    with ExitStack() as stack:
        anvil = stack.enter_context(run_anvil(*anvil_flags))
        evm = Evm(anvil.url)
        stage = Stage(evm, real_training_court=True)
        if beacon is not None:
            overrides["beacon"] = evm.deploy(beacon, sender=SPONSOR.address).address
        spec, params = _publish(folder)
        address = stage.create_run(**{**params, **TIMES, **overrides}).contract.address
        evm._connection.close()
        rpc = Rpc([anvil.url], chain_id=anvil.chain_id)
        stack.callback(rpc.close)
        heads = stack.enter_context(
            HeadWatcher(rpc, websocket_urls=[anvil.websocket_url], poll_s=0.2)
        )
        run = RunContract(rpc, address)
        court = known_training_court(rpc, run)
        assert court is not None
        world = TrialWorld(
            anvil=anvil,
            folder=folder,
            run=run,
            court=court,
            rpc=rpc,
            heads=heads,
            trials=TrialsHistory(rpc, court, run.address),
            history=RunHistory(rpc, run),
            trainers=trainers,
        )
        stack.callback(_end, world)
        stack.enter_context(_keeping(world, spec))
        yield world


def _publish(folder: Path) -> tuple[RunSpec, dict[str, Any]]:
    """The objects of a run of three chunks, and the parameters that name them."""
    import numpy as np

    store = LocalStore(folder / "blocks")
    shards = [Shard(cid=store.put(b"shard %d" % i), rows=10) for i in range(4)]
    manifest = Manifest(
        name="hashes",
        task="digits",
        source="made up",
        licence="CC0-1.0",
        shards=tuple(shards),
        test=Shard(cid=store.put(b"test"), rows=1),
    )
    layout = Layout(tensors=(TensorSpec(name="w", shape=(CHUNKS * CHUNK,)),), segments=(1,))
    model = model_leaves(np.zeros(CHUNKS * CHUNK, np.int32))
    spec = RunSpec(
        name="test",
        task="digits",
        task_params={},
        layout=layout,
        merge=MergeParams(),
        assignment=Assignment(),
        training=Training(epochs=1, batch_size=32, lr=0.05, momentum=0.9),
        manifest=store.put(manifest.canonical_bytes()),
        ssq_bound=10**20,
    )
    spec_cid, genesis = store.put(spec.canonical_bytes()), store.put(model)
    return spec, {
        "specCid": spec_cid.digest,
        "specSize": spec_cid.size,
        "genesisCid": genesis.digest,
        "genesisSize": genesis.size,
        "genesisRoot": model_root(model, momentum=False),
        "chunks": layout.chunk_count,
        "normBound": spec.ssq_bound,
        "minTrainers": 3,
        "maxRounds": 1,
        "auditBps": 10_000,
    }


@contextmanager
def _keeping(world: TrialWorld, spec: RunSpec) -> Iterator[None]:
    """A keeper without delay: the tests are not about overdue transitions."""
    stopping = threading.Event()
    rpc = Rpc([world.anvil.url], chain_id=world.anvil.chain_id)
    run = RunContract(rpc, world.run.address)
    signer: Signer = create_keystore(world.folder / "keeper.json", PASSPHRASE, iterations=1024)
    rpc.call("anvil_setBalance", signer.address, hex(10**20))
    sender = TransactionSender(
        rpc,
        signer,
        world.folder / "keeper.journal",
        heads=world.heads,
        abi=abi_of(*CLIENT_ABI),
        reverts=run.reverts,
    )
    store, history = LocalStore(world.folder / "blocks"), RunHistory(rpc, run)
    cache = ModelCache(world.folder / "keeper-models", momentum=False)
    models = Models(store, cache, spec, run.params)

    def merge(found: Any) -> Any:
        own = models.obtain(history.fold, found.round_id)
        store.put(models.cache.open(own.root))
        return own.root, own.model

    keeper = Keeper(run, history, sender, world.heads, merge=merge)

    def keep() -> None:
        while not stopping.is_set():
            try:
                if _is_ready(world):
                    keeper.step()
            except CommonweightError as error:
                with (world.folder / "keeper.err").open("a") as file:
                    file.write(f"{error}\n")
            stopping.wait(0.3)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(20)
        sender.close()
        rpc.close()


def _is_ready(world: TrialWorld) -> bool:
    """Whether all trainers are enrolled, or the run goes on already."""
    if world.run.current().round_id:
        return True
    return bool(world.run.read("seatsUsed").bit_count() >= world.trainers)


def _end(world: TrialWorld) -> None:
    for process in world.processes.values():
        process.kill()
        process.wait()
