"""The relay's HTTP end points (network/relay.py names them), served from a thread.

On loopback unless told otherwise. Everything is bounded: a body's bytes and its time to arrive, the
requests in progress, the messages held.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Self

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from coordinator.inbox import Inbox
from coordinator.reveal_desk import MAX_WAITING, RevealDesk
from network.relay import (
    ATTESTATIONS,
    COMMITMENTS,
    HEALTH,
    MAX_BODY_BYTES,
    REVEALS,
    STATUS,
    RevealMessage,
    SignedAttestation,
    SignedCommitment,
)
from protocol.errors import InvalidMessage, InvalidSetting, RelayRefused

_log = structlog.get_logger(__name__)

BODY_S = 10.0
MAX_IN_PROGRESS = 64
_START_S = 10.0

_ACCEPTED, _MALFORMED, _REFUSED, _TOO_LARGE, _TOO_SLOW, _BUSY = 202, 400, 409, 413, 408, 503


def make_app(
    inbox: Inbox, *, max_in_progress: int = MAX_IN_PROGRESS, desk: RevealDesk | None = None
) -> Starlette:
    """The application; `max_in_progress` messages are read and verified at once, more get 503."""
    desk = desk or RevealDesk(inbox)
    places = asyncio.Semaphore(max_in_progress)

    def taking(take: Callable[[bytes], None]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            if places.locked():
                return _refusal(_BUSY, "Busy", "too many messages at once", "try again in a second")
            async with places:
                return await _take(request, take)

        return serve

    async def status(_: Request) -> Response:
        return JSONResponse(inbox.status())

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "run": inbox.run})

    return Starlette(
        routes=[
            Route(
                COMMITMENTS,
                taking(lambda body: inbox.accept_commitment(SignedCommitment.parse(body))),
                methods=["POST"],
            ),
            Route(
                REVEALS,
                taking(lambda body: inbox.accept_reveal(RevealMessage.parse(body))),
                methods=["POST"],
            ),
            Route(REVEALS, desk.serve, methods=["GET"]),
            Route(
                ATTESTATIONS,
                taking(lambda body: inbox.accept_attestation(SignedAttestation.parse(body))),
                methods=["POST"],
            ),
            Route(STATUS, status, methods=["GET"]),
            Route(HEALTH, health, methods=["GET"]),
        ]
    )


async def _take(request: Request, take: Callable[[bytes], None]) -> Response:
    try:
        body = await asyncio.wait_for(_read_body(request), BODY_S)
    except TimeoutError:
        return _refusal(_TOO_SLOW, "TooSlow", "the message came too slowly", "try again")
    except ClientDisconnect:
        return Response(status_code=_MALFORMED)
    if body is None:
        return _refusal(
            _TOO_LARGE, "TooLarge", f"more than {MAX_BODY_BYTES} bytes", "send one message"
        )
    try:
        await run_in_threadpool(take, body)
    except InvalidMessage as error:
        return _refusal(_MALFORMED, "InvalidMessage", error.message, error.remedy)
    except RelayRefused as error:
        _log.info("message_refused", error=error.error_name, problem=error.reason)
        return _refusal(_REFUSED, error.error_name, error.reason, error.hint)
    return JSONResponse({"accepted": True}, status_code=_ACCEPTED)


async def _read_body(request: Request) -> bytes | None:
    """The body; None as soon as it is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _refusal(status: int, error: str, message: str, remedy: str) -> Response:
    return JSONResponse({"error": error, "message": message, "remedy": remedy}, status_code=status)


class RelayServer:
    """Serves the application in a thread; use it as a context manager. Port 0 takes a free one."""

    def __init__(self, inbox: Inbox, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _bind(host, port)
        self._host = host
        self._desk = RevealDesk(inbox)
        self._port = int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(inbox, desk=self._desk),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=2,
                limit_concurrency=4 * MAX_IN_PROGRESS + 2 * MAX_WAITING,
                h11_max_incomplete_event_size=16 << 10,
                server_header=False,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="relay", daemon=True
        )

    @property
    def url(self) -> str:
        """Where trainers send to."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        _log.info("relay_listens", url=self.url)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._desk.close()
        self._thread.join(_START_S)
        self._socket.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise InvalidSetting(
            name="relay",
            reason=f"can not listen on {host}:{port} ({error.strerror or type(error).__name__})",
            hint="stop the other process, or choose another port with --relay-port",
        ) from None
    return bound
