"""What this version knows of the contracts: ABIs and runtime code, as compiled.

`scripts/export_contracts.py` writes the file; a test compares it with a fresh compile.
"""

import json
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from network.abi import Abi
from network.ethereum import read_code
from network.rpc import Rpc
from protocol.errors import CodeMismatch
from protocol.types import Address

_PUSH1, _PUSH32 = 0x60, 0x7F


@cache
def _contracts() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("network").joinpath("contracts.json").read_bytes())
    return loaded


@cache
def abi_of(*names: str) -> Abi:
    """The ABI of one contract, or of several together."""
    return Abi(*(_contracts()[name]["abi"] for name in names))


def knows(name: str) -> bool:
    """Whether this version knows a contract of that name."""
    return name in _contracts()


@cache
def runtime_code(name: str) -> bytes:
    """Runtime code as compiled, less its metadata: zeros stand where an immutable will be."""
    return bytes.fromhex(_contracts()[name]["runtime"].removeprefix("0x"))


def immutables_of(code: bytes) -> tuple[tuple[int, int], ...]:
    """Where compiled code leaves room for immutables: PUSH32 of zero, which no optimiser emits."""
    places, at = [], 0
    while at < len(code):
        opcode = code[at]
        if opcode == _PUSH32 and not any(code[at + 1 : at + 33]):
            places.append((at + 1, 32))
        # PUSH1..PUSH32 carry 1..32 bytes of data
        at += 1 + (opcode - _PUSH1 + 1 if _PUSH1 <= opcode <= _PUSH32 else 0)
    return tuple(places)


def without_metadata(code: bytes) -> bytes:
    """Code without the compiler's trailer: a hash of comments and paths, never executed.

    The last two bytes are the trailer's length (Solidity docs, contract metadata).
    """
    length = int.from_bytes(code[-2:], "big") + 2
    return code[:-length] if length <= len(code) else code


def check_deployed(rpc: Rpc, address: Address, name: str) -> None:
    """Promise that `address` holds the contract `name` of this version, its immutables aside.

    Raises NotAContract and CodeMismatch.
    """
    expected = bytearray(runtime_code(name))
    actual = bytearray(without_metadata(read_code(rpc, address)))
    for start, length in immutables_of(bytes(expected)):
        actual[start : start + length] = bytes(len(actual[start : start + length]))
    if actual != expected:
        raise CodeMismatch(
            address=address, expected=sha256(expected).digest(), actual=sha256(actual).digest()
        )
