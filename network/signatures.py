"""Who signed: the same answer that the contracts' ecrecover gives."""

from collections.abc import Mapping
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from network.keys import CompactSignature
from protocol.types import Address

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_LOW_BITS = (1 << 255) - 1


def signer_of(typed_data: Mapping[str, Any], signature: CompactSignature) -> Address | None:
    """The account that signed EIP-712 data; None for what the contracts take for no signature."""
    r, vs = int.from_bytes(signature.r, "big"), int.from_bytes(signature.vs, "big")
    s, v = vs & _LOW_BITS, 27 + (vs >> 255)
    # The contracts refuse the upper half of s, of which every signature has a twin.
    if not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        return None
    try:
        message = encode_typed_data(full_message=dict(typed_data))
        return Address(Account.recover_message(message, vrs=(v, r, s)))
    except (BadSignature, ValidationError, ValueError):
        return None
