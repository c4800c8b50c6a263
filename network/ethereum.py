"""Typed reads of the chain over `Rpc`: blocks, accounts, receipts, code and the chain's clock."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from eth_utils.address import to_checksum_address

from network.abi import Log
from network.rpc import Rpc
from protocol.errors import ClockSkew, CodeMismatch, NotAContract
from protocol.types import Address, BlockNumber, Wei


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A block's header, as far as this project needs it. `timestamp_s` is Unix time."""

    number: BlockNumber
    hash: str
    timestamp_s: int
    base_fee_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """A mined transaction: where, at what cost, and what it logged."""

    hash: str
    block_number: BlockNumber
    block_hash: str
    succeeded: bool
    gas_used: int
    gas_price_wei: int
    logs: tuple[Log, ...]


def parse_head(block: Any) -> Head:
    """The header of a block or of a newHeads message."""
    return Head(
        number=BlockNumber(int(block["number"], 16)),
        hash=str(block.get("hash") or ""),
        timestamp_s=int(block["timestamp"], 16),
        base_fee_wei=int(block.get("baseFeePerGas") or "0x0", 16),
    )


def parse_log(log: Any) -> Log:
    """One entry of eth_getLogs or of a receipt."""
    return Log(
        address=to_checksum_address(log["address"]),
        topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
        data=bytes.fromhex(log["data"][2:]),
        block_number=int(log["blockNumber"], 16),
        block_hash=str(log["blockHash"]),
        transaction_hash=str(log["transactionHash"]),
        log_index=int(log["logIndex"], 16),
    )


def read_head(rpc: Rpc, block: int | str = "latest") -> Head | None:
    """The header of a block by number or tag; None if the node has no such block."""
    tag = hex(block) if isinstance(block, int) else block
    found = rpc.call("eth_getBlockByNumber", tag, False)  # noqa: FBT003 - the method's own flag
    return None if found is None else parse_head(found)


def read_inclusion(rpc: Rpc, tx_hash: str) -> Inclusion | None:
    """The receipt of a transaction in the canonical chain; None while there is none."""
    found = rpc.call("eth_getTransactionReceipt", tx_hash)
    if found is None or found.get("blockNumber") is None:
        return None
    return Inclusion(
        hash=tx_hash,
        block_number=BlockNumber(int(found["blockNumber"], 16)),
        block_hash=str(found["blockHash"]),
        succeeded=int(found["status"], 16) == 1,
        gas_used=int(found["gasUsed"], 16),
        gas_price_wei=int(found.get("effectiveGasPrice") or "0x0", 16),
        logs=tuple(parse_log(log) for log in found["logs"]),
    )


def read_nonce(rpc: Rpc, account: Address, block: str = "latest") -> int:
    """How many transactions of the account are in the chain, or with "pending" known at all."""
    return int(rpc.call("eth_getTransactionCount", account, block), 16)


def read_balance(rpc: Rpc, account: Address) -> Wei:
    """What the account holds, in wei."""
    return Wei(int(rpc.call("eth_getBalance", account, "latest"), 16))


def read_code(rpc: Rpc, address: Address) -> bytes:
    """The runtime code at an address; raises NotAContract where there is none."""
    code = bytes.fromhex(rpc.call("eth_getCode", address, "latest")[2:])
    if not code:
        raise NotAContract(address=address)
    return code


def check_code(
    rpc: Rpc,
    address: Address,
    *,
    expected: bytes,
    immutables: Iterable[tuple[int, int]] = (),
) -> None:
    """Promise that the code at `address` is `expected`, but for its immutables.

    `immutables` are (start, length) in bytes, as the compiler's immutableReferences give them.
    Raises NotAContract and CodeMismatch, which names SHA-256 digests of the masked codes.
    """
    actual = bytearray(read_code(rpc, address))
    wanted = bytearray(expected)
    for start, length in immutables:
        actual[start : start + length] = bytes(len(actual[start : start + length]))
        wanted[start : start + length] = bytes(len(wanted[start : start + length]))
    if actual != wanted:
        raise CodeMismatch(
            address=address, expected=sha256(wanted).digest(), actual=sha256(actual).digest()
        )


def measure_skew(rpc: Rpc, *, clock: Callable[[], float] = time.time) -> float:
    """Seconds by which the chain's clock is ahead of this machine's; negative if behind.

    Takes the block that the node would make now: on a chain that mines on demand the last block
    may be hours old though both clocks agree.
    """
    head = read_head(rpc, "pending") or read_head(rpc)
    assert head is not None, "every chain has a block"
    return head.timestamp_s - clock()


def check_clock(rpc: Rpc, *, tolerance_s: float, clock: Callable[[], float] = time.time) -> None:
    """Raises ClockSkew if this machine's clock and the chain's differ by more than tolerated.

    A tolerance below two block intervals accuses good clocks.
    """
    skew_s = measure_skew(rpc, clock=clock)
    if abs(skew_s) > tolerance_s:
        raise ClockSkew(skew_s=round(-skew_s, 1))
