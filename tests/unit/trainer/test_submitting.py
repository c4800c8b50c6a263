"""Relay first, one's own transaction when it fails or is slow; never two of one thing."""

from types import SimpleNamespace

import pytest
from unit.trainer.makers import entry

from network.remedies import REMEDIES
from protocol.errors import RelayRefused, RelayUnavailable
from protocol.rounds import Opinion
from trainer.submitting import RESEND_S, Submitter, Window

WINDOW = Window(started_s=100.0, deadline_s=200.0)
SAID = Opinion(available=0b1)


class FakeRelay:
    def __init__(self, failure=None):
        self.failure = failure
        self.sent = []

    def _take(self, message):
        self.sent.append(message)
        if self.failure is not None:
            raise self.failure

    send_commitment = send_reveal = send_attestation = _take


class FakeRun:
    def __init__(self):
        self.progress = 0
        self.posted = 0
        self.harmful = 0

    def commit(self, **values):
        return ("commit", values)

    def reveal_batch(self, **values):
        return ("reveal", values)

    def prepare(self, function, *values):
        return (function, values)

    def submission(self, seat):
        return SimpleNamespace(attempt=1, progress=self.progress)

    def read(self, function, *_):
        assert function == "posted"
        return (self.posted, self.harmful, 0)


class FakeSender:
    def __init__(self, failure=None):
        self.failure = failure
        self.sent = []

    def send(self, key, call, *, deadline_s, already_done):
        assert deadline_s > 0
        if already_done is not None and already_done():
            return None
        self.sent.append((key, call[0]))
        if self.failure is not None:
            raise self.failure
        return object()


class FakeSigner:
    def sign_typed_data(self, data):
        return SimpleNamespace(r=b"r" * 32, vs=b"v" * 32, said=data["message"])


def submitter(*, relay=None, run=None, sender=None, now_s=110.0):
    clock = SimpleNamespace(now_s=now_s)
    made = Submitter(
        run=run or FakeRun(),
        chain_id=1,
        signer=FakeSigner(),
        sender=sender or FakeSender(),
        relay=relay,
        clock=lambda: clock.now_s,
    )
    return made, clock


def test_a_relay_that_takes_it_is_given_time_until_three_quarters():
    relay, sender = FakeRelay(), FakeSender()
    made, clock = submitter(relay=relay, sender=sender)
    assert made.commit(entry(), WINDOW) == "relay"
    assert made.commit(entry(), WINDOW) is None
    assert len(relay.sent) == 1
    clock.now_s = 174.9
    assert made.commit(entry(), WINDOW) is None
    assert sender.sent == []
    clock.now_s = 175.0
    assert made.commit(entry(), WINDOW) == "chain"


def test_a_relay_that_may_have_forgotten_is_told_again():
    relay, sender = FakeRelay(), FakeSender()
    made, clock = submitter(relay=relay, sender=sender)
    assert made.commit(entry(), WINDOW) == "relay"
    clock.now_s += RESEND_S
    relay.failure = RelayUnavailable(url="http://x", reason="restarts")
    assert made.commit(entry(), WINDOW) is None  # it has until three quarters all the same
    clock.now_s += RESEND_S
    relay.failure = None
    assert made.commit(entry(), WINDOW) is None
    assert (len(relay.sent), sender.sent) == (3, [])


def test_a_reveal_that_the_relay_does_not_show_waits_for_half_of_the_phase_only():
    relay = FakeRelay()
    made, clock = submitter(relay=relay)
    assert made.reveal(entry(), WINDOW, is_held=False) == "relay"
    clock.now_s = 149.9
    assert made.reveal(entry(), WINDOW, is_held=False) is None
    clock.now_s = 150.0
    assert made.reveal(entry(), WINDOW) is None
    assert made.reveal(entry(), WINDOW, is_held=False) == "chain"


def test_an_early_attestation_goes_to_the_relay_alone_until_it_takes_it():
    refusal = RelayRefused(error_name="NotRevealed", reason="no", hint="again")
    relay, sender = FakeRelay(refusal), FakeSender()
    made, clock = submitter(relay=relay, sender=sender)
    assert not made.attest_early(entry().key, 3, SAID)
    relay.failure = None
    assert not made.attest_early(entry().key, 3, SAID)
    clock.now_s += RESEND_S
    assert made.attest_early(entry().key, 3, SAID)
    assert made.attest(entry().key, 3, SAID, WINDOW) is None  # it stays valid in the audit
    clock.now_s = 175.0
    assert made.attest(entry().key, 3, SAID, WINDOW) == "chain"


@pytest.mark.parametrize(
    "failure",
    [
        RelayUnavailable(url="http://x", reason="gone"),
        RelayRefused(error_name="No", reason="no", hint="none"),
    ],
    ids=["unavailable", "refused"],
)
def test_a_relay_that_fails_costs_no_time(failure):
    """The own transaction follows at once, and the relay is not asked again."""
    relay, sender = FakeRelay(failure), FakeSender()
    made, _ = submitter(relay=relay, sender=sender)
    assert made.commit(entry(), WINDOW) == "chain"
    assert len(sender.sent) == len(relay.sent) == 1


def test_without_a_relay_everything_goes_by_chain():
    sender = FakeSender()
    made, _ = submitter(sender=sender)
    assert made.commit(entry(), WINDOW) == "chain"
    assert made.reveal(entry(), WINDOW) == "chain"
    assert made.attest(entry().key, 3, SAID, WINDOW) == "chain"
    assert [what for _, what in sender.sent] == ["commit", "reveal", "attest"]
    assert len({key for key, _ in sender.sent}) == len(sender.sent)


def test_what_the_chain_has_is_not_sent_again():
    run, sender = FakeRun(), FakeSender()
    run.progress = 2
    made, _ = submitter(run=run, sender=sender)
    assert made.commit(entry(), WINDOW) is None
    assert made.reveal(entry(), WINDOW) is None
    assert sender.sent == []


def test_losing_the_race_with_the_relay_is_no_error():
    refusal = REMEDIES["AlreadySubmitted"](error_name="AlreadySubmitted")
    made, _ = submitter(sender=FakeSender(refusal))
    assert made.commit(entry(), WINDOW) is None


def test_nothing_is_sent_after_the_deadline():
    sender = FakeSender()
    made, _ = submitter(sender=sender, now_s=200.0)
    assert made.commit(entry(), WINDOW) is None
    assert sender.sent == []


def test_a_voice_that_changes_nothing_is_not_paid_for():
    """Two thirds of the stake have already said what this attestation says."""
    run, sender = FakeRun(), FakeSender()
    run.posted = 0b11
    made, _ = submitter(run=run, sender=sender)
    assert made.attest(entry().key, 3, SAID, WINDOW) is None
    assert sender.sent == []


def test_a_voice_that_calls_an_update_harmful_is_heard_until_that_is_known():
    run, sender = FakeRun(), FakeSender()
    run.posted, run.harmful = 0b11, 0b10
    made, _ = submitter(run=run, sender=sender)
    said = Opinion(available=0b11, harmful=0b10)
    assert made.attest(entry().key, 3, said, WINDOW) is None
    run.harmful = 0
    assert made.attest(entry().key, 3, said, WINDOW) == "chain"
