"""JSON-RPC to the chain through several end points; the next one answers when one does not."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from web3 import Web3
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from network.transport import HttpTransport, Transport
from protocol.errors import RpcRejected, RpcUnavailable, WrongChain

_log = structlog.get_logger(__name__)

_LIMIT_EXCEEDED = -32005
_METHOD_MISSING = -32601
_PREFERRED_AGAIN_S = 30.0


@dataclass(slots=True, kw_only=True)
class _EndPoint:
    transport: Transport
    chain_checked: bool = False
    avoid_until_s: float = 0.0


class FailoverProvider(JSONBaseProvider):
    """A web3 provider over several end points of one chain.

    An end point that fails is asked last for half a minute. One of another chain is never used.
    Raises RpcUnavailable when none answers and WrongChain when those that do serve another chain.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        *,
        chain_id: int,
        timeout_s: float,
        max_response_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._end_points = [_EndPoint(transport=transport) for transport in transports]
        self._chain_id = chain_id
        self._timeout_s = timeout_s
        self._max_response_bytes = max_response_bytes
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """The first good answer."""
        failures: list[RpcUnavailable | WrongChain] = []
        answer: RPCResponse | None = None
        for end_point in self._by_preference():
            try:
                if not end_point.chain_checked:
                    self._check_chain(end_point)
                answer = self._ask(end_point, method, params)
            except (RpcUnavailable, WrongChain) as error:
                failures.append(error)
                self._avoid(end_point, error)
                continue
            error_given: Any = answer.get("error")
            code = error_given.get("code") if isinstance(error_given, dict) else None
            if code not in {_LIMIT_EXCEEDED, _METHOD_MISSING}:
                return answer
        if answer is not None:
            return answer
        foreign = [error for error in failures if isinstance(error, WrongChain)]
        if foreign and len(foreign) == len(failures):
            raise foreign[0]
        raise RpcUnavailable(
            url=", ".join(one.transport.place for one in self._end_points),
            reason="; ".join(
                error.reason if isinstance(error, RpcUnavailable) else error.message
                for error in failures
            ),
        )

    def _by_preference(self) -> list[_EndPoint]:
        now_s = self._monotonic()
        with self._lock:
            return sorted(self._end_points, key=lambda one: one.avoid_until_s > now_s)

    def _avoid(self, end_point: _EndPoint, error: RpcUnavailable | WrongChain) -> None:
        with self._lock:
            end_point.avoid_until_s = self._monotonic() + _PREFERRED_AGAIN_S
            end_point.chain_checked = False  # whoever comes back proves its chain again
        _log.warning("rpc_failed", place=end_point.transport.place, problem=error.message)

    def _check_chain(self, end_point: _EndPoint) -> None:
        answer = self._ask(end_point, RPCEndpoint("eth_chainId"), [])
        try:
            actual = int(answer["result"], 16)
        except (KeyError, TypeError, ValueError):
            raise RpcUnavailable(url=end_point.transport.place, reason="no chain id") from None
        if actual != self._chain_id:
            raise WrongChain(expected=self._chain_id, actual=actual)
        end_point.chain_checked = True

    def _ask(self, end_point: _EndPoint, method: RPCEndpoint, params: Any) -> RPCResponse:
        raw = end_point.transport.post(
            self.encode_rpc_request(method, params),
            timeout_s=self._timeout_s,
            max_bytes=self._max_response_bytes,
        )
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise RpcUnavailable(url=end_point.transport.place, reason="no JSON-RPC answer")
        return answer  # type: ignore[return-value]


class Rpc:
    """The chain's methods, with typed errors; safe for several threads.

    Raises RpcUnavailable, WrongChain, and RpcRejected for an error that the node answers.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain_id: int,
        timeout_s: float = 10.0,
        max_response_bytes: int = 32 << 20,
        transports: Sequence[Transport] | None = None,
    ) -> None:
        self.chain_id = chain_id
        self._transports = (
            [HttpTransport(url) for url in urls] if transports is None else transports
        )
        self.provider = FailoverProvider(
            self._transports,
            chain_id=chain_id,
            timeout_s=timeout_s,
            max_response_bytes=max_response_bytes,
        )
        self.web3 = Web3(self.provider)

    def call(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC method, as JSON."""
        answer = self.provider.make_request(RPCEndpoint(method), list(params))
        error: Any = answer.get("error")
        if error is None:
            return answer["result"]
        if not isinstance(error, dict):
            error = {"message": str(error)}
        raise RpcRejected(
            method=method,
            code=int(error.get("code") or 0),
            reason=str(error.get("message", ""))[:500],
            data=_revert_data(error.get("data")),
        )

    def close(self) -> None:
        """Drop the idle connections."""
        for transport in self._transports:
            if isinstance(transport, HttpTransport):
                transport.close()


def _revert_data(data: Any) -> bytes:
    """What a contract reverted with; nodes nest it differently."""
    if isinstance(data, dict):
        return _revert_data(data.get("data") or data.get("result"))
    if isinstance(data, str):
        start = data.find("0x")
        try:
            return bytes.fromhex(data[start + 2 :]) if start >= 0 else b""
        except ValueError:
            return b""
    return b""
