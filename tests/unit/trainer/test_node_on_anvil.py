"""Real nodes, a real chain, nobody who coordinates: killed at every point, they finish a round."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.anvil import run_anvil
from unit.trainer.conftest import RealRun, build_real_run

# tests/system/test_crashes.py kills in each phase; here a node dies on each side of each message.
pytestmark = [pytest.mark.system, pytest.mark.nightly, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[3]


def start(run: RealRun, name: str, point: str) -> subprocess.Popen[str]:
    flags = run.flags(name)
    chosen = dict(zip(flags[:-1:2], flags[1:-1:2], strict=True))
    order = ("--rpc", "--ws", "--keystore", "--passphrase-file", "--data-dir", "--store")
    script = Path(__file__).with_name("crashing_node.py")
    with (
        (run.folder / f"{name}.out").open("a") as out,
        (run.folder / f"{name}.err").open("a") as err,
    ):
        return subprocess.Popen(
            [sys.executable, str(script), point, run.address, *(chosen[flag] for flag in order)],
            stdout=out,
            stderr=err,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )


def events(run: RealRun, name: str) -> list[dict]:
    return [json.loads(line) for line in (run.folder / f"{name}.out").read_text().splitlines()]


def test_two_nodes_finish_a_run_though_one_is_killed_before_and_after_it_sends(tmp_path):
    """Same commitment, same salt, no fee, full pay; every transition was made by a trainer."""
    from network.history import Outcome, RunHistory
    from network.rpc import Rpc
    from network.run import RunContract
    from trainer.journal import RoundJournal

    with run_anvil() as anvil:
        run = build_real_run(anvil, tmp_path, maxRounds=1, commitS=120)
        witness = start(run, "witness", "never")
        try:
            for point in ("journalled", "sent"):
                victim = start(run, "victim", point)
                assert victim.wait(60) == -signal.SIGKILL, (tmp_path / "victim.err").read_text()
            victim = start(run, "victim", "never")
            assert victim.wait(120) == 0, (tmp_path / "victim.err").read_text()
            assert witness.wait(60) == 0, (tmp_path / "witness.err").read_text()
        finally:
            for node in (victim, witness):
                node.kill()
                node.wait()
        rpc = Rpc([anvil.url], chain_id=anvil.chain_id)
        contract = RunContract(rpc, run.address)
        found = RunHistory(rpc, contract).update().rounds[1]
        stakes = [contract.seat(seat).stake_gwei for seat in (0, 1)]
        rpc.close()
    assert found.outcome is Outcome.FINAL
    assert found.included == 0b11
    assert stakes == [10**9, 10**9]
    assert len(found.rewards_wei) == 2
    journals = list((tmp_path / "victim").rglob("journal.jsonl"))
    assert len(journals) == 1
    journal = RoundJournal(journals[0])
    (bound,) = journal.entries()
    journal.close()
    assert found.commitments[bound.seat] == bound.commitment
    said = [one["event"] for one in events(run, "victim")]
    assert said.count("committed") == 1
    assert said.count("rewarded") == 1
    assert all(one["matches"] for one in events(run, "witness") if one["event"] == "round_finished")
