"""Where a node finds its chain, its store and its key; both command lines read it from here.

A setting comes from a flag, else from the environment (`COMMONWEIGHT_RPC` and so on, lists with
commas), else from a TOML file:

    rpc = ["http://127.0.0.1:8545"]
    ws = ["ws://127.0.0.1:8545"]
    chain_id = 31337
    store = ["kubo:http://127.0.0.1:5001", "local:/var/lib/commonweight/store"]
    keystore = "my-key"
    passphrase_file = "~/.secrets/passphrase"
    data_dir = "~/.local/share/commonweight"
    factory = "0x..."

Tables of the file (`[trainer]`, `[coordinator]`) belong to the roles.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eth_utils.address import is_address, to_checksum_address
from platformdirs import user_data_path

from network.artifacts import abi_of
from network.heads import HeadWatcher
from network.keys import (
    PASSWORD_FILE_VARIABLE,
    Signer,
    find_keystore,
    read_passphrase,
    unlock_keystore,
    unlock_test_key,
)
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.run import CLIENT_ABI
from network.store import ContentStore, FallbackStore, KuboStore, LocalStore
from network.transactions import TransactionSender
from protocol.errors import InvalidSetting
from protocol.types import Address

PREFIX = "COMMONWEIGHT_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
LOCAL_CHAIN_ID = 31337

_LISTS = {"rpc", "ws", "store"}
_STORE = re.compile(r"(local|kubo):(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What both roles need to know. `tables` are the TOML file's tables by name."""

    rpc: tuple[str, ...] = ("http://127.0.0.1:8545",)
    ws: tuple[str, ...] = ()
    chain_id: int = LOCAL_CHAIN_ID
    poll_s: float = 4.0
    confirmations: int = 1
    store: tuple[str, ...] = ()
    keystore: str | None = None
    passphrase_file: Path | None = None
    data_dir: Path = field(default_factory=lambda: user_data_path("commonweight"))
    factory: Address | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_NAMES = tuple(one.name for one in fields(Settings) if one.name != "tables")


