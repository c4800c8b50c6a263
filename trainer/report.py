"""The node's events for whoever watches: one line each on stdout; the log goes to stderr."""

import json
import sys
import threading
import time
from typing import Any, Protocol, TextIO


class Report(Protocol):
    """Takes an event and its values."""

    def __call__(self, event: str, **values: Any) -> None:
        """Tell whoever watches."""


class LineReport:
    """One line an event: JSON where a machine reads, words where a person does."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        self._as_json = as_json
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    def __call__(self, event: str, **values: Any) -> None:
        """Write the line and flush it, so that a pipe sees it at once."""
        if self._as_json:
            line = json.dumps({"event": event, "at_s": round(time.time(), 3), **values})
        else:
            clock = time.strftime("%H:%M:%S")
            said = "  ".join(f"{name}={value}" for name, value in values.items())
            line = f"{clock}  {event.replace('_', ' '):<16} {said}".rstrip()
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()
