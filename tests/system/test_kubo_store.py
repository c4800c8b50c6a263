"""The same ids and the same bytes as a real Kubo, and nothing believed that it says."""

import http.server
import os
import threading
import time
from contextlib import contextmanager

import pytest
from support.kubo import run_kubo

from network.store import FallbackStore, KuboStore, LocalStore
from protocol.cid import CidBuilder, cid_of
from protocol.errors import (
    CidMismatch,
    ContentTooLarge,
    ContentUnavailable,
    InvalidBlock,
    StoreError,
    StoreTimeout,
    StoreUnavailable,
)

MIB = 1 << 20


@pytest.fixture(scope="module")
def kubo(tmp_path_factory):
    with run_kubo(tmp_path_factory.mktemp("kubo")) as running:
        yield running


@pytest.fixture
def store(kubo):
    with KuboStore(kubo.api_url) as opened:
        yield opened


@contextmanager
def impostor(answer, *, status=200, pause_s=0.0):
    """A server that answers every RPC with the same bytes, perhaps drop by drop."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            # A chunked upload ends with an empty chunk.
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            try:
                for place in range(0, len(answer), 1 if pause_s else len(answer)):
                    self.wfile.write(answer[place : place + 1] if pause_s else answer)
                    self.wfile.flush()
                    time.sleep(pause_s)
            except OSError:
                pass  # the client had enough

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"/ip4/127.0.0.1/tcp/{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.kubo
@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB + 5])
def test_kubo_gives_the_same_id_and_the_same_bytes(store, tmp_path, size):
    content = os.urandom(size)
    cid = store.put(content)

    assert cid == cid_of(content) == LocalStore(tmp_path).put(content)
    assert store.get(cid, max_bytes=size) == content


@pytest.mark.kubo
def test_kubo_gives_the_same_id_above_1024_chunks(store):
    """1025 MiB of zeros: all chunks are one block, so neither disk nor memory holds them."""
    zeros = bytes(MIB)
    cid = store.put(zeros for _ in range(1025))  # raises if Kubo named it differently

    builder = CidBuilder()
    for _ in range(1025):
        builder.update(zeros)
    assert cid == builder.finish()
    assert sum(len(block) for block in store.open(cid, max_bytes=cid.size)) == 1025 * MIB


@pytest.mark.kubo
def test_a_file_is_streamed_both_ways(store, tmp_path):
    (tmp_path / "content").write_bytes(os.urandom(5 * MIB))
    with (tmp_path / "content").open("rb") as file:
        cid = store.put(file)
    blocks = list(store.open(cid, max_bytes=cid.size))

    assert [len(block) for block in blocks] == [MIB] * 5
    assert b"".join(blocks) == (tmp_path / "content").read_bytes()


@pytest.mark.kubo
def test_pins_come_and_go(store):
    cid = store.put(os.urandom(2 * MIB))
    assert store.has(cid)
    store.forget(cid)
    store.forget(cid)
    assert not store.has(cid)
    store.pin(cid)
    assert store.has(cid)


@pytest.mark.kubo
def test_what_nobody_serves_is_unavailable_in_time(store):
    cid = cid_of(b"nobody has this")
    assert not store.has(cid)
    began_s = time.monotonic()
    with pytest.raises(ContentUnavailable):
        store.get(cid, max_bytes=100, deadline_s=0.5)
    assert time.monotonic() - began_s < 3


@pytest.mark.kubo
def test_the_content_s_own_error_comes_through(store):
    def broken():
        yield b"some"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put(broken())


@pytest.mark.kubo
def test_two_nodes_exchange_an_object(store, tmp_path):
    with run_kubo(tmp_path / "second") as second, KuboStore(second.api_url) as reader:
        content = os.urandom(8 * MIB)
        cid = store.put(content)
        reader.connect(store.addresses())
        assert reader.get(cid, max_bytes=cid.size, deadline_s=30) == content


@pytest.mark.kubo
def test_a_node_that_dies_is_replaced_by_the_second_source(tmp_path):
    content = os.urandom(2 * MIB)
    local = LocalStore(tmp_path / "local")
    cid = local.put(content)
    with run_kubo(tmp_path / "kubo") as running, KuboStore(running.api_url) as mortal:
        both = FallbackStore([mortal, local])
        os.kill(running.pid, 9)
        running.server.process.wait()
        with pytest.raises(StoreUnavailable):
            mortal.put(content)
        with pytest.raises(StoreUnavailable):
            mortal.version()
        assert both.get(cid, max_bytes=cid.size) == content


def test_a_lie_is_noticed_and_the_second_source_asked(tmp_path):
    content = os.urandom(100)
    local = LocalStore(tmp_path)
    cid = local.put(content)
    with impostor(b"a lie") as address, KuboStore(address) as liar:
        with pytest.raises(CidMismatch):
            liar.get(cid, max_bytes=100)
        assert FallbackStore([liar, local]).get(cid, max_bytes=100) == content


def test_an_oversized_answer_is_cut_off():
    cid = cid_of(b"small")
    with (
        impostor(bytes(20 * MIB)) as address,
        KuboStore(address) as flooder,
        pytest.raises(StoreUnavailable),
    ):
        flooder.get(cid, max_bytes=100)


def test_an_answer_that_drips_is_cut_off():
    cid = cid_of(b"small")
    with impostor(bytes(1000), pause_s=0.05) as address, KuboStore(address) as slow:
        began_s = time.monotonic()
        with pytest.raises(StoreTimeout):
            slow.get(cid, max_bytes=100, deadline_s=0.5)
        assert time.monotonic() - began_s < 6


def test_an_object_above_the_limit_is_not_asked_for():
    with impostor(b"") as address, KuboStore(address) as store, pytest.raises(ContentTooLarge):
        store.open(cid_of(bytes(101)), max_bytes=100)


def test_an_import_under_another_id_is_refused():
    answer = b'{"Name":"x","Hash":"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n","Size":"4"}'
    with impostor(answer) as address, KuboStore(address) as store, pytest.raises(StoreUnavailable):
        store.put(b"content")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"null"),
        (200, b"{}"),
        (200, b'{"Hash": 7}'),
        (200, b'{"a": 1}{"b": 2}'),
        (200, b"\xff\xfe{"),
        (302, b"elsewhere"),
        (404, b"404 page not found"),
        (500, b'{"Message": "no space left on device", "Code": 0, "Type": "error"}'),
        (500, b'{"Message": "something new", "Code": 0, "Type": "error"}'),
        (500, b"<html>"),
        (502, b""),
    ],
)
def test_no_foreign_error_escapes(status, answer):
    """Whatever a server answers to whatever is asked becomes an error of ours, or is no error."""
    cid, large = cid_of(b"content"), cid_of(bytes(MIB + 1))
    with impostor(answer, status=status) as address, KuboStore(address) as store:
        for ask in (
            lambda: store.put(b"content"),
            lambda: store.get(cid, max_bytes=100),
            lambda: store.get(large, max_bytes=2 * MIB),
            lambda: store.has(cid),
            lambda: store.pin(cid),
            lambda: store.forget(cid),
            lambda: store.connect(["/ip4/127.0.0.1/tcp/1"]),
            store.addresses,
            store.version,
        ):
            try:
                ask()
            except (StoreError, CidMismatch, InvalidBlock):
                continue


@pytest.mark.parametrize("address", ["", "nonsense", "/ip4/127.0.0.1", "http://127.0.0.1:1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(StoreUnavailable):
        KuboStore(address)
