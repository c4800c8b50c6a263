"""The command line `commonweight`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from coordinator import commands
from coordinator.output import Output, exit_code
from network.logs import configure_logs
from network.settings import Settings, load_settings
from protocol.errors import CommonweightError

_EXAMPLES = """\b
Examples:
  commonweight publish digits --shards 16
  commonweight create-run --name demo --task digits --manifest CID:SIZE --rounds 20
  commonweight coordinate 0xRUN --relay-port 8550 --register
  commonweight watch 0xRUN
"""


@click.group(epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rpc", multiple=True, help="URL of an Ethereum node; several stand in in turn.")
@click.option("--ws", multiple=True, help="WebSocket URL of a node, for new heads.")
@click.option("--chain-id", type=int, help="The chain that the nodes must serve.")
@click.option("--store", multiple=True, help="local:DIRECTORY or kubo:URL; several stand by.")
@click.option("--keystore", help="Name of an ape account, or a keystore file.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="File of its passphrase.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Journal, models, local store.")
@click.option("--factory", help="Address of the run factory; else deployments/<chainId>.json.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with these settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and JSON logs.")
@click.option("--verbose", is_flag=True, help="Log more.")
@click.pass_context
def main(
    context: click.Context, /, config: Path | None, as_json: bool, verbose: bool, **flags: Any
) -> None:
    """Train one model together with people whom you need not trust: the sponsor's side.

    Flags go before COMMONWEIGHT_* variables, those before the TOML file.
    """
    configure_logs(as_json=as_json, verbose=verbose)
    context.obj = (Output(as_json=as_json), config, flags)


def _run(context: click.Context, work: Callable[[Settings, Output], None]) -> None:
    """Do the work; a failure is its problem and its remedy, and an exit code of its own."""
    output, config, flags = cast("tuple[Output, Path | None, dict[str, Any]]", context.obj)
    try:
        work(load_settings(flags, config=config), output)
    except CommonweightError as error:
        output.failure(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


@main.command(epilog="\b\nExample:\n  commonweight publish digits --shards 16 --split dirichlet")
@click.argument("task")
@click.option("--shards", type=click.IntRange(1, 1 << 20), default=16, show_default=True)
@click.option("--split", type=click.Choice(["iid", "dirichlet"]), default="iid", show_default=True)
@click.option("--alpha", type=float, default=0.3, show_default=True, help="Of the Dirichlet split.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--name", help="Name of the data set.")
@click.pass_context
def publish(context: click.Context, /, **options: Any) -> None:
    """Publish the data set of TASK as shards; prints the manifest's CID:SIZE."""
    _run(context, lambda settings, output: commands.publish(settings, output, **options))


@main.command(
    epilog="\b\nExample:\n  commonweight create-run --name demo --task digits "
    "--manifest CID:SIZE --rounds 20 --value-eth 1"
)
@click.option("--name", required=True)
@click.option("--task", required=True)
@click.option("--manifest", required=True, help="CID:SIZE, as `publish` prints it.")
@click.option("--set", "sets", multiple=True, help="Another setting of the plan, key=value (JSON).")
@click.option("--plan", type=click.Path(path_type=Path), help="TOML file of the plan.")
@click.option("--rounds", type=click.IntRange(1), default=None, help="Rounds of the run.")
@click.option("--min-trainers", type=click.IntRange(1, 256), default=None)
@click.option("--norm", type=float, default=None, help="L2 norm of an update at most, in weights.")
@click.option("--reward-eth", type=str, default=None, help="Reward of a round.")
@click.option("--value-eth", type=str, help="ETH to fund with; else all rounds and keepers.")
@click.option(
    "--keeper-eth", type=str, default="0.1", show_default=True, help="Of it, for keepers."
)
@click.option(
    "--audits-wei", type=click.IntRange(0), help="For audits; else for as many as are expected."
)
@click.option("--beacon", help="Address of the beacon; else PrevrandaoBeacon of the deployment.")
@click.option("--guardian", help="Address that may halt the run.")
@click.option("--label", default="", help="Another label makes another run of the same plan.")
@click.pass_context
def create_run(context: click.Context, /, **options: Any) -> None:
    """Publish a specification and a genesis model, and create the run; prints its address."""
    _run(context, lambda settings, output: commands.create(settings, output, **options))


@main.command(epilog="\b\nExample:\n  commonweight coordinate 0xRUN --relay-port 8550 --register")
@click.argument("run")
@click.option("--rounds", type=click.IntRange(1), help="Stop once this round of the run is over.")
@click.option("--wait-final", is_flag=True, help="With --rounds: wait until it is settled too.")
@click.option(
    "--settle-every",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Rounds to finalize in one transaction.",
)
@click.option("--register", is_flag=True, help="Join the aggregators that propose in turn.")
@click.option("--no-propose", is_flag=True, help="Relay and keep only, merge nothing.")
@click.option("--relay-host", default="127.0.0.1", show_default=True)
@click.option("--relay-port", type=click.IntRange(0, 65535), default=8550, show_default=True)
@click.option("--unchecked", is_flag=True, help="Do not compare the contracts' code.")
@click.option("--no-watch", is_flag=True, help="Bring nothing to the merge court.")
@click.pass_context
def coordinate(context: click.Context, /, **options: Any) -> None:
    """Drive the rounds of RUN: relay, post, merge, propose, settle. Can be killed and restarted."""
    _run(context, lambda settings, output: commands.coordinate(settings, output, **options))


@main.command()
@click.pass_context
def runs(context: click.Context) -> None:
    """List the runs of the factory."""
    _run(context, commands.list_runs)


@main.command(epilog="\b\nExample:\n  commonweight --json watch 0xRUN | jq .event")
@click.argument("run")
@click.option("--once", is_flag=True, help="Print what there is, then stop.")
@click.pass_context
def watch(context: click.Context, /, **options: Any) -> None:
    """Print what happens in RUN, from its first block on, one line an event."""
    _run(context, lambda settings, output: commands.watch(settings, output, **options))
