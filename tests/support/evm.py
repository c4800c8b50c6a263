"""A thin, fast handle on contracts on anvil: one HTTP connection, typed reverts and events.

Ape compiles (its cache is shared with `make compile`); calls go to anvil directly, since a state
machine makes thousands of them. Accounts are impersonated, so a sender is only an address.
"""

import http.client
import itertools
import json
from collections import namedtuple
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ROOT = Path(__file__).resolve().parents[2]
GAS_LIMIT = 25_000_000
GAS_PRICE = 10**9


class Reverted(Exception):  # noqa: N818 (it is what happened, as web3 says it)
    """A contract refused: `name` is its error's name, `values` the error's arguments."""

    def __init__(self, name: str, values: tuple[Any, ...]) -> None:
        super().__init__(f"{name}{values}")
        self.name = name
        self.values = values


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A compiled contract."""

    name: str
    abi: list[dict[str, Any]]
    code: bytes
    runtime_size: int


@cache
def artifacts() -> dict[str, Artifact]:
    """Compile what changed since the last time, and give every contract by name."""
    from scripts.compiled import compile_contracts

    compiled = compile_contracts()
    return {
        name: Artifact(
            name=name,
            abi=[entry.model_dump(mode="json", by_alias=True) for entry in kind.contract_type.abi],
            code=bytes.fromhex(kind.contract_type.deployment_bytecode.bytecode.removeprefix("0x")),
            runtime_size=len(kind.contract_type.runtime_bytecode.bytecode.removeprefix("0x")) // 2,
        )
        for name, kind in compiled.items()
        if kind.contract_type.deployment_bytecode
        and kind.contract_type.deployment_bytecode.bytecode
    }


def types_of(entries: list[dict[str, Any]]) -> list[str]:
    return [collapse_if_tuple(entry) for entry in entries]


def signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(types_of(entry['inputs']))})"


def _named(entry: dict[str, Any], value: Any) -> Any:
    """Give tuples their components' names, and addresses their checksum."""
    kind = entry["type"]
    if kind.endswith("[]"):
        inner = entry | {"type": kind[:-2]}
        return [_named(inner, item) for item in value]
    if kind == "tuple":
        return _record(entry["components"], value)
    return to_checksum_address(value) if kind == "address" else value


def _record(components: list[dict[str, Any]], values: Any) -> Any:
    names = [c.get("name", "").strip("_") or f"field_{i}" for i, c in enumerate(components)]
    return _tuple_type(tuple(names))(
        *(_named(c, v) for c, v in zip(components, values, strict=True))
    )


