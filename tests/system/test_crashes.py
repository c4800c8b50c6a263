"""kill -9 of every role in every phase: the run goes on, nobody is slashed, the roots replay."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from coordinator.audit.replay import replay_run
from network.artifacts import abi_of
from network.heads import HeadWatcher
from network.history import RunHistory
from network.keeper import chain_groups, freeze_updates
from network.keys import unlock_keystore
from network.run import RUN_ABI, RunContract
from network.transactions import TransactionSender
from protocol.rounds import Phase
from scripts.demo_network import STAKE_GWEI, DemoSettings, LocalNetwork, build_network
from scripts.demo_run import Follower
from scripts.localnet_parts import make_key
from scripts.processes import Child, Processes

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

ROUNDS = 14
ROLES = ("trainer", "coordinator")
_PATIENCE_S = 90


@dataclass
class Saboteur:
    """Holds the run in a phase by stopping the coordinator, and kills a role there."""

    network: LocalNetwork
    run: RunContract
    heads: HeadWatcher
    history: RunHistory
    victim: int = 0

    def wait(self, what: Callable[[], object], said: str) -> None:
        found = self.heads.wait_for(lambda: what() or None, timeout_s=_PATIENCE_S)
        assert found is not None, f"{said}: never"

    def wait_for_phase(self, phase: Phase) -> None:
        self.wait(lambda: self.run.current().phase is phase, f"phase {phase.name}")

    def stop_coordinator(self) -> None:
        os.kill(self.coordinator.pid, signal.SIGSTOP)

    def continue_coordinator(self) -> None:
        os.kill(self.coordinator.pid, signal.SIGCONT)

    @property
    def coordinator(self) -> Child:
        assert self.network.coordinator is not None
        return self.network.coordinator

    def kill(self, role: str, *, relayed: bool = True) -> Phase:
        """Kill a role and start it again; gives the phase that its death fell into."""
        self.victim = (self.victim + 1) % len(self.network.trainers)
        is_trainer = role == "trainer"
        child = self.network.trainers[self.victim] if is_trainer else self.coordinator
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
        seen = self.run.current().phase
        self.network.processes.children.remove(child)
        if is_trainer:
            self.network.start_trainer(self.victim, "--no-backup", relayed=relayed)
        else:
            self.network.start_coordinator()
        return seen

    def kill_in(self, role: str, phase: Phase) -> None:
        """A phase that the coordinator ends: stopped in time, it holds the phase for the kill."""
        for _ in range(4):  # it may have passed on before the stop; then the next round serves
            self.wait_for_phase(phase)
            self.stop_coordinator()
            seen = self.kill(role)
            if role == "trainer":
                self.continue_coordinator()
            if seen is phase:
                return
        raise AssertionError(f"no {role} was ever killed in {phase.name}")

    def freeze(self, sender: TransactionSender) -> None:
        """As anyone may, once everybody attested."""
        number = self.run.current().round_id

        def attested() -> bool:
            found = self.history.update().rounds[number]
            return len(found.attested) == len(self.network.trainers)

        self.wait(attested, "attestations of all")
        found = self.history.fold.rounds[number]
        call = self.run.freeze(
            attempt=found.attempt, groups=chain_groups(found), updates=freeze_updates(found)
        )
        sender.send(f"freeze/{found.attempt}", call)


def test_a_run_survives_kill_9_of_each_role_in_each_phase(tmp_path):
    """Each killed process resumes where it was: no double commit, no lost salt, no lost stake."""
    settings = DemoSettings(folder=tmp_path, rounds=ROUNDS)
    with Processes(tmp_path / "logs") as processes:
        network = build_network(settings, processes, print)
        network.start_coordinator()
        for index in range(settings.trainers - 1):
            network.start_trainer(index, "--no-backup")
        run = RunContract(network.rpc, network.run)
        anyone = make_key(tmp_path / "keys", "anyone", network.rpc)
        with HeadWatcher(network.rpc, websocket_urls=[network.chain.websocket_url]) as heads:
            history = RunHistory(network.rpc, run, first_block=1)
            sabotage = Saboteur(network, run, heads, history)
            sender = TransactionSender(
                network.rpc,
                unlock_keystore(anyone.keystore, anyone.passphrase_file.read_text()),
                tmp_path / "anyone.journal",
                heads=heads,
                abi=abi_of(*RUN_ABI),
                reverts=run.reverts,
            )
            # Idle: one trainer is still missing.
            sabotage.wait(
                lambda: len(history.update().trainers) == settings.trainers - 1, "enrolment"
            )
            assert [sabotage.kill(role) for role in ROLES] == [Phase.IDLE] * len(ROLES)
            network.start_trainer(settings.trainers - 1, "--no-backup")
            # In the steady state the coordinator's transactions end these two.
            for phase in (Phase.COMMIT, Phase.REVEAL):
                for role in ROLES:
                    sabotage.kill_in(role, phase)
            # Audit and Merge pass within one of them, so from here trainers send their own.
            for _ in range(settings.trainers):
                sabotage.kill("trainer", relayed=False)
            for role in ROLES:
                for phase in (Phase.AUDIT, Phase.MERGE):
                    sabotage.wait_for_phase(Phase.COMMIT)
                    sabotage.stop_coordinator()
                    sabotage.wait_for_phase(Phase.AUDIT)
                    if phase is Phase.MERGE:
                        sabotage.freeze(sender)
                    assert sabotage.kill(role, relayed=False) is phase
                    if role == "trainer":
                        sabotage.continue_coordinator()
            follower = Follower(network)
            rows = follower.follow(heads, print)
            sender.close()
        statuses = [child.process.wait(90) for child in [*network.trainers, network.coordinator]]
        fold = RunHistory(network.rpc, run, first_block=1).update()
        replays = list(replay_run(fold=fold, spec=follower.spec, store=network.open_store()))
        stakes = [run.seat(seat).stake_gwei for seat in range(settings.trainers)]
    assert statuses == [0] * len(statuses)
    assert len(rows) == ROUNDS
    assert [r.problems for r in replays] == [()] * ROUNDS
    assert stakes == [STAKE_GWEI] * settings.trainers
    assert rows[-1].model_root == "0x" + replays[-1].replayed_root.hex()
    for found in fold.rounds.values():
        assert len(found.commitments) == settings.trainers
        assert len(found.reveals) == settings.trainers
