"""The fuzz tests of this folder pass; `make fuzz` gives them far more runs."""

import subprocess
from pathlib import Path

import pytest
from support.processes import find_tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.contracts
@pytest.mark.timeout(600)  # compiling takes half a minute, 2,000 runs of each test a whole one
def test_fuzz():
    forge = find_tool("forge")
    if forge is None:
        pytest.skip("no forge for this machine in package-lock.json, nor on PATH")
    done = subprocess.run(
        [forge, "test", "--color", "never"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
