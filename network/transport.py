"""One HTTP exchange with one RPC end point, bounded in size and time."""

import time
from typing import Protocol
from urllib.parse import urlsplit

import urllib3

from protocol.errors import RpcUnavailable

_PIECE_BYTES = 1 << 16


class Transport(Protocol):
    """What carries a JSON-RPC request; a test's fake is one method."""

    @property
    def place(self) -> str:
        """Where this leads, without the secrets that a URL may carry."""

    def post(self, body: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
        """The response's body, or RpcUnavailable."""


class HttpTransport:
    """Keeps connections to one URL; safe for several threads."""

    def __init__(self, url: str, *, connections: int = 8) -> None:
        self._url = url
        # Paths and user names carry access tokens at many providers: only the host is ever shown.
        try:
            parts = urlsplit(url)
            self._is_http = parts.scheme in {"http", "https"} and bool(parts.hostname)
            self._place = f"{parts.hostname or '?'}:{parts.port or parts.scheme}"
        except ValueError:  # a port that is no number, a broken IPv6 address
            self._is_http, self._place = False, "?"
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)

    @property
    def place(self) -> str:
        """Host and port."""
        return self._place

    def post(self, body: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
        """Send and read all, in at most `timeout_s` seconds (twice that if bytes only drip).

        Raises RpcUnavailable for anything but an answer, including one above `max_bytes`.
        """
        if not self._is_http:
            raise RpcUnavailable(url=self._place, reason="not an http or https URL")
        give_up_at = time.monotonic() + timeout_s
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers={"Content-Type": "application/json"},
                timeout=urllib3.Timeout(connect=min(timeout_s, 5.0), read=timeout_s),
                preload_content=False,
                redirect=False,
            )
            try:
                answer = self._read(response, give_up_at=give_up_at, max_bytes=max_bytes)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # The text of urllib3's errors can hold the URL: its class says enough.
            raise RpcUnavailable(url=self._place, reason=_reason(error)) from None
        # Nodes send JSON-RPC errors with 4xx too; a gateway's page is no JSON object.
        if response.status != 200 and not answer.lstrip().startswith(b"{"):  # noqa: PLR2004 - HTTP
            raise RpcUnavailable(url=self._place, reason=f"HTTP status {response.status}")
        if response.status == 429 or response.status >= 500:  # noqa: PLR2004 - HTTP
            raise RpcUnavailable(url=self._place, reason=f"HTTP status {response.status}")
        return answer

    def _read(
        self, response: urllib3.BaseHTTPResponse, *, give_up_at: float, max_bytes: int
    ) -> bytes:
        answer = bytearray()
        while piece := response.read1(_PIECE_BYTES):
            answer += piece
            if len(answer) > max_bytes:
                raise RpcUnavailable(url=self._place, reason=f"answer above {max_bytes} bytes")
            if time.monotonic() > give_up_at:
                raise RpcUnavailable(url=self._place, reason="the answer came too slowly")
        return bytes(answer)

    def close(self) -> None:
        """Drop the idle connections."""
        self._pool.clear()


def _reason(error: Exception) -> str:
    """A short reason that can not hold a secret."""
    causes = {
        urllib3.exceptions.ConnectTimeoutError: "no connection in time",
        urllib3.exceptions.NewConnectionError: "connection refused",
        urllib3.exceptions.NameResolutionError: "unknown host name",
        urllib3.exceptions.ReadTimeoutError: "no answer in time",
        urllib3.exceptions.LocationValueError: "not a URL",
    }
    matches = [text for kind, text in causes.items() if isinstance(error, kind)]
    return matches[-1] if matches else type(error).__name__
