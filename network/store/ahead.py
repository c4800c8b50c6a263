"""Fetching the leaves of an object some blocks ahead of their reader."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from protocol.cid import BlockSource, Codec, Link, links
from protocol.errors import ProtocolError
from protocol.types import Digest


class ReadAhead:
    """A block source for `read_dag` that asks `fetch` for the next `depth` leaves at once.

    Holds at most `depth` blocks of 1 MiB. Errors come up where the reader gets to them.
    """

    def __init__(self, fetch: BlockSource, *, depth: int) -> None:
        self._fetch = fetch
        self._depth = depth
        self._pool = ThreadPoolExecutor(depth, thread_name_prefix="blocks")
        self._upcoming: Iterator[Link] = iter(())
        self._asked: deque[tuple[Digest, Future[bytes]]] = deque()

    def get_block(self, digest: Digest, codec: Codec) -> bytes:
        """The block, perhaps fetched before."""
        if self._asked and self._asked[0][0] == digest:
            block = self._asked.popleft()[1].result()
        else:
            block = self._fetch(digest, codec)
        if codec is Codec.DAG_PB:
            # A node that is not canonical is refused by the reader, with its reason.
            with suppress(ProtocolError):
                self._upcoming = (link for link in links(block) if link.codec is Codec.RAW)
        self._ask()
        return block

    def _ask(self) -> None:
        while len(self._asked) < self._depth and (link := next(self._upcoming, None)):
            future = self._pool.submit(self._fetch, link.digest, link.codec)
            self._asked.append((link.digest, future))

    def close(self) -> None:
        """Fetch no more; what is under way ends by its own deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)
