"""What participants sign, as EIP-712 typed data (docs/protocol.md section 3).

Plain dictionaries as eth_signTypedData_v4 takes them. Hashing and signing need keccak and a key:
`network` does both.
"""

from typing import Any

from protocol.errors import InvalidRound
from protocol.types import DIGEST_BYTES, MAX_SEATS, Address, Attempt, Digest, RoundId, Seat

TypedData = dict[str, Any]

DOMAIN_NAME = "Commonweight"
DOMAIN_VERSION = "1"
_MAX_FINDING = 3

_DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def commitment_typed_data(
    *,
    chain_id: int,
    run: Address,
    round_id: RoundId,
    attempt: Attempt,
    parent_root: Digest,
    commitment: Digest,
) -> TypedData:
    """Give the Commitment that a trainer signs for a relayer.

    parent_root is the model root it trained from, commitment the full 32 bytes of commitment_hash.
    """
    fields = [
        {"name": "round", "type": "uint32"},
        {"name": "attempt", "type": "uint32"},
        {"name": "parentRoot", "type": "bytes32"},
        {"name": "commitment", "type": "bytes32"},
    ]
    message = {
        "round": round_id,
        "attempt": attempt,
        "parentRoot": _bytes32("parent_root", parent_root),
        "commitment": _bytes32("commitment", commitment),
    }
    return _typed_data(chain_id, run, "Commitment", fields, message)


def attestation_typed_data(
    *, chain_id: int, run: Address, round_id: RoundId, attempt: Attempt, available: int
) -> TypedData:
    """Give the Attestation that a trainer signs; bit i of available speaks of seat i."""
    if not 0 <= available < 1 << MAX_SEATS:
        raise InvalidRound(field="available", reason=f"does not fit uint{MAX_SEATS}")
    fields = [
        {"name": "round", "type": "uint32"},
        {"name": "attempt", "type": "uint32"},
        {"name": "available", "type": "uint256"},
    ]
    message = {"round": round_id, "attempt": attempt, "available": available}
    return _typed_data(chain_id, run, "Attestation", fields, message)


def finding_typed_data(
    *,
    chain_id: int,
    court: Address,
    run: Address,
    round_id: RoundId,
    seat: Seat,
    update_root: Digest,
    finding: int,
) -> TypedData:
    """Give the Finding that a drawn auditor signs about the update of a seat. Section 9."""
    if not 0 < finding <= _MAX_FINDING:
        raise InvalidRound(field="finding", reason=f"{finding} is not in 1..{_MAX_FINDING}")
    fields = [
        {"name": "run", "type": "address"},
        {"name": "round", "type": "uint32"},
        {"name": "seat", "type": "uint8"},
        {"name": "updateRoot", "type": "bytes32"},
        {"name": "finding", "type": "uint8"},
    ]
    message = {
        "run": run,
        "round": round_id,
        "seat": seat,
        "updateRoot": _bytes32("update_root", update_root),
        "finding": finding,
    }
    return _typed_data(chain_id, court, "Finding", fields, message)


def _typed_data(
    chain_id: int,
    contract: Address,
    name: str,
    fields: list[dict[str, str]],
    message: dict[str, Any],
) -> TypedData:
    return {
        "types": {"EIP712Domain": _DOMAIN_TYPE, name: fields},
        "primaryType": name,
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": chain_id,
            "verifyingContract": contract,
        },
        "message": message,
    }


def _bytes32(field: str, value: Digest) -> str:
    if len(value) != DIGEST_BYTES:
        raise InvalidRound(field=field, reason=f"{len(value)} bytes instead of {DIGEST_BYTES}")
    return "0x" + value.hex()
