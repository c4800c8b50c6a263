"""What `scripts/deploy.py` deployed on a chain: deployments/<chainId>.json."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils.address import is_address, to_checksum_address

from network.settings import Settings
from protocol.errors import InvalidSetting
from protocol.types import Address, BlockNumber

FOLDER = Path("deployments")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The factory, the block that made it (0 if unknown), and the other contracts by name."""

    factory: Address
    first_block: BlockNumber
    contracts: dict[str, Address] = field(default_factory=dict)


def find_deployment(settings: Settings, *, folder: Path = FOLDER) -> Deployment:
    """The deployment of the settings' chain; a factory that the settings name comes first.

    Raises InvalidSetting if neither names a factory, or the file is damaged.
    """
    path = folder / f"{settings.chain_id}.json"
    found = _read(path) if path.is_file() else None
    if settings.factory is not None:
        if found is not None and found.factory == settings.factory:
            return found
        return Deployment(factory=settings.factory, first_block=BlockNumber(0))
    if found is None:
        raise InvalidSetting(
            name="factory",
            reason=f"no factory is named and there is no {path}",
            hint="name it with --factory ADDRESS, or deploy with `ape run deploy`",
        )
    return found


def _read(path: Path) -> Deployment:
    try:
        contracts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["contracts"]
        addresses = {name: _address(entry["address"]) for name, entry in contracts.items()}
        return Deployment(
            factory=addresses["RunFactory"],
            first_block=BlockNumber(int(contracts["RunFactory"].get("block", 0))),
            contracts=addresses,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidSetting(
            name="factory",
            reason=f"{path} can not be read ({type(error).__name__})",
            hint="deploy again, or name the factory with --factory ADDRESS",
        ) from None


def _address(text: Any) -> Address:
    if not is_address(text):
        raise ValueError("not an address")
    return Address(to_checksum_address(text))
