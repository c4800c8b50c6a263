"""What trainers sent for the open round: verified one by one, held in memory, one of each a seat.

Nothing here need survive a crash: what a restarted coordinator lacks, trainers send again, or send
to the chain themselves.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from network.history import RoundHistory
from network.relay import RevealMessage, SignedAttestation, SignedCommitment
from network.signatures import signer_of
from protocol.errors import RelayRefused
from protocol.messages import TypedData, attestation_typed_data, commitment_typed_data
from protocol.rounds import COMMITMENT_BYTES, Phase, bitmap_of, commitment_hash, seats_in
from protocol.types import Address, Digest, Seat

CATCH_UP_S = 2.0
"""How long a message waits for the coordinator to see the block that its sender saw."""

MAX_REPEATS = 8
"""How often a seat may send another message of one kind in one attempt."""

Message = SignedCommitment | RevealMessage | SignedAttestation
_M = TypeVar("_M", SignedCommitment, RevealMessage, SignedAttestation)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindow:
    """The open round as the driver last saw it: what may be sent, and by whom."""

    found: RoundHistory
    phase: Phase
    trainers: dict[Seat, Address]
    deadline_s: int

    @classmethod
    def of(
        cls,
        found: RoundHistory,
        phase: Phase,
        trainers: dict[Seat, Address],
        deadline_s: int,
    ) -> "OpenWindow":
        """The roster's part of a look at the chain."""
        seated = {seat: trainers[seat] for seat in seats_in(found.roster) if seat in trainers}
        return cls(found=found, phase=phase, trainers=seated, deadline_s=deadline_s)


@dataclass(slots=True, kw_only=True)
class _Box:
    commitments: dict[Seat, SignedCommitment] = field(default_factory=dict)
    reveals: dict[Seat, RevealMessage] = field(default_factory=dict)
    attestations: dict[Seat, SignedAttestation] = field(default_factory=dict)
    counts: dict[tuple[str, Seat], int] = field(default_factory=dict)


