"""Messages between trainers and a relay: what is sent is what is read, and nothing else is."""

import json
from dataclasses import replace

import httpx
import pytest

from network.keys import CompactSignature
from network.relay import (
    MAX_BODY_BYTES,
    MAX_REVEALS_BYTES,
    RelayClient,
    RevealMessage,
    SignedAttestation,
    SignedCommitment,
    parse_reveals,
    reveals_to_bytes,
)
from protocol.errors import InvalidMessage, RelayRefused, RelayUnavailable
from protocol.rounds import Opinion, UpdateHeader
from protocol.strict_json import canonical_bytes

HEAD = {"run": "0x" + "Ab" * 20, "round_id": 3, "attempt": 4, "seat": 5}
SIGNATURE = CompactSignature(r=b"\x01" * 32, vs=b"\x82" * 32)
COMMITMENT = SignedCommitment(
    **HEAD, parent_root=b"\x03" * 32, commitment=b"\x04" * 32, signature=SIGNATURE
)
REVEAL = RevealMessage(
    **HEAD,
    header=UpdateHeader(
        update_root=b"\x05" * 32,
        ssq=(1 << 96) - 1,
        trace_root=b"\x06" * 32,
        class_id=b"\x07" * 32,
        update_cid=b"\x08" * 32,
        update_size=257,
    ),
    salt=b"\x09" * 32,
)
ATTESTATION = SignedAttestation(
    **HEAD, opinion=Opinion(available=(1 << 256) - 1, harmful=1 << 255), signature=SIGNATURE
)
MESSAGES = [COMMITMENT, REVEAL, ATTESTATION]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_what_is_sent_is_what_is_read(message):
    assert type(message).parse(message.to_bytes()) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_unknown_missing_and_mistyped_fields_are_refused(message):
    value = json.loads(message.to_bytes())
    for broken in (
        {**value, "more": 1},
        *({k: v for k, v in value.items() if k != name} for name in value),
        *({**value, name: None} for name in value),
        {**value, "seat": 256},
        {**value, "seat": True},
        {**value, "seat": "5"},
        {**value, "attempt": 0},
        {**value, "round": 1 << 32},
        {**value, "run": "0x12"},
    ):
        with pytest.raises(InvalidMessage):
            type(message).parse(canonical_bytes(broken))


@pytest.mark.parametrize(
    "ssq", ["-1", "01", "1e3", " 1", "", "\u0661", str(1 << 96), "9" * 40], ids=repr
)
def test_a_sum_of_squares_is_the_decimal_text_of_a_uint96(ssq):
    value = json.loads(REVEAL.to_bytes())
    value["header"]["ssq"] = ssq
    with pytest.raises(InvalidMessage):
        RevealMessage.parse(canonical_bytes(value))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b'{"a": 1}', b"[" * 5000, b'{"a":"' + b"x" * MAX_BODY_BYTES + b'"}'],
    ids=lambda body: repr(body[:8]),
)
def test_other_bytes_are_refused(body):
    with pytest.raises(InvalidMessage):
        SignedCommitment.parse(body)


def client(answer):
    return RelayClient("http://relay.test/", transport=httpx.MockTransport(answer))


def test_each_message_goes_to_its_own_end_point():
    seen = []

    def answer(request):
        seen.append((request.method, request.url.path, request.content))
        return httpx.Response(202, json={"accepted": True})

    with client(answer) as relay:
        relay.send_commitment(COMMITMENT)
        relay.send_reveal(REVEAL)
        relay.send_attestation(ATTESTATION)
    assert seen == [
        ("POST", "/v1/commitments", COMMITMENT.to_bytes()),
        ("POST", "/v1/reveals", REVEAL.to_bytes()),
        ("POST", "/v1/attestations", ATTESTATION.to_bytes()),
    ]


def test_reveals_are_fetched_as_a_list():
    asked = []

    def answer(request):
        asked.append((request.method, str(request.url)))
        return httpx.Response(200, content=reveals_to_bytes([REVEAL]))

    with client(answer) as relay:
        assert relay.fetch_reveals(3, 4, 99.0) == (REVEAL,)
    assert asked == [("GET", "http://relay.test/v1/reveals?round=3&attempt=4&wait=10.0")]


def test_a_list_of_the_largest_roster_fits():
    every = [replace(REVEAL, seat=seat) for seat in range(256)]
    assert len(reveals_to_bytes(every)) < MAX_REVEALS_BYTES
    assert parse_reveals(reveals_to_bytes(every)) == tuple(every)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(404, content=b"[]"),
        httpx.Response(200, content=b"{}"),
        httpx.Response(200, content=b"[1]"),
        httpx.Response(200, content=b"[ ]"),
        httpx.Response(200, content=b"[" * 5000),
        httpx.Response(200, content=reveals_to_bytes([REVEAL] * 257)),
        httpx.Response(200, content=b"[" + COMMITMENT.to_bytes() + b"]"),
        httpx.Response(200, content=b"x" * (MAX_REVEALS_BYTES + 1)),
    ],
    ids=["status", "object", "number", "spaces", "deep", "many", "other", "long"],
)
def test_an_answer_that_is_no_list_of_reveals_is_an_unavailable_relay(response):
    with client(lambda _: response) as relay, pytest.raises(RelayUnavailable):
        relay.fetch_reveals(3, 4, 0.0)


def test_a_refusal_keeps_the_relays_words_and_none_of_its_control_characters():
    def answer(_request):
        body = {"error": "WrongPhase", "message": "late\x1b[2J", "remedy": "wait"}
        return httpx.Response(409, json=body)

    with client(answer) as relay, pytest.raises(RelayRefused) as caught:
        relay.send_commitment(COMMITMENT)
    assert caught.value.error_name == "WrongPhase"
    assert caught.value.reason == "late [2J"
    assert caught.value.remedy == "wait"


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, json={"accepted": True}),
        httpx.Response(202, json={"accepted": False}),
        httpx.Response(302, headers={"Location": "http://elsewhere.test"}),
        httpx.Response(404, text="<html>"),
        httpx.Response(503, json={"error": "Busy", "message": "busy", "remedy": "wait"}),
        httpx.Response(202, json=[1]),
        httpx.Response(202, content=b"x" * (MAX_BODY_BYTES + 1)),
    ],
    ids=lambda response: str(response.status_code),
)
def test_anything_else_is_an_unavailable_relay(response):
    with client(lambda _: response) as relay, pytest.raises(RelayUnavailable):
        relay.send_commitment(COMMITMENT)


def test_no_connection_and_no_url_are_an_unavailable_relay():
    def refuse(request):
        raise httpx.ConnectError("secret in the text", request=request)

    with client(refuse) as relay, pytest.raises(RelayUnavailable) as caught:
        relay.send_reveal(REVEAL)
    assert "secret" not in str(caught.value)
    for url in ("", "ftp://x", "http://[", "http://127.0.0.1:1"):
        with RelayClient(url) as relay, pytest.raises(RelayUnavailable):
            relay.health()


def test_health_is_the_relays_answer():
    with client(lambda _: httpx.Response(200, json={"status": "ok"})) as relay:
        assert relay.health() == {"status": "ok"}


def test_messages_are_values():
    assert replace(COMMITMENT, seat=6) != COMMITMENT
    assert hash(COMMITMENT) == hash(replace(COMMITMENT))
