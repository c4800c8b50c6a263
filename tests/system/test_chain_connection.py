"""Reading the chain and waiting for it: several end points, heads, events, code, clock."""

import threading
import time

import pytest
from support import counter
from support.anvil import run_anvil
from support.chain import CounterChain, counter_chain, wait_until

from network.abi import Abi
from network.ethereum import check_clock, check_code, measure_skew, read_code, read_head
from network.events import EventReader
from network.heads import HeadWatcher
from network.rpc import Rpc
from protocol.errors import (
    ClockSkew,
    CodeMismatch,
    NotAContract,
    RpcRejected,
    RpcUnavailable,
    TransactionReverted,
    WrongChain,
)

pytestmark = pytest.mark.system

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def chain():
    with counter_chain() as running:
        yield running


def add(chain: CounterChain, value: int) -> None:
    request = {
        "from": chain.signer(1).address,
        "to": chain.contract.address,
        "data": "0x" + chain.contract.abi.encode("add", value).hex(),
    }
    chain.rpc.call("eth_sendTransactionSync", request)  # mined when it returns


def test_a_dead_end_point_does_not_stop_us(chain):
    rpc = Rpc([NOWHERE, chain.anvil.url], chain_id=chain.anvil.chain_id)
    assert read_head(rpc) is not None
    rpc.close()


def test_an_end_point_of_another_chain_is_never_used(chain):
    with run_anvil(chain_id=5) as foreign:
        rpc = Rpc([foreign.url, chain.anvil.url], chain_id=chain.anvil.chain_id)
        assert int(rpc.call("eth_chainId"), 16) == chain.anvil.chain_id
        rpc.close()
        alone = Rpc([foreign.url], chain_id=chain.anvil.chain_id)
        with pytest.raises(WrongChain) as caught:
            read_head(alone)
        alone.close()
    assert (caught.value.expected, caught.value.actual) == (chain.anvil.chain_id, 5)


def test_an_end_point_that_dies_and_one_that_comes_back():
    with run_anvil() as second:
        with run_anvil() as first:
            port = int(first.url.rsplit(":", 1)[1])
            rpc = Rpc([first.url, second.url], chain_id=first.chain_id)
            first_block = rpc.call("eth_getBlockByNumber", "0x0", False)
        assert rpc.call("eth_blockNumber") == "0x0"
        only = Rpc([first.url], chain_id=first.chain_id)
        with pytest.raises(RpcUnavailable):
            only.call("eth_blockNumber")
        with run_anvil(port=port):
            assert only.call("eth_blockNumber") == "0x0"
        only.close()
        rpc.close()
    assert first_block is not None


def test_a_call_that_the_node_rejects_is_typed(chain):
    with pytest.raises(RpcRejected):
        chain.rpc.call("eth_no_such_method")
    with pytest.raises(RpcRejected):
        chain.rpc.call("eth_getBalance", "not an address", "latest")


def test_reads_are_typed_too(chain):
    assert chain.contract.read("count") == 0
    with pytest.raises(TransactionReverted):
        chain.contract.read("add", 101)


def test_code_is_compared_without_its_immutables(chain):
    address = chain.contract.address
    assert read_code(chain.rpc, address) == counter.RUNTIME
    check_code(chain.rpc, address, expected=counter.RUNTIME)

    other = bytearray(counter.RUNTIME)
    other[5:9] = b"\xff" * 4
    check_code(chain.rpc, address, expected=bytes(other), immutables=[(5, 4)])
    with pytest.raises(CodeMismatch):
        check_code(chain.rpc, address, expected=bytes(other), immutables=[(5, 3)])
    with pytest.raises(CodeMismatch):
        check_code(chain.rpc, address, expected=counter.RUNTIME + b"\x00")
    with pytest.raises(NotAContract):
        check_code(chain.rpc, chain.signer().address, expected=counter.RUNTIME)


def test_a_clock_that_differs_from_the_chain_s_is_noticed(chain):
    check_clock(chain.rpc, tolerance_s=5)
    chain.rpc.call("evm_increaseTime", 1000)
    assert measure_skew(chain.rpc) == pytest.approx(1000, abs=5)
    with pytest.raises(ClockSkew) as caught:
        check_clock(chain.rpc, tolerance_s=30)
    assert caught.value.skew_s < -900


