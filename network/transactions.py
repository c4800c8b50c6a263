"""Do a thing on chain once, whatever crashes, hangs or reorganises meanwhile.

Every call has a key that its caller chooses, such as "commit/<run>/<round>/<attempt>". A call is
journalled with its nonce and its signed bytes before the network hears of it; whoever asks for the
same key again, also after a crash, gets the same transaction's outcome and never a second one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from network.abi import Abi, Event
from network.ethereum import Inclusion
from network.fees import FeePolicy, Fees
from network.heads import HeadWatcher
from network.inclusion import InclusionFollower, find_inclusion
from network.journal import Intent, IntentState, TransactionJournal
from network.keys import Signer
from network.mempool import Mempool
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from protocol.errors import (
    ChainError,
    IntentConflict,
    NonceConflict,
    RpcRejected,
    RpcUnavailable,
    TransactionReverted,
    TransactionStuck,
)
from protocol.types import Address, BlockNumber, Wei

_log = structlog.get_logger(__name__)

_GAS_MARGIN_PERCENT = 25
_LEAST_GAS = 21_000  # of any transaction
_NO_WEI = Wei(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to send. Without a `gas_limit` it is the estimate and a quarter more."""

    recipient: Address
    data: bytes
    value_wei: Wei = _NO_WEI
    gas_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A call that succeeded, and the events it emitted that the sender's ABI knows."""

    hash: str
    block_number: BlockNumber
    block_hash: str
    gas_used: int
    gas_price_wei: Wei
    events: tuple[Event, ...]

    @property
    def cost_wei(self) -> Wei:
        """What the gas cost."""
        return Wei(self.gas_used * self.gas_price_wei)


