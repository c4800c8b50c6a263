"""Answers trainers who ask for the others' reveals, as soon as all are in.

Questions wait in the server's event loop and hold no thread. Everything is bounded: how long one
waits and how many do; who finds no place gets what there is at once.
"""

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from coordinator.inbox import Inbox
from network.relay import MAX_WAIT_S, reveals_to_bytes

MAX_WAITING = 320
_NAMES = {"round", "attempt", "wait"}
_MAX_DIGITS = 10
_MALFORMED = 400


class RevealDesk:
    """Serves `GET /v1/reveals` from one inbox."""

    def __init__(self, inbox: Inbox, *, max_waiting: int = MAX_WAITING) -> None:
        self._inbox = inbox
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closed = False
        self._answer: tuple[tuple[int, int, int], bytes] | None = None

    def close(self) -> None:
        """Answer everybody now; from any thread."""
        self._closed = True
        self._inbox.tell_listeners()

    async def serve(self, request: Request) -> Response:
        """The reveals of the open attempt, as a JSON list."""
        asked = _question(request)
        if asked is None:
            return JSONResponse(
                {
                    "error": "InvalidQuestion",
                    "message": "wants round, attempt and wait, once each",
                    "remedy": "ask for /v1/reveals?round=1&attempt=1&wait=5",
                },
                status_code=_MALFORMED,
            )
        round_id, attempt, wait_s = asked
        if wait_s > 0 and self._waiting < self._max_waiting:
            self._waiting += 1
            try:
                await self._wait(round_id, attempt, wait_s)
            finally:
                self._waiting -= 1
        return Response(self._body(round_id, attempt), media_type="application/json")

    async def _wait(self, round_id: int, attempt: int, wait_s: float) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(changed.set)

        give_up_at = loop.time() + wait_s
        stop_listening = self._inbox.listen(wake)
        try:
            while not self._closed and not self._inbox.has_all_reveals(round_id, attempt):
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), give_up_at - loop.time())
                except TimeoutError:
                    return
        finally:
            stop_listening()

    def _body(self, round_id: int, attempt: int) -> bytes:
        """Encoded once for all who ask for the same."""
        name = (round_id, attempt, self._inbox.version)
        if self._answer is None or self._answer[0] != name:
            held = [
                message
                for message in self._inbox.reveals().values()
                if (message.round_id, message.attempt) == (round_id, attempt)
            ]
            self._answer = (name, reveals_to_bytes(held))
        return self._answer[1]


def _question(request: Request) -> tuple[int, int, float] | None:
    """Round, attempt and seconds to wait; None if that is not what was asked."""
    given = dict(request.query_params.multi_items())
    if given.keys() != _NAMES or len(request.query_params.multi_items()) != len(_NAMES):
        return None
    numbers = (given["round"], given["attempt"])
    if not all(
        text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS for text in numbers
    ):
        return None
    try:
        wait_s = float(given["wait"][:_MAX_DIGITS])
    except ValueError:
        return None
    if not 0.0 <= wait_s <= MAX_WAIT_S:
        return None
    return int(numbers[0]), int(numbers[1]), wait_s
