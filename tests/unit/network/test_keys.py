"""Keys open with their passphrase, sign what contracts check, and never show themselves."""

import json
import pickle
import stat

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from network.keys import (
    CompactSignature,
    create_keystore,
    find_keystore,
    read_passphrase,
    unlock_keystore,
    unlock_test_key,
)
from protocol.errors import KeyNotFound, KeyUnreadable, PassphraseMissing, WrongPassphrase

RAW = "0x" + "4c" * 32
TYPED = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Attestation": [
            {"name": "round", "type": "uint32"},
            {"name": "attempt", "type": "uint32"},
            {"name": "available", "type": "uint256"},
        ],
    },
    "primaryType": "Attestation",
    "domain": {
        "name": "Commonweight", "version": "1", "chainId": 31337,
        "verifyingContract": "0x" + "11" * 20,
    },
    "message": {"round": 1, "attempt": 2, "available": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    path = tmp_path_factory.mktemp("accounts") / "trainer.json"
    return path, create_keystore(path, "a passphrase", iterations=2)


def test_a_keystore_opens_with_its_passphrase_only(keystore):
    path, signer = keystore
    assert unlock_keystore(path, "a passphrase").address == signer.address
    with pytest.raises(WrongPassphrase):
        unlock_keystore(path, "another")


def test_a_keystore_is_the_owner_s_and_is_never_overwritten(keystore):
    path, signer = keystore
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["address"] == signer.address
    with pytest.raises(KeyUnreadable):
        create_keystore(path, "x", iterations=2)


def test_a_key_is_found_by_name_or_path(keystore):
    path, _ = keystore
    assert find_keystore("trainer", folder=path.parent) == path
    assert find_keystore(str(path)) == path
    with pytest.raises(KeyNotFound):
        find_keystore("nobody", folder=path.parent)


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "{}", '{"crypto": {}}', '{"version": 3, "crypto": {"kdf": 1}}']
)
def test_what_is_no_keystore_is_refused(tmp_path, text):
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(KeyUnreadable):
        unlock_keystore(tmp_path / "key.json", "x")


def test_the_passphrase_comes_from_the_named_file_first(tmp_path):
    (tmp_path / "passphrase").write_text("from the file\n")
    environment = {"COMMONWEIGHT_PASSWORD_FILE": str(tmp_path / "passphrase")}
    assert read_passphrase("key", environment=environment) == "from the file"
    assert read_passphrase("key", environment={}, ask=lambda _: "typed") == "typed"
    with pytest.raises(KeyUnreadable):
        read_passphrase("key", environment={"COMMONWEIGHT_PASSWORD_FILE": "/nowhere"})


def test_nobody_is_asked_without_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(PassphraseMissing):
        read_passphrase("key", environment={})


def test_a_signer_shows_nothing_of_its_key():
    signer = unlock_test_key({"COMMONWEIGHT_TEST_KEY": RAW})
    assert "4c4c" not in repr(signer) + str(signer) + f"{signer!r}"
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_a_bad_test_key_is_not_quoted():
    with pytest.raises(KeyUnreadable) as caught:
        unlock_test_key({"COMMONWEIGHT_TEST_KEY": RAW + "beef"})
    assert "4c4c" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert unlock_test_key({}) is None


def test_typed_data_signatures_recover_from_their_compact_form():
    """EIP-2098: the top bit of vs is the parity; the rest is s. Both parities occur."""
    signer = unlock_test_key({"COMMONWEIGHT_TEST_KEY": RAW})
    parities = set()
    for available in range(16):
        data = {**TYPED, "message": {**TYPED["message"], "available": available}}
        signature = signer.sign_typed_data(data)
        vs = int.from_bytes(signature.vs, "big")
        parity = vs >> 255
        parities.add(parity)
        recovered = Account.recover_message(
            encode_typed_data(full_message=data),
            vrs=(27 + parity, int.from_bytes(signature.r, "big"), vs & ((1 << 255) - 1)),
        )
        assert recovered == signer.address
        assert isinstance(signature, CompactSignature)
    assert parities == {0, 1}
