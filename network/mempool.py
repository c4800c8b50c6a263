"""One account's transactions on their way into a block: nonces, signatures, sending, replacing."""

import time
from collections.abc import Callable
from enum import Enum

import structlog
from eth_utils.address import to_checksum_address

from network.ethereum import read_balance, read_head, read_nonce
from network.fees import FeePolicy, Fees, suggest_priority
from network.journal import Attempt, Intent, TransactionJournal
from network.keys import Signer
from network.rpc import Rpc
from protocol.errors import InsufficientFunds, RpcRejected, RpcUnavailable
from protocol.types import Wei

_log = structlog.get_logger(__name__)

_KNOWN = ("already known", "already imported", "known transaction", "alreadyknown")
_NONCE_USED = ("nonce too low", "nonce is too low", "invalid nonce")
_FEE_TOO_LOW = ("underpriced", "less than block base fee", "fee too low", "below base fee")
_NO_FUNDS = ("insufficient funds",)


class Answer(Enum):
    """What became of an attempt to hand a transaction to the network."""

    ACCEPTED = "accepted"
    NONCE_USED = "nonce used"
    FEE_TOO_LOW = "fee too low"
    UNREACHABLE = "unreachable"


class Mempool:
    """Signs, sends and replaces what the journal holds; safe for several threads."""

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        journal: TransactionJournal,
        policy: FeePolicy,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._journal = journal
        self._policy = policy
        self._clock = clock

    def free_nonce(self) -> int:
        """The lowest nonce that neither the chain, the node's pool nor the journal uses.

        Call it, and journal what takes the nonce, inside `journal.planning()`.
        """
        nonce = read_nonce(self._rpc, self._signer.address)
        in_pool = read_nonce(self._rpc, self._signer.address, "pending")
        ours = {intent.nonce for intent in self._journal.pending()}
        while nonce in ours or nonce < in_pool:
            nonce += 1
        return nonce

    def first_fees(self) -> Fees:
        """What to offer now."""
        head = read_head(self._rpc)
        assert head is not None, "every chain has a block"
        return self._policy.first(
            base_fee_wei=head.base_fee_wei, suggested_priority_wei=suggest_priority(self._rpc)
        )

    def check_funds(self, intent: Intent, fees: Fees) -> None:
        """Raises InsufficientFunds if the account can not pay the intent at these fees."""
        needed = _worst_cost(intent, fees)
        balance = read_balance(self._rpc, self._signer.address)
        if balance < needed:
            raise InsufficientFunds(
                account=self._signer.address, balance_wei=balance, needed_wei=needed
            )

    def sign(self, intent: Intent, fees: Fees) -> Attempt:
        """A signed transaction of the intent."""
        signed = self._signer.sign_transaction(
            {
                "type": 2,
                "chainId": self._rpc.chain_id,
                "nonce": intent.nonce,
                "to": to_checksum_address(intent.recipient),
                "data": intent.data,
                "value": intent.value_wei,
                "gas": intent.gas_limit,
                "maxFeePerGas": fees.max_fee_wei,
                "maxPriorityFeePerGas": fees.priority_fee_wei,
            }
        )
        return Attempt(
            nonce=intent.nonce,
            hash=signed.hash,
            raw=signed.raw,
            fees=fees,
            signed_at_s=self._clock(),
        )

    def broadcast(self, intent: Intent, attempt: Attempt) -> Answer:
        """Hand a transaction to the network, which may have it already.

        Raises RpcRejected for a refusal that waiting or a higher fee can not change.
        """
        try:
            self._rpc.call("eth_sendRawTransaction", "0x" + attempt.raw.hex())
        except RpcUnavailable as error:
            _log.warning("transaction_not_sent", hash=attempt.hash, problem=error.message)
            return Answer.UNREACHABLE
        except RpcRejected as error:
            reason = error.reason.lower()
            if any(words in reason for words in _KNOWN):
                return Answer.ACCEPTED
            if any(words in reason for words in _NONCE_USED):
                return Answer.NONCE_USED
            if any(words in reason for words in _FEE_TOO_LOW):
                _log.warning("transaction_fee_too_low", hash=attempt.hash, reason=error.reason)
                return Answer.FEE_TOO_LOW
            if any(words in reason for words in _NO_FUNDS):
                # Keeps its nonce: it goes in as soon as the account can pay.
                raise InsufficientFunds(
                    account=self._signer.address,
                    balance_wei=read_balance(self._rpc, self._signer.address),
                    needed_wei=_worst_cost(intent, attempt.fees),
                ) from error
            raise
        return Answer.ACCEPTED

    def push(self, intent: Intent) -> None:
        """Do what brings an intent closer to a block: send it again, or replace it.

        It is replaced when it has waited for `replace_after_s`, if its nonce is the account's next
        (any other waits for the one before it), the cap allows and its turns are not used up.
        """
        last = self._journal.attempts(intent.key)[-1]
        waited_s = self._clock() - last.signed_at_s
        is_next = read_nonce(self._rpc, self._signer.address) == intent.nonce
        replacement = None
        if is_next and waited_s >= self._policy.replace_after_s:
            replacement = self._replace(intent, last)
        self.broadcast(intent, replacement or last)

    def _replace(self, intent: Intent, last: Attempt) -> Attempt | None:
        head = read_head(self._rpc)
        assert head is not None, "every chain has a block"
        with self._journal.planning():
            attempts = self._journal.attempts(intent.key)
            if attempts[-1].hash != last.hash or len(attempts) > self._policy.max_replacements:
                return None
            fees = self._policy.raised(last.fees, base_fee_wei=head.base_fee_wei)
            if fees is None:
                return None
            replacement = self.sign(intent, fees)
            self._journal.add_attempt(intent.key, replacement)
        _log.warning(
            "transaction_replaced",
            key=intent.key,
            nonce=intent.nonce,
            old=last.hash,
            new=replacement.hash,
            max_fee_wei=fees.max_fee_wei,
        )
        return replacement


def _worst_cost(intent: Intent, fees: Fees) -> Wei:
    """What the account must hold for a node to take the transaction."""
    return Wei(intent.value_wei + intent.gas_limit * fees.max_fee_wei)
