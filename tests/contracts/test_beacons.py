"""Randomness for seeds and draws; see trees/beacons.tree."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from eth_abi.abi import encode
from support.evm import Contract, Evm
from support.headers import header_of
from support.refused import refused
from support.runs import ATTACKER, KEEPER, SPONSOR, Stage

RUN, OTHER = KEEPER.address, ATTACKER.address
HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"  # EIP-2935
BASE = b"\x07" * 32


@dataclass
class Beacon:
    """The beacon of the chain's randomness, and the chain."""

    evm: Evm
    contract: Contract

    @property
    def newest(self) -> int:
        return int(self.evm.rpc("eth_blockNumber"), 16)

    def mine(self, blocks: int) -> None:
        self.evm.rpc("anvil_mine", hex(blocks))

    def block(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.evm.rpc("eth_getBlockByNumber", hex(number), False)
        return found

    def draw(self, number: int, header: bytes, *, run: str = RUN, round_id: int = 3) -> bytes:
        return bytes(self.contract.draw(run, round_id, number, header))


@pytest.fixture
def beacon(stage: Stage) -> Beacon:
    made = Beacon(stage.evm, stage.evm.deploy("PrevrandaoBeacon", sender=SPONSOR.address))
    made.mine(3)
    return made


def test_draw_when_the_header_is_the_blocks(beacon: Beacon) -> None:
    """it should hash the block's randomness with run and round"""
    number = beacon.newest - 1
    block = beacon.block(number)
    randomness = bytes.fromhex(block["mixHash"][2:])
    assert randomness != bytes(32)
    expected = sha256(encode(["bytes32", "address", "uint32"], [randomness, RUN, 3])).digest()
    header = header_of(block)
    assert beacon.draw(number, header) == expected
    assert beacon.draw(number, header, run=OTHER) != expected
    assert beacon.draw(number, header, round_id=4) != expected


def test_draw_when_the_header_is_of_another_block(beacon: Beacon) -> None:
    """it should revert with WrongHeaderOf"""
    number = beacon.newest - 1
    with refused("WrongHeaderOf", number):
        beacon.draw(number, header_of(beacon.block(number - 1)))


def test_draw_when_a_byte_of_the_header_is_another(beacon: Beacon) -> None:
    """it should revert with WrongHeaderOf"""
    number = beacon.newest - 1
    header = header_of(beacon.block(number))
    for at in (0, len(header) // 2, len(header) - 1):
        forged = bytearray(header)
        forged[at] ^= 1
        with refused("WrongHeaderOf", number):
            beacon.draw(number, bytes(forged))


@pytest.mark.parametrize("size", [0, 2_048, 2_049])
def test_draw_when_there_is_no_header(beacon: Beacon, size: int) -> None:
    """it should revert with WrongHeaderOf"""
    number = beacon.newest - 1
    with refused("WrongHeaderOf", number):
        beacon.draw(number, bytes(size))


def test_draw_when_the_block_is_still_to_come(beacon: Beacon) -> None:
    """it should revert with BlockNotKnown"""
    header = header_of(beacon.block(beacon.newest))
    number = beacon.newest + 2
    with refused("BlockNotKnown", number):
        beacon.draw(number, header)


def test_draw_when_the_block_is_older_than_256(beacon: Beacon) -> None:
    """it should still read it, where the chain keeps its history"""
    number = beacon.newest - 1
    header = header_of(beacon.block(number))
    drawn = beacon.draw(number, header)
    beacon.mine(300)
    assert beacon.draw(number, header) == drawn


def test_draw_when_the_chain_has_forgotten_the_block(beacon: Beacon) -> None:
    """it should revert with BlockNotKnown"""
    number = beacon.newest - 1
    header = header_of(beacon.block(number))
    beacon.evm.rpc("anvil_setCode", HISTORY, "0x")  # as on a chain without EIP-2935
    beacon.mine(300)
    with refused("BlockNotKnown", number):
        beacon.draw(number, header)


def test_fixed_draw_when_asked(stage: Stage) -> None:
    """it should give the same for a round, whatever the block, and say that it is predictable"""
    beacon = stage.evm.deploy("FixedBeacon", BASE, sender=SPONSOR.address)
    expected = sha256(encode(["bytes32", "uint32", "string"], [BASE, 3, "draw"])).digest()
    for number, header in ((1, b""), (10**9, b"\1" * 700)):
        assert bytes(beacon.draw(RUN, 3, number, header)) == expected
    assert bytes(beacon.draw(RUN, 4, 1, b"")) != expected
    assert bytes(beacon.seed(RUN, 3, 1)) != expected
    assert beacon.predictable()


def test_seed_when_a_round_opens(beacon: Beacon) -> None:
    """it should hash the opening block's randomness with run, round and attempt, and be
    unpredictable
    """
    seeds = {
        bytes(beacon.contract.seed(*asked))
        for asked in ((RUN, 1, 1), (OTHER, 1, 1), (RUN, 2, 1), (RUN, 1, 2))
    }
    assert len(seeds) == 4
    assert not beacon.contract.predictable()
