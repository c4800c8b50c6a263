"""A call happens once, whatever crashes, hangs or reorganises: against a real anvil."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.chain import CounterChain, counter_chain, signer_of, wait_until

from network.ethereum import read_inclusion, read_nonce
from network.fees import GWEI, FeePolicy
from network.journal import TransactionJournal
from network.keys import Signer
from network.mempool import Mempool
from protocol.errors import (
    InsufficientFunds,
    IntentConflict,
    NonceConflict,
    TransactionReverted,
    TransactionStuck,
)

pytestmark = pytest.mark.system

HASTY = FeePolicy(replace_after_s=0.3, max_replacements=3)


@pytest.fixture
def chain():
    with counter_chain() as running:
        yield running


@pytest.fixture
def still_chain():
    """Mines only when told to."""
    with counter_chain("--no-mining") as running:
        yield running


def attempts_of(chain: CounterChain, journal: Path, key: str, signer: Signer | None = None):
    sender = (signer or chain.signer()).address
    opened = TransactionJournal(journal, chain_id=chain.rpc.chain_id, sender=sender)
    try:
        return opened.attempts(key)
    finally:
        opened.close()


def in_background(work):
    """A thread's future result."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def test_the_receipt_carries_cost_and_decoded_events(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    receipt = sender.send("add/1", chain.contract.prepare("add", 7))
    sender.close()

    (event,) = receipt.events
    assert (event.name, event.args.who, event.args.value) == ("Added", sender.address, 7)
    assert receipt.cost_wei == receipt.gas_used * receipt.gas_price_wei > 0
    assert chain.count() == 1


def test_the_same_key_is_sent_once_even_by_a_new_process(chain, tmp_path):
    call = chain.contract.prepare("add", 7)
    receipts = []
    for _ in range(2):
        sender = chain.sender(tmp_path / "journal")
        receipts.append(sender.send("add/1", call))
        sender.close()

    assert receipts[0] == receipts[1]
    assert chain.count() == 1


