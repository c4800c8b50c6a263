"""One command, one trained model: anvil, contracts, real data, trainers, a coordinator, proof.

`make demo ARGS="--rounds 12 --trainers 4 --task digits --store local --json FILE"`, and with
somebody who cheats `make demo ARGS="--adversary lazy"`. Exits non-zero if a promise of the protocol
was broken, or a process failed. Leaves nothing behind.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from scripts.adversaries.catalogue import ADVERSARIES, AGAINST_TRAINING
from scripts.demo_network import DemoSettings
from scripts.demo_report import as_json, show, show_trial
from scripts.demo_run import run_demo
from scripts.processes import ending_on_signals

_PIPE_COLUMNS = 148
_ACCURACY_WITH_ADVERSARY = 0.96
_ACCURACY_AGAINST_TRAINING = 0.9
"""What is merged before its author is convicted costs some rounds."""


def _default_accuracy(adversary: str | None) -> float:
    if adversary in AGAINST_TRAINING:
        return _ACCURACY_AGAINST_TRAINING
    return _ACCURACY_WITH_ADVERSARY if adversary else 0.0


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=12, type=click.IntRange(1, 10_000), help="rounds to train")
@click.option("--trainers", default=4, type=click.IntRange(1, 256), help="trainer processes")
@click.option("--task", default="digits", help="an installed task")
@click.option("--store", default="local", type=click.Choice(["local", "kubo"]))
@click.option("--split", default="iid", type=click.Choice(["iid", "dirichlet"]))
@click.option("--alpha", default=0.3, help="concentration of the Dirichlet split")
@click.option("--epochs", default=2, type=click.IntRange(1, 1000), help="local epochs a round")
@click.option("--beacon", default="fixed", type=click.Choice(["fixed", "prevrandao"]))
@click.option("--adversary", type=click.Choice(ADVERSARIES), help="somebody who cheats")
@click.option(
    "--adversaries", default=1, type=click.IntRange(1, 2), help="how many of them, against training"
)
@click.option(
    "--audit-rate",
    default=1.0,
    type=click.FloatRange(0, 1),
    help="the share of updates that are audited, with an adversary against training",
)
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 1),
    show_default="0.9 with an adversary against training, 0.96 with another, else any",
    help="what the last round's model must reach",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="write the results here")
@click.option("--model", "model_file", type=click.Path(path_type=Path), help="write the last model")
@click.option("--keep", is_flag=True, help="keep the work folder with logs, and print where it is")
def main(
    json_file: Path | None,
    model_file: Path | None,
    keep: bool,  # noqa: FBT001 - click's
    adversary: str | None,
    accuracy: float | None,
    **options: object,
) -> None:
    """Train one model with several processes that do not trust each other, on this machine."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    folder = Path(tempfile.mkdtemp(prefix="commonweight-"))
    failed = True
    try:
        with ending_on_signals():
            settings = DemoSettings(
                folder=folder,
                adversary=adversary,
                accuracy=_default_accuracy(adversary) if accuracy is None else accuracy,
                **options,  # type: ignore[arg-type] # click checked them
            )
            result = run_demo(settings, say=lambda text: console.print(text, highlight=False))
        show(console, result)
        show_trial(console, result, adversary)
        if json_file is not None:
            json_file.write_text(as_json(result, adversary) + "\n", encoding="utf-8")
        if model_file is not None:
            model_file.write_bytes(result.final_model)
        failed = not result.judgement.held or bool(result.failures)
        for failure in result.failures:
            console.print(f"[red]{failure}[/red]")
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
    except RuntimeError as error:
        console.print(f"[red]{error}[/red]")
    finally:
        if keep or failed:
            console.print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
