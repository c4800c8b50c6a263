"""An account's acts before a court: each sent once, whatever crashes; a lost race is no error."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import structlog

from network.transactions import Call, Receipt, TransactionSender
from protocol.errors import TransactionReverted
from protocol.types import Address, Wei

_log = structlog.get_logger(__name__)

SEND_S = 60.0
"""How long an act may wait for its block before the loop hears of it; it is then taken up again."""

BOND_MARGIN = 2
"""So many times the present bond is sent: the base fee may rise before the block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What one account does before the court `court` of one run; safe for several threads.

    `races` are the refusals that say that somebody was faster, or that the thing is over.
    """

    court: str
    run: Address
    sender: TransactionSender
    races: tuple[type[TransactionReverted], ...]

    def name(self, what: str, scope: str) -> str:
        """The key of an act that is done once, whatever it carries."""
        return f"{self.court}/{what}/{self.run.lower()}/{scope}"

    def key(self, what: str, scope: str, call: Call) -> str:
        """The same only for the same call: evidence may be put together anew after a restart."""
        return f"{self.name(what, scope)}/{sha256(call.data).hexdigest()[:16]}"

    def send(self, key: str, call: Call, is_done: Callable[[], bool]) -> Receipt | None:
        """The receipt; None where there is nothing (more) to do.

        Raises what TransactionSender.send raises, but for lost races.
        """
        try:
            receipt = self.sender.send(key, call, deadline_s=SEND_S, already_done=is_done)
        except self.races as refusal:
            _log.info("court_too_late", key=key, problem=refusal.message)
            return None
        if receipt is not None:
            _log.info("court_heard", key=key, gas=receipt.gas_used, tx=receipt.hash)
        return receipt

    def send_bonded(
        self,
        key: str,
        price_wei: Callable[[], Wei],
        make: Callable[[Wei], Call],
        is_done: Callable[[], bool],
    ) -> Receipt | None:
        """Send a move with its bond: what the journal holds of it, else at the present price."""
        call = self.sender.planned(key)
        if call is None:
            call = make(Wei(BOND_MARGIN * price_wei()))
        return self.send(key, call, is_done)
