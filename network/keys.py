"""Keys: encrypted keystores (the V3 files that ape keeps too) and the signer made of one.

No secret is in a repr, an error, a log or the process list.
"""

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.datastructures import SignedMessage
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from protocol.errors import KeyNotFound, KeyUnreadable, PassphraseMissing, WrongPassphrase
from protocol.types import Address

PASSWORD_FILE_VARIABLE = "COMMONWEIGHT_PASSWORD_FILE"  # noqa: S105 - the name of a variable
TEST_KEY_VARIABLE = "COMMONWEIGHT_TEST_KEY"
APE_ACCOUNTS = Path("~/.ape/accounts")
_OWNER_ONLY = 0o600
_HIGH_BIT = 1 << 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """A transaction ready to send, and its hash."""

    raw: bytes
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactSignature:
    """A signature in EIP-2098 form: two words of 32 bytes."""

    r: bytes
    vs: bytes


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one address, and shows nothing else of its key."""

    _account: LocalAccount = field(repr=False)

    @property
    def address(self) -> Address:
        """The checksummed address."""
        return Address(self._account.address)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __getstate__(self) -> object:
        raise TypeError("a signer does not leave its process")

    def sign_transaction(self, transaction: Mapping[str, Any]) -> SignedTransaction:
        """Sign an EIP-1559 transaction, given with web3's field names."""
        signed = self._account.sign_transaction(dict(transaction))
        return SignedTransaction(
            raw=bytes(signed.raw_transaction), hash="0x" + bytes(signed.hash).hex()
        )

    def sign_typed_data(self, typed_data: Mapping[str, Any]) -> CompactSignature:
        """Sign EIP-712 data (`types`, `primaryType`, `domain`, `message`)."""
        message = encode_typed_data(full_message=dict(typed_data))
        signed: SignedMessage = self._account.sign_message(message)
        odd = signed.v == 28  # noqa: PLR2004 - 27 and 28 are Ethereum's even and odd
        vs = signed.s | (_HIGH_BIT if odd else 0)
        return CompactSignature(r=signed.r.to_bytes(32, "big"), vs=vs.to_bytes(32, "big"))


def read_passphrase(
    name: str,
    *,
    environment: Mapping[str, str] = os.environ,
    ask: Callable[[str], str] | None = None,
) -> str:
    """The passphrase of a key: from the file that the environment names, or from the terminal.

    Raises KeyUnreadable if that file can not be read, PassphraseMissing if nobody can be asked.
    """
    named = environment.get(PASSWORD_FILE_VARIABLE)
    if named:
        try:
            return Path(named).expanduser().read_text().rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise KeyUnreadable(name=named, reason=type(error).__name__) from None
    if ask is None:
        if not sys.stdin.isatty():
            raise PassphraseMissing(name=name)
        ask = getpass.getpass
    return ask(f"Passphrase of key {name!r}: ")


def find_keystore(name: str, *, folder: Path = APE_ACCOUNTS) -> Path:
    """The keystore file of a name (as `ape accounts list` shows it) or of a path.

    Raises KeyNotFound.
    """
    candidates = (Path(name).expanduser(), folder.expanduser() / f"{name}.json")
    for path in candidates:
        if path.is_file():
            return path
    raise KeyNotFound(name=name)


def unlock_keystore(path: Path, passphrase: str) -> Signer:
    """The signer of a keystore file; raises KeyNotFound, KeyUnreadable, WrongPassphrase."""
    try:
        keystore = json.loads(path.read_text())
    except FileNotFoundError:
        raise KeyNotFound(name=str(path)) from None
    except (OSError, ValueError) as error:
        raise KeyUnreadable(name=str(path), reason=type(error).__name__) from None
    if not isinstance(keystore, dict) or not ({"crypto", "Crypto"} & keystore.keys()):
        raise KeyUnreadable(name=str(path), reason="not a V3 keystore")
    try:
        return Signer(Account.from_key(Account.decrypt(keystore, passphrase)))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassphrase(name=str(path)) from None
        raise KeyUnreadable(name=str(path), reason="not a V3 keystore") from None
    except (KeyError, TypeError, NotImplementedError) as error:
        raise KeyUnreadable(name=str(path), reason=type(error).__name__) from None


def create_keystore(path: Path, passphrase: str, *, iterations: int | None = None) -> Signer:
    """Make a new key in a new file that only its owner may read; never overwrites one.

    `iterations` is the cost of trying a passphrase (scrypt's n); tests lower it.
    Raises KeyUnreadable if the file can not be written.
    """
    account = Account.create()
    keystore = account.encrypt(passphrase, iterations=iterations)
    # Ape shows the address without the passphrase, from the checksummed one in the file.
    keystore["address"] = account.address
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY), "w") as f:
            json.dump(keystore, f)
            f.flush()
            os.fsync(f.fileno())
    except OSError as error:
        raise KeyUnreadable(name=str(path), reason=type(error).__name__) from None
    return Signer(account)


def unlock_test_key(environment: Mapping[str, str] = os.environ) -> Signer | None:
    """The signer of the raw key in COMMONWEIGHT_TEST_KEY, for test networks only; None if unset.

    A process list does not show the environment, but children inherit it: never keep money there.
    """
    raw = environment.get(TEST_KEY_VARIABLE)
    if not raw:
        return None
    try:
        return Signer(Account.from_key(raw))
    except Exception:  # noqa: BLE001 - whatever the library says may quote the key
        raise KeyUnreadable(name=TEST_KEY_VARIABLE, reason="not a private key") from None
