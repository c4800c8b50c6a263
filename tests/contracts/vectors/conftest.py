"""The libraries on a real EVM: VectorHarness, compiled alone, deployed on an anvil of its own."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.anvil import run_anvil
from support.processes import find_tool
from web3 import Web3
from web3.contract import Contract

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests" / "vectors"
HARNESS = "contracts/test/VectorHarness.sol"
CACHE = ROOT / ".cache" / "harness"
_IMPORT = re.compile(r'^import [^;]*?"([^"]+)";', re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """The vector files by name."""
    return {path.stem: json.loads(path.read_text()) for path in VECTORS.glob("*.json")}


@pytest.fixture(scope="session")
def harness() -> Iterator[Contract]:
    """The harness, the first contract of the first account: its address is the vectors' run."""
    compiled = compile_harness()
    with run_anvil("--gas-limit", "1000000000") as anvil:
        web3 = Web3(Web3.HTTPProvider(anvil.url))
        factory = web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
        tx_hash = factory.constructor().transact({"from": web3.eth.accounts[0]})
        address = web3.eth.get_transaction_receipt(tx_hash)["contractAddress"]
        yield web3.eth.contract(address=address, abi=compiled["abi"])


def compile_harness() -> dict[str, Any]:
    """ABI and creation code, with the compiler and settings that the project deploys with.

    Alone, since that takes seconds; what was compiled before is kept by the hash of its input.
    """
    text = json.dumps(standard_input(), sort_keys=True)
    kept = CACHE / f"{sha256(text.encode()).hexdigest()[:32]}.json"
    if not kept.exists():
        compiler = find_tool("solc")
        assert compiler is not None, "no solc: run `make setup`"
        done = subprocess.run(
            [compiler, "--standard-json"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        )
        output = json.loads(done.stdout)
        assert not output.get("errors"), output["errors"]
        contract = output["contracts"][HARNESS]["VectorHarness"]
        CACHE.mkdir(parents=True, exist_ok=True)
        code = contract["evm"]["bytecode"]["object"]
        kept.write_text(json.dumps({"abi": contract["abi"], "bytecode": code}))
    return json.loads(kept.read_text())


def standard_input() -> dict[str, Any]:
    """Every source that the harness needs, and the settings of ape-config.yaml."""
    config = yaml.safe_load((ROOT / "ape-config.yaml").read_text())["solidity"]
    sources: dict[str, Any] = {}
    waiting = [HARNESS]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        path = ROOT / "node_modules" / name if name.startswith("@") else ROOT / name
        sources[name] = {"content": path.read_text()}
        for target in _IMPORT.findall(sources[name]["content"]):
            # Links are not followed: node_modules may be one.
            near = os.path.relpath(path.parent / target, ROOT) if target[0] == "." else target
            waiting.append(near.removeprefix("node_modules/"))
    return {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": config["evm_version"],
            "viaIR": config["via_ir"],
            "optimizer": {"enabled": config["optimize"], "runs": config["optimization_runs"]},
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
