"""JSON from strangers, read without surprises (docs/protocol.md section 6)."""

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

from protocol.errors import ProtocolError

Refusal = Callable[[str, str], ProtocolError]
"""Makes the error for (field, reason)."""

MAX_DEPTH = 8
MAX_INTEGER_CHARS = 40
_MAX_FLOAT_CHARS = 40


def canonical_bytes(value: object) -> bytes:
    """Give the one encoding of a value: UTF-8, sorted keys, no spaces, shortest floats."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def load_object(data: bytes, *, max_bytes: int, refuse: Refusal) -> dict[str, Any]:
    """Parse one canonical JSON object, or raise what refuse makes.

    Refused: too many bytes, bytes that are not UTF-8, nesting beyond MAX_DEPTH, duplicate keys,
    NaN and infinities, long numbers, and any spelling but the canonical one.
    """
    value = _load(data, max_bytes=max_bytes, refuse=refuse)
    if not isinstance(value, dict):
        raise refuse("", "not an object")
    return value


def load_objects(data: bytes, *, max_bytes: int, max_items: int, refuse: Refusal) -> list["Fields"]:
    """Parse one canonical JSON list of at most `max_items` objects; strict as `load_object`."""
    value = _load(data, max_bytes=max_bytes, refuse=refuse)
    return Fields({"": value}, path="", refuse=refuse).items("", low=0, high=max_items)


def _load(data: bytes, *, max_bytes: int, refuse: Refusal) -> Any:
    if len(data) > max_bytes:
        raise refuse("", f"{len(data)} bytes, at most {max_bytes} are read")

    try:
        value = json.loads(data.decode(), **_hooks(refuse))
        if _depth(value) > MAX_DEPTH:
            raise refuse("", f"nested deeper than {MAX_DEPTH}")
        canonical = canonical_bytes(value) == data
    except (ValueError, RecursionError) as error:
        raise refuse("", f"no JSON in UTF-8: {error}"[:200]) from None
    if not canonical:
        raise refuse("", "not canonical: wants sorted keys, no spaces, shortest numbers")
    return value


def _hooks(refuse: Refusal) -> dict[str, Any]:
    def refuse_constant(name: str) -> NoReturn:
        raise refuse("", f"{name} is no number")

    def read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for name, member in pairs:
            if name in value:
                raise refuse(name[:80], "stands there twice")
            value[name] = member
        return value

    def read_integer(text: str) -> int:
        if len(text) > MAX_INTEGER_CHARS:
            raise refuse("", f"an integer of {len(text)} digits")
        return int(text)

    def read_float(text: str) -> float:
        value = float(text) if len(text) <= _MAX_FLOAT_CHARS else math.inf
        if not math.isfinite(value):
            raise refuse("", f"{text[:40]} is out of range")
        return value

    return {
        "parse_constant": refuse_constant,
        "object_pairs_hook": read_pairs,
        "parse_int": read_integer,
        "parse_float": read_float,
    }


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


class Fields:
    """Takes the fields of one object, each at most once and within bounds; none may be left."""

    def __init__(self, value: object, *, path: str, refuse: Refusal) -> None:
        """Take a parsed object that stands at path."""
        self._path = path
        self._refuse = refuse
        if not isinstance(value, dict):
            raise refuse(path, "wants an object")
        self._rest = dict(value)

    def fail(self, name: str, reason: str) -> NoReturn:
        """Raise the error for a field of this object."""
        raise self._refuse(f"{self._path}.{name}" if self._path else name, reason)

    def take(self, name: str) -> Any:
        """Take a field of any type."""
        if name not in self._rest:
            self.fail(name, "is missing")
        return self._rest.pop(name)

    def integer(self, name: str, *, low: int, high: int) -> int:
        """Take an integer in low..high."""
        value = self.take(name)
        if type(value) is not int or not low <= value <= high:
            self.fail(name, f"wants an integer in {low}..{high}")
        return value

    def number(self, name: str, *, low: float, high: float) -> float:
        """Take a number in low..high, written with a fraction."""
        value = self.take(name)
        if type(value) is not float or not low <= value <= high:
            self.fail(name, f"wants a number with a fraction in {low}..{high}")
        return value

    def flag(self, name: str) -> bool:
        """Take true or false."""
        value = self.take(name)
        if type(value) is not bool:
            self.fail(name, "wants true or false")
        return value

    def text(self, name: str, *, low: int = 1, high: int = 200) -> str:
        """Take a printable text of low..high characters."""
        value = self.take(name)
        if not isinstance(value, str) or not low <= len(value) <= high or not value.isprintable():
            self.fail(name, f"wants {low} to {high} printable characters")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Take one of some texts."""
        value = self.take(name)
        if not isinstance(value, str) or value not in choices:
            self.fail(name, f"wants one of {', '.join(choices)}")
        return value

    def inner(self, name: str) -> "Fields":
        """Take an object."""
        path = f"{self._path}.{name}" if self._path else name
        return Fields(self.take(name), path=path, refuse=self._refuse)

    def items(self, name: str, *, low: int, high: int) -> list["Fields"]:
        """Take a list of low..high objects."""
        value = self.take(name)
        if not isinstance(value, list) or not low <= len(value) <= high:
            self.fail(name, f"wants a list of {low} to {high}")
        path = f"{self._path}.{name}" if self._path else name
        return [
            Fields(item, path=f"{path}[{at}]", refuse=self._refuse) for at, item in enumerate(value)
        ]

    def finish(self) -> None:
        """Refuse what nobody took."""
        if self._rest:
            self.fail(min(self._rest)[:80], "is no field of this format")