@cache
def _tuple_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Record", names)  # noqa: PYI024


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A mined transaction: `events` in order, each with `name` and its arguments."""

    gas: int
    gas_price: int
    block: int
    events: list[SimpleNamespace]

    def only(self, name: str) -> SimpleNamespace:
        (found,) = self.all(name)
        return found

    def all(self, name: str) -> list[SimpleNamespace]:
        return [event for event in self.events if event.name == name]


class Evm:
    """An anvil that mines each transaction at once and sends from any address."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        self._numbers = itertools.count(1)
        self._errors: dict[bytes, dict[str, Any]] = {}
        self._topics: dict[bytes, dict[str, Any]] = {}
        for artifact in artifacts().values():
            self.learn(artifact.abi)
        self.rpc("anvil_autoImpersonateAccount", True)
        self.chain_id = int(self.rpc("eth_chainId"), 16)

    def close(self) -> None:
        self._connection.close()

    def learn(self, abi: list[dict[str, Any]]) -> None:
        """Decode the errors and events of an ABI from now on."""
        for entry in abi:
            if entry["type"] == "error":
                self._errors[keccak(text=signature(entry))[:4]] = entry
            elif entry["type"] == "event":
                self._topics[keccak(text=signature(entry))] = entry

    def rpc(self, method: str, *params: Any) -> Any:
        body = json.dumps(
            {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}
        )
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        if "error" in answer:
            data = answer["error"].get("data")
            if isinstance(data, str) and data.startswith("0x"):
                raise self.reverted(bytes.fromhex(data[2:]))
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def reverted(self, data: bytes) -> Reverted:
        if not data:
            return Reverted("", ())
        if data[:4] == keccak(text="Panic(uint256)")[:4]:
            return Reverted("Panic", decode(["uint256"], data[4:]))
        entry = self._errors.get(data[:4])
        if entry is None:
            return Reverted("0x" + data.hex(), ())
        return Reverted(
            entry["name"],
            tuple(_record(entry["inputs"], decode(types_of(entry["inputs"]), data[4:]))),
        )

    # --- state and time

    def snapshot(self) -> str:
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        assert self.rpc("evm_revert", snapshot)

    def now(self) -> int:
        """Timestamp of the newest block."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def sleep_until(self, timestamp: int) -> None:
        """Mine a block at `timestamp`, unless that is past."""
        if timestamp > self.now():
            self.rpc("evm_setNextBlockTimestamp", timestamp)
            self.rpc("evm_mine")

    def next_block_at(self, timestamp: int) -> None:
        """Give the next transaction's block this timestamp."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)

    def sleep(self, seconds: int) -> None:
        self.sleep_until(self.now() + seconds)

    def balance(self, address: str) -> int:
        return int(self.rpc("eth_getBalance", address, "latest"), 16)

    def fund(self, address: str, wei: int = 10**24) -> None:
        self.rpc("anvil_setBalance", address, hex(wei))

    # --- transactions

    def transact(
        self,
        *,
        sender: str,
        to: str | None,
        data: bytes,
        value: int = 0,
        gas_price: int = GAS_PRICE,
    ) -> tuple[Receipt, str | None]:
        """Send and mine; raises Reverted with the contract's error."""
        transaction = {
            "from": sender,
            "data": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(GAS_LIMIT),
            "gasPrice": hex(gas_price),
        }
        if to is not None:
            transaction["to"] = to
        raw = self.rpc("eth_sendTransactionSync", transaction)
        if int(raw["status"], 16) != 1:
            trace = self.rpc(
                "debug_traceTransaction",
                raw["transactionHash"],
                {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}},
            )
            raise self.reverted(bytes.fromhex(trace.get("output", "0x")[2:]))
        receipt = Receipt(
            gas=int(raw["gasUsed"], 16),
            gas_price=int(raw["effectiveGasPrice"], 16),
            block=int(raw["blockNumber"], 16),
            events=[event for log in raw["logs"] if (event := self._event(log)) is not None],
        )
        return receipt, raw.get("contractAddress")

    def deploy(self, name: str, *arguments: Any, sender: str, value: int = 0) -> "Contract":
        artifact = artifacts()[name]
        inputs = next((e["inputs"] for e in artifact.abi if e["type"] == "constructor"), [])
        data = artifact.code + encode(types_of(inputs), arguments)
        _, address = self.transact(sender=sender, to=None, data=data, value=value)
        assert address is not None
        return Contract(self, artifact, address)

    def at(self, name: str, address: str) -> "Contract":
        return Contract(self, artifacts()[name], address)

    def _event(self, log: dict[str, Any]) -> SimpleNamespace | None:
        if not log["topics"]:
            return None
        entry = self._topics.get(bytes.fromhex(log["topics"][0][2:]))
        if entry is None:
            return None
        indexed = [i for i in entry["inputs"] if i["indexed"]]
        plain = [i for i in entry["inputs"] if not i["indexed"]]
        values = {
            i["name"]: _named(i, decode([i["type"]], bytes.fromhex(topic[2:]))[0])
            for i, topic in zip(indexed, log["topics"][1:], strict=True)
        }
        data = decode(types_of(plain), bytes.fromhex(log["data"][2:]))
        values |= {i["name"]: _named(i, value) for i, value in zip(plain, data, strict=True)}
        return SimpleNamespace(name=entry["name"], **values)


class Contract:
    """`contract.method(...)` reads a view, and else sends a transaction from `sender=`."""

    def __init__(self, evm: Evm, artifact: Artifact, address: str) -> None:
        self.evm = evm
        self.address = to_checksum_address(address)
        self.artifact = artifact
        self._methods = {e["name"]: e for e in artifact.abi if e["type"] == "function"}

    def encode(self, method: str, *arguments: Any) -> bytes:
        """Calldata of a call, as `multicall` takes it."""
        entry = self._methods[method]
        return keccak(text=signature(entry))[:4] + encode(types_of(entry["inputs"]), arguments)

    def read(self, method: str, *arguments: Any, sender: str | None = None) -> Any:
        entry = self._methods[method]
        request = {
            "to": self.address,
            "data": "0x" + self.encode(method, *arguments).hex(),
            "gas": hex(GAS_LIMIT),
        }
        if sender is not None:
            request["from"] = sender
        raw = bytes.fromhex(self.evm.rpc("eth_call", request, "latest")[2:])
        values = decode(types_of(entry["outputs"]), raw)
        record = _record(entry["outputs"], values)
        return record[0] if len(record) == 1 else record

    def send(
        self, method: str, *arguments: Any, sender: str, value: int = 0, gas_price: int = GAS_PRICE
    ) -> Receipt:
        data = self.encode(method, *arguments)
        receipt, _ = self.evm.transact(
            sender=sender, to=self.address, data=data, value=value, gas_price=gas_price
        )
        return receipt

    def __getattr__(self, method: str) -> Any:
        entry = self._methods.get(method)
        if entry is None:
            raise AttributeError(f"{self.artifact.name} has no {method}")
        is_view = entry["stateMutability"] in ("view", "pure")

        def call(*arguments: Any, **options: Any) -> Any:
            return (self.read if is_view else self.send)(method, *arguments, **options)

        return call
