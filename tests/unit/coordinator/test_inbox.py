"""The relay takes what the chain would take, one message of a kind a seat, and says why not."""

import threading
import time
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from coordinator.inbox import MAX_REPEATS, Inbox, OpenWindow
from coordinator.relay_server import RelayServer, make_app
from coordinator.reveal_desk import RevealDesk
from network.history import RoundHistory
from network.keys import TEST_KEY_VARIABLE, unlock_test_key
from network.relay import (
    MAX_BODY_BYTES,
    RelayClient,
    RevealMessage,
    SignedAttestation,
    SignedCommitment,
)
from protocol.errors import InvalidSetting, RelayRefused
from protocol.messages import attestation_typed_data, commitment_typed_data
from protocol.rounds import Opinion, Phase, UpdateHeader, commitment_hash

RUN = "0x" + "22" * 20
PARENT = b"\x01" * 32
SALT = b"\x05" * 32
DOMAIN = {"chain_id": 31337, "run": RUN, "round_id": 3, "attempt": 4}
HEAD = {"run": RUN, "round_id": 3, "attempt": 4}


def signer(seat):
    return unlock_test_key({TEST_KEY_VARIABLE: "0x" + f"{seat + 1:064x}"})


TRAINERS = {seat: signer(seat).address for seat in (0, 2, 5)}


def header(ssq=10):
    return UpdateHeader(
        update_root=b"\x06" * 32,
        ssq=ssq,
        trace_root=b"\x07" * 32,
        class_id=b"\x08" * 32,
        update_cid=b"\x09" * 32,
        update_size=257,
    )


def digest(seat, of=None):
    return commitment_hash(header=of or header(), trainer=TRAINERS[seat], salt=SALT, **DOMAIN)


def commitment(seat=0, *, by=None, of=None, parent=PARENT):
    value = of or digest(seat)
    data = commitment_typed_data(parent_root=parent, commitment=value, **DOMAIN)
    return SignedCommitment(
        **HEAD,
        seat=seat,
        parent_root=parent,
        commitment=value,
        signature=signer(seat if by is None else by).sign_typed_data(data),
    )


def reveal(seat=0, **fields):
    return RevealMessage(**HEAD, seat=seat, header=header(**fields), salt=SALT)


def attestation(seat=0, available=0b100101, by=None, harmful=0):
    said = Opinion(available=available, harmful=harmful)
    data = attestation_typed_data(opinion=said, **DOMAIN)
    return SignedAttestation(
        **HEAD,
        seat=seat,
        opinion=said,
        signature=signer(seat if by is None else by).sign_typed_data(data),
    )


def window(phase, attempt=4):
    found = RoundHistory(
        round_id=3,
        attempt=attempt,
        seed=PARENT,
        parent_root=PARENT,
        roster=0b100101,
        roster_stake_gwei=30,
        opened=None,
    )
    found.commitments = {0: digest(0), 2: digest(2)}
    return OpenWindow.of(found, phase, {**TRAINERS, 7: signer(7).address}, 1000)


def inbox(phase=Phase.COMMIT, **options):
    nudges = []
    made = Inbox(
        chain_id=31337,
        run=RUN,
        norm_bound=100,
        changed=lambda: nudges.append(1),
        **{"catch_up_s": 0.0, **options},
    )
    made.nudges = nudges
    if phase is not None:
        made.watch(window(phase))
    return made


def refused(name, take, message):
    with pytest.raises(RelayRefused) as caught:
        take(message)
    assert caught.value.error_name == name
    assert caught.value.remedy


def test_what_is_valid_is_kept_by_seat_and_wakes_the_driver():
    box = inbox()
    for seat in (5, 0, 2):
        box.accept_commitment(commitment(seat))
    assert list(box.commitments()) == [0, 2, 5]
    assert len(box.nudges) == 3
    box.watch(window(Phase.REVEAL))
    box.accept_reveal(reveal(2))
    assert box.reveals() == {2: reveal(2)}
    box.watch(window(Phase.AUDIT))
    box.accept_attestation(attestation(5))
    assert box.attestations()[5].opinion == Opinion(available=0b100101)
    assert box.commitments()  # the same attempt keeps what was sent


