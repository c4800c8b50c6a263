"""A real Kubo daemon on loopback ports that the system chooses: no peers, no telemetry."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.processes import Server, find_tool, server

_LOOPBACK = "/ip4/127.0.0.1/tcp/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubo:
    """A running daemon; `api_url` is a multiaddress, `swarm_address` is what a peer connects to."""

    api_url: str
    swarm_address: str
    repository: Path
    server: Server

    @property
    def pid(self) -> int:
        return self.server.process.pid


def find_kubo() -> str | None:
    """The `ipfs` executable that `make kubo` builds, or one on PATH; None if there is none."""
    return find_tool("ipfs")


def prepare_repository(executable: str, repository: Path) -> dict[str, str]:
    """Initialises a repository that listens on loopback only; returns the daemon's environment."""
    environment = {"IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off"}
    subprocess.run(
        [executable, "init", "--profile=test"],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=60,
    )
    path = repository / "config"
    config = json.loads(path.read_text())
    config["Addresses"] |= {"API": _LOOPBACK, "Gateway": _LOOPBACK, "Swarm": [_LOOPBACK]}
    config["Routing"] = {"Type": "none"}
    config["AutoConf"] = {"Enabled": False}
    config["Bootstrap"] = []
    config["Plugins"] = {"Plugins": {"telemetry": {"Disabled": True}}}
    path.write_text(json.dumps(config))
    return environment


@contextlib.contextmanager
def run_kubo(repository: Path) -> Iterator[Kubo]:
    """Runs a daemon on `repository`, which is made if it is not there."""
    executable = find_kubo()
    if executable is None:
        raise RuntimeError("no ipfs beside this Python or on PATH: run `make kubo`")
    if (repository / "config").exists():
        environment = {"IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off"}
    else:
        environment = prepare_repository(executable, repository)
    (repository / "api").unlink(missing_ok=True)
    with server([executable, "daemon"], environment) as running:
        running.lines_until("Daemon is ready")
        # The identity's addresses come from the daemon, as the port was the system's choice.
        answer = subprocess.run(
            [executable, "id"],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            timeout=60,
        )
        yield Kubo(
            api_url=(repository / "api").read_text().strip(),
            swarm_address=json.loads(answer.stdout)["Addresses"][0],
            repository=repository,
            server=running,
        )
