"""Wakes whoever waits for the chain: on each new block, on a deadline, on a nudge; never by sleep.

One thread listens. Over WebSocket it subscribes to newHeads and reconnects when it must; without
one, or while it is down, it asks for the head every `poll_s` seconds (a third of Ethereum's block
time is plenty).
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

import structlog
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from network.ethereum import Head, parse_head, read_head
from network.rpc import Rpc
from protocol.errors import ChainError

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_MAX_MESSAGE_BYTES = 1 << 20
_LISTEN_S = 1.0
_OPEN_S = 5.0
# A subscription can die without a word at a proxy: after so much silence, look.
_SILENCE_S = 15.0


class HeadWatcher:
    """The chain's newest head, and a way to wait for the next; use it as a context manager.

    `websocket_urls` are tried in turn; with none, heads are polled.
    """

    def __init__(
        self,
        rpc: Rpc,
        *,
        websocket_urls: Sequence[str] = (),
        poll_s: float = 4.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._urls = tuple(websocket_urls)
        self._poll_s = poll_s
        self._clock = clock
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._head: Head | None = None
        self._sequence = 0
        self._connection: Connection | None = None
        self._subscribed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="heads", daemon=True)
        self._started = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to listen."""
        if not self._started:
            self._started = True
            self._thread.start()

    def close(self) -> None:
        """Stop listening and wake every waiter."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        self.nudge()
        if self._started:
            self._thread.join(_OPEN_S + _LISTEN_S)

    @property
    def head(self) -> Head | None:
        """The newest head heard of; None before the first."""
        return self._head

    @property
    def is_subscribed(self) -> bool:
        """Whether heads come by subscription now, and not by polling."""
        return self._subscribed.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called: nothing wakes anybody any more."""
        return self._stopping.is_set()

    def nudge(self) -> None:
        """Wake every waiter to look again."""
        with self._changed:
            self._sequence += 1
            self._changed.notify_all()

    def wait_for(
        self,
        look: Callable[[], T | None],
        *,
        timeout_s: float,
        wake_at_s: Iterable[float] = (),
    ) -> T | None:
        """The first thing that `look` finds, or None after `timeout_s` seconds or on close.

        `look` runs in the caller's thread: at once, after each new head or nudge, at each Unix
        time of `wake_at_s` (a phase's deadline passes without a block where mining is on demand),
        and once more at the end.
        """
        give_up_at = time.monotonic() + timeout_s
        wake_at = sorted(wake_at_s)
        while True:
            seen = self._sequence
            found = look()
            if found is not None:
                return found
            left_s = give_up_at - time.monotonic()
            if left_s <= 0 or self._stopping.is_set():
                return None
            now_s = self._clock()
            wake_at = [moment for moment in wake_at if moment > now_s]
            pause_s = min([left_s, *(moment - now_s for moment in wake_at[:1])])
            with self._changed:
                if self._sequence == seen:
                    self._changed.wait(pause_s)

    def wait_next(self, *, timeout_s: float) -> Head | None:
        """The next head that differs from the present one; None after `timeout_s` seconds."""
        before = self._head
        return self.wait_for(
            lambda: self._head if self._head != before else None, timeout_s=timeout_s
        )

    def _publish(self, head: Head) -> None:
        with self._changed:
            if head != self._head:
                self._head = head
                self._sequence += 1
                self._changed.notify_all()

    def _listen(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            if self._urls:
                self._follow(self._urls[attempt % len(self._urls)])
                attempt += 1
            # Without a subscription: look, then pause. close() ends the pause.
            self._poll()
            self._stopping.wait(self._poll_s)

    def _poll(self) -> None:
        try:
            head = read_head(self._rpc)
        except ChainError as error:
            _log.warning("head_unknown", problem=error.message)
            return
        if head is not None:
            self._publish(head)

    def _follow(self, url: str) -> None:
        """Publish heads until the connection ends."""
        try:
            with connect(
                url,
                open_timeout=_OPEN_S,
                close_timeout=_LISTEN_S,
                max_size=_MAX_MESSAGE_BYTES,
                proxy=None,
            ) as connection:
                self._connection = connection
                if not self._is_our_chain(connection):
                    _log.warning("heads_from_wrong_chain")
                    return
                ask(connection, "eth_subscribe", "newHeads")
                self._subscribed.set()
                self._poll()  # what was mined before the subscription took hold
                heard_at = time.monotonic()
                while not self._stopping.is_set():
                    if self._receive(connection):
                        heard_at = time.monotonic()
                    elif time.monotonic() - heard_at > _SILENCE_S:
                        self._poll()
                        heard_at = time.monotonic()
        except (
            OSError,
            WebSocketException,
            TimeoutError,
            ValueError,
            KeyError,
            TypeError,
        ) as error:
            if not self._stopping.is_set():
                _log.warning("heads_disconnected", reason=type(error).__name__)
        finally:
            self._connection = None
            self._subscribed.clear()

    def _is_our_chain(self, connection: Connection) -> bool:
        return int(str(ask(connection, "eth_chainId")), 16) == self._rpc.chain_id

    def _receive(self, connection: Connection) -> bool:
        try:
            message = json.loads(connection.recv(timeout=_LISTEN_S))
        except TimeoutError:
            return False
        if message.get("method") == "eth_subscription":
            self._publish(parse_head(message["params"]["result"]))
        return True


def ask(connection: Connection, method: str, *params: object) -> object:
    """One request on a fresh connection; raises ValueError for an answer that is none."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    connection.send(json.dumps(request))
    answer = json.loads(connection.recv(timeout=_OPEN_S))
    if not isinstance(answer, dict) or "result" not in answer:
        raise ValueError(f"{method} was refused")
    return answer["result"]
