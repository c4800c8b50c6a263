"""What the command line prints: a line for people, an object for machines; and its exit codes."""

import json
import sys
from typing import Any

import click

from protocol.errors import (
    ChainError,
    CommonweightError,
    CoordinatorError,
    InvalidSetting,
    KeystoreError,
    LearningError,
    ProtocolError,
    StoreError,
)

_CODES: tuple[tuple[type[CommonweightError], int], ...] = (
    (InvalidSetting, 2),
    (KeystoreError, 3),
    (ChainError, 4),
    (StoreError, 5),
    (ProtocolError, 6),
    (LearningError, 7),
    (CoordinatorError, 8),
)
"""2 settings, 3 keys, 4 chain, 5 store, 6 protocol, 7 learning, 8 coordinator, 1 anything else."""


def exit_code(error: CommonweightError) -> int:
    """The exit code of a failure."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


class Output:
    """Prints results to standard output and failures to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, text: str, **values: Any) -> None:
        """One result: the text, or the values as one line of JSON."""
        click.echo(json.dumps(values, default=_plain, sort_keys=True) if self.as_json else text)
        sys.stdout.flush()

    def failure(self, error: CommonweightError) -> None:
        """What happened and what to do next."""
        if self.as_json:
            said = {
                "error": type(error).__name__,
                "message": error.message,
                "remedy": error.remedy,
            }
            click.echo(json.dumps(said, sort_keys=True), err=True)
        else:
            click.echo(f"error: {error.message}\n  try: {error.remedy}", err=True)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value)
