"""Calls, errors and events survive the way to bytes and back; strange bytes are no surprise."""

import importlib

import pytest
from eth_abi.abi import decode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from support import counter

from network.abi import Abi, Log
from network.reverts import RevertCatalogue
from protocol.errors import RpcRejected, TransactionReverted

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
MIXED = {
    "type": "event",
    "name": "Mixed",
    "inputs": [
        {"name": "a", "type": "uint32", "indexed": False},
        {"name": "who", "type": "address", "indexed": True},
        {"name": "text", "type": "string", "indexed": True},
        {"name": "who_else", "type": "address[]", "indexed": False},
    ],
}
ABI = Abi(counter.ABI, [MIXED])


def log(topics, data):
    return Log(
        address=ADDRESS, topics=tuple(topics), data=data, block_number=1, block_hash="0x",
        transaction_hash="0x", log_index=0,
    )  # fmt: skip


def word(value):
    return value.to_bytes(32, "big")


class TooBig(TransactionReverted):
    """An exception of its own for a custom error."""

    problem = "{error_args} is too much"
    advice = "send less"


def test_a_call_is_selector_and_arguments():
    assert ABI.encode("add", 7) == keccak(text="add(uint256)")[:4] + word(7)
    assert ABI.encode("add(uint256)", 7) == ABI.encode("add", 7)


def test_one_return_value_is_itself():
    assert ABI.decode("count", word(5)) == 5
    assert ABI.decode("add", b"") is None


def test_indexed_and_plain_fields_keep_the_abi_s_order():
    hashed = keccak(text="hello")
    data = word(9) + word(64) + word(1) + bytes(12) + bytes.fromhex(ADDRESS[2:])
    event = ABI.decode_log(
        log([ABI.topic("Mixed"), bytes(12) + bytes.fromhex(ADDRESS[2:]), hashed], data)
    )
    assert event.args._asdict() == {
        "a": 9, "who": ADDRESS, "text": hashed, "who_else": (ADDRESS,),
    }  # fmt: skip


def test_custom_errors_become_their_own_exceptions():
    catalogue = RevertCatalogue(ABI, {"TooBig": TooBig})
    data = keccak(text="TooBig(uint256,uint256)")[:4] + word(101) + word(100)
    error = catalogue.from_data(data)
    assert isinstance(error, TooBig)
    assert str(error) == "(101, 100) is too much; send less"
    assert catalogue.without_remedy == frozenset()
    assert RevertCatalogue(ABI).without_remedy == {"TooBig"}


@pytest.mark.parametrize(
    ("data", "name", "arguments"),
    [
        (b"", "NoReason", ()),
        (b"\x01\x02\x03\x04\x05", "Unknown", (b"\x01\x02\x03\x04\x05",)),
        (keccak(text="TooBig(uint256,uint256)")[:4] + b"short", "Unknown", None),
        (keccak(text="Panic(uint256)")[:4] + word(0x11), "Panic", (0x11,)),
        (
            keccak(text="Error(string)")[:4] + word(32) + word(2) + b"no".ljust(32, b"\0"),
            "Error",
            ("no",),
        ),
    ],
)
def test_every_revert_has_a_name(data, name, arguments):
    error = RevertCatalogue(ABI).from_data(data)
    assert error.error_name == name
    if arguments is not None:
        assert error.error_args == arguments
    assert error.remedy


def test_ape_s_lenient_integers_stay_with_ape():
    """Importing ape changes how eth-abi's shared registry reads integers that were cut short."""
    importlib.import_module("ape.utils.abi")
    assert decode(["uint256"], b"short") == (int.from_bytes(b"short"),)
    cut = keccak(text="TooBig(uint256,uint256)")[:4] + b"short"
    assert RevertCatalogue(ABI).from_data(cut).error_name == "Unknown"


def test_an_error_that_is_no_revert_stays_what_it_is():
    error = RpcRejected(method="eth_call", code=-32000, reason="header not found")
    assert RevertCatalogue(ABI).translate(error) is error
    reverted = RpcRejected(method="eth_call", code=3, reason="execution reverted")
    assert isinstance(RevertCatalogue(ABI).translate(reverted), TransactionReverted)


@given(
    st.lists(st.binary(min_size=32, max_size=32), max_size=4),
    st.sampled_from(["Added", "Mixed", None]),
    st.binary(max_size=200),
)
def test_no_log_is_a_surprise(topics, name, data):
    """A stranger's contract may emit our topic with anything beneath it."""
    first = [ABI.topic(name)] if name else []
    event = ABI.decode_log(log([*first, *topics], data))
    assert event is None or event.name in {"Added", "Mixed"}


@given(st.binary(max_size=200))
def test_no_revert_is_a_surprise(data):
    assert RevertCatalogue(ABI).from_data(data).message
