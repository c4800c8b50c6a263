"""`python -m scripts.adversaries NAME ...`, what `make demo ARGS="--adversary NAME"` starts.

An adversary has its own key, stake and bond; nothing of it is simulated.
"""

import sys
from pathlib import Path
from typing import Any

import click

from network.logs import configure_logs
from network.settings import load_settings
from protocol.errors import CommonweightError
from scripts.adversaries.catalogue import ADVERSARIES, AGGREGATORS, TRAINERS
from scripts.adversaries.merging import run_aggregator
from scripts.adversaries.sessions import run_trainer
from trainer.setup import StartOptions


@click.command()
@click.argument("name", type=click.Choice(ADVERSARIES))
@click.option("--rpc", multiple=True)
@click.option("--ws", multiple=True)
@click.option("--chain-id", type=int)
@click.option("--store", multiple=True)
@click.option("--keystore")
@click.option("--passphrase-file", type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(path_type=Path))
@click.option("--factory")
@click.option("--run", required=True)
@click.option("--rounds", type=int, required=True, help="rounds of the run")
@click.option("--relay", help="trainers: the relay")
@click.option("--stake", "stake_gwei", type=int, help="trainers: gwei to enroll with")
@click.option("--others", type=int, default=0, help="trainers: seats to be taken by others first")
@click.option("--pace", "pace_s", type=float, default=0.0, help="trainers: seconds for an update")
def main(
    name: str,
    run: str,
    rounds: int,
    relay: str | None,
    stake_gwei: int | None,
    others: int,
    pace_s: float,
    **flags: Any,
) -> None:
    """Take part in a run and cheat in it; settings are those of the honest commands."""
    configure_logs(as_json=True, verbose=False)
    try:
        settings = load_settings(flags, config=None)
        if name in AGGREGATORS:
            run_aggregator(AGGREGATORS[name], settings, run, rounds)
            return
        options = StartOptions(
            relay=relay, stake_gwei=stake_gwei, rounds=rounds, backup=False, watch=False
        )
        run_trainer(TRAINERS[name], settings, options, run=run, others=others, pace_s=pace_s)
    except CommonweightError as error:
        click.echo(f"error: {error.message}\n-> {error.remedy}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