def test_a_new_block_wakes_a_waiter_at_once(chain):
    """The median over twenty blocks; a poll of any kind would show."""
    delays_s = []
    for _ in range(20):
        present = chain.heads.head
        mined_at: list[float] = []

        def mine(moments=mined_at):
            chain.mine()
            moments.append(time.monotonic())

        thread = threading.Thread(target=mine)
        thread.start()
        head = chain.heads.wait_next(timeout_s=5)
        woken_at = time.monotonic()
        thread.join()
        assert head is not None
        assert head != present
        delays_s.append(woken_at - mined_at[0])
    delays_s.sort()
    print(f"wake-up after the node's answer: median {delays_s[10] * 1000:.2f} ms")
    assert delays_s[10] < 0.05


def test_heads_are_polled_where_there_is_only_http(chain):
    with HeadWatcher(chain.rpc, poll_s=0.05) as heads:
        assert heads.wait_next(timeout_s=5) is not None
        chain.mine()
        assert heads.wait_next(timeout_s=5).number == read_head(chain.rpc).number
        assert not heads.is_subscribed


def test_heads_survive_a_node_s_restart():
    with run_anvil() as first:
        port = int(first.url.rsplit(":", 1)[1])
        rpc = Rpc([first.url], chain_id=first.chain_id)
        heads = HeadWatcher(rpc, websocket_urls=[first.websocket_url], poll_s=0.05)
        heads.start()
        wait_until(lambda: heads.is_subscribed)
    wait_until(lambda: not heads.is_subscribed)
    with run_anvil(port=port):
        wait_until(lambda: heads.is_subscribed)
        wait_until(lambda: heads.head is not None and heads.head.number == 0)
        rpc.call("anvil_mine", "0x1")
        assert heads.wait_for(lambda: heads.head.number == 1 or None, timeout_s=5)
        heads.close()
    rpc.close()


def test_heads_of_another_chain_are_not_followed(chain):
    with (
        run_anvil(chain_id=5) as foreign,
        HeadWatcher(
            chain.rpc,
            websocket_urls=[foreign.websocket_url, chain.anvil.websocket_url],
            poll_s=0.05,
        ) as heads,
    ):
        wait_until(lambda: heads.is_subscribed)
        assert heads.head == read_head(chain.rpc)


def test_a_deadline_wakes_where_no_block_comes(chain):
    looks = []
    deadline_s = time.time() + 0.3
    found = chain.heads.wait_for(
        lambda: looks.append(time.time()) or (time.time() >= deadline_s or None),
        timeout_s=5,
        wake_at_s=[deadline_s],
    )
    assert found
    assert len(looks) <= 4
    assert looks[-1] - deadline_s < 0.1


def test_closing_ends_every_wait(chain):
    heads = HeadWatcher(chain.rpc, websocket_urls=[chain.anvil.websocket_url])
    heads.start()
    thread = threading.Thread(target=lambda: heads.wait_for(lambda: None, timeout_s=60))
    thread.start()
    heads.close()
    thread.join(5)
    assert not thread.is_alive()


def test_events_are_read_in_order_and_resumed(chain):
    for value in (3, 1, 2):
        add(chain, value)
    reader = EventReader(chain.rpc, chain.contract.abi, [chain.contract.address])
    batches = list(reader.read(0))
    assert [event.args.value for batch in batches for event in batch.events] == [3, 1, 2]
    assert list(reader.read(0, after=batches[-1].position)) == []

    add(chain, 9)
    (batch,) = reader.read(0, after=batches[-1].position)
    assert [event.args.value for event in batch.events] == [9]
    assert not batch.rewound


def test_events_are_read_anew_after_a_reorganisation(chain):
    add(chain, 1)
    before = chain.rpc.call("evm_snapshot")
    add(chain, 2)
    reader = EventReader(
        chain.rpc, chain.contract.abi, [chain.contract.address], names=["Added"], depth=2
    )
    *_, batch = reader.read(0)
    chain.rpc.call("evm_revert", before)
    add(chain, 3)
    (again,) = reader.read(0, after=batch.position)

    assert again.rewound
    kept = [event for event in batch.events if event.block_number < again.start]
    assert [event.args.value for event in (*kept, *again.events)] == [1, 3]


def test_a_node_that_wants_shorter_ranges_gets_them(chain, monkeypatch):
    for value in range(5):
        add(chain, value)
    spans = []
    call = Rpc.call

    def picky(self, method, *params):
        if method == "eth_getLogs":
            span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if span > 2:
                raise RpcRejected(method=method, code=-32602, reason="range too large")
            spans.append(span)
        return call(self, method, *params)

    monkeypatch.setattr(Rpc, "call", picky)
    reader = EventReader(chain.rpc, Abi(counter.ABI), [chain.contract.address])
    found = [event.args.value for batch in reader.read(0) for event in batch.events]
    assert found == list(range(5))
    assert len(spans) >= 3
