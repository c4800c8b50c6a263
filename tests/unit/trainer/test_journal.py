"""The journal: what it returned from is on disk, and nothing is bound twice."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from unit.trainer.makers import digest, entry, key

from protocol.errors import AlreadyRunning, JournalCorrupt, JournalUnavailable
from protocol.rounds import Opinion
from trainer.journal import RoundJournal, Stage, exclusive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


def reopened(path: Path) -> RoundJournal:
    return RoundJournal(path)


def test_an_entry_outlives_its_process(path):
    """Everything that a reveal needs is there again, byte for byte."""
    journal = RoundJournal(path)
    bound = journal.bind(entry())
    journal.advance(bound, Stage.COMMITTED)
    journal.attest(bound.key, Opinion(available=0b101, harmful=0b1))
    journal.close()
    again = reopened(path)
    found = again.find(bound.key)
    assert found is not None
    assert (found.salt, found.header, found.commitment) == (
        bound.salt,
        bound.header,
        bound.commitment,
    )
    assert found.stage is Stage.COMMITTED
    assert again.attested(bound.key) == Opinion(available=0b101, harmful=0b1)
    again.close()


def test_an_attempt_is_bound_once(path):
    """A second training of the same attempt gets the first one's commitment back."""
    journal = RoundJournal(path)
    first = journal.bind(entry(tag=1))
    assert journal.bind(entry(tag=2)) == first
    assert journal.find_commitment(digest(102)) is None
    journal.close()


def test_an_attempt_is_attested_once(path):
    """Two opinions of one attempt never leave the node."""
    journal = RoundJournal(path)
    first = Opinion(available=0b1)
    assert journal.attest(key(), first) == first
    assert journal.attest(key(), Opinion(available=0b1, harmful=0b1)) == first
    journal.close()


def test_a_reorganised_opening_is_another_attempt(path):
    """Both salts are kept, and the commitment on chain picks the right one."""
    journal = RoundJournal(path)
    first = journal.bind(entry(tag=1, opening=7))
    second = journal.bind(entry(tag=2, opening=8))
    assert journal.find_commitment(first.commitment) == first
    assert journal.find_commitment(second.commitment) == second
    journal.close()


def test_a_torn_last_line_is_dropped_and_the_rest_kept(path):
    """Whatever the length at which a crash cut the last line."""
    journal = RoundJournal(path)
    journal.bind(entry(1))
    kept = path.stat().st_size
    journal.bind(entry(2))
    journal.close()
    whole = path.read_bytes()
    for cut in range(kept, len(whole)):
        path.write_bytes(whole[:cut])
        again = reopened(path)
        assert [one.key.round_id for one in again.entries()] == [1]
        again.bind(entry(3, tag=3))
        again.close()
        once_more = reopened(path)
        assert [one.key.round_id for one in once_more.entries()] == [1, 3]
        once_more.close()


@pytest.mark.parametrize("line", [1, 2])
def test_any_other_damage_is_refused_with_its_line(path, line):
    """A changed byte never becomes another salt."""
    journal = RoundJournal(path)
    journal.bind(entry(1))
    journal.bind(entry(2))
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = bytearray(lines[line - 1])
    damaged[60] ^= 1
    lines[line - 1] = bytes(damaged)
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalCorrupt) as caught:
        RoundJournal(path)
    assert caught.value.line == line
    assert "move it away" in caught.value.remedy


def test_only_the_owner_may_read_the_salts(path):
    journal = RoundJournal(path)
    journal.bind(entry())
    journal.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_disk_that_refuses_leaves_no_half_line(path, monkeypatch):
    """Nothing is bound, and the file is as before."""
    journal = RoundJournal(path)
    journal.bind(entry(1))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalUnavailable):
        journal.bind(entry(2))
    assert journal.find(entry(2).key) is None
    assert path.read_bytes() == before
    journal.close()


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from protocol.rounds import Opinion
from trainer.journal import RoundJournal
from unit.trainer.makers import entry
journal = RoundJournal(Path({path!r}))
for number in range(1, 100_000):
    journal.bind(entry(number, tag=number % 50))
    sys.stdout.write(f"{{number}}\\n")
    sys.stdout.flush()
"""


def test_kill_9_between_writes_loses_nothing_that_was_acknowledged(path):
    """What the process said it had written is there after it was killed."""
    tests = str(Path(__file__).parents[2])
    code = textwrap.dedent(WRITER).format(tests=tests, path=str(path))
    for _ in range(2):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        said = 0
        while said < 40:
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().splitlines()
        writer.wait()
        writer.stdout.close()
        said = max([said, *(int(line) for line in rest if line)])
        journal = reopened(path)
        assert [one.key.round_id for one in journal.entries()][:said] == list(range(1, said + 1))
        journal.close()


def test_a_second_node_is_told_who_holds_the_lock(tmp_path):
    """One key, one run, one process; the lock goes with the process."""
    lock = tmp_path / "lock"
    code = (
        "import sys, pathlib\n"
        "from trainer.journal import exclusive\n"
        f"with exclusive(pathlib.Path({str(lock)!r})):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning) as caught, exclusive(lock):
            pass
        assert caught.value.pid == holder.pid
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with exclusive(lock):
        assert lock.read_text() == str(os.getpid())
