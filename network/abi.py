"""Calldata, return values, custom errors and events through contract ABIs, without surprises.

An `Abi` is built from one or several compiled ABIs; a contract client on top of it names functions
and events and never sees an offset or a selector.
"""

import re
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from eth_abi.codec import ABICodec
from eth_abi.decoding import UnsignedIntegerDecoder
from eth_abi.encoding import UnsignedIntegerEncoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import BaseEquals, registry
from eth_utils.abi import (
    collapse_if_tuple,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
)
from eth_utils.address import to_checksum_address

AbiItem = Mapping[str, Any]


def _strict_codec() -> ABICodec:
    # A registry of our own: importing ape makes the shared one pad unsigned integers cut short.
    own: Any = cast("Any", registry).copy()
    own.unregister("uint")
    own.register(
        cast("Any", BaseEquals)("uint"),
        UnsignedIntegerEncoder,
        UnsignedIntegerDecoder,
        label="uint",
    )
    return ABICodec(own)


_CODEC = _strict_codec()

_PANIC = {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]}
_ERROR = {"type": "error", "name": "Error", "inputs": [{"name": "reason", "type": "string"}]}
# Types whose topic is a hash of the value, not the value.
_HASHED = re.compile(r"(string|bytes|tuple.*|.*\])$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log as the node gives it, its numbers made integers and its bytes made bytes."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A decoded log. `args` is a named tuple with the names of the ABI, in its order."""

    name: str
    args: Any
    address: str
    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """Why a call failed: a custom error's name and its arguments by name; raw data if unknown."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    data: bytes = b""


def _types(inputs: Iterable[AbiItem]) -> list[str]:
    return [collapse_if_tuple(cast("dict[str, Any]", item)) for item in inputs]


def _names(inputs: Sequence[AbiItem]) -> list[str]:
    return [item.get("name") or f"arg{place}" for place, item in enumerate(inputs)]


def _plain(kind: str, value: Any) -> Any:
    """Addresses become checksummed, as everywhere else; the rest stays as it was decoded."""
    if kind == "address":
        return to_checksum_address(value)
    if kind.startswith("address["):
        return tuple(to_checksum_address(item) for item in value)
    return value


def _from_topic(kind: str, topic: bytes) -> Any:
    """The value of an indexed field; the hash of it where the chain keeps no more."""
    return topic if _HASHED.fullmatch(kind) else _plain(kind, _CODEC.decode([kind], topic)[0])


class Abi:
    """Encodes calls of, and decodes what comes back from, the contracts of the given ABIs."""

    def __init__(self, *abis: Iterable[AbiItem]) -> None:
        items = [item for abi in abis for item in abi]
        self._functions: dict[str, AbiItem] = {}
        for item in items:
            if item["type"] == "function":
                # An overloaded name is called by its signature, "f(uint256)".
                signature = f"{item['name']}({','.join(_types(item['inputs']))})"
                self._functions[signature] = item
                self._functions.setdefault(item["name"], item)
        errors = [item for item in items if item["type"] == "error"]
        self._errors = {self._selector(item): item for item in [_PANIC, _ERROR, *errors]}
        self._events: dict[bytes, tuple[AbiItem, Any]] = {}
        for item in items:
            if item["type"] == "event" and not item.get("anonymous"):
                shape = namedtuple(item["name"], _names(item["inputs"]), rename=True)  # type: ignore[misc]  # noqa: PYI024 - the fields come from the ABI
                self._events[event_abi_to_log_topic(cast("Any", item))] = (item, shape)

    @staticmethod
    def _selector(item: AbiItem) -> bytes:
        return bytes(function_abi_to_4byte_selector(cast("Any", item)))

    @property
    def error_names(self) -> frozenset[str]:
        """Every custom error that these contracts can raise, with Solidity's Panic and Error."""
        return frozenset(item["name"] for item in self._errors.values())

    def topic(self, event: str) -> bytes:
        """The first topic of an event's logs."""
        return next(topic for topic, (item, _) in self._events.items() if item["name"] == event)

    def encode(self, function: str, *args: Any) -> bytes:
        """Calldata: selector and arguments."""
        item = self._functions[function]
        return self._selector(item) + _CODEC.encode(_types(item["inputs"]), args)

    def returns_something(self, function: str) -> bool:
        """Whether a function has return values."""
        return bool(self._functions[function]["outputs"])

    def decode(self, function: str, data: bytes) -> Any:
        """What a function returned: nothing, one value, or a tuple of values."""
        outputs = self._functions[function]["outputs"]
        values = _CODEC.decode(_types(outputs), data)
        plain = tuple(
            _plain(item["type"], value) for item, value in zip(outputs, values, strict=True)
        )
        if len(plain) == 1:
            return plain[0]
        return plain or None

    def decode_revert(self, data: bytes) -> Revert:
        """The custom error that `data` encodes; `Unknown` with the data if no ABI has it."""
        item = self._errors.get(data[:4])
        if item is None:
            return Revert(name="Unknown" if data else "NoReason", data=data)
        try:
            values = _CODEC.decode(_types(item["inputs"]), data[4:])
        except DecodingError:
            return Revert(name="Unknown", data=data)
        kinds = [entry["type"] for entry in item["inputs"]]
        plain = [_plain(kind, value) for kind, value in zip(kinds, values, strict=True)]
        names = _names(item["inputs"])
        return Revert(name=item["name"], args=dict(zip(names, plain, strict=True)), data=data)

    def decode_log(self, log: Log) -> Event | None:
        """The event of a log; None if no ABI here has it or its shape differs."""
        known = self._events.get(log.topics[0]) if log.topics else None
        if known is None:
            return None
        item, shape = known
        indexed = [entry for entry in item["inputs"] if entry["indexed"]]
        others = [entry for entry in item["inputs"] if not entry["indexed"]]
        if len(log.topics) != len(indexed) + 1:
            return None
        try:
            rest = iter(_CODEC.decode(_types(others), log.data))
            topics = iter(log.topics[1:])
            values = [
                _from_topic(entry["type"], next(topics))
                if entry["indexed"]
                else _plain(entry["type"], next(rest))
                for entry in item["inputs"]
            ]
        except DecodingError:
            return None
        return Event(
            name=item["name"],
            args=shape(*values),
            address=log.address,
            block_number=log.block_number,
            block_hash=log.block_hash,
            transaction_hash=log.transaction_hash,
            log_index=log.log_index,
        )
