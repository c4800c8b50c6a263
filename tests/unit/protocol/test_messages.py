import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from protocol.errors import InvalidRound
from protocol.messages import attestation_typed_data, commitment_typed_data
from protocol.rounds import Opinion

RUN = "0x" + "ab" * 20


def test_typed_data_gives_the_vectors(vectors, unhex):
    for case in vectors["messages"]["cases"]:
        expected = case["typed_data"]
        message, domain = expected["message"], expected["domain"]
        common = {
            "chain_id": domain["chainId"],
            "run": domain["verifyingContract"],
            "round_id": int(message["round"]),
            "attempt": int(message["attempt"]),
        }
        if expected["primaryType"] == "Commitment":
            data = commitment_typed_data(
                **common,
                parent_root=unhex(message["parentRoot"]),
                commitment=unhex(message["commitment"]),
            )
        else:
            said = {name: int(message[name]) for name in ("available", "harmful")}
            data = attestation_typed_data(**common, opinion=Opinion(**said))
        shown = {name: str(value) for name, value in data["message"].items()}
        assert data | {"message": shown} == expected
        signable = encode_typed_data(full_message=data)
        assert signable.header == unhex(case["domain_separator"])
        assert signable.body == unhex(case["struct_hash"])


def test_the_signatures_of_the_vectors_recover_their_signer(vectors, unhex):
    for case in vectors["messages"]["cases"]:
        vs = int(case["vs"], 16)
        v, s = 27 + (vs >> 255), vs & (1 << 255) - 1
        signer = Account._recover_hash(unhex(case["digest"]), vrs=(v, int(case["r"], 16), s))
        assert signer == vectors["messages"]["address"]


def test_what_does_not_fit_is_refused():
    common = {"chain_id": 1, "run": RUN, "round_id": 1, "attempt": 1}
    with pytest.raises(InvalidRound):
        commitment_typed_data(**common, parent_root=b"", commitment=bytes(32))