def load_settings(
    flags: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings; a flag that is None or an empty tuple was not given.

    Raises InvalidSetting for an unknown name, a wrong type or an unreadable file.
    """
    named = config or _path(environment.get(CONFIG_VARIABLE))
    from_file = _read_toml(named) if named is not None else {}
    tables = {name: value for name, value in from_file.items() if isinstance(value, dict)}
    values: dict[str, Any] = {}
    for name, value in from_file.items():
        if name not in tables:
            values[name] = _checked(name, value)
    for name in _NAMES:
        text = environment.get(PREFIX + name.upper())
        if text:
            values[name] = _checked(name, _from_text(name, text))
    for name, value in flags.items():
        if value is not None and value != ():
            values[name] = _checked(name, value)
    return Settings(**values, tables=tables)


def open_rpc(settings: Settings) -> Rpc:
    """The chain; nothing is asked of it yet."""
    return Rpc(settings.rpc, chain_id=settings.chain_id)


def open_heads(settings: Settings, rpc: Rpc) -> HeadWatcher:
    """The chain's heads; use it as a context manager."""
    return HeadWatcher(rpc, websocket_urls=settings.ws, poll_s=settings.poll_s)


def open_store(settings: Settings) -> ContentStore:
    """The content store; of several, the first takes what is written and the others stand by.

    Raises InvalidSetting and StoreUnavailable.
    """
    named = settings.store or (f"local:{settings.data_dir / 'store'}",)
    stores = [_open_one_store(text) for text in named]
    return stores[0] if len(stores) == 1 else FallbackStore(stores)


def open_signer(settings: Settings, *, environment: Mapping[str, str] = os.environ) -> Signer:
    """The key: the keystore that is named, else the test key of the environment.

    Raises InvalidSetting if there is neither, and what the functions of network.keys raise.
    """
    if settings.keystore is None:
        signer = unlock_test_key(environment)
        if signer is None:
            raise InvalidSetting(
                name="keystore",
                reason="no key is named",
                hint="name one with --keystore NAME or FILE; `ape accounts list` shows yours",
            )
        return signer
    path = find_keystore(settings.keystore)
    if settings.passphrase_file is not None:
        environment = {**environment, PASSWORD_FILE_VARIABLE: str(settings.passphrase_file)}
    return unlock_keystore(path, read_passphrase(settings.keystore, environment=environment))


def open_sender(
    settings: Settings, rpc: Rpc, signer: Signer, heads: HeadWatcher
) -> TransactionSender:
    """The sender of a key's transactions; its journal lies in the data directory.

    Raises JournalUnavailable.
    """
    make_data_dir(settings)
    abi = abi_of(*CLIENT_ABI)
    return TransactionSender(
        rpc,
        signer,
        settings.data_dir / "transactions.sqlite",
        heads=heads,
        abi=abi,
        reverts=RevertCatalogue(abi, REMEDIES),
        confirmations=settings.confirmations,
    )


def make_data_dir(settings: Settings) -> Path:
    """The data directory, made if it was missing; raises InvalidSetting."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(
            name="data_dir",
            reason=f"{settings.data_dir} can not be made ({type(error).__name__})",
            hint="name a directory that you may write to with --data-dir",
        ) from None
    return settings.data_dir


def _open_one_store(text: str) -> ContentStore:
    found = _STORE.fullmatch(text)
    if found is None:
        raise InvalidSetting(
            name="store",
            reason=f"{text!r} names no store",
            hint="write local:DIRECTORY or kubo:URL, kubo:http://127.0.0.1:5001 say",
        )
    kind, place = found.groups()
    if kind == "kubo":
        return KuboStore(_multiaddress(place))
    return LocalStore(Path(place).expanduser())


def _multiaddress(url: str) -> str:
    """The address of a node's RPC as its client wants it."""
    if url.startswith("/"):
        return url
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port or 5001
    except ValueError:
        scheme, host, port = "", None, 0
    if host is None or scheme not in ("http", "https"):
        raise InvalidSetting(
            name="store",
            reason=f"{url!r} is no URL of a node",
            hint="write kubo:http://127.0.0.1:5001 say",
        )
    try:
        kind = f"ip{ip_address(host).version}"
    except ValueError:
        kind = "dns"
    return f"/{kind}/{host}/tcp/{port}/{scheme}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(
            name="config",
            reason=f"{path} can not be read ({type(error).__name__})",
            hint="check the path and its permissions",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            name="config", reason=f"{path} is no TOML: {error}", hint="correct the file"
        ) from None


def _from_text(name: str, text: str) -> Any:
    """A value from the environment, as TOML would have given it."""
    if name in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in ("chain_id", "confirmations", "poll_s"):
        try:
            return float(text) if name == "poll_s" else int(text)
        except ValueError:
            return text
    return text


def _checked(name: str, value: Any) -> Any:
    if name not in _KINDS:
        raise InvalidSetting(
            name=name, reason="is unknown", hint=f"known are {', '.join(sorted(_NAMES))}"
        )
    wanted, read = _KINDS[name]
    found = read(value)
    if found is None:
        raise InvalidSetting(name=name, reason=f"wants {wanted}, not {value!r:.80}")
    return found


def _texts(value: Any) -> tuple[str, ...] | None:
    items = [value] if isinstance(value, str) else value
    good = isinstance(items, list | tuple) and all(isinstance(one, str) for one in items)
    return tuple(items) if good else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 1 else None


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and value > 0 else None


def _folder(value: Any) -> Path | None:
    return Path(value).expanduser() if isinstance(value, str | Path) else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _address(value: Any) -> Address | None:
    good = isinstance(value, str) and is_address(value)
    return Address(to_checksum_address(value)) if good else None


_KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "rpc": ("a list of URLs", _texts),
    "ws": ("a list of URLs", _texts),
    "store": ("a list of stores", _texts),
    "chain_id": ("an integer above 0", _count),
    "confirmations": ("an integer above 0", _count),
    "poll_s": ("seconds above 0", _seconds),
    "keystore": ("a name or a file", _name),
    "passphrase_file": ("a path", _folder),
    "data_dir": ("a path", _folder),
    "factory": ("an address", _address),
}


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
