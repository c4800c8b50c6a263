"""A content store in a Kubo node, through its RPC; nothing that the node says is believed."""

import json
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ipfshttpclient
import ipfshttpclient.exceptions as ipfs_errors
import ipfshttpclient.http
import requests
import urllib3

from network.store.base import DEFAULT_DEADLINE_S, Content, ContentStore, pieces_of
from protocol.cid import CHUNK_BYTES, MAX_LINKS, Cid, CidBuilder, Codec, cid_text, verify_block
from protocol.errors import (
    CommonweightError,
    ContentUnavailable,
    StoreError,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from protocol.types import Digest

# Every option that the content id depends on, whatever the node's profile says.
_IMPORT = {
    "cid-version": "1",
    "raw-leaves": "true",
    "chunker": f"size-{CHUNK_BYTES}",
    "max-file-links": str(MAX_LINKS),
    "hash": "sha2-256",
    "trickle": "false",
    "inline": "false",
    "pin": "true",
}
_MAX_ANSWER_BYTES = 4 << 20  # a block has 1 MiB; JSON answers are small
_PIECE_BYTES = 1 << 16
_UPLOAD_PIECE_BYTES = 1 << 18
_CONNECT_S = 20.0
_CALL_S = 30.0
_GRACE_S = 2.0  # the node is to notice first that nobody serves a block


class _BoundedHttp(ipfshttpclient.http.ClientSync):  # type: ignore[misc]  # ships no types
    """ipfshttpclient's HTTP, with a bound on the size and the time of every answer."""

    __slots__ = ()

    def _make_session(self) -> requests.Session:
        # The library's own session warns on every call that urllib3 will drop an option.
        session = requests.Session()
        session.trust_env = False  # a proxy or a .netrc is no business of the node's
        for name, value in self._session_props.items():
            setattr(session, name, value)
        return session

    def _request(self, *args: Any, timeout: tuple[float, float] | None, **kwargs: Any) -> Any:
        timeout = timeout or (_CONNECT_S, _CALL_S)
        closables, _ = super()._request(*args, timeout=timeout, **kwargs)
        raw: urllib3.HTTPResponse = closables[0].raw
        return closables, _bounded(raw, give_up_at=time.monotonic() + timeout[1])


def _bounded(raw: urllib3.HTTPResponse, *, give_up_at: float) -> Generator[bytes, None, None]:
    size = 0
    while piece := raw.read1(_PIECE_BYTES, decode_content=True):
        size += len(piece)
        if size > _MAX_ANSWER_BYTES:
            raise ipfs_errors.ProtocolError(None)
        if time.monotonic() > give_up_at:
            raise ipfs_errors.TimeoutError(None)
        yield piece


class _Client(ipfshttpclient.Client):  # type: ignore[misc]  # ships no types
    """ipfshttpclient over the bounded HTTP. connect() would refuse every Kubo since 2020."""

    def __init__(self, api_url: str) -> None:
        super().__init__(api_url, chunk_size=_UPLOAD_PIECE_BYTES)
        self._client = _BoundedHttp(api_url, "api/v0")
        self._client.open_session()

    def connect_peer(self, address: str, timeout: tuple[float, float]) -> None:
        # The library's swarm.connect() takes an address apart into letters.
        self._client.request("/swarm/connect", (address,), decoder="json", timeout=timeout)


class KuboStore(ContentStore):
    """Objects in the Kubo node whose RPC is at the multiaddress `api_url`.

    `put_timeout_s` is how long the node may take to finish an import once it has all bytes.
    """

    read_ahead = 6

    def __init__(self, api_url: str, *, put_timeout_s: float = 300.0) -> None:
        self.place = api_url
        self._put_timeout_s = put_timeout_s
        with self._mapped("opening", 0):
            self._client = _Client(api_url)

    def put(self, content: Content) -> Cid:
        """Keep an object, pinned.

        Raises StoreUnavailable if the node gives it another id, StoreFull, StoreTimeout.
        """
        builder = CidBuilder()
        failures: list[Exception] = []

        def upload() -> Iterator[bytes]:
            try:
                for piece in pieces_of(content):
                    builder.update(piece)
                    yield bytes(piece)
            except Exception as error:
                failures.append(error)
                raise

        try:
            with self._mapped("an import", self._put_timeout_s):
                named = self._client.add_bytes(
                    upload(), opts=_IMPORT, timeout=(_CONNECT_S, self._put_timeout_s)
                )
        except StoreError:
            if failures:  # the content's own error, not the node's
                raise failures[0] from None
            raise
        cid = builder.finish()
        if named != cid.text:
            reason = f"it imported {cid.text} as {str(named)[:80]}"
            raise StoreUnavailable(place=self.place, reason=reason)
        return cid

    def get_block(self, digest: Digest, codec: Codec, *, timeout_s: float) -> bytes:
        """One verified block, from the node or from whoever it finds.

        Raises ContentUnavailable if the node finds nobody within `timeout_s` seconds, StoreTimeout
        if the node itself does not answer two seconds after that, CidMismatch.
        """
        text = cid_text(digest, codec)
        timeout_s = max(timeout_s, 0.001)
        with self._mapped("fetching a block", timeout_s, cid=text):
            block: bytes = self._client.block.get(
                text,
                opts={"timeout": f"{timeout_s:.3f}s"},
                timeout=(min(_CONNECT_S, timeout_s), timeout_s + _GRACE_S),
            )
        verify_block(digest, block)
        return block

    def has(self, cid: Cid) -> bool:
        """Whether the node has it pinned, or holds it as a single block.

        Several blocks without a pin count as absent: the node may drop any of them at any time.
        """
        try:
            with self._mapped("looking up a pin", _CALL_S, cid=cid.text):
                self._client.pin.ls(cid.text, type="recursive")
        except ContentUnavailable:
            pass
        else:
            return True
        if cid.codec is not Codec.RAW:
            return False
        try:
            with self._mapped("looking up a block", _CALL_S, cid=cid.text):
                self._client.block.stat(cid.text, offline=True)
        except ContentUnavailable:
            return False
        return True

    def pin(self, cid: Cid) -> None:
        """Keep an object; it is read and verified first, so a false size can not fill the disk."""
        for _ in self.open(cid, max_bytes=cid.size, deadline_s=DEFAULT_DEADLINE_S):
            pass
        with self._mapped("pinning", _CALL_S, cid=cid.text):
            self._client.pin.add(cid.text)

    def forget(self, cid: Cid) -> None:
        """Unpin; the node removes the blocks when it next collects its garbage."""
        try:
            with self._mapped("unpinning", _CALL_S, cid=cid.text):
                self._client.pin.rm(cid.text)
        except ContentUnavailable:
            pass

    def connect(self, addresses: Sequence[str], *, timeout_s: float = _CALL_S) -> None:
        """Connect the node to peers (multiaddresses with /p2p/); raises StoreUnavailable."""
        for address in addresses:
            with self._mapped(f"connecting to {address}", timeout_s):
                self._client.connect_peer(address, (_CONNECT_S, timeout_s))

    def addresses(self) -> tuple[str, ...]:
        """The multiaddresses under which peers reach the node."""
        with self._mapped("asking for its addresses", _CALL_S):
            return tuple(str(address) for address in self._client.id()["Addresses"] or ())

    def version(self) -> str:
        """The node's version, which also proves that it answers."""
        with self._mapped("asking for its version", _CALL_S):
            return str(self._client.version()["Version"])

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    @contextmanager
    def _mapped(self, operation: str, waited_s: float, *, cid: str = "") -> Iterator[None]:
        """The one place where foreign errors become ours."""
        try:
            yield
        except CommonweightError:
            raise
        except (ipfs_errors.TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
            raise StoreTimeout(operation=operation, waited_s=round(waited_s, 3)) from None
        except ipfs_errors.ErrorResponse as error:
            raise self._translate(str(error.args[0]), cid, waited_s) from None
        except _FOREIGN as error:
            raise StoreUnavailable(place=self.place, reason=type(error).__name__) from error

    def _translate(self, said: str, cid: str, waited_s: float) -> StoreError:
        lowered = said.lower()
        if "no space left" in lowered or "quota exceeded" in lowered:
            return StoreFull(place=self.place, size=0)
        if cid and "deadline exceeded" in lowered:
            return ContentUnavailable(cid=cid, reason=f"no peer served it in {waited_s:.3g} s")
        if cid and any(words in lowered for words in ("not found", "could not find", "not pinned")):
            return ContentUnavailable(cid=cid, reason=said[:200])
        return StoreUnavailable(place=self.place, reason=said[:200])


# What the library, its HTTP and an answer of the wrong shape can raise.
_FOREIGN = (
    ipfs_errors.Error,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    json.JSONDecodeError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
