"""Getting a commitment, a reveal or an attestation on chain: by the relay, else on one's own.

A relay is trusted with nothing. Where there is none, where it fails or refuses, or where the chain
shows nothing at three quarters of the phase, the node sends its own transaction. Until then it
repeats itself to the relay, which may have been restarted. Every transaction has a key, so none is
sent twice; docs/protocol.md section 4.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from network.keys import Signer
from network.relay import RelayClient, RevealMessage, SignedAttestation, SignedCommitment
from network.remedies import REMEDIES
from network.run import RunContract
from network.transactions import Call, TransactionSender
from protocol.errors import RelayRefused, RelayUnavailable, TransactionReverted
from protocol.messages import attestation_typed_data, commitment_typed_data
from protocol.rounds import Opinion
from protocol.types import Attempt, Digest, RoundId, Seat
from trainer.journal import Entry, Key

_log = structlog.get_logger(__name__)

FALLBACK_SHARE = 0.75
"""The share of a phase after which a node no longer waits for the relay."""

UNHELD_SHARE = 0.5
"""The same, for a reveal that the relay does not show to others."""

RESEND_S = 5.0
"""How long the chain may show nothing before the relay is told again."""

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
"""How long a node waits after the contract refused a transaction, doubling each time."""

SHORTEST_SEND_S = 5.0

_ALREADY = (REMEDIES["AlreadySubmitted"],)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A phase in Unix seconds of block time."""

    started_s: float
    deadline_s: float

    @property
    def fallback_s(self) -> float:
        """When a node's own transaction is due."""
        return self.share_s(FALLBACK_SHARE)

    def share_s(self, share: float) -> float:
        """When such a share of the phase is over."""
        return self.started_s + share * (self.deadline_s - self.started_s)


