"""A run before the real merge court on anvil, its models and updates in a store, and its watchers.

Nobody trains: updates are random. What a round does is said step by step, so that a test decides
who lies, withholds or keeps silent, and when.
"""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account

from network.content import WeightedUpdate, merge_model, model_root
from network.court.contract import MergeCourtContract
from network.court.watch import CourtWatch, open_watch
from network.heads import HeadWatcher
from network.history import RunHistory
from network.keeper import Keeper, View
from network.keys import TEST_KEY_VARIABLE, unlock_test_key
from network.rpc import Rpc
from network.run import RunContract
from network.settings import Settings, open_sender
from network.store import LocalStore
from network.transactions import TransactionSender
from protocol.cid import Cid, cid_of
from protocol.codec import encode_update, model_leaves
from protocol.layout import CHUNK, Layout, TensorSpec
from protocol.merge import MergeParams
from protocol.merkle import SumTree
from protocol.rounds import UpdateHeader
from protocol.spec import Assignment, RunSpec, Training
from support.anvil import Anvil
from support.evm import Contract, Evm
from support.runs import AGGREGATOR, ATTACKER, KEEPER, TRAINERS, WITNESS, Person, Run, Stage
from trainer.models import ModelCache, Models

MERGE = MergeParams(lr=200, mu=100, nesterov=True, momentum=True)
ETHER = 10**18


def layout_of(*segments: int) -> Layout:
    """One tensor a segment, of so many chunks."""
    tensors = tuple(
        TensorSpec(name=f"w{i}", shape=(chunks * CHUNK,)) for i, chunks in enumerate(segments)
    )
    return Layout(tensors=tensors, segments=(1,) * len(segments))


@dataclass
class CourtRun(Run):
    """A run whose headers are of real updates; `lies` changes what a seat's header says."""

    layout: Layout = field(default=None)  # type: ignore[assignment]
    store: LocalStore = field(default=None)  # type: ignore[assignment]
    made: dict[tuple[int, int, int], tuple[UpdateHeader, bytes]] = field(default_factory=dict)
    lies: dict[int, dict[str, Any]] = field(default_factory=dict)
    withheld: set[int] = field(default_factory=set)

    def header(self, seat: int, round_id: int, attempt: int) -> UpdateHeader:
        return self._make(seat, round_id, attempt)[0]

    def update(self, seat: int) -> bytes:
        """The update object of a seat in the open attempt."""
        now = self.contract.current()
        return self._make(seat, now.round, now.attempt)[1]

    def _make(self, seat: int, round_id: int, attempt: int) -> tuple[UpdateHeader, bytes]:
        key = (seat, round_id, attempt)
        if key not in self.made:
            seed = bytes(self.contract.getRound(round_id).seed)
            segment = self.segment_of(seat, seed, self.contract.roster())
            chunks = len(self.layout.segment_chunks(segment))
            rng = np.random.default_rng(key)
            data = encode_update(rng.integers(-(2**18), 2**18, chunks * CHUNK, np.int64))
            tree, cid = SumTree.from_leaves(data), cid_of(data)
            if seat not in self.withheld:
                self.store.put(data)
            values = {
                "update_root": tree.root,
                "ssq": tree.ssq,
                "trace_root": bytes(32),
                "class_id": bytes(32),
                "update_cid": cid.digest,
                "update_size": cid.size,
            }
            header = UpdateHeader(**(values | self.lies.get(seat, {})))
            self.made[key] = header, data
        return self.made[key]


