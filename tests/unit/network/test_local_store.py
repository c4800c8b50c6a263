"""Blocks in a directory: whole or absent, true or refused, with a second source."""

import errno
import io
import os
import subprocess
import sys

import pytest

from network.store import FallbackStore, LocalStore
from protocol.cid import CHUNK_BYTES, Codec, cid_of
from protocol.errors import (
    CidMismatch,
    ContentTooLarge,
    ContentUnavailable,
    InvalidBlock,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)

LARGE = bytes(range(256)) * 8192 + b"end"  # two chunks and a bit


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def run_python(program, *arguments):
    """Another process, which finds the same packages."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment)


def block_files(store):
    return [path for path in (store._blocks).glob("*/*") if path.is_file()]


def spoil(store, digest, data):
    store._block_path(digest).write_bytes(data)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_content_comes_back_under_its_id(store, size):
    content = os.urandom(size)
    cid = store.put(content)
    assert cid == cid_of(content)
    assert store.get(cid, max_bytes=size) == content


def test_bytes_files_and_iterators_are_the_same(store):
    pieces = [LARGE[:7], LARGE[7:]]
    forms = [LARGE, bytearray(LARGE), memoryview(LARGE), io.BytesIO(LARGE), iter(pieces)]
    assert {store.put(form) for form in forms} == {cid_of(LARGE)}


def test_an_absent_object_is_unavailable(store):
    with pytest.raises(ContentUnavailable):
        store.get(cid_of(b"absent"), max_bytes=10)
    assert not store.has(cid_of(b"absent"))


def test_an_object_above_the_limit_is_refused_before_it_is_read(store):
    with pytest.raises(ContentTooLarge):
        store.open(store.put(LARGE), max_bytes=len(LARGE) - 1)


def test_a_false_size_is_noticed(store):
    cid = store.put(b"content")
    with pytest.raises(InvalidBlock):
        store.get(type(cid)(digest=cid.digest, size=6), max_bytes=100)


def test_a_deadline_that_has_passed_is_an_error(store):
    with pytest.raises(StoreTimeout):
        store.get(store.put(LARGE), max_bytes=len(LARGE), deadline_s=0)


@pytest.mark.parametrize("data", [b"", b"cont", b"contenT", b"content and more"])
def test_a_damaged_block_is_a_lie_and_the_second_source_is_asked(store, tmp_path, data):
    cid = store.put(b"content")
    spoil(store, cid.digest, data)
    with pytest.raises(CidMismatch):
        store.get(cid, max_bytes=100)

    second = LocalStore(tmp_path / "second")
    second.put(b"content")
    assert FallbackStore([store, second]).get(cid, max_bytes=100) == b"content"


def test_a_damaged_block_is_repaired_by_putting_it_again(store):
    cid = store.put(b"content")
    spoil(store, cid.digest, b"damage")
    store.put(b"content")
    assert store.get(cid, max_bytes=100) == b"content"


def test_each_block_may_come_from_another_source(store, tmp_path):
    second = LocalStore(tmp_path / "second")
    cid = store.put(LARGE)
    second.put(LARGE)
    for keep, path in enumerate(sorted(block_files(store))):
        if keep % 2:
            path.unlink()
    for keep, path in enumerate(sorted(block_files(second))):
        if not keep % 2:
            path.unlink()
    assert FallbackStore([store, second]).get(cid, max_bytes=len(LARGE)) == LARGE


def test_every_source_s_failure_is_told(store, tmp_path):
    second = LocalStore(tmp_path / "second")
    with pytest.raises(ContentUnavailable) as caught:
        FallbackStore([store, second]).get(cid_of(b"absent"), max_bytes=10)
    assert store.place in caught.value.reason
    assert second.place in caught.value.reason


def test_pinning_copies_from_the_second_source(store, tmp_path):
    second = LocalStore(tmp_path / "second")
    cid = second.put(LARGE)
    both = FallbackStore([store, second])
    assert both.has(cid)
    both.pin(cid)
    assert store.has(cid)
    both.forget(cid)
    assert not both.has(cid)


def test_forgetting_keeps_what_others_share(store):
    shared = bytes(CHUNK_BYTES)
    one, other = store.put(shared + b"one"), store.put(shared + b"other")
    store.forget(one)
    assert not store.has(one)
    assert store.get(other, max_bytes=other.size) == shared + b"other"
    store.forget(other)
    assert block_files(store) == []


def test_has_wants_every_block(store):
    cid = store.put(LARGE)
    store._pin_path(cid).unlink()
    assert store.has(cid)
    block_files(store)[0].unlink()
    assert not store.has(cid)
    with pytest.raises((ContentUnavailable, CidMismatch)):
        store.pin(cid)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_leaves_nothing_half_written(store, monkeypatch, number):
    def full(_handle):
        raise OSError(number, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull) as caught:
        store.put(b"content")
    monkeypatch.undo()
    assert caught.value.size == len(b"content")
    assert block_files(store) == []
    assert list(store._aside.iterdir()) == []
    assert store.put(b"content") == cid_of(b"content")


LITTLE_ROOM = """
import resource, signal, sys
from pathlib import Path
from network.store import LocalStore
from protocol.errors import StoreFull

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LocalStore(Path(sys.argv[1])).put(bytes(5000))
except StoreFull:
    sys.exit(7)
"""


def test_a_real_limit_on_file_sizes_is_a_full_disk(tmp_path):
    assert run_python(LITTLE_ROOM, tmp_path).wait(50) == 7
    assert not LocalStore(tmp_path).has(cid_of(bytes(5000)))


def test_other_errors_of_the_disk_are_ours(store, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        LocalStore(tmp_path / "file")
    digest = cid_of(b"folder").digest
    store._block_path(digest).mkdir(parents=True)
    with pytest.raises(StoreUnavailable):
        store.get_block(digest, Codec.RAW, timeout_s=1)


PUT_AND_FORGET = """
import sys
from pathlib import Path
from network.store import LocalStore

store = LocalStore(Path(sys.argv[1]))
for turn in range(20):
    mine = store.put(bytes(1 << 20) + bytes([int(sys.argv[2]), turn]))
    assert store.get(mine, max_bytes=mine.size)
    store.forget(mine)
"""


def test_several_processes_share_a_directory(tmp_path):
    kept = LocalStore(tmp_path).put(LARGE)
    workers = [run_python(PUT_AND_FORGET, tmp_path, str(place)) for place in range(3)]
    assert [worker.wait(50) for worker in workers] == [0, 0, 0]
    assert LocalStore(tmp_path).get(kept, max_bytes=len(LARGE)) == LARGE


def test_what_a_dead_process_left_is_cleared_after_an_hour(store, tmp_path):
    old, new = store._aside / "old", store._aside / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    LocalStore(tmp_path / "store")
    assert not old.exists()
    assert new.exists()