class Submitter:
    """Sends one trainer's messages of one run. Use from one thread.

    Each method returns how it sent ("relay", "chain"), or None where there is nothing to do yet.
    Raises what TransactionSender.send raises.
    """

    def __init__(
        self,
        *,
        run: RunContract,
        chain_id: int,
        signer: Signer,
        sender: TransactionSender,
        relay: RelayClient | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._run = run
        self._chain_id = chain_id
        self._signer = signer
        self._sender = sender
        self._relay = relay
        self._clock = clock
        self._handed: set[tuple[str, Key]] = set()
        self._failed: set[tuple[str, Key]] = set()
        self._again_s: dict[tuple[str, Key], float] = {}
        self._refused: dict[str, tuple[int, float]] = {}

    def commit(self, entry: Entry, window: Window) -> str | None:
        """Get a journalled commitment on chain."""
        key = entry.key

        def message() -> SignedCommitment:
            data = commitment_typed_data(
                chain_id=self._chain_id,
                run=key.run,
                round_id=key.round_id,
                attempt=key.attempt,
                parent_root=entry.parent_root,
                commitment=entry.commitment,
            )
            return SignedCommitment(
                run=key.run,
                round_id=key.round_id,
                attempt=key.attempt,
                seat=entry.seat,
                parent_root=entry.parent_root,
                commitment=entry.commitment,
                signature=self._signer.sign_typed_data(data),
            )

        if self._by_relay("commit", key, lambda relay: relay.send_commitment(message())):
            return "relay"
        if self._relay_has("commit", key, window):
            return None
        call = self._run.commit(
            attempt=key.attempt,
            seat=entry.seat,
            parent_root=entry.parent_root,
            commitment=entry.commitment,
        )
        return self._by_chain("commit", key, call, window, lambda: self._progress(entry) >= 1)

    def reveal(self, entry: Entry, window: Window, *, is_held: bool = True) -> str | None:
        """Open a commitment that is on chain; `is_held` says that the relay shows the reveal."""
        key = entry.key
        message = RevealMessage(
            run=key.run,
            round_id=key.round_id,
            attempt=key.attempt,
            seat=entry.seat,
            header=entry.header,
            salt=entry.salt,
        )
        if self._by_relay("reveal", key, lambda relay: relay.send_reveal(message)):
            return "relay"
        share = FALLBACK_SHARE if is_held else UNHELD_SHARE
        if self._relay_has("reveal", key, window, share):
            return None
        call = self._run.reveal_batch(
            attempt=key.attempt, reveals=[(entry.seat, entry.header, entry.salt)]
        )
        return self._by_chain("reveal", key, call, window, lambda: self._progress(entry) >= 2)  # noqa: PLR2004 - Progress.Revealed

    def attest_early(self, key: Key, seat: Seat, opinion: Opinion) -> bool:
        """Tell the relay alone, before the reveals are on chain; True if it took it just now."""
        return self._by_relay(
            "attest",
            key,
            lambda relay: relay.send_attestation(self._attestation(key, seat, opinion)),
            is_early=True,
        )

    def attest(self, key: Key, seat: Seat, opinion: Opinion, window: Window) -> str | None:
        """Say which updates are available, and which do harm."""
        if self._by_relay(
            "attest",
            key,
            lambda relay: relay.send_attestation(self._attestation(key, seat, opinion)),
        ):
            return "relay"
        if self._relay_has("attest", key, window):
            return None
        available, harmful, _ = self._run.read("posted", key.attempt)
        if not (opinion.available & ~available or opinion.harmful & ~harmful):
            return None  # two thirds of the stake said as much without this voice
        call = self._run.prepare("attest", key.attempt, seat, opinion.available, opinion.harmful)
        return self._by_chain("attest", key, call, window, None)

    def dissent(self, key: Key, seat: Seat, own_root: Digest, window: Window) -> str | None:
        """Say on chain that the parent's root is wrong."""
        call = self._run.prepare("dissent", key.attempt, seat, own_root)

        def done() -> bool:
            return self._run.submission(seat).attempt == key.attempt

        return self._by_chain("dissent", key, call, window, done)

    def _attestation(self, key: Key, seat: Seat, opinion: Opinion) -> SignedAttestation:
        data = attestation_typed_data(
            chain_id=self._chain_id,
            run=key.run,
            round_id=key.round_id,
            attempt=key.attempt,
            opinion=opinion,
        )
        return SignedAttestation(
            run=key.run,
            round_id=key.round_id,
            attempt=key.attempt,
            seat=seat,
            opinion=opinion,
            signature=self._signer.sign_typed_data(data),
        )

    def _by_relay(
        self, what: str, key: Key, send: Callable[[RelayClient], None], *, is_early: bool = False
    ) -> bool:
        """Hand a message to the relay, and again every RESEND_S; True if it is news to it.

        A relay that fails is not asked again, unless the chain can not take the message yet.
        """
        name = (what, key)
        now_s = self._clock()
        if self._relay is None or name in self._failed or now_s < self._again_s.get(name, now_s):
            return False
        self._again_s[name] = now_s + RESEND_S
        try:
            send(self._relay)
        except (RelayUnavailable, RelayRefused) as error:
            if not is_early and name not in self._handed:
                self._failed.add(name)
            # An early attestation may be late: two thirds of the stake were enough.
            say = _log.info if is_early else _log.warning
            say("relay_failed", what=what, round=key.round_id, problem=error.message)
            return False
        is_first = name not in self._handed
        self._handed.add(name)
        return is_first

    def _relay_has(
        self, what: str, key: Key, window: Window, share: float = FALLBACK_SHARE
    ) -> bool:
        """Whether the relay's time to act still runs."""
        return (what, key) in self._handed and self._clock() < window.share_s(share)

    def _by_chain(
        self,
        what: str,
        key: Key,
        call: Call,
        window: Window,
        already_done: Callable[[], bool] | None,
    ) -> str | None:
        now_s = self._clock()
        name = transaction_key(what, key.run, key.round_id, key.attempt, key.opening)
        refusals, again_s = self._refused.get(name, (0, 0.0))
        if now_s >= window.deadline_s or now_s < again_s:
            return None
        left_s = max(window.deadline_s - now_s, SHORTEST_SEND_S)
        try:
            receipt = self._sender.send(name, call, deadline_s=left_s, already_done=already_done)
        except _ALREADY:
            return None
        except TransactionReverted:
            # Each block wakes the node, and a refusal may cost gas: never try again at once.
            pause_s = min(FIRST_PAUSE_S * 2.0**refusals, LONGEST_PAUSE_S)
            self._refused[name] = (refusals + 1, now_s + pause_s)
            raise
        return "chain" if receipt is not None else None

    def _progress(self, entry: Entry) -> int:
        """What the chain holds of this entry: 1 committed, 2 revealed."""
        held = self._run.submission(entry.seat)
        return held.progress if held.attempt == entry.key.attempt else 0


def transaction_key(
    what: str, run: str, round_id: RoundId, attempt: Attempt, opening: Digest
) -> str:
    """The journal's name of a transaction: one for each act of an attempt."""
    return f"{what}/{run}/{round_id}/{attempt}/{opening.hex()[:16]}"
