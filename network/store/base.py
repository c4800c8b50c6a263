"""What a content store promises, whoever keeps the bytes."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Protocol, Self

from network.store.ahead import ReadAhead
from protocol.cid import CHUNK_BYTES, Cid, Codec, read_dag
from protocol.errors import ContentTooLarge, StoreTimeout
from protocol.types import Digest

DEFAULT_DEADLINE_S = 120.0


class Readable(Protocol):
    """A binary file, as far as `put` needs one."""

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""


Content = bytes | bytearray | memoryview | Readable | Iterable[bytes]


def pieces_of(content: Content) -> Iterator[bytes | memoryview]:
    """The content in pieces of at most 1 MiB, or as its iterator gives them."""
    if isinstance(content, bytes | bytearray | memoryview):
        view = memoryview(content).cast("B")
        for start in range(0, len(view), CHUNK_BYTES):
            yield view[start : start + CHUNK_BYTES]
    elif isinstance(content, Iterable) and not hasattr(content, "read"):
        yield from content
    else:
        while piece := content.read(CHUNK_BYTES):
            yield piece


class ContentStore(ABC):
    """Keeps objects by content id. No byte leaves it that does not hash to what was asked for.

    Safe for several threads. Everything may raise StoreUnavailable.
    """

    place: str
    """Where the bytes are, for a person to read."""

    read_ahead = 0
    """How many blocks to fetch at once; worth it where a block takes a round trip."""

    @abstractmethod
    def put(self, content: Content) -> Cid:
        """Keep an object, pinned; streams, and gives its content id.

        Raises StoreFull and StoreTimeout.
        """

    @abstractmethod
    def get_block(self, digest: Digest, codec: Codec, *, timeout_s: float) -> bytes:
        """One verified block; raises CidMismatch, ContentUnavailable, StoreTimeout."""

    @abstractmethod
    def has(self, cid: Cid) -> bool:
        """Whether the whole object is kept here, without asking anyone else."""

    @abstractmethod
    def pin(self, cid: Cid) -> None:
        """Keep an object that can be fetched until it is forgotten; errors as for `open`."""

    @abstractmethod
    def forget(self, cid: Cid) -> None:
        """Promise nothing about an object any longer; no error if it was not kept."""

    def close(self) -> None:  # noqa: B027 - a directory has nothing to let go of
        """Let go of files and connections."""

    def open(
        self, cid: Cid, *, max_bytes: int, deadline_s: float = DEFAULT_DEADLINE_S
    ) -> Iterator[bytes]:
        """The object in verified pieces of at most 1 MiB, within `deadline_s` seconds in all.

        Raises at once ContentTooLarge if the size that the id claims is above `max_bytes`; then
        ContentUnavailable, CidMismatch or InvalidBlock (a lie), StoreTimeout.
        """
        if cid.size > max_bytes:
            raise ContentTooLarge(cid=cid.text, size=cid.size, limit=max_bytes)
        return self._read(cid, deadline_s)

    def _read(self, cid: Cid, deadline_s: float) -> Iterator[bytes]:
        give_up_at = time.monotonic() + deadline_s

        def fetch(digest: Digest, codec: Codec) -> bytes:
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                raise StoreTimeout(operation=f"reading {cid.text}", waited_s=deadline_s)
            return self.get_block(digest, codec, timeout_s=left_s)

        if cid.codec is Codec.RAW or not self.read_ahead:
            yield from read_dag(cid, fetch)
            return
        source = ReadAhead(fetch, depth=self.read_ahead)
        try:
            yield from read_dag(cid, source.get_block)
        finally:
            source.close()

    def get(self, cid: Cid, *, max_bytes: int, deadline_s: float = DEFAULT_DEADLINE_S) -> bytes:
        """The whole object in memory; errors as for `open`."""
        return b"".join(self.open(cid, max_bytes=max_bytes, deadline_s=deadline_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
