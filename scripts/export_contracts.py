"""Write network/contracts.json: what clients know of the contracts, without a compiler.

Run it after a contract changed (`make abi`); a test compares the file with a fresh compile.
"""

import json
from pathlib import Path
from typing import Any

from network.artifacts import without_metadata
from scripts.compiled import compile_contracts

CONTRACTS = (
    "FixedBeacon",
    "MergeCourt",
    "PrevrandaoBeacon",
    "RunFactory",
    "RunOffice",
    "StakeVault",
    "TrainingCourt",
    "TrainingRun",
)
TARGET = Path(__file__).resolve().parents[1] / "network" / "contracts.json"


def collect() -> dict[str, Any]:
    """ABI and runtime code of each contract by name, as compiled now."""
    contracts = compile_contracts()
    found: dict[str, Any] = {}
    for name in CONTRACTS:
        contract = contracts[name].contract_type
        found[name] = {
            "abi": [item.model_dump(mode="json", exclude_none=True) for item in contract.abi],
            "runtime": "0x" + _runtime(contract).hex(),
        }
    return found


def _runtime(contract: Any) -> bytes:
    code = contract.runtime_bytecode.bytecode.removeprefix("0x")
    return without_metadata(bytes.fromhex(code))


def render() -> str:
    """The file's text: one line a contract, so that a difference can be read."""
    lines = [
        f"{json.dumps(n)}:{json.dumps(c, sort_keys=True, separators=(',', ':'))}"
        for n, c in collect().items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
