"""A node may answer anything: the result is an answer, or an error of ours without a secret."""

import http.server
import json
import threading
import time
from contextlib import contextmanager

import pytest

from network.rpc import Rpc
from network.transport import HttpTransport
from protocol.errors import ChainError, RpcRejected, RpcUnavailable, WrongChain


class Scripted:
    """A transport that answers by method name; an exception is raised."""

    def __init__(self, place, answers):
        self.place, self.answers, self.asked = place, answers, []

    def post(self, body, *, timeout_s, max_bytes):
        method = json.loads(body)["method"]
        self.asked.append(method)
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return answer
        key = "error" if isinstance(answer, dict) and "code" in answer else "result"
        return json.dumps({"jsonrpc": "2.0", "id": 1, key: answer}).encode()


def rpc_over(*transports):
    return Rpc([], chain_id=1, transports=transports)


@contextmanager
def serve(answer, *, status=200, pause_s=0.0):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(status)
            self.end_headers()
            try:
                for place in range(0, len(answer), 1 if pause_s else len(answer)):
                    self.wfile.write(answer[place : place + 1] if pause_s else answer)
                    self.wfile.flush()
                    time.sleep(pause_s)
            except OSError:
                pass

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://user:token@127.0.0.1:{server.server_address[1]}/path-token"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b""), (200, b"<html>"), (200, b"[]"), (200, b"{}"), (200, b"null"), (200, b"\xff"),
        (200, b'{"result": "nonsense"}'), (200, b'{"result": null}'), (200, b'{"error": 7}'),
        (301, b""), (401, b"who"), (404, b"<html>"), (429, b'{"error": {}}'), (500, b"{}"),
        (503, b""),
    ],
)  # fmt: skip
def test_no_foreign_error_escapes_and_no_token_is_shown(status, answer):
    with serve(answer, status=status) as url:
        rpc = Rpc([url], chain_id=1)
        with pytest.raises(ChainError) as caught:
            rpc.call("eth_blockNumber")
        rpc.close()
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://127.0.0.1:9", "ftp://x"])
def test_a_url_that_leads_nowhere_is_unavailable(url):
    with pytest.raises(RpcUnavailable):
        Rpc([url], chain_id=1).call("eth_blockNumber")


def test_an_answer_above_the_limit_is_cut_off():
    with serve(bytes(5000)) as url, pytest.raises(RpcUnavailable, match="above 1000 bytes"):
        HttpTransport(url).post(b"{}", timeout_s=5, max_bytes=1000)


def test_an_answer_that_drips_is_cut_off():
    with serve(bytes(1000), pause_s=0.05) as url:
        began_s = time.monotonic()
        with pytest.raises(RpcUnavailable):
            HttpTransport(url).post(b"{}", timeout_s=0.3, max_bytes=10_000)
        assert time.monotonic() - began_s < 2


def test_the_next_end_point_answers_and_the_failed_one_rests():
    dead = Scripted("dead", {"eth_chainId": RpcUnavailable(url="dead", reason="dead")})
    good = Scripted("good", {"eth_chainId": "0x1", "eth_blockNumber": "0x7"})
    rpc = rpc_over(dead, good)
    assert [rpc.call("eth_blockNumber") for _ in range(3)] == ["0x7"] * 3
    assert dead.asked == ["eth_chainId"]


def test_one_that_comes_back_proves_its_chain_again():
    first = Scripted("first", {"eth_chainId": "0x1", "eth_blockNumber": "0x7"})
    rpc = rpc_over(first)
    rpc.call("eth_blockNumber")
    first.answers["eth_blockNumber"] = RpcUnavailable(url="first", reason="restarting")
    with pytest.raises(RpcUnavailable):
        rpc.call("eth_blockNumber")
    first.answers |= {"eth_chainId": "0x2", "eth_blockNumber": "0x7"}
    with pytest.raises(WrongChain):
        rpc.call("eth_blockNumber")


def test_a_node_at_its_limit_passes_the_question_on():
    busy = Scripted(
        "busy", {"eth_chainId": "0x1", "eth_getLogs": {"code": -32005, "message": "too many"}}
    )
    good = Scripted("good", {"eth_chainId": "0x1", "eth_getLogs": []})
    assert rpc_over(busy, good).call("eth_getLogs") == []
    with pytest.raises(RpcRejected):
        rpc_over(busy).call("eth_getLogs")


@pytest.mark.parametrize(
    "data", ["0x1234", {"data": "0x1234"}, {"result": "0x1234"}, "Reverted 0x1234"]
)
def test_revert_data_is_found_wherever_a_node_puts_it(data):
    error = {"code": 3, "message": "execution reverted", "data": data}
    node = Scripted("node", {"eth_chainId": "0x1", "eth_call": error})
    with pytest.raises(RpcRejected) as caught:
        rpc_over(node).call("eth_call")
    assert caught.value.data == b"\x12\x34"
