"""What a demo is made of: its settings, its processes, and how they are started."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from coordinator.plan import Money
from network.rpc import Rpc
from network.store import ContentStore, KuboStore, LocalStore
from protocol.types import Address
from scripts.adversaries.catalogue import (
    AGAINST_TRAINING,
    AGGREGATORS,
    COMPANIONS,
)
from scripts.localnet_parts import (
    BIN,
    BY_THE_CLOCK,
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
    "booster": {"reveal_s": 6, "audit_s": 6},
    "nan": {"reveal_s": 6, "audit_s": 6},
}
# An update is accused before its dispute window ends; then a trial takes what its clocks allow.
TIMES_OF_TRIALS = {"dispute_s": 12, "move_s": 4, "jury_s": 8}
PACE_S = 6
"""What an adversary against training takes for an update, so that a trial ends about a round later,
as where training takes longer than a trial; `digits` trains in a tenth of that.
"""
_ALL_BPS = 10_000
_ENROLMENT_S = 120.0

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
    adversaries: int = 1
    """How many of the adversary's kind."""
    audit_rate: float = 1.0
    """The share of updates that are audited where there is a training court to bring them to."""
    accuracy: float = 0.0
    """What the last round's model must reach."""

    @property
    def cast(self) -> dict[str, str]:
        """The adversaries' kinds by their names."""
        if self.adversary is None:
            return {}
        names = [f"adversary-{i}" for i in range(self.adversaries)]
        cast = dict.fromkeys(names if self.adversaries > 1 else ["adversary"], self.adversary)
        companion = COMPANIONS.get(self.adversary)
        return cast if companion is None else {**cast, "accomplice": companion}

    @property
    def is_against_training(self) -> bool:
        """Whether the training court is what answers."""
        return self.adversary in AGAINST_TRAINING

    @property
    def shards(self) -> int:
        """As many as trainers that are dealt one."""
        return self.trainers + (len(self.cast) if self.is_against_training else 0)

    @property
    def audits(self) -> dict[str, int | bool]:
        """The run's parameters of audits."""
        audit_bps = round(self.audit_rate * _ALL_BPS) if self.is_against_training else 0
        return {"audit_bps": audit_bps, "unaudited": audit_bps == 0}

    @property
    def audits_wei(self) -> int:
        """What an audit of every update costs."""
        updates = self.rounds * (self.trainers + len(self.cast))
        return updates * Money().audit_reward_wei if self.audits["audit_bps"] else 0

    @property
    def times(self) -> dict[str, int]:
        """Deadlines and turns, in seconds."""
        trials = TIMES_OF_TRIALS if self.is_against_training else {}
        return {**TIMES, **trials, **_TIMES_AGAINST.get(self.adversary or "", {})}

    @property
    def ring_size(self) -> int:
        """Rounds that may wait to become final: all, where a dispute may hold one up."""
        return RING_SIZE if self.adversary is None else max(RING_SIZE, self.rounds + 4)


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
    adversary_keys: list[Key] = field(default_factory=list)
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

    def start_adversaries(self) -> list[Child]:
        """Start the adversaries' processes, roles with a lying part; scripts/adversaries/."""
        settings = self.settings
        return [
            self.processes.start(
                key.name,
                [
                    *(sys.executable, "-m", "scripts.adversaries", settings.cast[key.name]),
                    *self._chain_flags(),
                    *(*self._key_flags(key.name), "--store", self.store_flags[store]),
                    *("--factory", self.deployment.factory, "--run", self.run),
                    *("--rounds", str(settings.rounds), "--stake", str(STAKE_GWEI)),
                    *("--relay", f"http://127.0.0.1:{self.relay_port}"),
                    *("--others", str(settings.trainers)),
                    *("--pace", str(PACE_S if settings.is_against_training else 0)),
                ],
                self._shared_selftest,
            )
            for store, key in enumerate(self.adversary_keys, start=1 + settings.trainers)
        ]

    @property
    def names(self) -> dict[Address, str]:
        """Who is who."""
        return {key.address: key.name for key in self._keys}

    @property
    def _keys(self) -> list[Key]:
        return [self.coordinator_key, *self.trainer_keys, *self.adversary_keys]

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
    clock = BY_THE_CLOCK if settings.is_against_training else ()
    chain = start_anvil(processes, arguments=clock)
    rpc = Rpc([chain.url], chain_id=CHAIN_ID)
    say(f"anvil listens on {chain.url}; deploying the contracts (a first compile takes a minute)")
    deployment = deploy(
        processes, chain, settings.folder / "deployment.json", unbonding_s=UNBONDING_S
    )
    keys = settings.folder / "keys"
    coordinator = make_key(keys, "coordinator", rpc)
    trainers = [make_key(keys, f"trainer-{i}", rpc) for i in range(settings.trainers)]
    adversaries = [make_key(keys, name, rpc) for name in settings.cast]
    roles = 1 + settings.trainers + len(adversaries)
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
        adversary_keys=adversaries,
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
            *("--shards", str(settings.shards)),
            *("--split", settings.split, "--alpha", str(settings.alpha)),
        ],
    )
    say(f"published {settings.shards} shards of {settings.task}: {published['manifest']}")
    beacons = {
        "fixed": network.deployment.fixed_beacon,
        "prevrandao": network.deployment.prevrandao_beacon,
    }
    plan = {
        "ring_size": settings.ring_size,
        "epochs": settings.epochs,
        **settings.audits,
        **settings.times,
    }
    created = run_json(
        processes,
        "create-run",
        [
            *(*network.sponsor_command, "create-run", "--name", "demo", "--task", settings.task),
            *("--manifest", published["manifest"], "--beacon", beacons[settings.beacon]),
            *("--rounds", str(settings.rounds), "--min-trainers", str(settings.trainers)),
            *("--audits-wei", str(settings.audits_wei)),
            *(
                flag
                for name, value in plan.items()
                for flag in ("--set", f"{name}={json.dumps(value)}")
            ),
        ],
    )
    run = Address(created["run"])
    say(f"run {run} created and funded")
    return run


def start_roles(network: LocalNetwork, say: Say) -> None:
    """Start every role; adversaries so that they certainly get their chance.

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
        network.start_coordinator().wait_for_line("aggregator_registered", timeout_s=_ENROLMENT_S)
        for child in network.start_adversaries():
            child.wait_for_line("aggregator_registered", timeout_s=_ENROLMENT_S)
    trainers = [network.start_trainer(index) for index in range(settings.trainers)]
    if not merges:
        for child in (*trainers, *network.start_adversaries()):
            child.wait_for_line('"enrolled"', timeout_s=_ENROLMENT_S)
        network.start_coordinator()
    cheats = ", ".join(settings.cast.values())
    say(f"{settings.trainers} trainers and a coordinator started, and {cheats}")
