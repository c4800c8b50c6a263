"""The transactions that this key means to send, on disk before the network hears of them."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from network.fees import Fees
from protocol.errors import JournalUnavailable
from protocol.types import Address, Wei

_BUSY_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    chain_id INTEGER NOT NULL, sender TEXT NOT NULL, key TEXT NOT NULL,
    nonce INTEGER NOT NULL, recipient TEXT NOT NULL, data BLOB NOT NULL, value_wei TEXT NOT NULL,
    gas_limit INTEGER NOT NULL, state TEXT NOT NULL, planned_at_s REAL NOT NULL,
    PRIMARY KEY (chain_id, sender, key)
);
CREATE TABLE IF NOT EXISTS attempts (
    chain_id INTEGER NOT NULL, sender TEXT NOT NULL, key TEXT NOT NULL,
    nonce INTEGER NOT NULL, hash TEXT NOT NULL, raw BLOB NOT NULL,
    max_fee_wei TEXT NOT NULL, priority_fee_wei TEXT NOT NULL, signed_at_s REAL NOT NULL,
    PRIMARY KEY (chain_id, hash)
);
CREATE INDEX IF NOT EXISTS attempts_by_key ON attempts (chain_id, sender, key);
"""


class IntentState(StrEnum):
    """What became of an intent."""

    PENDING = "pending"  # has a nonce; may or may not have reached the network
    MINED = "mined"  # was seen with enough confirmations
    DROPPED = "dropped"  # its nonce is free again, or was used by another


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One thing to do once: a call with a nonce, under a key that its caller chose."""

    key: str
    nonce: int
    recipient: Address
    data: bytes
    value_wei: Wei
    gas_limit: int
    state: IntentState = IntentState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed transaction of an intent. `signed_at_s` is Unix time."""

    nonce: int
    hash: str
    raw: bytes
    fees: Fees
    signed_at_s: float


class TransactionJournal:
    """Intents and attempts of one account on one chain, in a SQLite file without any secret.

    What a method wrote is on disk when it returns. `planning` excludes other threads and other
    processes with the same file, so that no nonce is given twice.
    """

    def __init__(
        self,
        path: Path,
        *,
        chain_id: int,
        sender: Address,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._scope = (chain_id, str(sender))
        self._clock = clock
        self._lock = threading.RLock()
        with self._mapped():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def planning(self) -> Iterator[None]:
        """One transaction of the journal: all of its writes or, after an error, none."""
        with self._lock:
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._execute("ROLLBACK")
                raise

    def find(self, key: str) -> Intent | None:
        """The intent of a key."""
        found = self._intents("key = ?", key)
        return found[0] if found else None

    def pending(self) -> list[Intent]:
        """Every intent that waits for inclusion, by nonce."""
        return self._intents("state = ? ORDER BY nonce", IntentState.PENDING)

    def plan(self, intent: Intent) -> None:
        """Write an intent, in place of a dropped one of its key."""
        self._execute(
            "INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *self._scope,
            intent.key,
            intent.nonce,
            intent.recipient,
            intent.data,
            str(intent.value_wei),
            intent.gas_limit,
            intent.state,
            self._clock(),
        )

    def mark(self, key: str, state: IntentState) -> None:
        """Change what became of an intent."""
        self._execute(
            "UPDATE intents SET state = ? WHERE chain_id = ? AND sender = ? AND key = ?",
            state,
            *self._scope,
            key,
        )

    def add_attempt(self, key: str, attempt: Attempt) -> None:
        """Write a signed transaction, before it is sent."""
        self._execute(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *self._scope,
            key,
            attempt.nonce,
            attempt.hash,
            attempt.raw,
            str(attempt.fees.max_fee_wei),
            str(attempt.fees.priority_fee_wei),
            attempt.signed_at_s,
        )

    def attempts(self, key: str) -> list[Attempt]:
        """Every signed transaction of an intent with its present nonce, oldest first."""
        rows = self._execute(
            "SELECT a.nonce, hash, raw, max_fee_wei, priority_fee_wei, signed_at_s FROM attempts a"
            " JOIN intents i USING (chain_id, sender, key) WHERE a.nonce = i.nonce"
            " AND a.chain_id = ? AND a.sender = ? AND a.key = ? ORDER BY signed_at_s, a.rowid",
            *self._scope,
            key,
        )
        return [
            Attempt(
                nonce=nonce,
                hash=tx_hash,
                raw=bytes(raw),
                fees=Fees(max_fee_wei=Wei(int(highest)), priority_fee_wei=Wei(int(priority))),
                signed_at_s=signed_at_s,
            )
            for nonce, tx_hash, raw, highest, priority, signed_at_s in rows
        ]

    def _intents(self, condition: str, value: str) -> list[Intent]:
        rows = self._execute(
            "SELECT key, nonce, recipient, data, value_wei, gas_limit, state FROM intents"  # noqa: S608 - the conditions are this file's own
            f" WHERE chain_id = ? AND sender = ? AND {condition}",
            *self._scope,
            value,
        )
        return [
            Intent(
                key=key,
                nonce=nonce,
                recipient=Address(recipient),
                data=bytes(data),
                value_wei=Wei(int(value_wei)),
                gas_limit=gas_limit,
                state=IntentState(state),
            )
            for key, nonce, recipient, data, value_wei, gas_limit, state in rows
        ]

    def _execute(self, statement: str, *values: object) -> list[Any]:
        with self._lock, self._mapped():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """The one place where SQLite's errors become ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalUnavailable(path=str(self._path), reason=str(error)) from error