def test_another_attempt_begins_with_an_empty_box():
    box = inbox()
    box.accept_commitment(commitment())
    box.watch(window(Phase.COMMIT, attempt=5))
    assert box.commitments() == {}
    refused("WrongPhase", box.accept_commitment, commitment())


def test_strangers_and_other_seats_are_refused():
    box = inbox()
    refused("BadSignature", box.accept_commitment, commitment(0, by=2))
    refused("BadSignature", box.accept_commitment, replace(commitment(0), commitment=b"\x01" * 32))
    refused("NotSeated", box.accept_commitment, replace(commitment(0), seat=7))
    refused("NotSeated", box.accept_commitment, replace(commitment(0), seat=1))
    refused("WrongRun", box.accept_commitment, replace(commitment(0), run="0x" + "33" * 20))
    refused("WrongParentRoot", box.accept_commitment, commitment(0, parent=b"\x02" * 32))
    box.watch(window(Phase.AUDIT))
    refused("BadSignature", box.accept_attestation, attestation(0, by=5))
    forged = replace(attestation(0), opinion=Opinion(available=1))
    refused("BadSignature", box.accept_attestation, forged)
    assert box.attestations() == {}


def test_reveals_open_the_commitment_on_chain_within_the_bound():
    box = inbox(Phase.REVEAL)
    refused("NotCommitted", box.accept_reveal, reveal(5))
    refused("NormAboveBound", box.accept_reveal, reveal(0, ssq=101))
    refused("CommitmentMismatch", box.accept_reveal, reveal(0, ssq=11))
    refused("CommitmentMismatch", box.accept_reveal, replace(reveal(0), salt=b"\x00" * 32))
    box.accept_reveal(reveal(0))


@pytest.mark.parametrize("phase", [None, Phase.REVEAL, Phase.AUDIT, Phase.MERGE])
def test_a_message_of_another_phase_is_refused(phase):
    refused("WrongPhase", inbox(phase).accept_commitment, commitment())


def test_a_message_that_is_ahead_of_us_waits_for_the_block():
    box = inbox(Phase.COMMIT, catch_up_s=10.0)
    later = threading.Timer(0.1, lambda: box.watch(window(Phase.REVEAL)))
    later.start()
    started = time.monotonic()
    box.accept_reveal(reveal(0))
    assert time.monotonic() - started < 9
    later.join()


@pytest.mark.parametrize(
    "now",
    [window(Phase.COMMIT, attempt=5), window(Phase.MERGE), None],
    ids=["next", "past", "idle"],
)
def test_a_message_that_is_late_is_refused_at_once(now):
    box = inbox(Phase.REVEAL, catch_up_s=30.0)
    box.watch(now)
    started = time.monotonic()
    refused("WrongPhase", box.accept_attestation, attestation())
    assert time.monotonic() - started < 9


def test_a_seat_may_repeat_itself_freely_and_change_its_mind_a_few_times():
    box = inbox(Phase.AUDIT)
    for _ in range(100):
        box.accept_attestation(attestation())
    for bits in range(MAX_REPEATS - 1):
        box.accept_attestation(attestation(available=bits))
    refused("TooManyMessages", box.accept_attestation, attestation(available=99))
    assert box.attestations()[0].opinion.available == MAX_REPEATS - 2
    assert len(box.attestations()) == 1


def test_an_attestation_in_the_reveal_phase_speaks_of_reveals_that_are_here():
    box = inbox(Phase.REVEAL)
    box.accept_reveal(reveal(0))
    refused("NotRevealed", box.accept_attestation, attestation(5, available=0b101))
    refused("NotRevealed", box.accept_attestation, attestation(5, available=0b1, harmful=0b100))
    refused("BadSignature", box.accept_attestation, attestation(5, available=0b1, by=0))
    box.accept_attestation(attestation(5, available=0b1))
    box.accept_reveal(reveal(2))
    box.accept_attestation(attestation(0, available=0b101))
    box.watch(window(Phase.AUDIT))
    assert list(box.attestations()) == [0, 5]


