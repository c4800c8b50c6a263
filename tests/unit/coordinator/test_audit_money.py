"""The court of a run gets what auditors are paid from, once, and no other account does."""

import pytest

from coordinator.audit_money import fund_audits
from network.artifacts import abi_of
from network.run import ZERO_ADDRESS

RUN = "0x" + "11" * 20
COURT = "0x" + "22" * 20


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


def test_the_court_that_the_run_names_is_given_the_money_under_one_key():
    sender = FakeSender()
    assert [fund_audits(FakeRpc(), sender, RUN, 7) for _ in range(2)] == [7, 7]
    (first, call), (second, _) = sender.sent
    assert first == second
    assert (call.recipient.lower(), call.value_wei) == (COURT, 7)
    assert call.data == abi_of("TrainingCourt").encode("fundAudits", RUN)


@pytest.mark.parametrize("rpc", [FakeRpc(court=ZERO_ADDRESS), FakeRpc(code="0x")])
def test_without_a_court_nothing_is_sent(rpc):
    sender = FakeSender()
    assert fund_audits(rpc, sender, RUN, 7) == 0
    assert sender.sent == []


def test_no_money_is_no_transaction():
    assert fund_audits(None, None, RUN, 0) == 0
