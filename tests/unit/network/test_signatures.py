"""A signature is by the account that the contracts would say, or by nobody."""

from network.keys import TEST_KEY_VARIABLE, CompactSignature, unlock_test_key
from network.signatures import signer_of
from protocol.messages import attestation_typed_data
from protocol.rounds import Opinion

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def typed_data(available=5, run="0x" + "22" * 20):
    return attestation_typed_data(
        chain_id=31337, run=run, round_id=1, attempt=1, opinion=Opinion(available=available)
    )


def sign(key):
    signer = unlock_test_key({TEST_KEY_VARIABLE: "0x" + f"{key:064x}"})
    return signer.address, signer.sign_typed_data(typed_data())


def test_the_signer_is_found():
    for key in range(1, 9):  # both parities
        address, signature = sign(key)
        assert signer_of(typed_data(), signature) == address
        assert signer_of(typed_data(available=4), signature) != address
        assert signer_of(typed_data(run="0x" + "33" * 20), signature) != address


def test_numbers_out_of_range_are_no_signature():
    for r, vs in (
        (0, 1),
        (1, 0),
        (ORDER, 1),
        (1, (1 << 255) - 1),
        (1, (1 << 256) - 1),
        ((1 << 256) - 1, 1),
    ):
        pair = CompactSignature(r=r.to_bytes(32, "big"), vs=vs.to_bytes(32, "big"))
        assert signer_of(typed_data(), pair) is None
