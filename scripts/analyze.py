"""Slither over the contracts, with the project's compiler; any finding fails.

An exception stands beside its line (`slither-disable-next-line NAME: why`), or here if it is about
a detector as a whole. An exception that nothing needs any more fails too.
"""

import json
import logging
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from crytic_compile import CryticCompile
from crytic_compile.compilation_unit import CompilationUnit
from crytic_compile.compiler.compiler import CompilerVersion
from crytic_compile.platform.solc_standard_json import SolcStandardJson, parse_standard_json_output
from slither import Slither
from slither.__main__ import get_detectors_and_printers

ROOT = Path(__file__).resolve().parents[1]
SOLC = ROOT / ".venv" / "bin" / "solc"

# Detectors that do not run, and why.
EXCLUDED = {
    "assembly": "hashing and int8 arithmetic need it; each block says why",
    "naming-convention": "solhint checks names, and immutables are written as constants",
    "timestamp": "phases, windows and unbonding are seconds of block time, by design",
    "too-many-digits": "masks are read digit by digit",
}

# What others wrote, and harnesses and hostile fakes that no script deploys.
SKIPPED = ["node_modules/", "contracts/test/"]


class Sources(SolcStandardJson):  # type: ignore[misc]
    """The contracts' syntax trees, all that Slither reads; bytecode would take a minute."""

    def __init__(self) -> None:
        """Read what forge compiles with."""
        super().__init__({})
        profile = tomllib.loads((ROOT / "foundry.toml").read_text(encoding="utf-8"))["profile"]
        self._profile: dict[str, Any] = profile["default"]

    def compile(self, crytic_compile: CryticCompile, **_: Any) -> None:
        """Fill in the only compilation unit."""
        profile = self._profile
        sources = sorted((ROOT / "contracts").rglob("*.sol"))
        names = [p.relative_to(ROOT).as_posix() for p in sources if ".cache" not in p.parts]
        optimizer = {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]}
        question = {
            "language": "Solidity",
            "sources": {name: {"urls": [name]} for name in names},
            "settings": {
                "remappings": profile["remappings"],
                "evmVersion": profile["evm_version"],
                "viaIR": profile["via_ir"],
                "optimizer": optimizer,
                "outputSelection": {"*": {"*": ["abi", "devdoc", "userdoc"], "": ["ast"]}},
            },
        }
        answer = solc(question)
        code = {"object": "", "sourceMap": ""}
        for contracts in answer["contracts"].values():
            for contract in contracts.values():
                contract["evm"] = {"bytecode": code, "deployedBytecode": code}
        unit = CompilationUnit(crytic_compile, "contracts")
        unit.compiler_version = CompilerVersion(
            compiler="solc",
            version=solc_version(),
            optimized=optimizer["enabled"],
            optimize_runs=optimizer["runs"],
            via_ir=profile["via_ir"],
        )
        parse_standard_json_output(answer, unit, solc_working_dir=str(ROOT))

    def is_dependency(self, path: str) -> bool:
        """Say whether it is a library of others."""
        return "node_modules" in Path(path).parts


def solc(question: dict[str, Any]) -> dict[str, Any]:
    """The compiler's answer; exits with its errors."""
    done = subprocess.run(
        [SOLC, "--base-path", ".", "--standard-json"],
        cwd=ROOT,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    errors = [e["formattedMessage"] for e in answer.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise SystemExit("\n".join(errors))
    return answer


def solc_version() -> str:
    """The pinned version, as package.json names it."""
    manifest = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    return str(manifest["devDependencies"]["solc"])


def _useless(comment: dict[str, Any]) -> str:
    names = ", ".join(comment["unused_detectors"])
    return f"{comment['file']}:{comment['line']}: nothing needs this exception: {names}"


def main() -> int:
    """Print findings and useless exceptions; 1 if there is one."""
    logging.getLogger("CryticCompile").setLevel(logging.ERROR)
    slither = Slither(CryticCompile(Sources()), filter_paths=SKIPPED, disallow_partial=True)
    detectors, _ = get_detectors_and_printers()
    known = {detector.ARGUMENT for detector in detectors}
    if unknown := EXCLUDED.keys() - known:
        raise SystemExit(f"no such detector: {', '.join(sorted(unknown))}")
    for detector in detectors:
        if detector.ARGUMENT not in EXCLUDED:
            slither.register_detector(detector)
    findings = [finding for found in slither.run_detectors() for finding in found]
    for finding in findings:
        print(f"{finding['check']} ({finding['impact']}): {finding['description'].strip()}\n")
    useless = [
        comment
        for comment in slither.get_unused_ignore_comments()
        if not any(part in comment["file"] for part in SKIPPED)
    ]
    for line in sorted({_useless(comment) for comment in useless}):
        print(line)
    print(f"slither: {len(known) - len(EXCLUDED)} detectors, {len(findings)} findings")
    return 1 if findings or useless else 0


if __name__ == "__main__":
    sys.exit(main())