class CourtWorld:
    """A chain with a court, a store, a run, and accounts that watch it. Close it at the end."""

    def __init__(
        self, anvil: Anvil, folder: Path, *, segments=(5,), trainers: int = 3, **overrides: Any
    ) -> None:
        self.anvil, self.folder = anvil, folder
        self.stack = contextlib.ExitStack()
        self.evm = Evm(anvil.url)
        self.stack.callback(self.evm.close)
        self.rpc = Rpc([anvil.url], chain_id=anvil.chain_id)
        self.stack.callback(self.rpc.close)
        self.heads = self.stack.enter_context(
            HeadWatcher(self.rpc, websocket_urls=[anvil.websocket_url], poll_s=0.1)
        )
        self.store = LocalStore(folder / "store")
        self.layout = layout_of(*segments)
        rng = np.random.default_rng(9)
        shape = (self.layout.chunk_count, CHUNK)
        theta, m = (rng.integers(-(2**20), 2**20, shape, np.int32) for _ in range(2))
        genesis = model_leaves(theta, m)
        self.models: dict[bytes, bytes] = {model_root(genesis, momentum=True): genesis}
        self.genesis = self.store.put(genesis)
        self.stage = Stage(self.evm)
        sponsor = "0x" + "99" * 20
        self.evm.fund(sponsor)
        self.court = self.evm.deploy("MergeCourt", sender=sponsor)
        self.stage.factory = self.stage.deploy_factory(merge_court=self.court.address)
        self.stage.vault = self.evm.at("StakeVault", self.stage.factory.vault())
        self.run = self._create(**overrides)
        self.run.enroll_all(trainers)
        for person in (AGGREGATOR, ATTACKER):
            self.run.deposit_bond(person)
        self.spec = self._spec()
        self.client = RunContract(self.rpc, self.run.contract.address)

    def close(self) -> None:
        self.stack.close()

    def _create(self, **overrides: Any) -> CourtRun:
        plain = self.stage.create_run(
            **{
                "genesisRoot": next(iter(self.models)),
                "genesisCid": self.genesis.digest,
                "genesisSize": self.genesis.size,
                "chunks": self.layout.chunk_count,
                "segments": self.layout.segment_count,
                "segmentEnds": self.layout.segment_ends,
                "lr": MERGE.lr,
                "mu": MERGE.mu,
                "nesterov": MERGE.nesterov,
                "momentum": MERGE.momentum,
                "normBound": 2**90,
                "disputeS": 1000,
                "moveS": 60,
                "ringSize": 8,
                **overrides,
            }
        )
        return CourtRun(
            stage=self.stage, contract=plain.contract, layout=self.layout, store=self.store
        )

    def _spec(self) -> RunSpec:
        return RunSpec(
            name="test",
            task="digits",
            task_params={},
            layout=self.layout,
            merge=MERGE,
            assignment=Assignment(),
            training=Training(epochs=1, batch_size=1, lr=0.1),
            manifest=Cid(digest=bytes(32), size=1),
            ssq_bound=2**90,
        )

    # --- rounds

    def freeze_round(self, seats=None) -> int:
        """Play a round up to its merge phase; gives its number."""
        return self.run.play(until="merge", seats=seats)

    def merge(self, round_id: int) -> bytes:
        """The right merge of a frozen round upon the root that the chain names."""
        parent = self.models[bytes(self.run.contract.getRound(round_id - 1).modelRoot)]
        fold = RunHistory(self.rpc, self.client).update()
        found = fold.rounds[round_id]
        with_all = LocalStore(self.folder / "everything")
        for header, data in self.run.made.values():
            assert header
            with_all.put(data)
        inputs = [
            [WeightedUpdate(cid=found.reveals[e.seat].cid, weight=e.weight) for e in segment]
            for segment in found.inputs
        ]
        kept = bytearray()

        def keep(pieces):
            for piece in pieces:
                kept.extend(piece)
            return cid_of(bytes(kept))

        root, _ = merge_model(
            with_all,
            parent=lambda: iter([parent]),
            inputs=inputs,
            layout=self.layout,
            params=MERGE,
            sink=keep,
        )
        self.models[root] = bytes(kept)
        return bytes(kept)

    def propose(self, model: bytes, *, person: Person = AGGREGATOR, publish: bool = True) -> bytes:
        """Propose a model; gives its root."""
        root = model_root(model, momentum=True)
        self.models[root] = model
        cid = cid_of(model)
        if publish:
            self.store.put(model)
        now = self.run.contract.current()
        self.run.contract.proposeMerge(
            now.round, root, cid.digest, cid.size, sender=person.address, gas_price=10**10
        )
        return root

    def wrong(self, model: bytes, chunk: int) -> bytes:
        """A model that differs in one element of one chunk."""
        data = bytearray(model)
        data[chunk * 2 * 4 * CHUNK + 7] ^= 1
        return bytes(data)

    # --- people who watch

    def watcher(self, place: int = 0, name: str = "watcher", **options: Any) -> "Watcher":
        return Watcher(self, place, name, **options)


class Watcher:
    """An account that watches the run, as a trainer does."""

    def __init__(self, world: CourtWorld, place: int, name: str, *, rank: int = 0) -> None:
        self.world, self.name, self.rank = world, name, rank
        signer = unlock_test_key({TEST_KEY_VARIABLE: world.anvil.private_keys[place]})
        assert signer is not None
        self.address = signer.address
        settings = Settings(data_dir=world.folder / name)
        self.sender: TransactionSender = open_sender(settings, world.rpc, signer, world.heads)
        world.stack.callback(self.sender.close)
        self.history = RunHistory(world.rpc, world.client)
        self.keeper = Keeper(world.client, self.history, self.sender, world.heads)
        cache = ModelCache(world.folder / name / "models", momentum=True)
        self.models = Models(world.store, cache, world.spec, world.client.params)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.watch: CourtWatch = self._open()

    def _open(self) -> CourtWatch:
        world = self.world
        watch = open_watch(
            rpc=world.rpc,
            run=world.client,
            court=MergeCourtContract(world.rpc, world.court.address),
            sender=self.sender,
            store=world.store,
            shelf=self.models.cache,
            recompute=lambda fold, found: self.models.recompute(fold, found).root,
            wake=world.heads.nudge,
            rank=self.rank,
            report=lambda event, **values: self.told.append((event, values)),
        )
        assert watch is not None
        world.stack.callback(watch.close)
        return watch

    def restart(self) -> None:
        """Forget all that is not on disk."""
        self.watch.close()
        self.sender.resume()
        self.history = RunHistory(self.world.rpc, self.world.client)
        self.keeper = Keeper(self.world.client, self.history, self.sender, self.world.heads)
        cache = ModelCache(self.world.folder / self.name / "models", momentum=True)
        self.models = Models(self.world.store, cache, self.world.spec, self.world.client.params)
        self.watch = self._open()

    def look(self) -> View:
        view = self.keeper.look()
        self.watch.look(view)
        return view

    def attend(self, until, *, timeout_s: float = 20.0) -> View:
        """Look until something is so; acts run meanwhile."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            view = self.look()
            if until(view):
                return view
            assert time.monotonic() < give_up_at, self.told
            time.sleep(0.05)

    def settle(self) -> View:
        """Look until nothing runs and nothing more is begun."""
        quiet = 0
        while quiet < 3:
            view = self.look()
            busy = self.watch._bench.desk.is_busy
            quiet = 0 if busy else quiet + 1
            time.sleep(0.02)
        return view

    @property
    def said(self) -> list[str]:
        return [event for event, _ in self.told]


def person_of(private_key: str) -> str:
    return str(Account.from_key(private_key).address)


__all__ = [
    "AGGREGATOR",
    "ATTACKER",
    "ETHER",
    "KEEPER",
    "TRAINERS",
    "WITNESS",
    "Contract",
    "CourtWorld",
    "Watcher",
]
