"""What the demo does, step by step, with real processes; used by demo, localnet and benchmarks."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from coordinator.audit.replay import RoundReplay, replay_run
from learning.predict import evaluate_model
from learning.tasks import load_task
from network.content import check_model
from network.heads import HeadWatcher
from network.history import Outcome, RoundHistory, RunFold, RunHistory
from network.rpc import Rpc
from network.run import RunContract
from network.spec_check import load_spec
from network.store import ContentStore, KuboStore, LocalStore
from protocol.codec import decode_model
from protocol.manifest import MAX_MANIFEST_BYTES, Manifest
from protocol.spec import RunSpec
from protocol.types import Address
from scripts.accounting import Participant, gas_by_round, participants
from scripts.adversaries.catalogue import AGGREGATORS
from scripts.judgement import Expected, Judgement, Suspect, judge
from scripts.localnet_parts import (
    BIN,
    CHAIN_ID,
    Chain,
    Deployment,
    Key,
    KuboPeer,
    deploy,
    free_port,
    make_key,
    run_json,
    start_anvil,
    start_kubo,
)
from scripts.processes import Child, Processes
from trainer.selftest import FOLDER_VARIABLE

STAKE_GWEI = 10**9
UNBONDING_S = 3_600
RING_SIZE = 8
# Deadlines that only a dead process meets: every phase ends as soon as everybody has acted.
TIMES = {
    "commit_s": 90,
    "reveal_s": 60,
    "audit_s": 60,
    "merge_turn_s": 10,
    "merge_timeout_s": 300,
    "dispute_s": 2,
    "move_s": 10,
}
# With somebody who cheats, deadlines are met. Who withholds an update keeps the others waiting for
# half of the reveal phase and two fifths of the audit, in every round. Who withholds a model is
# given four times `move_s` to show it.
_TIMES_AGAINST = {
    "wrong-merge": {"dispute_s": 15, "move_s": 5},
    "withheld-model": {"dispute_s": 15, "move_s": 5},
    "withheld-update": {"reveal_s": 8, "audit_s": 8},
}
_ROUND_LIMIT_S = 240.0
_ENROLMENT_S = 120.0
_END_LIMIT_S = 120.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What a demo trains, and with what."""

    folder: Path
    rounds: int = 12
    trainers: int = 4
    task: str = "digits"
    store: Literal["local", "kubo"] = "local"
    split: str = "iid"
    alpha: float = 0.3
    epochs: int = 2
    beacon: Literal["fixed", "prevrandao"] = "fixed"
    adversary: str | None = None
    accuracy: float = 0.0
    """What the last round's model must reach."""

    @property
    def times(self) -> dict[str, int]:
        """Deadlines and turns, in seconds."""
        return {**TIMES, **_TIMES_AGAINST.get(self.adversary or "", {})}

    @property
    def ring_size(self) -> int:
        """Rounds that may wait to become final: all, where a dispute may hold one up."""
        return RING_SIZE if self.adversary is None else max(RING_SIZE, self.rounds + 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One trained round; gas is of all its transactions."""

    round_id: int
    accuracy: float
    loss: float
    model_root: str
    included: tuple[int, ...]
    wall_s: float
    gas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What came of it."""

    run: Address
    chain_id: int
    beacon: str
    verified: bool
    gas_per_trainer_round: int
    rounds: tuple[RoundRow, ...]
    participants: tuple[Participant, ...]
    replays: tuple[RoundReplay, ...]
    failures: tuple[str, ...]
    judgement: Judgement


@dataclass(slots=True, kw_only=True)
class LocalNetwork:
    """A running network: its processes and how to reach them."""

    settings: DemoSettings
    processes: Processes
    chain: Chain
    rpc: Rpc
    deployment: Deployment
    run: Address
    relay_port: int
    coordinator_key: Key
    trainer_keys: list[Key]
    store_flags: list[str]
    peers: list[KuboPeer]
    adversary_key: Key | None = None
    coordinator: Child | None = None
    trainers: list[Child] = field(default_factory=list)

    def open_store(self) -> ContentStore:
        """The store as the coordinator sees it."""
        if self.peers:
            return KuboStore(self.peers[0].api)
        return LocalStore(self.settings.folder / "blocks")

    def start_coordinator(self, *role: str) -> Child:
        """Start (again) the coordinator's process: to merge, or `--no-propose` to relay only."""
        self.coordinator = self.processes.start(
            "coordinator",
            [
                *(*self.sponsor_command, "coordinate", self.run, "--wait-final"),
                *(role or ("--register",)),
                *("--relay-port", str(self.relay_port), "--rounds", str(self.settings.rounds)),
            ],
        )
        return self.coordinator

    def start_trainer(self, index: int, *options: str, relayed: bool = True) -> Child:
        """Start (again) one trainer's process; not `relayed`, it sends its own transactions."""
        name = self.trainer_keys[index].name
        child = self.processes.start(
            name,
            [
                *(str(BIN / "commonweight-trainer"), "--json", *self._chain_flags()),
                *(*self._key_flags(name), "--store", self.store_flags[index + 1]),
                *("start", "--run", self.run, "--stake", str(STAKE_GWEI)),
                *(("--relay", f"http://127.0.0.1:{self.relay_port}") if relayed else ()),
                *("--rounds", str(self.settings.rounds)),
                *options,
            ],
            self._shared_selftest,
        )
        if index < len(self.trainers):
            self.trainers[index] = child
        else:
            self.trainers.append(child)
        return child

    def start_adversary(self) -> Child:
        """Start the adversary's process, a role with a lying part; scripts/adversaries.py."""
        settings = self.settings
        assert self.adversary_key is not None, "settings name an adversary"
        assert settings.adversary is not None, "as above"
        return self.processes.start(
            "adversary",
            [
                *(sys.executable, "-m", "scripts.adversaries", settings.adversary),
                *self._chain_flags(),
                *(*self._key_flags("adversary"), "--store", self.store_flags[-1]),
                *("--factory", self.deployment.factory, "--run", self.run),
                *("--rounds", str(settings.rounds), "--stake", str(STAKE_GWEI)),
                *("--relay", f"http://127.0.0.1:{self.relay_port}"),
                *("--others", str(settings.trainers)),
            ],
            self._shared_selftest,
        )

    @property
    def names(self) -> dict[Address, str]:
        """Who is who."""
        return {key.address: key.name for key in self._keys}

    @property
    def _keys(self) -> list[Key]:
        extra = [self.adversary_key] if self.adversary_key else []
        return [self.coordinator_key, *self.trainer_keys, *extra]

    @property
    def sponsor_command(self) -> list[str]:
        """The coordinator's command line up to the name of a command."""
        return [
            *(str(BIN / "commonweight"), "--json", *self._chain_flags()),
            *(*self._key_flags("coordinator"), "--store", self.store_flags[0]),
            *("--factory", self.deployment.factory),
        ]

    @property
    def _shared_selftest(self) -> dict[str, str]:
        """All trainers are this one machine: one of them tests that it repeats itself."""
        folder = os.environ.get(FOLDER_VARIABLE, str(self.settings.folder / "selftest"))
        return {FOLDER_VARIABLE: folder}

    def _chain_flags(self) -> list[str]:
        return [
            *("--rpc", self.chain.url, "--ws", self.chain.websocket_url),
            *("--chain-id", str(CHAIN_ID)),
        ]

    def _key_flags(self, name: str) -> list[str]:
        keys = {key.name: key for key in self._keys}
        return [
            *("--keystore", str(keys[name].keystore)),
            *("--passphrase-file", str(keys[name].passphrase_file)),
            *("--data-dir", str(self.settings.folder / name)),
        ]


def build_network(settings: DemoSettings, processes: Processes, say: Say) -> LocalNetwork:
    """Anvil, contracts, keys, store, published data and a funded run; no role runs yet."""
    chain = start_anvil(processes)
    rpc = Rpc([chain.url], chain_id=CHAIN_ID)
    say(f"anvil listens on {chain.url}; deploying the contracts (a first compile takes a minute)")
    deployment = deploy(
        processes, chain, settings.folder / "deployment.json", unbonding_s=UNBONDING_S
    )
    keys = settings.folder / "keys"
    coordinator = make_key(keys, "coordinator", rpc)
    trainers = [make_key(keys, f"trainer-{i}", rpc) for i in range(settings.trainers)]
    adversary = make_key(keys, "adversary", rpc) if settings.adversary else None
    roles = 1 + settings.trainers + (1 if adversary else 0)
    peers: list[KuboPeer] = []
    flags = [f"local:{settings.folder / 'blocks'}"] * roles
    if settings.store == "kubo":
        say(f"starting {roles} Kubo daemons as separate peers")
        peers = [
            start_kubo(processes, f"kubo-{i}", settings.folder / f"kubo-{i}") for i in range(roles)
        ]
        for i, peer in enumerate(peers):
            KuboStore(peer.api).connect([p.swarm_address for p in peers[:i]])
        flags = [f"kubo:{peer.api}" for peer in peers]
    network = LocalNetwork(
        settings=settings,
        processes=processes,
        chain=chain,
        rpc=rpc,
        deployment=deployment,
        run=Address(""),
        relay_port=free_port(),
        coordinator_key=coordinator,
        trainer_keys=trainers,
        store_flags=flags,
        peers=peers,
        adversary_key=adversary,
    )
    network.run = _create_run(network, say)
    return network


def _create_run(network: LocalNetwork, say: Say) -> Address:
    settings, processes = network.settings, network.processes
    published = run_json(
        processes,
        "publish",
        [
            *(*network.sponsor_command, "publish", settings.task),
            *("--shards", str(settings.trainers)),
            *("--split", settings.split, "--alpha", str(settings.alpha)),
        ],
    )
    say(f"published {settings.trainers} shards of {settings.task}: {published['manifest']}")
    beacons = {
        "fixed": network.deployment.fixed_beacon,
        "prevrandao": network.deployment.prevrandao_beacon,
    }
    plan = {
        "ring_size": settings.ring_size,
        "epochs": settings.epochs,
        **settings.times,
    }
    created = run_json(
        processes,
        "create-run",
        [
            *(*network.sponsor_command, "create-run", "--name", "demo", "--task", settings.task),
            *("--manifest", published["manifest"], "--beacon", beacons[settings.beacon]),
            *("--rounds", str(settings.rounds), "--min-trainers", str(settings.trainers)),
            *(flag for item in plan.items() for flag in ("--set", f"{item[0]}={item[1]}")),
        ],
    )
    say(f"run {created['run']} created and funded")
    return Address(created["run"])


def run_demo(settings: DemoSettings, *, say: Say) -> DemoResult:
    """Train, follow, verify. Raises RuntimeError if a process ends early or a phase stalls."""
    with Processes(settings.folder / "logs") as processes:
        network = build_network(settings, processes, say)
        start_roles(network, say)
        with HeadWatcher(network.rpc, websocket_urls=[network.chain.websocket_url]) as heads:
            follower = Follower(network)
            rows = follower.follow(heads, say)
        failures = _await_ends(network)
        return follower.conclude(rows, failures)


def start_roles(network: LocalNetwork, say: Say) -> None:
    """Start every role; an adversary so that it certainly gets its chance.

    One that merges must be listed before the first round opens, and behind the coordinator, so that
    with the fixed beacon its turns are known. One that trains enrolls last: then the first round
    has all the honest trainers, and opens with the adversary in it.
    """
    settings = network.settings
    if settings.adversary is None:
        network.start_coordinator()
        for index in range(settings.trainers):
            network.start_trainer(index)
        say(f"{settings.trainers} trainers and a coordinator started")
        return
    merges = settings.adversary in AGGREGATORS
    if merges:
        for start in (network.start_coordinator, network.start_adversary):
            start().wait_for_line("aggregator_registered", timeout_s=_ENROLMENT_S)
    trainers = [network.start_trainer(index) for index in range(settings.trainers)]
    if not merges:
        for child in (*trainers, network.start_adversary()):
            child.wait_for_line('"enrolled"', timeout_s=_ENROLMENT_S)
        network.start_coordinator()
    say(f"{settings.trainers} trainers and a coordinator started, and {settings.adversary}")


class Follower:
    """Watches a run as anybody could: from chain and store."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network
        self._run = RunContract(network.rpc, network.run)
        self._history = RunHistory(
            network.rpc, self._run, first_block=network.deployment.first_block
        )
        self._store = network.open_store()
        self.spec: RunSpec = load_spec(self._store, self._run.params)
        manifest = Manifest.parse(self._store.get(self.spec.manifest, max_bytes=MAX_MANIFEST_BYTES))
        self._task = load_task(self.spec.task)
        self._test_set = self._store.get(manifest.test.cid, max_bytes=manifest.test.cid.size)

    def follow(self, heads: HeadWatcher, say: Say) -> list[RoundRow]:
        """A row for each round as its merge is proposed, until the last."""
        rows: dict[int, RoundRow] = {}
        moved_at = time.monotonic()
        while len(rows) + self._count_failed() < self._network.settings.rounds:
            found = heads.wait_for(lambda: self._find_new(rows), timeout_s=1.0)
            dead = self._network.processes.find_dead()
            if found is not None:
                now = time.monotonic()
                rows[found.round_id] = self._evaluate(found, now - moved_at)
                moved_at = now
                row = rows[found.round_id]
                say(
                    f"round {row.round_id:>3}  accuracy {row.accuracy:.4f}  loss {row.loss:.4f}  "
                    f"{len(row.included)} updates  {row.wall_s:.2f} s"
                )
            elif dead is not None and dead.process.returncode != 0:
                tail = "\n".join(dead.lines[-15:])
                raise RuntimeError(f"{dead.name} ended with {dead.process.returncode}:\n{tail}")
            elif time.monotonic() - moved_at > _ROUND_LIMIT_S:
                raise RuntimeError(f"no round finished within {_ROUND_LIMIT_S:.0f} s")
        return [row for _, row in sorted(rows.items())]

    def conclude(self, rows: list[RoundRow], failures: list[str]) -> DemoResult:
        """Replay every merge, count gas and money, and judge what became of the adversary."""
        fold = self._history.update()
        replays = tuple(replay_run(fold=fold, spec=self.spec, store=self._store))
        gas = gas_by_round(self._network.rpc, self._history.events)
        counted = tuple(replace(row, gas=gas.get(row.round_id, 0)) for row in rows)
        # The first round pays for fresh storage; the rest are what a long run costs.
        steady = counted[1:] or counted
        trainer_rounds = sum(len(row.included) for row in steady)
        verified = bool(replays) and all(replay.verified for replay in replays)
        return DemoResult(
            run=self._network.run,
            chain_id=CHAIN_ID,
            beacon=self._network.settings.beacon,
            verified=verified,
            gas_per_trainer_round=sum(row.gas for row in steady) // max(1, trainer_rounds),
            rounds=counted,
            participants=tuple(participants(self._run, fold)),
            replays=replays,
            failures=tuple(failures),
            judgement=self._judge(fold, counted, verified=verified),
        )

    def _judge(self, fold: RunFold, rows: Sequence[RoundRow], *, verified: bool) -> Judgement:
        network = self._network
        settings, key = network.settings, network.adversary_key
        suspect = None
        if key is not None:
            suspect = Suspect(account=key.address, merges=settings.adversary in AGGREGATORS)
        return judge(
            network.rpc,
            self._run,
            fold,
            Expected(rounds=settings.rounds, accuracy=settings.accuracy),
            rounds=len(rows),
            accuracy=rows[-1].accuracy if rows else 0.0,
            verified=verified,
            names=network.names,
            suspect=suspect,
            first_block=network.deployment.first_block,
        )

    def _count_failed(self) -> int:
        found = self._history.fold.rounds.values()
        return sum(one.outcome is Outcome.FAILED for one in found)

    def _find_new(self, rows: dict[int, RoundRow]) -> RoundHistory | None:
        key = self._network.adversary_key
        for number, found in sorted(self._history.update().rounds.items()):
            if number in rows or found.outcome not in {Outcome.PROPOSED, Outcome.FINAL}:
                continue
            # What the adversary proposes is no news: it is waited for until somebody else does.
            is_lie = key is not None and found.proposal and found.proposal.proposer == key.address
            return None if is_lie else found
        return None

    def _evaluate(self, found: RoundHistory, wall_s: float) -> RoundRow:
        proposal = found.proposal
        assert proposal is not None, "a proposed round has a proposal"
        layout, momentum = self.spec.layout, self.spec.merge.momentum
        data = check_model(
            self._store, proposal.model, proposal.model_root, layout=layout, momentum=momentum
        )
        theta, _ = decode_model(data, layout.chunk_count, momentum=momentum)
        figures = evaluate_model(
            task=self._task,
            theta=theta.reshape(-1),
            layout=layout,
            test_set=self._test_set,
            params=self.spec.task_params,
            fraction_bits=self.spec.fraction_bits,
            device="cpu",
        )
        return RoundRow(
            round_id=found.round_id,
            accuracy=figures["accuracy"],
            loss=figures["loss"],
            model_root="0x" + proposal.model_root.hex(),
            included=tuple(
                s for s in range(found.included.bit_length()) if found.included >> s & 1
            ),
            wall_s=wall_s,
            gas=0,
        )


def _await_ends(network: LocalNetwork) -> list[str]:
    """Wait for the roles to end by themselves; what failed, in words."""
    failures = []
    give_up_at = time.monotonic() + _END_LIMIT_S
    for child in [*network.trainers, *([network.coordinator] if network.coordinator else [])]:
        try:
            status = child.process.wait(max(1.0, give_up_at - time.monotonic()))
        except Exception:  # noqa: BLE001 - subprocess.TimeoutExpired; stopped with the rest
            failures.append(f"{child.name} did not end after the last round")
            continue
        if status != 0:
            failures.append(f"{child.name} ended with {status}")
    return failures
