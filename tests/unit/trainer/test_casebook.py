"""Notes and ballots outlast a kill; one of each kind, and damage is noticed."""

import pytest
from unit.trainer.makers import digest, key

from network.trials.contract import Finding
from protocol.errors import JournalCorrupt
from protocol.types import Seat
from trainer.casebook import AuditNote, Casebook

COURT = "0x" + "99" * 20


def note(**changes) -> AuditNote:
    values = {
        "key": key(),
        "seat": Seat(3),
        "update_root": digest(1),
        "trace_root": digest(2),
        "class_id": digest(3),
        "finding": Finding.DIFFERENT,
        "is_same_class": True,
        "own_update_root": digest(4),
        "own_trace": (digest(5), digest(6)),
        "note": "of another class",
    }
    return AuditNote(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "casebook.jsonl"


def reopened(book, path):
    book.close()
    return Casebook(path)


def test_a_note_outlasts_a_restart(path):
    book = Casebook(path)
    kept = book.keep(note())
    book = reopened(book, path)
    found = book.find(key(), Seat(3), update_root=digest(1), trace_root=digest(2))
    assert found == kept
    assert book.find_own(kept.own_root) == kept
    assert book.notes() == (kept,)
    book.close()


def test_the_first_note_of_an_update_is_kept(path):
    book = Casebook(path)
    first = book.keep(note())
    assert book.keep(note(finding=Finding.SAME)) == first
    assert path.read_text().count("\n") == 1
    book.close()


def test_another_opening_of_the_round_is_another_update(path):
    book = Casebook(path)
    book.keep(note())
    assert book.find(key(opening=8), Seat(3), update_root=digest(1), trace_root=digest(2)) is None
    book.close()


def test_a_ballot_has_one_salt_for_ever(path):
    book = Casebook(path)
    first = book.vote(COURT, 7, 0, digest(1))
    assert book.vote(COURT, 7, 0, digest(2)) == first
    assert book.vote(COURT, 7, 1, digest(1)).salt != first.salt
    book = reopened(book, path)
    assert book.find_ballot(COURT, 7, 0) == first
    assert book.find_ballot(COURT, 8, 0) is None
    book.close()


def test_only_what_a_court_can_judge_accuses():
    assert note().accuses
    assert not note(is_same_class=False).accuses
    assert not note(finding=Finding.SAME).accuses


def test_half_a_line_is_dropped_and_a_damaged_one_refused(path):
    book = Casebook(path)
    book.keep(note())
    book.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b"0123456789abcdef {")
    Casebook(path).close()
    assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b'"seat":3', b'"seat":4'))
    with pytest.raises(JournalCorrupt):
        Casebook(path)


def test_others_may_not_read_it(path):
    Casebook(path).close()
    assert path.stat().st_mode & 0o077 == 0
