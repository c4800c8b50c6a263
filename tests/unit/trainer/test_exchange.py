"""Headers from a relay count only if they open the commitments on chain."""

import threading
from dataclasses import replace

import pytest

from network.history import RoundHistory
from network.relay import RevealMessage
from protocol.errors import RelayUnavailable
from protocol.rounds import UpdateHeader, commitment_hash
from trainer.exchange import PAUSE_S, RevealExchange
from trainer.journal import Key

RUN = "0x" + "22" * 20
TRAINERS = {0: "0x" + "11" * 20, 3: "0x" + "33" * 20}
KEY = Key(run=RUN, round_id=3, attempt=4, opening=b"\x01" * 32)
SALT = b"\x05" * 32


def header(ssq=10):
    return UpdateHeader(
        update_root=b"\x06" * 32,
        ssq=ssq,
        trace_root=b"\x07" * 32,
        class_id=b"\x08" * 32,
        update_cid=b"\x09" * 32,
        update_size=257,
    )


def reveal(seat, ssq=10):
    return RevealMessage(run=RUN, round_id=3, attempt=4, seat=seat, header=header(ssq), salt=SALT)


def commitment(seat, ssq=10):
    return commitment_hash(
        header=header(ssq),
        chain_id=1,
        run=RUN,
        round_id=3,
        attempt=4,
        trainer=TRAINERS[seat],
        salt=SALT,
    )


def history(**overrides):
    found = RoundHistory(
        round_id=3,
        attempt=4,
        seed=b"\x01" * 32,
        parent_root=b"\x01" * 32,
        roster=0b1001,
        roster_stake_gwei=2,
        opened=None,
    )
    found.commitments = {seat: commitment(seat) for seat in TRAINERS} | overrides.get("held", {})
    return found


class FakeRelay:
    """Answers what the test says, once each."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def fetch_reveals(self, round_id, attempt, wait_s):
        self.asked.append((round_id, attempt))
        assert 0 < wait_s <= 10
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Asker:
    def __init__(self, *answers, norm_bound=100):
        self.relay = FakeRelay(*answers)
        self.now_s = 0.0
        self.woken = threading.Event()
        self.exchange = RevealExchange(
            self.relay,
            chain_id=1,
            norm_bound=norm_bound,
            done=self.woken.set,
            clock=lambda: self.now_s,
        )

    def look(self, found, key=KEY):
        """Look, let the question end, and look again at once."""
        self.exchange.look(key, found, TRAINERS)
        if self.exchange._asking is not None:
            self.exchange._asking.join(5)
        return self.exchange.look(key, found, TRAINERS)


def test_true_reveals_are_known_and_nothing_more_is_asked():
    asker, found = Asker((reveal(0), reveal(3))), history()
    assert asker.look(found) == {0, 3}
    assert asker.woken.is_set()
    assert asker.exchange.known(found)[3].header == header()
    asker.now_s += 100
    assert asker.look(found) == {0, 3}
    assert asker.relay.asked == [(3, 4)]


@pytest.mark.parametrize(
    "false",
    [
        reveal(0, ssq=11),
        replace(reveal(0), salt=b"\x06" * 32),
        replace(reveal(0, ssq=11), seat=3),
        replace(reveal(0), seat=7),
    ],
    ids=["header", "salt", "another's", "nobody's"],
)
def test_what_does_not_open_the_commitment_is_discarded(false):
    assert Asker((false,)).look(history()) == set()


def test_every_byte_of_the_commitment_counts():
    """The contract keeps 27; the event has all 32."""
    found = history(held={0: commitment(0)[:27] + bytes(5)})
    assert Asker((reveal(0), reveal(3))).look(found) == {3}


def test_a_norm_that_the_chain_would_refuse_is_discarded():
    assert Asker((reveal(0), reveal(3)), norm_bound=9).look(history()) == set()


def test_an_incomplete_or_absent_relay_is_asked_again_after_a_pause():
    gone = RelayUnavailable(url="x", reason="gone")
    asker, found = Asker(gone, (reveal(0),), (reveal(3), reveal(3))), history()
    assert asker.look(found) == set()
    assert asker.look(found) == set()
    assert len(asker.relay.asked) == 1
    asker.now_s += PAUSE_S
    assert asker.look(found) == {0}
    asker.now_s += PAUSE_S
    assert asker.look(found) == {0, 3}


def test_what_is_on_chain_need_not_come_from_the_relay():
    found = history()
    asker = Asker((reveal(0),))
    found.reveals = {3: "on chain"}
    assert asker.look(found) == {0}
    assert asker.exchange.known(found)[3] == "on chain"
    asker.now_s += 100
    asker.look(found)
    assert len(asker.relay.asked) == 1


def test_another_attempt_begins_with_nothing():
    asker = Asker((reveal(0), reveal(3)), ())
    assert asker.look(history()) == {0, 3}
    assert asker.look(history(), key=replace(KEY, attempt=5)) == set()
    assert asker.relay.asked == [(3, 4), (3, 5)]  # and without a pause
