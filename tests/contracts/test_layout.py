"""The two halves of a run's code agree on where its state lies, and both fit into a contract."""

import json
import os
import re
import subprocess
from pathlib import PurePosixPath
from typing import Any

import pytest
from support.anvil import find_tool
from support.evm import ROOT, artifacts

MAX_CODE_BYTES = 24_576  # EIP-170
REMAPPINGS = {
    "@openzeppelin/contracts": "node_modules/@openzeppelin/contracts",
    "solady": "node_modules/solady/src",
}
HALVES = ("TrainingRun", "RunOffice")


def sources() -> dict[str, dict[str, str]]:
    """Every file that the halves import, as solc's standard JSON wants them."""
    found: dict[str, dict[str, str]] = {}
    waiting = [f"contracts/{half}.sol" for half in HALVES]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        text = (ROOT / name).read_text(encoding="utf-8")
        found[name] = {"content": text}
        for target in re.findall(r'import[^"]*"([^"]+)"', text):
            if target.startswith("."):
                waiting.append(os.path.normpath(str(PurePosixPath(name).parent / target)))
            else:
                prefix = next(p for p in REMAPPINGS if target.startswith(p + "/"))
                waiting.append(REMAPPINGS[prefix] + target.removeprefix(prefix))
    return found


@pytest.fixture(scope="module")
def layouts() -> dict[str, Any]:
    """solc's layouts; no code is generated, so this takes a second or two."""
    kinds = ["storageLayout", "transientStorageLayout"]
    request = {
        "language": "Solidity",
        "sources": sources(),
        "settings": {
            "remappings": [f"{name}={path}" for name, path in REMAPPINGS.items()],
            "outputSelection": {f"contracts/{half}.sol": {half: kinds} for half in HALVES},
        },
    }
    solc = find_tool("solc")
    assert solc is not None
    done = subprocess.run(
        [solc, "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    assert not [e for e in answer.get("errors", []) if e["severity"] == "error"]
    return {half: answer["contracts"][f"contracts/{half}.sol"][half] for half in HALVES}


def variables(layout: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    """Name, slot, offset and type of each variable; struct ids differ between compilations."""
    return [
        (
            entry["label"],
            int(entry["slot"]),
            entry["offset"],
            re.sub(r"\)\d+", ")", entry["type"]),
        )
        for entry in layout["storage"]
    ]


@pytest.mark.parametrize("kind", ["storageLayout", "transientStorageLayout"])
def test_the_office_sees_the_runs_variables_where_the_run_keeps_them(
    layouts: dict[str, Any], kind: str
) -> None:
    run, office = (variables(layouts[half][kind]) for half in HALVES)
    assert office
    assert office == run[: len(office)]


def test_what_only_the_run_knows_comes_after_what_they_share(layouts: dict[str, Any]) -> None:
    run, office = (variables(layouts[half]["storageLayout"]) for half in HALVES)
    assert {name for name, *_ in run[len(office) :]} == {
        "_nameFallback",
        "_versionFallback",
        "_attested",
    }


@pytest.mark.parametrize("name", [*HALVES, "MergeCourt", "TrainingCourt"])
def test_each_half_and_each_court_fits_into_a_contract(name: str) -> None:
    assert 10_000 < artifacts()[name].runtime_size < MAX_CODE_BYTES
