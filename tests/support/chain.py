"""An anvil with the counter contract on it, and senders that use it."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network.abi import Abi
from network.contract import Contract
from network.fees import FeePolicy
from network.heads import HeadWatcher
from network.keys import TEST_KEY_VARIABLE, Signer, unlock_test_key
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.transactions import TransactionSender
from support import counter
from support.anvil import Anvil, run_anvil


def signer_of(private_key: str) -> Signer:
    """The signer of one of anvil's keys."""
    signer = unlock_test_key({TEST_KEY_VARIABLE: private_key})
    assert signer is not None
    return signer


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterChain:
    """A running chain, its newest heads, and the counter."""

    anvil: Anvil
    rpc: Rpc
    heads: HeadWatcher
    contract: Contract

    def signer(self, place: int = 0) -> Signer:
        return signer_of(self.anvil.private_keys[place])

    def sender(
        self,
        journal: Path,
        *,
        signer: Signer | None = None,
        policy: FeePolicy | None = None,
        confirmations: int = 1,
    ) -> TransactionSender:
        return TransactionSender(
            self.rpc,
            signer or self.signer(),
            journal,
            heads=self.heads,
            abi=self.contract.abi,
            policy=policy,
            confirmations=confirmations,
        )

    def count(self) -> int:
        """How often `add` succeeded."""
        return self.contract.read("count")

    def mine(self, blocks: int = 1) -> None:
        self.rpc.call("anvil_mine", hex(blocks))


def deploy_counter(rpc: Rpc) -> Contract:
    """The counter, deployed from anvil's last account so that the others start at nonce 0."""
    accounts = rpc.call("eth_accounts")
    tx_hash = rpc.call(
        "eth_sendTransaction", {"from": accounts[-1], "data": "0x" + counter.CREATION.hex()}
    )
    receipt = rpc.call("eth_getTransactionReceipt", tx_hash)
    if receipt is None:
        rpc.call("anvil_mine", "0x1")
        receipt = rpc.call("eth_getTransactionReceipt", tx_hash)
    abi = Abi(counter.ABI)
    return Contract(rpc, receipt["contractAddress"], abi, RevertCatalogue(abi))


@contextlib.contextmanager
def counter_chain(*arguments: str) -> Iterator[CounterChain]:
    """Anvil (with its own flags) and all that a sender needs."""
    with run_anvil(*arguments) as anvil:
        rpc = Rpc([anvil.url], chain_id=anvil.chain_id)
        contract = deploy_counter(rpc)
        with HeadWatcher(rpc, websocket_urls=[anvil.websocket_url]) as heads:
            wait_until(lambda: heads.is_subscribed)
            yield CounterChain(anvil=anvil, rpc=rpc, heads=heads, contract=contract)
        rpc.close()


def wait_until(condition, *, timeout_s: float = 10.0) -> None:
    """Returns when the condition holds; fails the test if it does not in time."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, "condition never held"
        time.sleep(0.005)
