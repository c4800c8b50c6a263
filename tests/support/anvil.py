"""A real anvil on a loopback port that the system chooses, gone when the block ends."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from support.processes import Server, find_tool, server

CHAIN_ID = 31337
WEI_PER_ETHER = 10**18
# The first two keys of the mnemonic that every Ethereum developer knows; worth nothing anywhere.
MNEMONIC = "test test test test test test test test test test test junk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anvil:
    """A running anvil: HTTP and WebSocket answer on the same port."""

    url: str
    websocket_url: str
    chain_id: int
    private_keys: tuple[str, ...]
    server: Server

    @property
    def pid(self) -> int:
        return self.server.process.pid


@contextlib.contextmanager
def run_anvil(
    *arguments: str, chain_id: int = CHAIN_ID, accounts: int = 10, port: int = 0
) -> Iterator[Anvil]:
    """Runs anvil; `arguments` are its own flags, such as `--no-mining` or `--block-time 1`."""
    executable = find_tool("anvil")
    if executable is None:
        raise RuntimeError("no anvil beside this Python or on PATH: run `make setup`")
    command: Sequence[str] = [
        executable,
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--chain-id", str(chain_id), "--accounts", str(accounts)),
        *("--mnemonic", MNEMONIC, "--color", "never"),
        *arguments,
    ]
    with server(command, {}) as running:
        lines = running.lines_until("Listening on")
        bound = lines[-1].rsplit("Listening on", 1)[1].strip()
        keys = [found[1] for line in lines if (found := re.search(r"(0x[0-9a-f]{64})$", line))]
        yield Anvil(
            url=f"http://{bound}",
            websocket_url=f"ws://{bound}",
            chain_id=chain_id,
            private_keys=tuple(keys[:accounts]),
            server=running,
        )
