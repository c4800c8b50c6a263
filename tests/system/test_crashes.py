"""kill -9 of every role in every phase: the run goes on, nobody is slashed, the roots replay."""

import os
import signal
from dataclasses import dataclass

import pytest

from coordinator.audit.replay import replay_run
from network.heads import HeadWatcher
from network.history import RunHistory
from network.run import RunContract
from protocol.rounds import Phase
from scripts.demo_run import STAKE_GWEI, DemoSettings, Follower, build_network
from scripts.processes import Processes

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

PHASES = (Phase.COMMIT, Phase.REVEAL, Phase.AUDIT, Phase.IDLE)
# A round for each kill and a quiet one at each end. Merge and Idle pass within one transaction of
# the coordinator's; that kill falls right behind it, when the proposal stands and the next round
# opens.
KILLS = [("trainer", phase) for phase in PHASES] + [("coordinator", phase) for phase in PHASES]


@dataclass
class Saboteur:
    """Kills one role as soon as a round is in a phase."""

    network: object
    run: RunContract

    def reached(self, round_id: int, phase: Phase):
        current = self.run.current()
        if phase is Phase.IDLE:
            return current if current.round_id > round_id else None
        past = current.round_id > round_id
        there = current.round_id == round_id and current.phase >= phase
        return current if there or past else None

    def kill(self, role: str, index: int) -> None:
        child = self.network.coordinator if role == "coordinator" else self.network.trainers[index]
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
        self.network.processes.children.remove(child)
        if role == "coordinator":
            self.network.start_coordinator()
        else:
            self.network.start_trainer(index)


def test_a_run_survives_kill_9_of_each_role_in_each_phase(tmp_path):
    """Each killed process resumes where it was: no double commit, no lost salt, no lost stake."""
    rounds = len(KILLS) + 2
    settings = DemoSettings(folder=tmp_path, rounds=rounds)
    with Processes(tmp_path / "logs") as processes:
        network = build_network(settings, processes, print)
        network.start_coordinator()
        for index in range(settings.trainers):
            network.start_trainer(index)
        run = RunContract(network.rpc, network.run)
        saboteur = Saboteur(network=network, run=run)
        with HeadWatcher(network.rpc, websocket_urls=[network.chain.websocket_url]) as heads:
            for place, (role, phase) in enumerate(KILLS):
                round_id = place + 2
                found = heads.wait_for(
                    lambda r=round_id, p=phase: saboteur.reached(r, p), timeout_s=90
                )
                assert found is not None, f"round {round_id} never reached {phase.name}"
                saboteur.kill(role, place % settings.trainers)
            follower = Follower(network)
            rows = follower.follow(heads, print)
        statuses = [child.process.wait(90) for child in [*network.trainers, network.coordinator]]
        fold = RunHistory(network.rpc, run, first_block=1).update()
        replays = list(replay_run(fold=fold, spec=follower.spec, store=network.open_store()))
        stakes = [run.seat(seat).stake_gwei for seat in range(settings.trainers)]
    assert statuses == [0] * len(statuses)
    assert len(rows) == rounds
    assert [r.problems for r in replays] == [()] * rounds
    assert stakes == [STAKE_GWEI] * settings.trainers
    assert rows[-1].model_root == "0x" + replays[-1].replayed_root.hex()
    for found in fold.rounds.values():
        assert len(found.commitments) == settings.trainers
        assert len(found.reveals) == settings.trainers
