"""The fuzz tests of this folder pass; `make fuzz` gives them far more runs."""

import subprocess
from pathlib import Path

import pytest
from support.processes import find_tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.contracts
@pytest.mark.timeout(300)  # the compiler alone takes some fifteen seconds, and fuzzing ten
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
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
