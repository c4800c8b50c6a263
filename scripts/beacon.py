"""The seeds of local runs, known to all in advance so that a run can be repeated bit for bit."""

from hashlib import sha256

from protocol.types import Digest

FIXED_SEED = bytes.fromhex("c0" * 32)
"""Base of the fixed beacon unless `deploy --seed` names another."""


def fixed_seed(round_id: int, *, base: bytes = FIXED_SEED) -> Digest:
    """The seed that FixedBeacon.sol gives a round."""
    return Digest(sha256(base + round_id.to_bytes(32, "big")).digest())
