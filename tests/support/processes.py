"""Start a server, wait for the line that says it is ready, and stop exactly that process."""

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_STOP_S = 10.0


def find_tool(name: str) -> str | None:
    """The path of an executable: beside this Python, then on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


class Server:
    """A child process whose output is kept (its last lines) and never blocks it."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            text=True,
        )
        self.tail: deque[str] = deque(maxlen=200)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.tail.append(line.rstrip())
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def lines_until(self, marker: str, timeout_s: float = 60.0) -> list[str]:
        """The output up to and with the first line that contains `marker`."""
        lines: list[str] = []
        while True:
            try:
                line = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                line = None
            if line is None:
                raise RuntimeError(
                    f"{self.process.args} never said {marker!r}:\n" + "\n".join(self.tail)
                )
            lines.append(line)
            if marker in line:
                return lines

    def stop(self) -> None:
        """Ends this process and no other."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(_STOP_S)
        self._reader.join(_STOP_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def server(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """A running server that is gone when the block ends."""
    running = Server(arguments, environment)
    try:
        yield running
    finally:
        running.stop()
