"""Deploy Commonweight's contracts: `ape run deploy --network ethereum:local:foundry`.

Writes deployments/<chainId>.json with addresses, constructor arguments and the standard JSON input
that block explorers verify sources with. On a public network name your account with --account.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ape
import click
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand, ape_cli_context, network_option

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # ape runs this file by path

from scripts.beacon import FIXED_SEED
from scripts.compiled import compile_contracts

DEPLOYMENTS = Path(__file__).resolve().parents[1] / "deployments"
DEFAULT_UNBONDING_S = 14 * 24 * 3600


def deploy(
    account: AccountAPI, *, unbonding_s: int, fixed_seed: bytes, options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Deploy everything; gives address and constructor arguments by name."""
    contracts = compile_contracts()
    made: dict[str, dict[str, Any]] = {}

    def put(name: str, *arguments: Any) -> Any:
        contract = account.deploy(contracts[name], *arguments, **options)
        shown = [a if not isinstance(a, bytes) else "0x" + a.hex() for a in arguments]
        made[name] = {"address": contract.address, "arguments": shown}
        return contract

    put("FixedBeacon", fixed_seed)
    put("PrevrandaoBeacon")
    merge_court = put("MergeCourt")
    training_court = put("TrainingCourt")
    office = put("RunOffice")
    run_type = contracts["TrainingRun"].contract_type
    run_code = bytes.fromhex(run_type.deployment_bytecode.bytecode.removeprefix("0x"))
    courts = (merge_court.address, training_court.address)
    factory = put("RunFactory", run_code, office.address, unbonding_s, *courts)
    made["RunFactory"]["block"] = account.provider.get_block("latest").number
    made["StakeVault"] = {"address": factory.vault(), "arguments": [unbonding_s]}
    return made


def standard_input() -> dict[str, Any]:
    """The compiler's input, for Sourcify, Etherscan and Blockscout."""
    project = ape.project
    solidity = ape.compilers.solidity
    inputs = solidity.get_standard_input_json(
        [path for path in project.sources.paths if _is_deployed(path)], project=project
    )
    return {str(version): value for version, value in inputs.items()}


def _is_deployed(path: Path) -> bool:
    return path.suffix == ".sol" and "test" not in path.parts


@click.command(cls=ConnectedProviderCommand)
@ape_cli_context()
@network_option()
@click.option("--account", "alias", help="alias of the deploying ape account; test account 0 else")
@click.option(
    "--unbonding",
    "unbonding_s",
    default=DEFAULT_UNBONDING_S,
    show_default=True,
    help="seconds that stake stays slashable after it was unlocked",
)
@click.option("--seed", default=FIXED_SEED.hex(), help="base of the fixed beacon, 32 bytes of hex")
@click.option("--output", type=click.Path(path_type=Path), help="file to write instead")
def cli(cli_ctx: Any, alias: str | None, unbonding_s: int, seed: str, output: Path | None) -> None:
    """Deploy the contracts and write deployments/<chainId>.json."""
    account = (
        cli_ctx.account_manager.load(alias) if alias else cli_ctx.account_manager.test_accounts[0]
    )
    chain_id = cli_ctx.provider.chain_id
    contracts = deploy(account, unbonding_s=unbonding_s, fixed_seed=bytes.fromhex(seed), options={})
    target = output or DEPLOYMENTS / f"{chain_id}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    found = {"chain_id": chain_id, "contracts": contracts, "standard_input": standard_input()}
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    cli_ctx.logger.success(f"factory {contracts['RunFactory']['address']}, written to {target}")