def test_reveals_on_chain_count_as_here():
    box = inbox(Phase.REVEAL)
    seen = window(Phase.REVEAL)
    seen.found.reveals[2] = None
    box.watch(seen)
    box.accept_attestation(attestation(5, available=0b100))
    assert not box.has_all_reveals(3, 4)
    box.accept_reveal(reveal(0))
    assert box.has_all_reveals(3, 4)
    assert not box.has_all_reveals(3, 5)


def test_a_question_for_reveals_waits_until_all_are_in():
    box = inbox(Phase.REVEAL)
    with RelayServer(box) as server, RelayClient(server.url) as relay:
        relay.send_reveal(reveal(0))
        assert relay.fetch_reveals(3, 4, 0.0) == (reveal(0),)
        assert relay.fetch_reveals(3, 5, 0.0) == ()
        later = threading.Timer(0.2, lambda: box.accept_reveal(reveal(2)))
        later.start()
        started = time.monotonic()
        assert relay.fetch_reveals(3, 4, 10.0) == (reveal(0), reveal(2))
        assert time.monotonic() - started < 5
        later.join()


def test_a_question_for_reveals_ends_with_its_wait_or_with_the_server():
    box = inbox(Phase.REVEAL)
    answers = []
    with RelayServer(box) as server, RelayClient(server.url) as relay:
        assert relay.fetch_reveals(3, 4, 0.1) == ()
        asking = threading.Thread(target=lambda: answers.append(relay.fetch_reveals(3, 4, 10.0)))
        asking.start()
        time.sleep(0.3)
        ended = time.monotonic()
        server.__exit__()
        asking.join(5)
    assert answers == [()]
    assert time.monotonic() - ended < 5


def test_only_so_many_questions_wait():
    box = inbox(Phase.REVEAL)
    app = TestClient(make_app(box, desk=RevealDesk(box, max_waiting=0)))
    started = time.monotonic()
    assert app.get("/v1/reveals?round=3&attempt=4&wait=10").json() == []
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?round=3&attempt=4",
        "?round=3&attempt=4&wait=11",
        "?round=3&attempt=4&wait=-1",
        "?round=3&attempt=4&wait=nan",
        "?round=3&attempt=x&wait=1",
        "?round=3&attempt=99999999999&wait=1",
        "?round=3&round=3&attempt=4&wait=1",
        "?round=3&attempt=4&wait=1&more=1",
    ],
)
def test_another_question_is_malformed(query):
    answer = TestClient(make_app(inbox(Phase.REVEAL))).get(f"/v1/reveals{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "message", "remedy"}


def test_what_the_chain_does_not_take_is_forgotten():
    box = inbox()
    box.accept_commitment(commitment())
    box.drop(0)
    assert box.commitments() == {}


def test_the_end_points_answer_as_the_client_expects():
    box = inbox()
    with RelayServer(box) as server, RelayClient(server.url) as relay:
        relay.send_commitment(commitment())
        assert relay.health() == {"status": "ok", "run": RUN}
        with pytest.raises(RelayRefused) as caught:
            relay.send_commitment(commitment(0, by=2))
        assert caught.value.error_name == "BadSignature"
        with pytest.raises(RelayRefused):
            relay.send_attestation(attestation())
    assert list(box.commitments()) == [0]


def test_malformed_and_oversized_bodies_are_answered_with_a_reason():
    app = TestClient(make_app(inbox()))
    for body, status in (
        (b"", 400),
        (b"{}", 400),
        (b"\xff\xfe", 400),
        (commitment().to_bytes() + b" ", 400),
        (b"x" * (MAX_BODY_BYTES + 1), 413),
    ):
        answer = app.post("/v1/commitments", content=body)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "message", "remedy"}
    assert app.get("/v1/commitments").status_code == 405
    assert app.get("/v1/status").json()["phase"] == "commit"
    assert app.get("/v1/status").json()["roster"] == [0, 2, 5]


def test_too_many_at_once_are_told_to_come_back():
    app = TestClient(make_app(inbox(), max_in_progress=0))
    answer = app.post("/v1/commitments", content=commitment().to_bytes())
    assert answer.status_code == 503


def test_a_port_in_use_says_so():
    with RelayServer(inbox()) as server, pytest.raises(InvalidSetting):
        RelayServer(inbox(), port=int(server.url.rsplit(":", 1)[1]))
