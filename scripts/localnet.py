"""`make localnet`: the demo's network, kept up until Ctrl-C, for people and browsers."""

import shutil
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from network.heads import HeadWatcher
from scripts.demo_network import DemoSettings, LocalNetwork, build_network
from scripts.demo_run import Follower
from scripts.localnet_parts import CHAIN_ID
from scripts.processes import Processes, ending_on_signals


def _tell(console: Console, network: LocalNetwork) -> None:
    flags = (
        f"--rpc {network.chain.url} --ws {network.chain.websocket_url} --chain-id {CHAIN_ID} "
        f"--store {network.store_flags[0]} --factory {network.deployment.factory}"
    )
    console.print(f"[bold]chain[/bold]    {network.chain.url} (chain id {CHAIN_ID})")
    console.print(f"[bold]factory[/bold]  {network.deployment.factory}")
    console.print(f"[bold]run[/bold]      {network.run}")
    console.print(f"[bold]relay[/bold]    http://127.0.0.1:{network.relay_port}")
    console.print(f"[bold]watch[/bold]    commonweight {flags} watch {network.run}", soft_wrap=True)
    console.print("Ctrl-C ends everything that this command started.")


@click.command(context_settings={"show_default": True})
@click.option("--trainers", default=4, type=click.IntRange(1, 64), help="trainer processes")
@click.option("--rounds", default=1_000, type=click.IntRange(1), help="rounds before it rests")
@click.option("--task", default="digits", help="an installed task")
@click.option("--store", default="local", type=click.Choice(["local", "kubo"]))
def main(**options: object) -> None:
    """Keep a local network training until Ctrl-C."""
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="commonweight-localnet-"))
    settings = DemoSettings(folder=folder, **options)  # type: ignore[arg-type]
    try:
        with ending_on_signals(), Processes(folder / "logs") as processes:
            network = build_network(settings, processes, console.print)
            network.start_coordinator()
            for index in range(settings.trainers):
                network.start_trainer(index)
            _tell(console, network)
            heads = HeadWatcher(network.rpc, websocket_urls=[network.chain.websocket_url])
            with heads:
                Follower(network).follow(heads, console.print)
            console.print("all rounds are done; the chain stays up until Ctrl-C")
            while True:
                time.sleep(3_600)
    except KeyboardInterrupt:
        console.print("stopped")
    except RuntimeError as error:
        console.print(f"[red]{error}[/red]")
        raise SystemExit(1) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
