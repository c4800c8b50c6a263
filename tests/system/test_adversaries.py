"""Each adversary beside honest processes, as `make demo ARGS="--adversary NAME"` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.adversaries.catalogue import ADVERSARIES, AGGREGATORS

ROOT = Path(__file__).parents[2]
ROUNDS = 5

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The result of an adversary's demo; each runs once."""
    results = {}

    def run(name):
        if name not in results:
            target = tmp_path_factory.mktemp(name) / "result.json"
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "scripts.demo", "--adversary", name),
                    *("--rounds", str(ROUNDS), "--accuracy", "0.9", "--json", str(target)),
                ],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=560,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-4000:]
            results[name] = json.loads(target.read_text())
        return results[name]

    return run


# The others every night: test_court_watch.py plays each game before the real court.
DAILY = ("wrong-merge",)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in DAILY else pytest.mark.nightly)
        for name in ADVERSARIES
    ],
)
def test_the_adversary_gets_nothing_and_the_run_goes_on(demo, name):
    """Every deed is answered at its author's expense alone; half of it goes to who proved it."""
    result = demo(name)
    assert result["protocol_held"] is True
    assert [row["verified"] for row in result["rounds"]] == [True] * ROUNDS
    assert all(row["included"] == [0, 1, 2, 3] for row in result["rounds"])

    fates = {deed["fate"] for deed in result["deeds"]}
    assert fates
    assert fates <= ({"convicted"} if name in AGGREGATORS else {"convicted", "excluded"})

    books = {one["name"]: one for one in result["parties"]}
    assert books["adversary"]["rewards_wei"] == "0"
    assert [one["name"] for one in result["parties"] if one["lost_wei"] != "0"] == (
        ["adversary"] if "convicted" in fates else []
    )
    for penalty in result["penalties"]:
        paid_wei, burned_wei = int(penalty["paid_wei"]), int(penalty["burned_wei"])
        assert penalty["loser"] == "adversary"
        assert books[penalty["winner"]]["honest"]
        assert 0 <= burned_wei - paid_wei <= 1
    for deed in result["deeds"]:
        assert (int(deed["lost_wei"]) > 0) == (deed["fate"] == "convicted")


@pytest.mark.nightly
def test_no_adversary_moves_the_model_by_one_bit(demo):
    """Whoever cheats, and however: the honest trainers' updates make the same models."""
    models = {tuple(row["model_root"] for row in demo(name)["rounds"]) for name in ADVERSARIES}
    assert len(models) == 1
