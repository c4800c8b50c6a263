"""The others' headers, from the relay, before they are on chain.

A relay is believed nothing: a header counts if it and its salt open the commitment that the chain
recorded for its seat, all 32 bytes of it. The asking is done by a thread of its own.
"""

import math
import threading
import time
from collections.abc import Callable

import structlog

from network.history import Revealed, RoundHistory
from network.relay import RelayClient, RevealMessage
from protocol.errors import InvalidRound, RelayUnavailable
from protocol.rounds import commitment_hash
from protocol.types import Address, Seat
from trainer.journal import Key

_log = structlog.get_logger(__name__)

WAIT_S = 5.0
"""How long the relay may keep the question; leaving a node may take as long."""
PAUSE_S = 1.0
"""Between two questions, whatever the relay answers."""


class RevealExchange:
    """Asks one relay for the reveals of the open attempt. `done` is called in another thread.

    Use from one thread.
    """

    def __init__(
        self,
        relay: RelayClient,
        *,
        chain_id: int,
        norm_bound: int,
        done: Callable[[], None],
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._relay = relay
        self._chain_id = chain_id
        self._norm_bound = norm_bound
        self._done = done
        self._wait_s = wait_s
        self._clock = clock
        self._asking: threading.Thread | None = None
        self._answer: tuple[Key, tuple[RevealMessage, ...]] | None = None
        self._key: Key | None = None
        self._held: dict[Seat, Revealed] = {}
        self._asked_at = -math.inf
        self._is_closed = False
        self._failed: Key | None = None

    def close(self) -> None:
        """Wake nobody any more."""
        self._is_closed = True

    def look(self, key: Key, found: RoundHistory, trainers: dict[Seat, Address]) -> set[Seat]:
        """Ask again where a committed seat's header is missing; gives the seats that are known."""
        if key != self._key:
            # A question about an attempt that is over may hang on; it is not waited for.
            self._key, self._held, self._asking, self._asked_at = key, {}, None, -math.inf
        answer = self._answer
        if answer is not None and answer[0] == key:
            self._answer = None
            self._take(answer[1], found, trainers)
        is_missing = not found.commitments.keys() <= self._held.keys() | found.reveals.keys()
        if is_missing:
            self._ask(key)
        return set(self._held)

    def known(self, found: RoundHistory) -> dict[Seat, Revealed]:
        """The headers known: the chain's, and those that `look` found."""
        return {**self._held, **found.reveals}

    def _ask(self, key: Key) -> None:
        now_s = self._clock()
        if self._asking is not None and self._asking.is_alive():
            return
        if now_s < self._asked_at + PAUSE_S:
            return
        self._asked_at = now_s
        self._asking = threading.Thread(
            target=self._fetch, args=(key,), name="exchange", daemon=True
        )
        self._asking.start()

    def _fetch(self, key: Key) -> None:
        try:
            messages = self._relay.fetch_reveals(key.round_id, key.attempt, self._wait_s)
        except RelayUnavailable as error:
            if self._failed != key:
                self._failed = key
                _log.warning("reveals_not_fetched", round=key.round_id, problem=error.message)
            return  # the node looks again every few seconds
        if key == self._key and not self._is_closed:
            self._answer = key, messages
            self._done()

    def _take(
        self,
        messages: tuple[RevealMessage, ...],
        found: RoundHistory,
        trainers: dict[Seat, Address],
    ) -> None:
        for message in messages:
            if message.seat not in self._held and self._is_true(message, found, trainers):
                self._held[message.seat] = Revealed(
                    seat=message.seat, trainer=trainers[message.seat], header=message.header
                )

    def _is_true(
        self, message: RevealMessage, found: RoundHistory, trainers: dict[Seat, Address]
    ) -> bool:
        """Whether the chain would take this reveal, for all that can be known."""
        committed = found.commitments.get(message.seat)
        trainer = trainers.get(message.seat)
        if committed is None or trainer is None or self._key is None:
            return False
        try:
            opened = commitment_hash(
                header=message.header,
                chain_id=self._chain_id,
                run=self._key.run,
                round_id=found.round_id,
                attempt=found.attempt,
                trainer=trainer,
                salt=message.salt,
            )
        except InvalidRound:
            return False
        return opened == committed and message.header.ssq <= self._norm_bound
