"""Facts on disk, one line each, before anything of them leaves the process.

A line is `<sha256 of the JSON, 16 digits> <JSON>`. It is synced before `write` returns, so a line
without its end is one that nothing was done about: a crash left it and it is dropped. Any other
damage is JournalCorrupt. The salts in such files make them the owner's alone.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from protocol.errors import JournalCorrupt, JournalUnavailable

Fact = dict[str, Any]

OWNER_ONLY = 0o600
_CHECK_DIGITS = 16


class LineFile:
    """Use under a lock of one's own. `take` gets the facts of earlier processes, in order.

    Raises JournalCorrupt when it is opened, JournalUnavailable when the disk refuses.
    """

    def __init__(self, path: Path, take: Callable[[Fact], None]) -> None:
        self._path = path
        with self._mapped():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
            _sync_folder(path.parent)
            self._read(take)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def write(self, fact: Fact) -> None:
        """Promise that the fact is on the disk."""
        text = json.dumps(fact, sort_keys=True, separators=(",", ":"))
        line = f"{_check(text)} {text}\n".encode()
        with self._mapped():
            size = os.fstat(self._file).st_size
            try:
                _write_all(self._file, line)
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, size)
                raise

    def _read(self, take: Callable[[Fact], None]) -> None:
        data = bytearray()
        os.lseek(self._file, 0, os.SEEK_SET)
        while piece := os.read(self._file, 1 << 20):
            data += piece
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(bytes(data[:whole]).splitlines(), start=1):
            try:
                take(_fact_of(line.decode()))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise JournalCorrupt(path=str(self._path), line=number) from None
        if whole < len(data):
            os.ftruncate(self._file, whole)
            os.fsync(self._file)

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalUnavailable(path=str(self._path), reason=str(error)) from error


def _fact_of(line: str) -> Fact:
    check, text = line[:_CHECK_DIGITS], line[_CHECK_DIGITS + 1 :]
    if check != _check(text):
        raise ValueError("checksum")
    fact = json.loads(text)
    if not isinstance(fact, dict):
        raise TypeError("a fact is an object")
    return fact


def _check(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_CHECK_DIGITS]


def _write_all(file: int, line: bytes) -> None:
    written = os.write(file, line)
    if written != len(line):
        raise OSError(f"{written} of {len(line)} bytes were written")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
