"""A block's header is built from what a node tells, or the node is caught lying."""

from typing import Any

import pytest
from eth_utils.crypto import keccak

from network.headers import MAX_HEADER_BYTES, encode_header
from protocol.errors import InvalidBlockHeader

# Block 1 of Ethereum's main network, as every node tells it.
FIRST: dict[str, Any] = {
    "number": "0x1",
    "hash": "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
    "parentHash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
    "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x3ff800000",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x55ba4224",
    "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
    "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
    "nonce": "0x539bd4979fef1ec4",
}


def test_a_header_hashes_to_its_blocks_hash():
    header = encode_header(FIRST)
    assert "0x" + keccak(header).hex() == FIRST["hash"]
    assert len(header) < MAX_HEADER_BYTES


def test_numbers_and_bytes_are_taken_as_web3_gives_them():
    made = {
        name: int(value, 16)
        if name in ("number", "difficulty", "gasLimit", "gasUsed", "timestamp")
        else bytes.fromhex(value[2:])
        for name, value in FIRST.items()
    }
    made["miner"] = FIRST["miner"]
    assert encode_header(made) == encode_header(FIRST)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gasUsed": "0x1"}, "do not give the block's hash"),
        ({"hash": "0x" + "00" * 32}, "do not give the block's hash"),
        ({"baseFeePerGas": "0x7"}, "do not give the block's hash"),
        ({"mixHash": None}, "mixHash is missing"),
        ({"mixHash": "0x00"}, "mixHash has 1 bytes"),
        ({"extraData": "0x" + "00" * 1025}, "extraData has 1025 bytes"),
        ({"gasUsed": "many"}, "gasUsed is malformed"),
        ({"gasUsed": -1}, "gasUsed is malformed"),
        ({"stateRoot": "0xzz"}, "stateRoot is malformed"),
        ({"hash": None}, "hash is malformed"),
    ],
)
def test_a_lying_node_is_caught(changes: dict[str, Any], reason: str):
    with pytest.raises(InvalidBlockHeader, match=reason):
        encode_header(FIRST | changes)