def test_another_call_under_the_same_key_is_refused(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    sender.send("add/1", chain.contract.prepare("add", 7))
    with pytest.raises(IntentConflict):
        sender.send("add/1", chain.contract.prepare("add", 8))
    sender.close()


def test_a_revert_is_named_before_any_gas_is_spent(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    with pytest.raises(TransactionReverted) as caught:
        sender.send("add/1", chain.contract.prepare("add", 101))

    assert (caught.value.error_name, caught.value.error_args) == ("TooBig", (101, 100))
    assert read_nonce(chain.rpc, sender.address) == 0
    # The key is free for a call that works.
    assert sender.send("add/1", chain.contract.prepare("add", 100)) is not None
    sender.close()


def test_a_revert_on_chain_is_explained(still_chain, tmp_path):
    """The simulation passes; then the contract changes under the waiting transaction."""
    sender = still_chain.sender(tmp_path / "journal")
    call = still_chain.contract.prepare("add", 7)
    future = in_background(lambda: sender.send("add/1", call))
    wait_until(lambda: read_nonce(still_chain.rpc, sender.address, "pending") == 1)
    # PUSH0 PUSH0 REVERT
    still_chain.rpc.call("anvil_setCode", call.recipient, "0x5f5ffd")
    still_chain.mine()
    with pytest.raises(TransactionReverted):
        future.result(10)
    sender.close()


def test_already_done_things_are_not_sent(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    call = chain.contract.prepare("add", 7)

    assert sender.send("add/1", call, already_done=lambda: True) is None
    assert chain.count() == 0
    sender.close()


CRASH = """
import os, signal, sys
from pathlib import Path
from network.heads import HeadWatcher
from network.mempool import Mempool
from network.abi import Abi
from network.keys import unlock_test_key
from network.rpc import Rpc
from network.transactions import Call, TransactionSender
from support import counter

url, address, journal, moment = sys.argv[1:]
rpc = Rpc([url], chain_id=31337)
send = Mempool.broadcast

def broadcast(self, *arguments):
    if moment == "after":
        send(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)

Mempool.broadcast = broadcast
abi = Abi(counter.ABI)
sender = TransactionSender(
    rpc, unlock_test_key(), Path(journal), heads=HeadWatcher(rpc), abi=abi
)
sender.send("add/1", Call(recipient=address, data=abi.encode("add", 7)))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_process_leaves_nothing_undone_and_nothing_twice(still_chain, tmp_path, moment):
    """kill -9 between the journal and the network, and right after sending."""
    chain, journal = still_chain, tmp_path / "journal"
    killed = subprocess.run(
        [sys.executable, "-c", CRASH, chain.anvil.url, chain.contract.address, journal, moment],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COMMONWEIGHT_TEST_KEY": chain.anvil.private_keys[0],
        },
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    address = chain.signer().address
    assert read_nonce(chain.rpc, address, "pending") == (1 if moment == "after" else 0)

    sender = chain.sender(journal)
    future = in_background(lambda: sender.send("add/1", chain.contract.prepare("add", 7)))
    wait_until(lambda: read_nonce(chain.rpc, address, "pending") == 1)
    chain.mine()
    receipt = future.result(10)
    sender.close()

    (attempt,) = attempts_of(chain, journal, "add/1")
    assert receipt.hash == attempt.hash
    assert (chain.count(), read_nonce(chain.rpc, address)) == (1, 1)


def test_resume_sends_what_a_dead_process_planned(still_chain, tmp_path, monkeypatch):
    chain, journal = still_chain, tmp_path / "journal"
    with monkeypatch.context() as patch:
        patch.setattr(Mempool, "broadcast", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        sender = chain.sender(journal)
        with pytest.raises(KeyboardInterrupt):
            sender.send("add/1", chain.contract.prepare("add", 7))
        sender.close()

    sender = chain.sender(journal)
    assert sender.resume() == ("add/1",)
    chain.mine()
    assert chain.count() == 1
    sender.close()


def test_a_stuck_transaction_is_replaced_a_few_times_and_then_reported(still_chain, tmp_path):
    chain, journal = still_chain, tmp_path / "journal"
    sender = chain.sender(journal, policy=HASTY)
    call = chain.contract.prepare("add", 7)
    with pytest.raises(TransactionStuck) as caught:
        sender.send("add/1", call, deadline_s=2.0)

    attempts = attempts_of(chain, journal, "add/1")
    assert len(attempts) == 1 + HASTY.max_replacements
    assert caught.value.tx_hash == attempts[-1].hash
    for before, after in itertools.pairwise(attempts):
        assert after.fees.max_fee_wei * 1000 >= before.fees.max_fee_wei * 1125
        assert after.fees.priority_fee_wei * 1000 >= before.fees.priority_fee_wei * 1125

    chain.mine()
    receipt = sender.send("add/1", call)
    assert receipt.hash == attempts[-1].hash
    assert chain.count() == 1
    sender.close()


def test_a_base_fee_that_jumps_is_followed(still_chain, tmp_path):
    chain, journal = still_chain, tmp_path / "journal"
    sender = chain.sender(journal, policy=HASTY)
    future = in_background(lambda: sender.send("add/1", chain.contract.prepare("add", 7)))
    wait_until(lambda: read_nonce(chain.rpc, sender.address, "pending") == 1)
    chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    chain.mine()
    assert chain.count() == 0
    wait_until(lambda: len(attempts_of(chain, journal, "add/1")) > 1)

    def mined() -> bool:
        chain.mine()
        return future.done()

    wait_until(mined)
    assert future.result().gas_price_wei > 30 * GWEI
    assert chain.count() == 1
    sender.close()


def test_a_fee_above_the_cap_is_never_offered(still_chain, tmp_path):
    chain, journal = still_chain, tmp_path / "journal"
    policy = FeePolicy(replace_after_s=0.2, cap_wei=4 * GWEI)
    sender = chain.sender(journal, policy=policy)
    with pytest.raises(TransactionStuck):
        sender.send("add/1", chain.contract.prepare("add", 7), deadline_s=1.5)
    sender.close()

    fees = [attempt.fees.max_fee_wei for attempt in attempts_of(chain, journal, "add/1")]
    assert max(fees) <= policy.cap_wei


def use_nonce_elsewhere(chain: CounterChain) -> str:
    """What a second process with the same key does: a dearer transaction with nonce 0."""
    signed = chain.signer().sign_transaction(
        {
            "type": 2, "chainId": chain.rpc.chain_id, "nonce": 0, "to": chain.signer(1).address,
            "value": 1, "gas": 21_000, "data": b"",
            "maxFeePerGas": 100 * GWEI, "maxPriorityFeePerGas": 50 * GWEI,
        }
    )  # fmt: skip
    return chain.rpc.call("eth_sendRawTransaction", "0x" + signed.raw.hex())


@pytest.mark.parametrize("can_ask", [True, False])
def test_a_second_process_with_the_same_key_is_noticed(still_chain, tmp_path, can_ask):
    chain = still_chain
    sender = chain.sender(tmp_path / "journal")
    call = chain.contract.prepare("add", 7)
    ask = (lambda: False) if can_ask else None
    future = in_background(lambda: sender.send("add/1", call, already_done=ask))
    wait_until(lambda: read_nonce(chain.rpc, sender.address, "pending") == 1)
    foreign = use_nonce_elsewhere(chain)
    chain.mine()
    assert read_inclusion(chain.rpc, foreign) is not None

    if can_ask:
        wait_until(lambda: read_nonce(chain.rpc, sender.address, "pending") == 2)
        chain.mine()
        assert future.result(10) is not None
        assert chain.count() == 1
    else:
        with pytest.raises(NonceConflict):
            future.result(10)
    sender.close()


def test_a_reorganised_transaction_is_sent_again(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal", confirmations=3)
    before = chain.rpc.call("evm_snapshot")
    future = in_background(lambda: sender.send("add/1", chain.contract.prepare("add", 7)))
    wait_until(lambda: chain.count() == 1)
    chain.mine()
    chain.rpc.call("evm_revert", before)
    assert chain.count() == 0
    # The new branch: its first block wakes the sender.
    chain.mine()
    wait_until(lambda: chain.count() == 1)
    assert not future.done()
    chain.mine(2)
    assert future.result(10) is not None
    assert (chain.count(), read_nonce(chain.rpc, sender.address)) == (1, 1)

    sender.close()


def test_asking_again_repairs_what_a_reorganisation_took(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    call = chain.contract.prepare("add", 7)
    before = chain.rpc.call("evm_snapshot")
    receipt = sender.send("add/1", call)
    chain.rpc.call("evm_revert", before)
    assert chain.count() == 0

    assert sender.send("add/1", call).hash == receipt.hash
    assert chain.count() == 1
    sender.close()


def test_many_threads_share_an_account(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    calls = 40
    with ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(
                lambda place: sender.send(f"add/{place}", chain.contract.prepare("add", place)),
                range(calls),
            )
        )
    sender.close()

    assert len({receipt.hash for receipt in receipts}) == calls
    assert (chain.count(), read_nonce(chain.rpc, sender.address)) == (calls, calls)


def test_processes_with_one_journal_share_an_account(chain, tmp_path):
    """Two senders with connections of their own to the same journal file."""
    senders = [chain.sender(tmp_path / "journal") for _ in range(2)]
    barrier = threading.Barrier(2)

    def run(place: int) -> None:
        barrier.wait()
        for turn in range(10):
            senders[place].send(f"{place}/{turn}", chain.contract.prepare("add", turn))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))
    for sender in senders:
        sender.close()

    assert chain.count() == 20


def test_a_poor_account_learns_what_it_lacks(chain, tmp_path):
    poor = signer_of("0x" + "17" * 32)
    sender = chain.sender(tmp_path / "journal", signer=poor)
    with pytest.raises(InsufficientFunds) as caught:
        sender.send("add/1", chain.contract.prepare("add", 7))
    sender.close()

    assert caught.value.account == poor.address
    assert caught.value.balance_wei == 0
    assert caught.value.needed_wei > 0


def test_the_journal_holds_no_secret(chain, tmp_path):
    sender = chain.sender(tmp_path / "journal")
    sender.send("add/1", chain.contract.prepare("add", 7))
    sender.close()

    key = bytes.fromhex(chain.anvil.private_keys[0][2:])
    for path in tmp_path.iterdir():
        assert key not in path.read_bytes()
        assert key.hex().encode() not in path.read_bytes()
