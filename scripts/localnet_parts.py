"""The parts a local network is made of: anvil, Kubo peers, keys, contracts, a run, its roles."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network.keys import create_keystore
from network.rpc import Rpc
from protocol.types import Address
from scripts.processes import Child, Processes

BIN = Path(sys.executable).parent
CHAIN_ID = 31337
ETHER = 10**18
BY_THE_CLOCK = ("--block-time", "1", "--mixed-mining")
"""A block each second besides those on demand: clocks of trials run though nobody acts."""
_KDF_ITERATIONS = 1024  # these keys guard play money for minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A running anvil."""

    url: str
    websocket_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An encrypted keystore and the file that holds its passphrase."""

    name: str
    address: Address
    keystore: Path
    passphrase_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Addresses of deployed contracts; `first_block` is where their events begin."""

    file: Path
    factory: Address
    fixed_beacon: Address
    prevrandao_beacon: Address
    first_block: int


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_anvil(processes: Processes, *, port: int = 0, arguments: Sequence[str] = ()) -> Chain:
    """Start anvil on loopback; it mines on demand, and by the clock too if `arguments` say so."""
    command = [
        *(str(BIN / "anvil"), "--host", "127.0.0.1", "--port", str(port)),
        *("--chain-id", str(CHAIN_ID), "--color", "never"),
        *arguments,
    ]
    anvil = processes.start("anvil", command)
    bound = anvil.wait_for_line("Listening on", timeout_s=30).rsplit("Listening on", 1)[1].strip()
    return Chain(url=f"http://{bound}", websocket_url=f"ws://{bound}")


def make_key(folder: Path, name: str, rpc: Rpc, *, ether: int = 1_000) -> Key:
    """Make an encrypted keystore and give its account some ether of the local chain."""
    folder.mkdir(parents=True, exist_ok=True)
    passphrase_file = folder / f"{name}.passphrase"
    passphrase_file.touch(mode=0o600)
    passphrase_file.write_text(secrets.token_urlsafe(16), encoding="ascii")
    keystore = folder / f"{name}.json"
    signer = create_keystore(
        keystore, passphrase_file.read_text(encoding="ascii"), iterations=_KDF_ITERATIONS
    )
    rpc.call("anvil_setBalance", signer.address, hex(ether * ETHER))
    return Key(
        name=name, address=signer.address, keystore=keystore, passphrase_file=passphrase_file
    )


def deploy(processes: Processes, chain: Chain, target: Path, *, unbonding_s: int) -> Deployment:
    """Deploy with the ape script, as the README tells a person to."""
    command = [
        *(str(BIN / "ape"), "run", "deploy", "--network", chain.url),
        *("--unbonding", str(unbonding_s), "--output", str(target)),
    ]
    run_to_end(processes, "deploy", command)
    contracts = json.loads(target.read_text(encoding="utf-8"))["contracts"]
    return Deployment(
        file=target,
        factory=contracts["RunFactory"]["address"],
        fixed_beacon=contracts["FixedBeacon"]["address"],
        prevrandao_beacon=contracts["PrevrandaoBeacon"]["address"],
        first_block=contracts["RunFactory"]["block"],
    )


def run_to_end(
    processes: Processes, name: str, command: Sequence[str], *, timeout_s: float = 300
) -> Child:
    """Run a command to its end; RuntimeError with its last lines if it fails."""
    child = processes.start(name, command)
    status = child.process.wait(timeout_s)
    processes.children.remove(child)
    with child.grown:
        child.grown.wait_for(lambda: child.finished, timeout=5)
    if status != 0:
        raise RuntimeError(f"{name} ended with {status}:\n" + "\n".join(child.lines[-30:]))
    return child


def run_json(processes: Processes, name: str, command: Sequence[str]) -> dict[str, Any]:
    """What a command with --json printed last."""
    child = run_to_end(processes, name, command)
    for line in reversed(child.lines):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise RuntimeError(f"{name} printed no JSON:\n" + "\n".join(child.lines[-30:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class KuboPeer:
    """A running Kubo daemon: its RPC and the address that other peers connect to."""

    api: str
    swarm_address: str


def start_kubo(processes: Processes, name: str, repository: Path) -> KuboPeer:
    """Start a real Kubo daemon on loopback that announces itself to nobody."""
    executable = str(BIN / "ipfs")
    if not Path(executable).exists():
        executable = shutil.which("ipfs") or ""
    if not executable:
        raise RuntimeError("no Kubo: run `make kubo` (it needs Go), or use --store local")
    environment = {"IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off"}
    full = {**os.environ, **environment}
    subprocess.run(
        [executable, "init", "--profile=test"], env=full, check=True, capture_output=True
    )
    path = repository / "config"
    config = json.loads(path.read_text(encoding="utf-8"))
    here = "/ip4/127.0.0.1/tcp/0"
    config["Addresses"] |= {"API": here, "Gateway": here, "Swarm": [here]}
    config["Routing"] = {"Type": "none"}
    config["AutoConf"] = {"Enabled": False}
    config["Bootstrap"] = []
    config["Plugins"] = {"Plugins": {"telemetry": {"Disabled": True}}}
    path.write_text(json.dumps(config), encoding="utf-8")
    daemon = processes.start(name, [executable, "daemon"], environment)
    daemon.wait_for_line("Daemon is ready", timeout_s=60)
    identity = subprocess.run([executable, "id"], env=full, check=True, capture_output=True)
    return KuboPeer(
        api=(repository / "api").read_text(encoding="utf-8").strip(),
        swarm_address=json.loads(identity.stdout)["Addresses"][0],
    )
