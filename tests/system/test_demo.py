"""The demo, as a person runs it: real chain, real processes, real data."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scripts.demo", *arguments]


def descendants_alive(marker: str) -> list[int]:
    """Processes that carry the marker in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def run_demo(tmp_path: Path, *arguments: str) -> dict:
    target = tmp_path / "result.json"
    marker = f"DEMO_MARKER={tmp_path.name}-{time.monotonic_ns()}"
    name, value = marker.split("=")
    done = subprocess.run(
        demo(*arguments, "--json", str(target)),
        cwd=ROOT,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert descendants_alive(marker) == []
    return json.loads(target.read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict:
    """`make demo` with its defaults."""
    return run_demo(tmp_path_factory.mktemp("demo"))


def test_the_demo_learns_and_every_merge_replays(whole):
    """Twelve rounds of two local epochs reach 97 %, and chain and store prove each merge."""
    assert whole["verified"] is True
    assert len(whole["rounds"]) == 12
    assert all(row["included"] == [0, 1, 2, 3] for row in whole["rounds"])
    assert max(row["accuracy"] for row in whole["rounds"]) >= 0.97
    assert whole["chain_id"] == 31337
    assert all(int(one["rewards_wei"]) > 0 for one in whole["participants"])


@pytest.mark.nightly
def test_another_demo_with_the_fixed_beacon_has_the_same_roots(whole, tmp_path):
    """Other keys, ports and timing, the same bits; over Kubo every `make test` shows it."""
    again = run_demo(tmp_path, "--rounds", "3")
    assert roots_of(again) == roots_of(whole)[:3]


@pytest.mark.kubo
def test_the_demo_works_over_real_kubo_peers(whole, tmp_path):
    """Each role has a daemon of its own; bytes travel by bitswap, and the bits are the same."""
    result = run_demo(tmp_path, "--rounds", "3", "--store", "kubo")
    assert result["verified"] is True
    assert roots_of(result) == roots_of(whole)[:3]


def roots_of(result: dict) -> list[str]:
    return [row["model_root"] for row in result["rounds"]]


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path):
    """Ctrl-C in the middle of training ends every process that the demo started."""
    marker = f"DEMO_MARKER={tmp_path.name}-interrupt"
    name, value = marker.split("=")
    process = subprocess.Popen(
        demo("--rounds", "50"),
        cwd=ROOT,
        env={**os.environ, name: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if line.startswith("round"):
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert descendants_alive(marker) == []
