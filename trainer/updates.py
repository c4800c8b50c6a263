"""This node's own updates: on disk before they are committed to, then in the store."""

import os
from pathlib import Path

from network.store import ContentStore
from protocol.cid import Cid
from protocol.errors import ContentUnavailable, StoreFull
from protocol.rounds import UpdateHeader

KEPT = 8
"""Updates kept on disk; the store keeps what it was given."""


class OwnUpdates:
    """Keeps updates by content id and publishes them. Use from one thread."""

    def __init__(self, store: ContentStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._published: set[Cid] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, header: UpdateHeader, data: bytes) -> None:
        """Write an update to disk; raises StoreFull."""
        path = self._path(update_cid(header))
        aside = path.with_suffix(".part")
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise StoreFull(size=len(data), place=str(self._folder)) from error
        files = sorted(self._folder.iterdir(), key=lambda one: one.stat().st_mtime_ns)
        for old in files[:-KEPT]:
            old.unlink(missing_ok=True)

    def publish(self, header: UpdateHeader) -> None:
        """Promise that the store has the update.

        Raises ContentUnavailable if neither disk nor store has it, and what `put` raises.
        """
        cid = update_cid(header)
        if cid in self._published:
            return
        path = self._path(cid)
        if path.exists():
            self._store.put(path.read_bytes())
        elif not self._store.has(cid):
            raise ContentUnavailable(cid=cid.text, reason=f"{path} is gone")
        self._published.add(cid)

    def _path(self, cid: Cid) -> Path:
        return self._folder / cid.text


def update_cid(header: UpdateHeader) -> Cid:
    """The content id of a header's update object."""
    return Cid(digest=header.update_cid, size=header.update_size)