class Inbox:
    """Accepts messages of one run from any thread; everything it refuses is a RelayRefused."""

    def __init__(
        self,
        *,
        chain_id: int,
        run: Address,
        norm_bound: int,
        changed: Callable[[], None],
        catch_up_s: float = CATCH_UP_S,
    ) -> None:
        self.run = run
        self._chain_id = chain_id
        self._norm_bound = norm_bound
        self._changed = changed
        self._catch_up_s = catch_up_s
        self._lock = threading.Condition()
        self._window: OpenWindow | None = None
        self._box = _Box()
        self._listeners: set[Callable[[], None]] = set()
        self._is_complete = False
        self._last_attempt = 0
        self.version = 0

    def watch(self, window: OpenWindow | None) -> None:
        """Tell which round is open; a new attempt begins with an empty box."""
        with self._lock:
            before = self._window
            if window is None or before is None or before.found.attempt != window.found.attempt:
                self._box = _Box()
            self._window = window
            if window is not None:
                self._last_attempt = int(window.found.attempt)
            self._lock.notify_all()
        self._tell_if_complete()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener`, in any thread, when all reveals of an attempt are in; gives the end."""
        with self._lock:
            self._listeners.add(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.discard(listener)

        return stop

    def has_all_reveals(self, round_id: int, attempt: int) -> bool:
        """Whether every committed seat's reveal of the open attempt is here or on chain."""
        with self._lock:
            window = self._window
            if window is None or window.phase not in (Phase.REVEAL, Phase.AUDIT):
                return False
            found = window.found
            known = self._box.reveals.keys() | found.reveals.keys()
            is_open = (found.round_id, found.attempt) == (round_id, attempt)
            return is_open and found.commitments.keys() <= known

    def _tell_if_complete(self) -> None:
        with self._lock:
            window, before = self._window, self._is_complete
            is_complete = window is not None and self.has_all_reveals(
                window.found.round_id, window.found.attempt
            )
            self._is_complete = is_complete
        if is_complete and not before:
            self.tell_listeners()

    def tell_listeners(self) -> None:
        """Have everybody who listens look again."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def accept_commitment(self, message: SignedCommitment) -> None:
        """Take a signed commitment of the open attempt."""
        window = self._window_for(message, Phase.COMMIT)
        if self._box.commitments.get(message.seat) == message:
            return  # trainers repeat themselves while the chain shows nothing
        if message.parent_root != window.found.parent_root:
            _refuse(
                "WrongParentRoot",
                f"the chain's parent root is 0x{window.found.parent_root.hex()}",
                "recompute the merge; dissent on chain if you are sure that the root is wrong",
            )
        self._check_signature(
            window,
            message,
            commitment_typed_data(
                chain_id=self._chain_id,
                run=self.run,
                round_id=message.round_id,
                attempt=message.attempt,
                parent_root=message.parent_root,
                commitment=message.commitment,
            ),
        )
        self._keep("commitment", self._box.commitments, message)

    def accept_reveal(self, message: RevealMessage) -> None:
        """Take a header that opens the commitment on chain."""
        window = self._window_for(message, Phase.REVEAL)
        if self._box.reveals.get(message.seat) == message:
            return
        trainer = self._trainer(window, message)
        committed: Digest | None = window.found.commitments.get(message.seat)
        if committed is None:
            _refuse("NotCommitted", "this seat has not committed", "wait for the next round")
        if message.header.ssq > self._norm_bound:
            _refuse(
                "NormAboveBound",
                f"the sum of squares is above the run's {self._norm_bound}",
                "lower the learning rate or clip the update",
            )
        opened = commitment_hash(
            header=message.header,
            chain_id=self._chain_id,
            run=self.run,
            round_id=message.round_id,
            attempt=message.attempt,
            trainer=trainer,
            salt=message.salt,
        )
        if opened[:COMMITMENT_BYTES] != committed[:COMMITMENT_BYTES]:
            _refuse(
                "CommitmentMismatch",
                "the header does not open the commitment",
                "reveal what the journal holds for this attempt",
            )
        self._keep("reveal", self._box.reveals, message)

    def accept_attestation(self, message: SignedAttestation) -> None:
        """Take a signed attestation of the open attempt, also before the reveals are on chain."""
        window = self._window_for(message, Phase.REVEAL, Phase.AUDIT)
        if self._box.attestations.get(message.seat) == message:
            return
        self._trainer(window, message)
        if window.phase is Phase.REVEAL:
            spoken = message.opinion.available | message.opinion.harmful
            unknown = spoken & ~bitmap_of(self.reveals().keys() | window.found.reveals)
            if unknown:
                _refuse(
                    "NotRevealed",
                    f"no reveal of seat {seats_in(unknown)[0]} is here",
                    "send it again when this relay holds every reveal",
                )
        self._check_signature(
            window,
            message,
            attestation_typed_data(
                chain_id=self._chain_id,
                run=self.run,
                round_id=message.round_id,
                attempt=message.attempt,
                opinion=message.opinion,
            ),
        )
        self._keep("attestation", self._box.attestations, message)

    def commitments(self) -> dict[Seat, SignedCommitment]:
        """Those of the open attempt, by seat."""
        with self._lock:
            return dict(sorted(self._box.commitments.items()))

    def reveals(self) -> dict[Seat, RevealMessage]:
        """Those of the open attempt, by seat."""
        with self._lock:
            return dict(sorted(self._box.reveals.items()))

    def attestations(self) -> dict[Seat, SignedAttestation]:
        """Those of the open attempt, by seat."""
        with self._lock:
            return dict(sorted(self._box.attestations.items()))

    def drop(self, seat: Seat) -> None:
        """Forget what a seat sent in this attempt: the chain would not take it."""
        with self._lock:
            for held in (self._box.commitments, self._box.reveals, self._box.attestations):
                held.pop(seat, None)

    def status(self) -> dict[str, object]:
        """What the relay knows, as JSON."""
        with self._lock:
            window, box = self._window, self._box
            if window is None:
                return {"run": self.run, "phase": Phase.IDLE.name.lower()}
            return {
                "run": self.run,
                "round": window.found.round_id,
                "attempt": window.found.attempt,
                "phase": window.phase.name.lower(),
                "deadline_s": window.deadline_s,
                "roster": sorted(window.trainers),
                "commitments": sorted(box.commitments),
                "reveals": sorted(box.reveals),
                "attestations": sorted(box.attestations),
            }

    def _window_for(self, message: Message, *phases: Phase) -> OpenWindow:
        """The open window that a message fits; the sender may have seen a block before us."""
        if message.run.lower() != self.run.lower():
            _refuse("WrongRun", f"this relay serves {self.run}", "use the relay of your run")

        def fits() -> bool:
            window = self._window
            return (
                window is not None
                and window.phase in phases
                and (window.found.round_id, window.found.attempt)
                == (message.round_id, message.attempt)
            )

        def is_late() -> bool:
            window = self._window
            if window is None:
                return message.attempt <= self._last_attempt
            reached = (window.found.attempt, window.phase)
            return reached > (message.attempt, max(phases))

        with self._lock:
            self._lock.wait_for(lambda: fits() or is_late(), self._catch_up_s)
            window = self._window
            if window is not None and fits():
                return window
        seen = "no round is open"
        if window is not None:
            seen = f"open is round {window.found.round_id}, attempt {window.found.attempt}, "
            seen += f"phase {window.phase.name.lower()}"
        raise RelayRefused(
            error_name="WrongPhase",
            reason=seen,
            hint="read the open round; use the chain if you see it in another phase",
        )

    def _trainer(self, window: OpenWindow, message: Message) -> Address:
        trainer = window.trainers.get(message.seat)
        if trainer is None:
            _refuse(
                "NotSeated",
                f"seat {message.seat} is not in this round's roster",
                "enroll, or wait for the next round",
            )
        return trainer

    def _check_signature(
        self, window: OpenWindow, message: SignedCommitment | SignedAttestation, data: TypedData
    ) -> None:
        trainer = self._trainer(window, message)
        signer = signer_of(data, message.signature)
        if signer is None or signer.lower() != trainer.lower():
            _refuse(
                "BadSignature",
                f"the signature is not by seat {message.seat}'s trainer {trainer}",
                "sign with the seat's key, for this chain and run",
            )

    def _keep(self, kind: str, held: dict[Seat, _M], message: _M) -> None:
        with self._lock:
            if held.get(message.seat) == message:
                return
            repeats = self._box.counts.get((kind, message.seat), 0)
            if repeats >= MAX_REPEATS:
                _refuse("TooManyMessages", f"{repeats} of this kind came", "use the chain")
            self._box.counts[(kind, message.seat)] = repeats + 1
            held[message.seat] = message
            self.version += 1
        self._tell_if_complete()
        self._changed()


def _refuse(error_name: str, reason: str, hint: str) -> NoReturn:
    raise RelayRefused(error_name=error_name, reason=reason, hint=hint)
