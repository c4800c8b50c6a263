"""What a node found and voted, on disk before the court hears of it: without it no move is left.

An accuser owes the digests that it committed to, a juror the salt of its sealed vote.
"""

import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from network.trials.contract import Finding
from protocol.rounds import trace_root
from protocol.types import Address, Digest, Seat
from trainer.journal import Key, key_json, key_of_json
from trainer.linefile import Fact, LineFile

SALT_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What a replay of an update found; `update_root` and `trace_root` are the author's.

    `own_update_root` and `own_trace` are the replay's. `note` says what else is to be told.
    """

    key: Key
    seat: Seat
    update_root: Digest
    trace_root: Digest
    class_id: Digest
    finding: Finding
    is_same_class: bool
    own_update_root: Digest
    own_trace: tuple[Digest, ...]
    note: str = ""

    @property
    def name(self) -> tuple[object, ...]:
        """Tells the update from every other."""
        return (self.key, self.seat, self.update_root, self.trace_root)

    @property
    def own_root(self) -> Digest:
        """The root of the replay's trace."""
        return trace_root(self.own_trace, self.own_update_root)

    @property
    def accuses(self) -> bool:
        """Whether the court can judge it: what differs between two classes proves nothing."""
        return self.finding is Finding.DIFFERENT and self.is_same_class


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A vote before it is sealed."""

    court: Address
    number: int
    level: int
    digest: Digest
    salt: bytes


class Casebook:
    """Notes and ballots of one key and run; safe for several threads of one process.

    Raises JournalCorrupt when it is opened, JournalUnavailable when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._notes: dict[tuple[object, ...], AuditNote] = {}
        self._ballots: dict[tuple[Address, int, int], Ballot] = {}
        self._file = LineFile(path, self._take)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find(
        self, key: Key, seat: Seat, *, update_root: Digest, trace_root: Digest
    ) -> AuditNote | None:
        """What was found of an update."""
        return self._notes.get((key, seat, update_root, trace_root))

    def find_own(self, own_root: Digest) -> AuditNote | None:
        """The note whose replay has this trace root."""
        notes = tuple(self._notes.values())
        return next((one for one in notes if one.own_root == own_root), None)

    def notes(self) -> tuple[AuditNote, ...]:
        """Every note, oldest first."""
        return tuple(self._notes.values())

    def keep(self, note: AuditNote) -> AuditNote:
        """Write a note; of an update that has one already, that one is kept and returned."""
        with self._lock:
            if note.name not in self._notes:
                self._file.write(_note_json(note))
                self._notes[note.name] = note
            return self._notes[note.name]

    def find_ballot(self, court: Address, number: int, level: int) -> Ballot | None:
        """What is or will be sealed."""
        return self._ballots.get((court, number, level))

    def vote(self, court: Address, number: int, level: int, digest: Digest) -> Ballot:
        """Write the one ballot of a jury, with a new salt; a former one is kept and returned."""
        name = (court, number, level)
        with self._lock:
            if name not in self._ballots:
                salt = secrets.token_bytes(SALT_BYTES)
                ballot = Ballot(court=court, number=number, level=level, digest=digest, salt=salt)
                self._file.write(_ballot_json(ballot))
                self._ballots[name] = ballot
            return self._ballots[name]

    def _take(self, fact: Fact) -> None:
        match fact["kind"]:
            case "audit":
                note = _note_of(fact)
                self._notes[note.name] = note
            case "ballot":
                ballot = _ballot_of(fact)
                self._ballots[(ballot.court, ballot.number, ballot.level)] = ballot
            case kind:
                raise ValueError(kind)


_NOTE_HEX = ("update_root", "trace_root", "class_id", "own_update_root")


def _note_json(note: AuditNote) -> Fact:
    return {
        "kind": "audit",
        **key_json(note.key),
        **{name: getattr(note, name).hex() for name in _NOTE_HEX},
        "seat": note.seat,
        "finding": int(note.finding),
        "is_same_class": note.is_same_class,
        "own_trace": [digest.hex() for digest in note.own_trace],
        "note": note.note,
    }


def _note_of(fact: Fact) -> AuditNote:
    return AuditNote(
        key=key_of_json(fact),
        **{name: bytes.fromhex(fact[name]) for name in _NOTE_HEX},
        seat=Seat(fact["seat"]),
        finding=Finding(fact["finding"]),
        is_same_class=bool(fact["is_same_class"]),
        own_trace=tuple(bytes.fromhex(digest) for digest in fact["own_trace"]),
        note=fact["note"],
    )


def _ballot_json(ballot: Ballot) -> Fact:
    return {
        "kind": "ballot",
        "court": ballot.court,
        "trial": ballot.number,
        "level": ballot.level,
        "digest": ballot.digest.hex(),
        "salt": ballot.salt.hex(),
    }


def _ballot_of(fact: Fact) -> Ballot:
    return Ballot(
        court=Address(fact["court"]),
        number=int(fact["trial"]),
        level=int(fact["level"]),
        digest=bytes.fromhex(fact["digest"]),
        salt=bytes.fromhex(fact["salt"]),
    )
