"""Block headers as the chain hashes them, from what a node answers (the yellow paper, EIP-7685)."""

from typing import Any

from eth_utils.crypto import keccak

# In the order of the list that is hashed. True: a number, without leading zeros.
FIELDS = (
    ("parentHash", False),
    ("sha3Uncles", False),
    ("miner", False),
    ("stateRoot", False),
    ("transactionsRoot", False),
    ("receiptsRoot", False),
    ("logsBloom", False),
    ("difficulty", True),
    ("number", True),
    ("gasLimit", True),
    ("gasUsed", True),
    ("timestamp", True),
    ("extraData", False),
    ("mixHash", False),
    ("nonce", False),
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)


def header_of(block: dict[str, Any]) -> bytes:
    """The RLP header of a block; what comes out hashes to the block's hash."""
    items = b"".join(
        string(_value(block[name], is_number))
        for name, is_number in FIELDS
        if block.get(name) is not None
    )
    header = prefix(0xC0, len(items)) + items
    assert keccak(header) == bytes.fromhex(block["hash"][2:]), "another kind of header"
    return header


def string(data: bytes) -> bytes:
    """RLP of a byte string."""
    return data if len(data) == 1 and data[0] < 0x80 else prefix(0x80, len(data)) + data


def prefix(base: int, length: int) -> bytes:
    """RLP's announcement of so many bytes."""
    if length <= 55:
        return bytes([base + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(size)]) + size


def _value(text: str, is_number: bool) -> bytes:
    if not is_number:
        return bytes.fromhex(text[2:])
    number = int(text, 16)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
