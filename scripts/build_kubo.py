"""Put a Kubo node at `.venv/bin/ipfs`: one on PATH if recent, else built from tools/kubo.

A machine without either gets a line that says why, and exit code 0: the tests that need Kubo skip.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "tools" / "kubo"
BUILT = ROOT / ".cache" / "kubo" / "ipfs"
STAMP = BUILT.with_name("stamp")
PLACE = ROOT / ".venv" / "bin" / "ipfs"
OLDEST_KUBO = (0, 36)
PACKAGE = "github.com/ipfs/kubo/cmd/ipfs"


def say(line: str) -> None:
    sys.stdout.write(f"kubo: {line}\n")
    sys.stdout.flush()


def read_version(command: list[str]) -> tuple[int, ...]:
    """Return the first version number that a command prints, or () if it prints none."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=MODULE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(part) for part in found.groups(default="0")) if found else ()


def find_elsewhere(tool: str) -> str | None:
    """Find a tool on PATH outside the venv."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [folder for folder in folders if Path(folder).resolve() != PLACE.parent.resolve()]
    return shutil.which(tool, path=os.pathsep.join(kept))


def link(target: Path) -> None:
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.unlink(missing_ok=True)
    PLACE.symlink_to(os.path.relpath(target, PLACE.parent))


def build(go: str) -> bool:
    """Build the pinned Kubo unless the built one is of the same pin."""
    pin = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    mark = hashlib.sha256(pin).hexdigest()
    if BUILT.is_file() and STAMP.is_file() and STAMP.read_text(encoding="ascii") == mark:
        return True
    say("building the pinned Kubo; the first time takes minutes")
    started_s = time.monotonic()
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(BUILT), PACKAGE]
    niced = [*(["nice", "-n", "15"] if shutil.which("nice") else []), *command]
    done = subprocess.run(
        niced,
        cwd=MODULE,
        env=os.environ | {"CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-10:])
        say(f"`go build` failed with exit code {done.returncode}:\n{tail}")
        return False
    STAMP.write_text(mark, encoding="ascii")
    say(f"built in {time.monotonic() - started_s:.0f} s")
    return True


def main() -> int:
    if (ipfs := find_elsewhere("ipfs")) and read_version([ipfs, "--version"]) >= OLDEST_KUBO:
        link(Path(ipfs))
        say(f"using {ipfs}")
        return 0
    wanted = re.search(
        r"^go (\d+)\.(\d+)", (MODULE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert wanted is not None, "tools/kubo/go.mod has a go line"
    oldest_go = tuple(int(part) for part in wanted.groups())
    go = find_elsewhere("go")
    if go is None or read_version([go, "env", "GOVERSION"]) < oldest_go:
        say(
            f"no Kubo: neither an ipfs {'.'.join(map(str, OLDEST_KUBO))}+ "
            f"nor Go {'.'.join(map(str, oldest_go))}+ is on PATH; tests that need Kubo will skip."
        )
        return 0
    if build(go):
        link(BUILT)
        say(f"ready at {PLACE.relative_to(ROOT)}")
    else:
        say("no Kubo: tests that need it will skip.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
