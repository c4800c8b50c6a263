"""What trainers and a coordinator's relay say to each other over HTTP; both import it from here.

The relay saves trainers their transactions and is trusted with nothing: commitments and
attestations are signed, a reveal's salt authorises itself. `POST /v1/commitments`, `/v1/reveals`
and `/v1/attestations` answer 202 `{"accepted":true}` or an error `{"error","message","remedy"}`.
`GET /v1/reveals?round=..&attempt=..&wait=SECONDS` answers 200 with the list of the reveals held, at
the latest after the wait; who reads it checks each against the commitment on chain.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import httpx

from network.keys import CompactSignature
from protocol.errors import InvalidMessage, InvalidRound, RelayRefused, RelayUnavailable
from protocol.rounds import Opinion, UpdateHeader
from protocol.strict_json import Fields, canonical_bytes, load_object, load_objects
from protocol.types import DIGEST_BYTES, MAX_SEATS, Address, Attempt, Digest, RoundId, Seat

MAX_BODY_BYTES = 64 << 10
MAX_REVEALS_BYTES = MAX_SEATS << 10
MAX_WAIT_S = 10.0
"""How long a relay keeps the question for reveals at most."""

COMMITMENTS = "/v1/commitments"
REVEALS = "/v1/reveals"
ATTESTATIONS = "/v1/attestations"
STATUS = "/v1/status"
HEALTH = "/healthz"

_ACCEPTED = 202
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WORD = re.compile(r"0x[0-9a-f]{64}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,28}")
_UINT32 = (1 << 32) - 1
_JSON_INTEGER = (1 << 53) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCommitment:
    """A trainer's commitment, signed as protocol.messages.commitment_typed_data says."""

    run: Address
    round_id: RoundId
    attempt: Attempt
    seat: Seat
    parent_root: Digest
    commitment: Digest
    signature: CompactSignature

    def to_bytes(self) -> bytes:
        """The body of the request."""
        return canonical_bytes(
            {
                **_head(self),
                "commitment": _hex(self.commitment),
                "parent_root": _hex(self.parent_root),
                "signature": _signature_json(self.signature),
            }
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a stranger's message, or raise InvalidMessage."""
        fields = _open(body)
        message = cls(
            **_take_head(fields),
            parent_root=_take_word(fields, "parent_root"),
            commitment=_take_word(fields, "commitment"),
            signature=_take_signature(fields),
        )
        fields.finish()
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealMessage:
    """A header and the salt that opens its commitment."""

    run: Address
    round_id: RoundId
    attempt: Attempt
    seat: Seat
    header: UpdateHeader
    salt: bytes

    def to_bytes(self) -> bytes:
        """The body of the request."""
        return canonical_bytes(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The message as a JSON object."""
        header = self.header
        return {
            **_head(self),
            "header": {
                "class_id": _hex(header.class_id),
                "ssq": str(header.ssq),
                "trace_root": _hex(header.trace_root),
                "update_cid": _hex(header.update_cid),
                "update_root": _hex(header.update_root),
                "update_size": header.update_size,
            },
            "salt": _hex(self.salt),
        }

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a stranger's message, or raise InvalidMessage."""
        return cls.read(_open(body))

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read a parsed object, or raise InvalidMessage."""
        head = _take_head(fields)
        inner = fields.inner("header")
        ssq = inner.text("ssq", high=29)
        if not _DECIMAL.fullmatch(ssq):
            inner.fail("ssq", "wants the decimal text of a uint96")
        try:
            header = UpdateHeader(
                update_root=_take_word(inner, "update_root"),
                ssq=int(ssq),
                trace_root=_take_word(inner, "trace_root"),
                class_id=_take_word(inner, "class_id"),
                update_cid=_take_word(inner, "update_cid"),
                update_size=inner.integer("update_size", low=0, high=_JSON_INTEGER),
            )
        except InvalidRound as error:
            inner.fail(error.field, error.reason)
        inner.finish()
        message = cls(**head, header=header, salt=_take_word(fields, "salt"))
        fields.finish()
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAttestation:
    """A trainer's opinion of a round's updates, signed as attestation_typed_data says."""

    run: Address
    round_id: RoundId
    attempt: Attempt
    seat: Seat
    opinion: Opinion
    signature: CompactSignature

    def to_bytes(self) -> bytes:
        """The body of the request."""
        return canonical_bytes(
            {
                **_head(self),
                "available": _hex(self.opinion.available.to_bytes(DIGEST_BYTES, "big")),
                "harmful": _hex(self.opinion.harmful.to_bytes(DIGEST_BYTES, "big")),
                "signature": _signature_json(self.signature),
            }
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a stranger's message, or raise InvalidMessage."""
        fields = _open(body)
        message = cls(
            **_take_head(fields),
            opinion=Opinion(
                available=int.from_bytes(_take_word(fields, "available"), "big"),
                harmful=int.from_bytes(_take_word(fields, "harmful"), "big"),
            ),
            signature=_take_signature(fields),
        )
        fields.finish()
        return message


def reveals_to_bytes(messages: Sequence[RevealMessage]) -> bytes:
    """The relay's list of reveals."""
    return canonical_bytes([message.as_json() for message in messages])


def parse_reveals(body: bytes) -> tuple[RevealMessage, ...]:
    """Read a relay's list of reveals, or raise InvalidMessage; whether they are true is open."""
    items = load_objects(body, max_bytes=MAX_REVEALS_BYTES, max_items=MAX_SEATS, refuse=_refuse)
    return tuple(RevealMessage.read(item) for item in items)


RelayMessage = SignedCommitment | RevealMessage | SignedAttestation


class RelayClient:
    """Sends messages to one relay; safe for several threads.

    Every failure is RelayUnavailable (try again, or use the chain) or RelayRefused (the message).
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            timeout=timeout_s, transport=transport, trust_env=False, follow_redirects=False
        )

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_commitment(self, message: SignedCommitment) -> None:
        """Promise, on return, that the relay holds it; the chain says whether it was posted."""
        self._post(COMMITMENTS, message.to_bytes())

    def send_reveal(self, message: RevealMessage) -> None:
        """As `send_commitment`, for a reveal."""
        self._post(REVEALS, message.to_bytes())

    def send_attestation(self, message: SignedAttestation) -> None:
        """As `send_commitment`, for an attestation."""
        self._post(ATTESTATIONS, message.to_bytes())

    def fetch_reveals(
        self, round_id: RoundId, attempt: Attempt, wait_s: float
    ) -> tuple[RevealMessage, ...]:
        """The reveals that the relay holds; it may wait so long until it has all. None is checked.

        Every failure, a malformed answer among them, is RelayUnavailable.
        """
        wait_s = min(max(wait_s, 0.0), MAX_WAIT_S)
        path = f"{REVEALS}?round={round_id}&attempt={attempt}&wait={wait_s:.1f}"
        status, body = self._read("GET", path, b"", MAX_REVEALS_BYTES, self._timeout_s + wait_s)
        if status != httpx.codes.OK:
            self._unavailable(f"HTTP status {status}")
        try:
            return parse_reveals(body)
        except InvalidMessage:
            self._unavailable("the answer is no list of reveals")

    def health(self) -> dict[str, Any]:
        """What the relay says of itself: {"status": "ok", ...}."""
        status, answer = self._exchange("GET", HEALTH, b"")
        if status != httpx.codes.OK:
            raise RelayUnavailable(url=self._url, reason=f"HTTP status {status}")
        return answer

    def _post(self, path: str, body: bytes) -> None:
        status, answer = self._exchange("POST", path, body)
        if status == _ACCEPTED and answer.get("accepted") is True:
            return
        named = [answer.get(name) for name in ("error", "message", "remedy")]
        if not all(isinstance(text, str) for text in named) or status < httpx.codes.BAD_REQUEST:
            raise RelayUnavailable(url=self._url, reason=f"HTTP status {status}")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise RelayUnavailable(url=self._url, reason=_printable(named[1]))
        raise RelayRefused(
            error_name=_printable(named[0]), reason=_printable(named[1]), hint=_printable(named[2])
        )

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        status, read = self._read(method, path, body, MAX_BODY_BYTES, self._timeout_s)
        try:
            answer = json.loads(read)
        except (ValueError, RecursionError):
            self._unavailable("the answer is no JSON")
        if not isinstance(answer, dict):
            self._unavailable("the answer is no JSON object")
        return status, answer

    def _read(
        self, method: str, path: str, body: bytes, max_bytes: int, timeout_s: float
    ) -> tuple[int, bytes]:
        """The status and body of an answer that is no longer than `max_bytes`."""
        give_up_at = time.monotonic() + 2 * timeout_s
        try:
            with self._http.stream(
                method,
                self._url + path,
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=timeout_s,
            ) as response:
                read = bytearray()
                for piece in response.iter_bytes():
                    read += piece
                    if len(read) > max_bytes:
                        self._unavailable("the answer is too long")
                    if time.monotonic() > give_up_at:
                        self._unavailable("the answer is too slow")
                return response.status_code, bytes(read)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError) as error:
            self._unavailable(type(error).__name__)

    def _unavailable(self, reason: str) -> NoReturn:
        raise RelayUnavailable(url=self._url, reason=reason) from None


def _open(body: bytes) -> Fields:
    return Fields(
        load_object(body, max_bytes=MAX_BODY_BYTES, refuse=_refuse), path="", refuse=_refuse
    )


def _head(message: RelayMessage) -> dict[str, Any]:
    return {
        "attempt": message.attempt,
        "round": message.round_id,
        "run": message.run,
        "seat": message.seat,
    }


def _take_head(fields: Fields) -> dict[str, Any]:
    run = fields.text("run", high=42)
    if not _ADDRESS.fullmatch(run):
        fields.fail("run", "wants an address")
    return {
        "run": Address(run),
        "round_id": RoundId(fields.integer("round", low=1, high=_UINT32)),
        "attempt": Attempt(fields.integer("attempt", low=1, high=_UINT32)),
        "seat": Seat(fields.integer("seat", low=0, high=MAX_SEATS - 1)),
    }


def _take_word(fields: Fields, name: str) -> bytes:
    text = fields.text(name, high=66)
    if not _WORD.fullmatch(text):
        fields.fail(name, "wants 0x and 64 small hexadecimal digits")
    return bytes.fromhex(text[2:])


def _take_signature(fields: Fields) -> CompactSignature:
    inner = fields.inner("signature")
    signature = CompactSignature(r=_take_word(inner, "r"), vs=_take_word(inner, "vs"))
    inner.finish()
    return signature


def _signature_json(signature: CompactSignature) -> dict[str, str]:
    return {"r": _hex(signature.r), "vs": _hex(signature.vs)}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _printable(text: Any) -> str:
    """A stranger's text, short and without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:300])


def _refuse(field: str, reason: str) -> InvalidMessage:
    return InvalidMessage(field=field, reason=reason)
