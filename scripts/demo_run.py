"""What the demo does, step by step, with real processes; used by demo, localnet and benchmarks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from coordinator.audit.replay import RoundReplay, replay_run
from learning.predict import evaluate_model
from learning.tasks import load_task
from network.content import check_model
from network.heads import HeadWatcher
from network.history import Outcome, RoundHistory, RunFold, RunHistory
from network.run import RunContract
from network.spec_check import load_spec
from protocol.codec import decode_model
from protocol.manifest import MAX_MANIFEST_BYTES, Manifest
from protocol.spec import RunSpec
from protocol.types import Address
from scripts.accounting import Participant, gas_by_round, participants
from scripts.adversaries.catalogue import (
    conduct_of,
)
from scripts.demo_network import DemoSettings, LocalNetwork, Say, build_network, start_roles
from scripts.judgement import ALL_BPS, Expected, Judgement, Suspect, judge
from scripts.localnet_parts import (
    CHAIN_ID,
)
from scripts.processes import Processes

_ROUND_LIMIT_S = 240.0
_END_LIMIT_S = 120.0


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
    audit_rate: float = 0.0
    final_model: bytes = b""
    """The last model object."""


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
        self._final_model = b""
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
            audit_rate=self._run.params.audit_bps / ALL_BPS,
            final_model=self._final_model,
        )

    def _judge(self, fold: RunFold, rows: Sequence[RoundRow], *, verified: bool) -> Judgement:
        network = self._network
        settings = network.settings
        suspects = [
            Suspect(account=key.address, conduct=conduct_of(settings.cast[key.name]))
            for key in network.adversary_keys
        ]
        return judge(
            network.rpc,
            self._run,
            fold,
            Expected(rounds=settings.rounds, accuracy=settings.accuracy),
            rounds=len(rows),
            accuracy=rows[-1].accuracy if rows else 0.0,
            verified=verified,
            names=network.names,
            suspects=suspects,
            first_block=network.deployment.first_block,
        )

    def _count_failed(self) -> int:
        found = self._history.fold.rounds.values()
        return sum(one.outcome is Outcome.FAILED for one in found)

    def _find_new(self, rows: dict[int, RoundRow]) -> RoundHistory | None:
        liars = {key.address for key in self._network.adversary_keys}
        for number, found in sorted(self._history.update().rounds.items()):
            if number in rows or found.outcome not in {Outcome.PROPOSED, Outcome.FINAL}:
                continue
            # What an adversary proposes is no news: it is waited for until somebody else does.
            is_lie = found.proposal is not None and found.proposal.proposer in liars
            return None if is_lie else found
        return None

    def _evaluate(self, found: RoundHistory, wall_s: float) -> RoundRow:
        proposal = found.proposal
        assert proposal is not None, "a proposed round has a proposal"
        layout, momentum = self.spec.layout, self.spec.merge.momentum
        data = check_model(
            self._store, proposal.model, proposal.model_root, layout=layout, momentum=momentum
        )
        self._final_model = data
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