class TransactionSender:
    """Sends one account's calls; safe for several threads, and for processes with one journal."""

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        journal_path: Path,
        *,
        heads: HeadWatcher,
        abi: Abi,
        reverts: RevertCatalogue | None = None,
        policy: FeePolicy | None = None,
        confirmations: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._heads = heads
        self._abi = abi
        self._reverts = reverts or RevertCatalogue(abi)
        self._policy = policy or FeePolicy()
        self._confirmations = confirmations
        self.address = signer.address
        self._journal = TransactionJournal(
            journal_path, chain_id=rpc.chain_id, sender=signer.address, clock=clock
        )
        self._mempool = Mempool(rpc, signer, self._journal, self._policy, clock=clock)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def send(
        self,
        key: str,
        call: Call,
        *,
        deadline_s: float = 300.0,
        already_done: Callable[[], bool] | None = None,
    ) -> Receipt | None:
        """The receipt of the one transaction of this key, confirmed.

        `already_done` looks at the chain's state; where it says yes and no transaction of ours did
        it, nothing is sent and None returned. Raises TransactionReverted (before any gas is spent,
        if the simulation shows it), TransactionStuck after `deadline_s` seconds, InsufficientFunds,
        IntentConflict for another call under the same key, NonceConflict if another process uses
        the account and `already_done` can not be asked, JournalUnavailable, and what `Rpc` raises.
        After any of them the same `send` may be tried again.
        """
        give_up_at = time.monotonic() + deadline_s
        while True:
            intent = self._journal.find(key)
            if intent is not None:
                self._check_same(intent, call)
            if intent is None or intent.state is IntentState.DROPPED:
                if already_done is not None and already_done():
                    return None
                intent = self._plan(key, call)
            else:
                intent = self._take_up(intent, already_done)
                if intent is None:
                    return None
            inclusion = self._wait(intent, give_up_at, deadline_s)
            if inclusion is not None:
                return self._finish(intent, inclusion)
            # Another process used the nonce: ask the chain's state whether there is more to do.
            self._journal.mark(key, IntentState.DROPPED)
            _log.warning("nonce_taken", key=key, nonce=intent.nonce)
            if already_done is None:
                raise NonceConflict(account=self.address, nonce=intent.nonce)

    def planned(self, key: str) -> Call | None:
        """The call that was journalled under a key; None if none was, or nothing of it is left.

        For calls that carry an amount of the day: after a crash the same must be sent again.
        """
        intent = self._journal.find(key)
        if intent is None or intent.state is IntentState.DROPPED:
            return None
        return _call_of(intent)

    def resume(self) -> tuple[str, ...]:
        """Send again what a former process left behind; gives the keys that still wait.

        Call it once after a start, so that no forgotten nonce holds up the next ones.
        """
        waiting = self._journal.pending()
        for intent in waiting:
            if find_inclusion(self._rpc, self._journal, intent) is None:
                last = self._journal.attempts(intent.key)[-1]
                try:
                    self._mempool.broadcast(intent, last)
                except ChainError as error:
                    _log.warning("transaction_refused", key=intent.key, problem=error.message)
        return tuple(intent.key for intent in waiting)

    def estimate_gas(self, call: Call, fees: Fees | None = None) -> int:
        """Units of gas that the call would take; raises TransactionReverted if it would fail."""
        request = {
            "from": self.address,
            "to": call.recipient,
            "data": "0x" + call.data.hex(),
            "value": hex(call.value_wei),
        }
        if fees is not None:
            # A keeper's refund depends on the gas price; at price 0 its cost would not be seen.
            request["maxFeePerGas"] = hex(fees.max_fee_wei)
            request["maxPriorityFeePerGas"] = hex(fees.priority_fee_wei)
        try:
            # "pending" sees this account's earlier calls and the next block's time.
            return int(self._rpc.call("eth_estimateGas", request, "pending"), 16)
        except RpcRejected as error:
            raise self._reverts.translate(error) from None

    def _check_same(self, intent: Intent, call: Call) -> None:
        planned = (intent.recipient.lower(), intent.data, intent.value_wei)
        if planned != (call.recipient.lower(), call.data, call.value_wei):
            if intent.state is IntentState.DROPPED:
                return  # nothing of it can reach the chain
            raise IntentConflict(key=intent.key)

    def _plan(self, key: str, call: Call) -> Intent:
        """Journal the call with a nonce and a signature, then send it."""
        fees = self._mempool.first_fees()
        intent = Intent(
            key=key,
            nonce=0,
            recipient=call.recipient,
            data=call.data,
            value_wei=call.value_wei,
            gas_limit=_LEAST_GAS,
        )
        # A node estimates nothing for an account that could not pay for an empty transaction.
        self._mempool.check_funds(intent, fees)
        gas = self.estimate_gas(call, fees)
        limit = call.gas_limit or gas + gas * _GAS_MARGIN_PERCENT // 100
        intent = replace(intent, gas_limit=limit)
        self._mempool.check_funds(intent, fees)
        with self._journal.planning():
            present = self._journal.find(key)
            if present is not None and present.state is not IntentState.DROPPED:
                return present  # another thread was faster
            intent = replace(intent, nonce=self._mempool.free_nonce())
            attempt = self._mempool.sign(intent, fees)
            self._journal.plan(intent)
            self._journal.add_attempt(key, attempt)
        _log.info("transaction_planned", key=key, nonce=intent.nonce, hash=attempt.hash)
        try:
            self._mempool.broadcast(intent, attempt)
        except RpcRejected as error:
            # No node took it, so its nonce is free.
            self._journal.mark(key, IntentState.DROPPED)
            raise self._reverts.translate(error) from None
        return intent

    def _take_up(self, intent: Intent, already_done: Callable[[], bool] | None) -> Intent | None:
        """Go on with what the journal knows of; None if the thing was done by another."""
        if find_inclusion(self._rpc, self._journal, intent) is not None:
            return intent
        if intent.state is IntentState.MINED:
            # A reorganisation took it out of the chain.
            self._journal.mark(intent.key, IntentState.PENDING)
            intent = replace(intent, state=IntentState.PENDING)
        last = self._journal.attempts(intent.key)[-1]
        is_last = all(other.nonce <= intent.nonce for other in self._journal.pending())
        if is_last and self._rpc.call("eth_getTransactionByHash", last.hash) is None:
            # The network does not know it: send it only if it still makes sense.
            done = already_done is not None and already_done()
            try:
                if not done:
                    self.estimate_gas(_call_of(intent))
            except TransactionReverted:
                self._journal.mark(intent.key, IntentState.DROPPED)
                raise
            if done:
                self._journal.mark(intent.key, IntentState.DROPPED)
                return None
        self._mempool.broadcast(intent, last)
        return intent

    def _wait(self, intent: Intent, give_up_at: float, deadline_s: float) -> Inclusion | None:
        """The confirmed inclusion; None if the nonce went to a foreign transaction."""
        follower = InclusionFollower(
            self._rpc,
            self._journal,
            self._mempool,
            intent,
            sender=self.address,
            confirmations=self._confirmations,
        )
        while True:
            left_s = give_up_at - time.monotonic()
            pause_s = min(max(left_s, 0.0), self._policy.replace_after_s)
            if self._heads.wait_for(follower.look, timeout_s=pause_s):
                return follower.inclusion
            if left_s <= pause_s or self._heads.is_closed:
                if follower.failure is not None:
                    raise follower.failure
                last = self._journal.attempts(intent.key)[-1]
                raise TransactionStuck(tx_hash=last.hash, waited_s=deadline_s)
            if not follower.is_included:
                self._push_up_to(intent)

    def _push_up_to(self, intent: Intent) -> None:
        """Move this intent, and those whose nonces come before it."""
        try:
            for earlier in self._journal.pending():
                if earlier.nonce <= intent.nonce:
                    self._mempool.push(earlier)
        except RpcUnavailable as error:
            _log.warning("push_failed", key=intent.key, problem=error.message)

    def _finish(self, intent: Intent, inclusion: Inclusion) -> Receipt:
        if not inclusion.succeeded:
            # The nonce is used and nothing was done: the same key may be planned anew.
            self._journal.mark(intent.key, IntentState.DROPPED)
            raise self._explain(intent, inclusion)
        self._journal.mark(intent.key, IntentState.MINED)
        decoded = (self._abi.decode_log(log) for log in inclusion.logs)
        return Receipt(
            hash=inclusion.hash,
            block_number=inclusion.block_number,
            block_hash=inclusion.block_hash,
            gas_used=inclusion.gas_used,
            gas_price_wei=Wei(inclusion.gas_price_wei),
            events=tuple(event for event in decoded if event is not None),
        )

    def _explain(self, intent: Intent, inclusion: Inclusion) -> ChainError:
        """Run the failed call again on the state before its block, to learn why."""
        request = {
            "from": self.address,
            "to": intent.recipient,
            "data": "0x" + intent.data.hex(),
            "value": hex(intent.value_wei),
            "gas": hex(intent.gas_limit),
        }
        try:
            self._rpc.call("eth_call", request, hex(inclusion.block_number - 1))
        except RpcRejected as error:
            return self._reverts.translate(error)
        except ChainError:
            pass
        out_of_gas = inclusion.gas_used >= intent.gas_limit
        return TransactionReverted(error_name="OutOfGas" if out_of_gas else "NoReason")


def _call_of(intent: Intent) -> Call:
    return Call(recipient=intent.recipient, data=intent.data, value_wei=intent.value_wei)
