"""A block's RLP header, from which a beacon proves the block's randomness (docs/protocol.md 9)."""

from collections.abc import Mapping
from typing import Any

from eth_utils.crypto import keccak

from protocol.errors import InvalidBlockHeader

MAX_HEADER_BYTES = 2_048
"""What the contracts read at most."""

_DIGEST, _BLOOM, _NONCE, _ADDRESS, _NUMBER = 32, 256, 8, 20, None
_LONGEST_EXTRA = 1_024
_SHORT, _LONGEST_SHORT = 0x80, 55  # RLP's: where strings begin, and lengths of one byte end

# In the order of the header; those from the base fee on came with forks, each behind the last.
_FIELDS: tuple[tuple[str, int | None], ...] = (
    ("parentHash", _DIGEST),
    ("sha3Uncles", _DIGEST),
    ("miner", _ADDRESS),
    ("stateRoot", _DIGEST),
    ("transactionsRoot", _DIGEST),
    ("receiptsRoot", _DIGEST),
    ("logsBloom", _BLOOM),
    ("difficulty", _NUMBER),
    ("number", _NUMBER),
    ("gasLimit", _NUMBER),
    ("gasUsed", _NUMBER),
    ("timestamp", _NUMBER),
    ("extraData", -1),
    ("mixHash", _DIGEST),
    ("nonce", _NONCE),
    ("baseFeePerGas", _NUMBER),
    ("withdrawalsRoot", _DIGEST),
    ("blobGasUsed", _NUMBER),
    ("excessBlobGas", _NUMBER),
    ("parentBeaconBlockRoot", _DIGEST),
    ("requestsHash", _DIGEST),
)
_FIRST_OF_FORKS = 15


def encode_header(block: Mapping[str, Any]) -> bytes:
    """Give the RLP header of a block as eth_getBlockByNumber tells it: its keccak is its hash.

    Raises InvalidBlockHeader if a field is missing or malformed, or the hash is another: then the
    node lies, or the chain has fields that are not known here.
    """
    number = block.get("number")
    fields = []
    for place, (name, size) in enumerate(_FIELDS):
        if block.get(name) is None:
            if place < _FIRST_OF_FORKS:
                raise InvalidBlockHeader(number=number, reason=f"{name} is missing")
            break
        fields.append(_field(number, name, block[name], size))
    header = _prefixed(0xC0, b"".join(map(_string, fields)))
    expected = _field(number, "hash", block.get("hash"), _DIGEST)
    if len(header) > MAX_HEADER_BYTES or keccak(header) != expected:
        raise InvalidBlockHeader(number=number, reason="the fields do not give the block's hash")
    return header


def _field(number: Any, name: str, value: Any, size: int | None) -> bytes:
    """Read a field: bytes of that size, of any size if it is -1, or a number if it is None."""
    try:
        if size is None:
            return _minimal(int(value, 16) if isinstance(value, str) else int(value))
        raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidBlockHeader(number=number, reason=f"{name} is malformed") from error
    if len(raw) != size and (size != -1 or len(raw) > _LONGEST_EXTRA):
        raise InvalidBlockHeader(number=number, reason=f"{name} has {len(raw)} bytes")
    return raw


def _minimal(value: int) -> bytes:
    """RLP's integers are big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _string(value: bytes) -> bytes:
    """Encode a string as RLP; a small byte stands for itself."""
    return value if len(value) == 1 and value[0] < _SHORT else _prefixed(_SHORT, value)


def _prefixed(kind: int, content: bytes) -> bytes:
    """Put the length before a string or a list's items, and before a long length its own."""
    if len(content) <= _LONGEST_SHORT:
        return bytes((kind + len(content),)) + content
    length = _minimal(len(content))
    return bytes((kind + _LONGEST_SHORT + len(length),)) + length + content
