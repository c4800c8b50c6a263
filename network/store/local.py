"""A content store in a directory: one file a block, named by its digest."""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from network.store.base import Content, ContentStore, pieces_of
from protocol.cid import (
    MAX_BLOCK_BYTES,
    Cid,
    CidBuilder,
    Codec,
    cid_text,
    links,
    verify_block,
)
from protocol.errors import (
    CommonweightError,
    ContentUnavailable,
    ProtocolError,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from protocol.types import Digest

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ABANDONED_S = 3600.0


class LocalStore(ContentStore):
    """Blocks below `directory`, safe for several processes at once.

    A block is written aside, synced and renamed, so that a crash leaves it whole or absent. A pin
    is written after the last block; `forget` removes what no pin reaches and waits for every `put`.
    """

    def __init__(self, directory: Path) -> None:
        self.place = str(directory)
        self._blocks = directory / "blocks"
        self._pins = directory / "pins"
        self._aside = directory / "aside"
        with self._mapped(0):
            for folder in (self._blocks, self._pins, self._aside):
                folder.mkdir(parents=True, exist_ok=True)
            (directory / "lock").touch()
        self._lock_path = directory / "lock"
        self._drop_abandoned()

    def put(self, content: Content) -> Cid:
        """Keep an object; raises StoreFull."""
        touched: set[Path] = set()

        def keep(digest: Digest, block: bytes) -> None:
            touched.add(self._keep_block(digest, block))

        with self._locked(fcntl.LOCK_SH):
            builder = CidBuilder(keep)
            for piece in pieces_of(content):
                builder.update(piece)
            cid = builder.finish()
            with self._mapped(cid.size):
                for folder in touched:
                    _sync_folder(folder)
            self._write_pin(cid)
        return cid

    def get_block(self, digest: Digest, codec: Codec, *, timeout_s: float) -> bytes:  # noqa: ARG002 - a disk needs no timeout
        """One verified block; raises CidMismatch if the disk changed it."""
        block = self._read_block(digest)
        if block is None:
            raise ContentUnavailable(
                cid=cid_text(digest, codec), reason=f"not in the store at {self.place}"
            )
        verify_block(digest, block)
        return block

    def has(self, cid: Cid) -> bool:
        """Whether every block is here with the right bytes in its nodes and the right sizes."""
        return self._pin_path(cid).exists() or self._is_complete(cid.digest, cid.codec)

    def pin(self, cid: Cid) -> None:
        """Keep an object whose blocks are here; raises ContentUnavailable, CidMismatch."""
        with self._locked(fcntl.LOCK_SH):
            for _ in self.open(cid, max_bytes=cid.size, deadline_s=float("inf")):
                pass
            self._write_pin(cid)

    def forget(self, cid: Cid) -> None:
        """Unpin an object and remove every block that no pin reaches."""
        with self._locked(fcntl.LOCK_EX), self._mapped(0):
            self._pin_path(cid).unlink(missing_ok=True)
            kept: set[Digest] = set()
            for pin in self._pins.iterdir():
                digest, codec = bytes.fromhex(pin.name[2:]), Codec(int(pin.name[:2], 16))
                kept |= self._reach(digest, codec, lambda _: True)
            for path in self._blocks.glob("*/*"):
                if bytes.fromhex(path.name) not in kept:
                    path.unlink()

    # -- blocks ---------------------------------------------------------------------------

    def _block_path(self, digest: Digest) -> Path:
        return self._blocks / digest[:1].hex() / digest.hex()

    def _read_block(self, digest: Digest) -> bytes | None:
        """The block's bytes, at most one more than a block may have; None if it is not here."""
        with self._mapped(0):
            try:
                with self._block_path(digest).open("rb") as file:
                    return file.read(MAX_BLOCK_BYTES + 1)
            except FileNotFoundError:
                return None

    def _keep_block(self, digest: Digest, block: bytes) -> Path:
        """Write a block unless it is here, sound; returns its folder, which wants syncing."""
        path = self._block_path(digest)
        present = self._read_block(digest)
        if present is None or sha256(present).digest() != digest:
            self._write_file(path, block)
        return path.parent

    def _write_file(self, path: Path, data: bytes) -> None:
        with self._mapped(len(data)):
            path.parent.mkdir(exist_ok=True)
            handle, aside = tempfile.mkstemp(dir=self._aside)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(aside).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(aside).unlink()
                raise

    def _reach(self, digest: Digest, codec: Codec, visit: Callable[[Digest], bool]) -> set[Digest]:
        """The digests below a root, which `visit` may end by saying no."""
        found: set[Digest] = set()
        waiting = [(digest, codec)]
        while waiting:
            digest, codec = waiting.pop()
            if digest in found:
                continue
            found.add(digest)
            if not visit(digest):
                break
            if codec is Codec.DAG_PB:
                block = self._read_block(digest)
                # A damaged node protects nothing: what it named can only be fetched again.
                with suppress(ProtocolError):
                    verify_block(digest, block or b"")
                    waiting += [(link.digest, link.codec) for link in links(block or b"")]
        return found

    def _is_complete(self, digest: Digest, codec: Codec) -> bool:
        missing: list[Digest] = []

        def visit(digest: Digest) -> bool:
            if not self._block_path(digest).exists():
                missing.append(digest)
            return not missing

        self._reach(digest, codec, visit)
        return not missing

    # -- pins, locks, errors --------------------------------------------------------------

    def _pin_path(self, cid: Cid) -> Path:
        return self._pins / f"{int(cid.codec):02x}{cid.digest.hex()}"

    def _write_pin(self, cid: Cid) -> None:
        self._write_file(self._pin_path(cid), str(cid.size).encode())
        with self._mapped(cid.size):
            _sync_folder(self._pins)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with self._mapped(0):
            lock = os.open(self._lock_path, os.O_RDWR)
        try:
            fcntl.flock(lock, kind)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _mapped(self, size: int) -> Iterator[None]:
        """The one place where the disk's errors become ours."""
        try:
            yield
        except CommonweightError:
            raise
        except OSError as error:
            raise self._translate(error, size) from error

    def _translate(self, error: OSError, size: int) -> StoreError:
        if error.errno in _NO_ROOM:
            return StoreFull(place=self.place, size=size)
        return StoreUnavailable(place=self.place, reason=error.strerror or type(error).__name__)

    def _drop_abandoned(self) -> None:
        """Remove what processes that died an hour ago or more left half written."""
        oldest_s = time.time() - _ABANDONED_S
        with self._mapped(0):
            for path in self._aside.iterdir():
                with suppress(FileNotFoundError):  # another process cleans up too
                    if path.stat().st_mtime < oldest_s:
                        path.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
