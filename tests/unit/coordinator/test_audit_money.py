"""The court of a run gets what auditors are paid from, once, and no other account does."""

import pytest

from coordinator import audit_money
from coordinator.audit_money import fund_audits
from network.abi import Abi
from network.run import ZERO_ADDRESS

RUN = "0x" + "11" * 20
COURT = "0x" + "22" * 20
FUND_AUDITS = {
    "type": "function",
    "name": "fundAudits",
    "inputs": [{"name": "run", "type": "address"}],
    "outputs": [],
    "stateMutability": "payable",
}


class FakeRpc:
    """A run that names a court, with or without code."""

    def __init__(self, court=COURT, code="0x00"):
        self.court, self.code = court, code

    def call(self, method, *params):
        if method == "eth_getCode":
            assert params[0].lower() == self.court
            return self.code
        assert params[0]["to"] == RUN
        return "0x" + self.court[2:].rjust(64, "0")


class FakeSender:
    def __init__(self):
        self.sent = []

    def send(self, key, call):
        self.sent.append((key, call))


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(audit_money, "knows", lambda _: True)
    monkeypatch.setattr(audit_money, "abi_of", lambda _: Abi([FUND_AUDITS]))


@pytest.mark.usefixtures("known")
def test_the_court_that_the_run_names_is_given_the_money_under_one_key():
    sender = FakeSender()
    assert [fund_audits(FakeRpc(), sender, RUN, 7) for _ in range(2)] == [7, 7]
    (first, call), (second, _) = sender.sent
    assert first == second
    assert (call.recipient.lower(), call.value_wei) == (COURT, 7)
    assert call.data[4:].hex() == RUN[2:].rjust(64, "0")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("rpc", [FakeRpc(court=ZERO_ADDRESS), FakeRpc(code="0x")])
def test_without_a_court_nothing_is_sent(rpc):
    sender = FakeSender()
    assert fund_audits(rpc, sender, RUN, 7) == 0
    assert sender.sent == []


def test_a_court_that_this_version_does_not_know_gets_nothing(monkeypatch):
    monkeypatch.setattr(audit_money, "knows", lambda _: False)
    sender = FakeSender()
    assert fund_audits(FakeRpc(), sender, RUN, 7) == 0
    assert sender.sent == []


def test_no_money_is_no_transaction():
    assert fund_audits(None, None, RUN, 0) == 0
