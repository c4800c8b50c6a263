"""Processes that end with this one: started in their own session, stopped by id, never by name."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Self

_PR_SET_PDEATHSIG = 1
_TERM_S = 10.0


@dataclass(slots=True, kw_only=True)
class Child:
    """One process and the log it writes."""

    name: str
    process: subprocess.Popen[str]
    log_path: Path
    lines: list[str] = field(default_factory=list)
    grown: threading.Condition = field(default_factory=threading.Condition)
    finished: bool = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def wait_for_line(self, text: str, *, timeout_s: float) -> str:
        """The first line of output that holds `text`; RuntimeError if the process ends first."""
        give_up_at = time.monotonic() + timeout_s
        with self.grown:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                left_s = give_up_at - time.monotonic()
                if self.finished or left_s <= 0:
                    tail = "\n".join(self.lines[-20:])
                    raise RuntimeError(f"{self.name} did not say {text!r}:\n{tail}")
                self.grown.wait(left_s)

    def stop(self, *, timeout_s: float = _TERM_S) -> int:
        """Ask the process to end, then make it; gives its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


class Processes:
    """Starts children and, at the end of its `with` block, stops those that still run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children):
            with contextlib.suppress(ProcessLookupError):
                child.stop()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start a command whose output goes to a log file and can be waited for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl
        )
        child = Child(name=name, process=process, log_path=self._folder / f"{name}.log")
        assert process.stdout is not None, "stdout is a pipe"
        threading.Thread(target=_drain, args=(child, process.stdout), daemon=True).start()
        self.children.append(child)
        return child

    def find_dead(self) -> Child | None:
        """A child that ended on its own, if any."""
        return next((c for c in self.children if c.process.poll() is not None), None)


def _drain(child: Child, output: IO[str]) -> None:
    with child.log_path.open("a", encoding="utf-8") as log, output:
        for line in output:
            log.write(line)
            log.flush()
            with child.grown:
                child.lines.append(line.rstrip("\n"))
                child.grown.notify_all()
    with child.grown:
        child.finished = True
        child.grown.notify_all()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `with` blocks clean up."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
