"""Whether a transaction of ours is in the chain, deep enough, and still there."""

import structlog

from network.ethereum import Inclusion, read_head, read_inclusion, read_nonce
from network.journal import Intent, TransactionJournal
from network.mempool import Mempool
from network.rpc import Rpc
from protocol.errors import ChainError, RpcUnavailable
from protocol.types import Address

_log = structlog.get_logger(__name__)


def find_inclusion(rpc: Rpc, journal: TransactionJournal, intent: Intent) -> Inclusion | None:
    """The receipt of whichever attempt of the intent is in the chain."""
    for attempt in reversed(journal.attempts(intent.key)):
        inclusion = read_inclusion(rpc, attempt.hash)
        if inclusion is not None:
            return inclusion
    return None


class InclusionFollower:
    """Looks after one intent each time that the chain moves.

    `inclusion` is set once it has `confirmations` blocks, its own counted; `failure` is why the
    last look saw nothing.
    """

    def __init__(
        self,
        rpc: Rpc,
        journal: TransactionJournal,
        mempool: Mempool,
        intent: Intent,
        *,
        sender: Address,
        confirmations: int,
    ) -> None:
        self._rpc = rpc
        self._journal = journal
        self._mempool = mempool
        self._intent = intent
        self._sender = sender
        self._confirmations = confirmations
        self.inclusion: Inclusion | None = None
        self.is_included = False
        self.failure: ChainError | None = None

    def look(self) -> bool | None:
        """True when there is nothing left to wait for.

        Without an `inclusion` then, the nonce went to a transaction that is not ours.
        """
        try:
            found = self._look()
        except RpcUnavailable as error:  # the chain may come back before the deadline
            self.failure = error
            return None
        self.failure = None
        return found

    def _look(self) -> bool | None:
        # The nonce is read first: if ours used it, the receipt is there by now.
        is_used = read_nonce(self._rpc, self._sender) > self._intent.nonce
        inclusion = find_inclusion(self._rpc, self._journal, self._intent)
        if inclusion is None:
            if self.is_included:
                self._send_again()
            return True if is_used else None
        self.is_included = True
        head = read_head(self._rpc)
        assert head is not None, "every chain has a block"
        if head.number - inclusion.block_number + 1 < self._confirmations:
            return None
        self.inclusion = inclusion
        return True

    def _send_again(self) -> None:
        """A reorganisation took it out of the chain, and perhaps out of the pool."""
        self.is_included = False
        _log.warning("transaction_reorganised", key=self._intent.key)
        self._mempool.broadcast(self._intent, self._journal.attempts(self._intent.key)[-1])
