"""Fees rise enough to replace and never above the cap; the journal survives and excludes."""

import contextlib
import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.fees import GWEI, FeePolicy
from network.journal import Attempt, Fees, Intent, IntentState, TransactionJournal
from protocol.errors import JournalUnavailable

SENDER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
FEES = Fees(max_fee_wei=2, priority_fee_wei=1)


def intent(key="commit/1", nonce=0):
    return Intent(key=key, nonce=nonce, recipient=SENDER, data=b"\x01", value_wei=1, gas_limit=9)


def attempt(nonce=0, tx_hash="0x1", signed_at_s=1.0):
    return Attempt(nonce=nonce, hash=tx_hash, raw=b"raw", fees=FEES, signed_at_s=signed_at_s)


@pytest.fixture
def journal(tmp_path):
    opened = TransactionJournal(tmp_path / "journal", chain_id=1, sender=SENDER)
    yield opened
    opened.close()


@given(st.integers(0, 500 * GWEI), st.integers(0, 50 * GWEI), st.integers(0, 500 * GWEI))
def test_a_replacement_is_one_eighth_dearer_and_within_the_cap(base, suggested, later):
    policy = FeePolicy()
    fees = policy.first(base_fee_wei=base, suggested_priority_wei=suggested)
    for _ in range(40):
        assert 0 <= fees.priority_fee_wei <= fees.max_fee_wei <= policy.cap_wei
        raised = policy.raised(fees, base_fee_wei=later)
        if raised is None:
            assert fees.max_fee_wei * 1125 > policy.cap_wei * 1000 - 2000
            break
        assert raised.max_fee_wei * 1000 >= fees.max_fee_wei * 1125
        assert raised.priority_fee_wei * 1000 >= fees.priority_fee_wei * 1125
        fees = raised


def test_what_was_written_is_there_after_a_restart(journal, tmp_path):
    with journal.planning():
        journal.plan(intent())
        journal.add_attempt("commit/1", attempt())
    again = TransactionJournal(tmp_path / "journal", chain_id=1, sender=SENDER)
    assert again.find("commit/1") == intent()
    assert again.pending() == [intent()]
    assert again.attempts("commit/1") == [attempt()]
    again.close()


def test_a_failed_plan_leaves_nothing(journal):
    with contextlib.suppress(ZeroDivisionError), journal.planning():
        journal.plan(intent())
        raise ZeroDivisionError
    assert journal.find("commit/1") is None


def test_accounts_and_chains_do_not_mix(journal, tmp_path):
    journal.plan(intent())
    for chain_id, sender in ((2, SENDER), (1, "0x" + "22" * 20)):
        other = TransactionJournal(tmp_path / "journal", chain_id=chain_id, sender=sender)
        assert other.find("commit/1") is None
        other.close()


def test_a_new_plan_leaves_the_old_nonce_s_attempts_behind(journal):
    journal.plan(intent(nonce=3))
    journal.add_attempt("commit/1", attempt(nonce=3, tx_hash="0x3"))
    journal.mark("commit/1", IntentState.DROPPED)
    assert journal.pending() == []
    journal.plan(intent(nonce=4))
    journal.add_attempt("commit/1", attempt(nonce=4, tx_hash="0x4"))
    assert [one.hash for one in journal.attempts("commit/1")] == ["0x4"]


def test_planning_excludes_other_connections(journal, tmp_path):
    other = TransactionJournal(tmp_path / "journal", chain_id=1, sender=SENDER)
    order = []

    def plan_too():
        with other.planning():
            order.append(other.find("commit/1"))

    with journal.planning():
        thread = threading.Thread(target=plan_too)
        thread.start()
        journal.plan(intent())
    thread.join(10)
    other.close()
    assert order == [intent()]


def test_a_journal_that_is_none_is_refused(tmp_path):
    (tmp_path / "journal").write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalUnavailable):
        TransactionJournal(tmp_path / "journal", chain_id=1, sender=SENDER)


def test_a_full_disk_is_told_before_anything_is_sent(journal, monkeypatch):
    class Full:
        in_transaction = False

        def execute(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

        def close(self):
            pass

    opened = journal._database
    journal._database = Full()
    with pytest.raises(JournalUnavailable, match="full"), journal.planning():
        pass
    journal._database = opened
