"""A second source for every block: what one store lacks or falsifies, the next one serves."""

import time
from collections.abc import Sequence

import structlog

from network.store.base import Content, ContentStore
from protocol.cid import Cid, Codec, cid_text
from protocol.errors import (
    CidMismatch,
    ContentUnavailable,
    InvalidBlock,
    StoreError,
    StoreTimeout,
)
from protocol.types import Digest

_log = structlog.get_logger(__name__)


class FallbackStore(ContentStore):
    """Writes to the first store; reads each block from the first one that serves it truly."""

    def __init__(self, stores: Sequence[ContentStore]) -> None:
        self._stores = tuple(stores)
        self.place = ", ".join(store.place for store in stores)
        self.read_ahead = max(store.read_ahead for store in stores)

    def put(self, content: Content) -> Cid:
        """Keep it in the first store."""
        return self._stores[0].put(content)

    def get_block(self, digest: Digest, codec: Codec, *, timeout_s: float) -> bytes:
        """One verified block.

        Each source may take an equal share of what time is left, so the last one gets its turn.
        Raises StoreTimeout if every source ran out of time, else ContentUnavailable.
        """
        give_up_at = time.monotonic() + timeout_s
        failures: list[StoreError | CidMismatch | InvalidBlock] = []
        for turn, store in enumerate(self._stores):
            share_s = (give_up_at - time.monotonic()) / (len(self._stores) - turn)
            try:
                return store.get_block(digest, codec, timeout_s=max(share_s, 0.0))
            except (StoreError, CidMismatch, InvalidBlock) as error:
                failures.append(error)
                if not isinstance(error, ContentUnavailable):
                    _log.warning("source_failed", place=store.place, problem=error.message)
        if failures and all(isinstance(error, StoreTimeout) for error in failures):
            raise failures[-1]
        raise ContentUnavailable(
            cid=cid_text(digest, codec),
            reason="; ".join(
                f"{store.place}: {error.message}"
                for store, error in zip(self._stores, failures, strict=True)
            ),
        )

    def has(self, cid: Cid) -> bool:
        """Whether one of the stores keeps the whole object."""
        return any(store.has(cid) for store in self._stores)

    def pin(self, cid: Cid) -> None:
        """Keep it in the first store, copied there if only another has it."""
        first = self._stores[0]
        if first.has(cid):
            first.pin(cid)
        else:
            kept = first.put(self.open(cid, max_bytes=cid.size))
            assert kept == cid, "verified bytes hash to their id"

    def forget(self, cid: Cid) -> None:
        """Forget it everywhere."""
        for store in self._stores:
            store.forget(cid)

    def close(self) -> None:
        """Close every store."""
        for store in self._stores:
            store.close()
