"""What a trainer has bound itself to, on disk before anything of it leaves the process."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from pathlib import Path

from network.history import RoundHistory
from protocol.errors import AlreadyRunning, JournalUnavailable
from protocol.rounds import Opinion, UpdateHeader
from protocol.types import Address, Attempt, Digest, RoundId, Seat
from trainer.linefile import OWNER_ONLY, Fact, LineFile

_HEADER_HEX = ("update_root", "trace_root", "class_id", "update_cid")


class Stage(IntEnum):
    """How far an attempt is known to have got."""

    BOUND = 0  # journalled; may or may not have reached the chain
    COMMITTED = 1
    REVEALED = 2
    ATTESTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One opening of a round; `opening` tells two apart that a reorganisation swapped."""

    run: Address
    round_id: RoundId
    attempt: Attempt
    opening: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """All that is needed to commit, to reveal, and to show how the update was trained."""

    key: Key
    seat: Seat
    parent_root: Digest
    commitment: Digest
    header: UpdateHeader
    salt: bytes
    trace: tuple[Digest, ...] = ()
    stage: Stage = Stage.BOUND


class RoundJournal:
    """Entries of one key and run; safe for several threads of one process.

    Raises JournalCorrupt when it is opened, JournalUnavailable when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Key, Entry] = {}
        self._attestations: dict[Key, Opinion] = {}
        self._file = LineFile(path, self._take)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find(self, key: Key) -> Entry | None:
        """What this node bound itself to in an attempt."""
        return self._entries.get(key)

    def find_commitment(self, commitment: Digest) -> Entry | None:
        """The entry of a commitment that is on chain, whichever branch it was made on."""
        for entry in self._entries.values():
            if entry.commitment == commitment:
                return entry
        return None

    def bind(self, entry: Entry) -> Entry:
        """Write an entry; where the attempt has one already, that one is kept and returned."""
        with self._lock:
            present = self._entries.get(entry.key)
            if present is not None:
                return present
            self._file.write(_entry_json(entry))
            self._entries[entry.key] = entry
            return entry

    def advance(self, entry: Entry, stage: Stage) -> Entry:
        """Note how far an attempt got; never goes back."""
        with self._lock:
            present = self._entries[entry.key]
            if stage <= present.stage:
                return present
            self._file.write({"kind": "stage", **key_json(entry.key), "stage": int(stage)})
            self._entries[entry.key] = replace(present, stage=stage)
            return self._entries[entry.key]

    def attested(self, key: Key) -> Opinion | None:
        """The opinion that this node signed in an attempt."""
        return self._attestations.get(key)

    def attest(self, key: Key, opinion: Opinion) -> Opinion:
        """Write the one opinion to sign in an attempt; a former one is kept and returned."""
        with self._lock:
            if key not in self._attestations:
                said = {"available": hex(opinion.available), "harmful": hex(opinion.harmful)}
                self._file.write({"kind": "attested", **key_json(key), **said})
                self._attestations[key] = opinion
            return self._attestations[key]

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, oldest first."""
        return tuple(self._entries.values())

    def _take(self, fact: Fact) -> None:
        key = key_of_json(fact)
        match fact["kind"]:
            case "bound":
                self._entries[key] = _entry_of(key, fact)
            case "stage":
                self._entries[key] = replace(self._entries[key], stage=Stage(fact["stage"]))
            case "attested":
                self._attestations[key] = Opinion(
                    available=int(fact["available"], 16), harmful=int(fact["harmful"], 16)
                )
            case kind:
                raise ValueError(kind)


def key_of(run: Address, found: RoundHistory) -> Key:
    """The journal's name of an opening: what was opened, from what, with what randomness."""
    opening = sha256(found.seed + found.parent_root + found.roster.to_bytes(32, "big")).digest()
    return Key(run=run, round_id=found.round_id, attempt=found.attempt, opening=opening)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that the system lets go of when the process ends, however it ends.

    Raises AlreadyRunning, naming the process that holds it, and JournalUnavailable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    except OSError as error:
        raise JournalUnavailable(path=str(path), reason=str(error)) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).strip()
            pid = int(holder) if holder.isdigit() else 0
            raise AlreadyRunning(path=str(path), pid=pid) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def key_json(key: Key) -> Fact:
    """A key as part of a fact."""
    return {
        "run": key.run,
        "round": key.round_id,
        "attempt": key.attempt,
        "opening": key.opening.hex(),
    }


def key_of_json(fact: Fact) -> Key:
    """The key that is part of a fact."""
    return Key(
        run=Address(fact["run"]),
        round_id=RoundId(fact["round"]),
        attempt=Attempt(fact["attempt"]),
        opening=bytes.fromhex(fact["opening"]),
    )


def _entry_json(entry: Entry) -> Fact:
    header = entry.header
    return {
        "kind": "bound",
        **key_json(entry.key),
        "seat": entry.seat,
        "parent_root": entry.parent_root.hex(),
        "commitment": entry.commitment.hex(),
        "salt": entry.salt.hex(),
        "trace": [digest.hex() for digest in entry.trace],
        "header": {
            **{name: getattr(header, name).hex() for name in _HEADER_HEX},
            "ssq": str(header.ssq),
            "update_size": header.update_size,
        },
    }


def _entry_of(key: Key, fact: Fact) -> Entry:
    given = fact["header"]
    header = UpdateHeader(
        **{name: bytes.fromhex(given[name]) for name in _HEADER_HEX},
        ssq=int(given["ssq"]),
        update_size=given["update_size"],
    )
    return Entry(
        key=key,
        seat=Seat(fact["seat"]),
        parent_root=bytes.fromhex(fact["parent_root"]),
        commitment=bytes.fromhex(fact["commitment"]),
        header=header,
        salt=bytes.fromhex(fact["salt"]),
        trace=tuple(bytes.fromhex(digest) for digest in fact.get("trace", ())),
    )
