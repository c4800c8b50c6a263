"""The Solidity libraries give every vector of tests/vectors/ that concerns them."""

import pytest
from web3 import Web3
from web3.exceptions import ContractCustomError

pytestmark = pytest.mark.contracts


def unhex(text):
    return bytes.fromhex(text[2:])


def merge_rule(case):
    return (case["lr"], case["mu"], case["nesterov"], case["momentum"])


def packed(proof):
    """Siblings of a sum tree as Solidity takes them: digest:32 | ssq:12."""
    return b"".join(unhex(node) + int(ssq).to_bytes(12, "big") for node, ssq in proof)


def claims(case, index):
    """The same with what an honest tree says of the nodes on the path."""
    ssq = case["leaf_ssq"][index]
    out = b""
    for node, other in case["proofs"][index]:
        out += unhex(node) + int(other).to_bytes(12, "big") + ssq.to_bytes(12, "big")
        ssq += int(other)
    return out


def ssq_of(leaf):
    return sum(((value - 128) << (leaf[0] & 15)) ** 2 for value in leaf[1:])


@pytest.fixture(scope="module")
def call(harness):
    return lambda name, *arguments: harness.functions[name](*arguments).call()


@pytest.fixture(scope="module")
def sum_trees(vectors):
    cases = vectors["merkle"]["sum_trees"]
    return [case | {"leaf_ssq": [ssq_of(unhex(leaf)) for leaf in case["leaves"]]} for case in cases]


def test_assignment_shuffle(vectors, call):
    for case in vectors["assignment"]["shuffle"]:
        count, seed, result = case["count"], unhex(case["seed"]), case["result"]
        some = range(count) if count < 20 else range(0, count, 23)
        assert [call("shuffle", i, count, seed) for i in some] == [result[i] for i in some]


def test_assignment_segment(vectors, call):
    for case in vectors["assignment"]["segment"]:
        given = call("segmentOf", unhex(case["seed"]), case["rank"], case["segment_count"])
        assert given == case["result"]


def test_codec_decodes(vectors, call):
    for case in vectors["codec"]["encode"] + vectors["codec"]["decode"]:
        leaf = unhex(case["update"])
        assert call("decode", leaf) == [case["e"], case["q"]], case["name"]
        assert call("sumLeafNode", leaf)[1] == int(case["ssq"]), case["name"]


def test_merkle_nodes(vectors, call):
    empty = unhex(vectors["merkle"]["empty"])
    assert call("empty") == empty
    leaf = unhex(vectors["merkle"]["trees"][0]["leaves"][0])
    root = unhex(vectors["merkle"]["trees"][0]["root"])
    assert call("leafNode", leaf) == call("leafNodeOf", leaf) == root
    pair = vectors["merkle"]["trees"][1]
    nodes = [call("leafNode", unhex(leaf)) for leaf in pair["leaves"]]
    assert call("innerNode", *nodes) == unhex(pair["root"])
    pair = vectors["merkle"]["sum_trees"][1]
    nodes = [call("sumLeafNode", unhex(leaf)) for leaf in pair["leaves"]]
    root_node = [unhex(pair["root"]), int(pair["ssq"])]
    assert call("sumInnerNode", *nodes[0], *nodes[1]) == root_node


def test_merkle_trees(vectors, call):
    for case in vectors["merkle"]["trees"]:
        root, count = unhex(case["root"]), len(case["leaves"])
        for i, leaf in enumerate(case["leaves"]):
            proof = [unhex(node) for node in case["proofs"][i]]
            depth = len(proof)
            assert call("verify", root, i, unhex(leaf), proof, depth)
            assert not call("verify", root, i ^ 1, unhex(leaf), proof, depth)
            assert not call("verify", root, i + (1 << depth), unhex(leaf), proof, depth)
            assert not call("verify", root, i, unhex(leaf) + b"\0", proof, depth)
            assert not call("verify", root, i, unhex(leaf), proof, depth + 1)
            assert not call("verify", root, i, unhex(leaf), [*proof, root], depth)
        assert count == 1 or not call("verify", root, 0, unhex(case["leaves"][0]), [], 0)


def test_sum_trees(sum_trees, call):
    for case in sum_trees:
        root, ssq = unhex(case["root"]), int(case["ssq"])
        for i, text in enumerate(case["leaves"]):
            leaf, proof, depth = unhex(text), packed(case["proofs"][i]), len(case["proofs"][i])
            assert call("verifySum", root, i, leaf, proof, depth) == [True, ssq]
            assert call("openSum", root, i, leaf, claims(case, i), depth) == [True, True, ssq]
            assert call("verifySum", root, i + (1 << depth), leaf, proof, depth) == [False, 0]
            assert call("verifySum", root, i, leaf, proof + b"\0", depth) == [False, 0]
            assert call("openSum", root, i, leaf, proof + b"\0", depth) == [False, False, 0]
            for place in range(0, len(proof), 11):
                bad = bytearray(proof)
                bad[place] ^= 1
                assert not call("verifySum", root, i, leaf, bytes(bad), depth)[0]


def test_a_lying_sum_can_be_opened_and_shows(sum_trees, call):
    """A trainer who hashed a wrong sum for a leaf is convicted, and its leaf is still usable."""
    leaves = [unhex(leaf) for leaf in sum_trees[1]["leaves"]]
    nodes = [call("sumLeafNode", leaf)[0] for leaf in leaves]
    honest = sum_trees[1]["leaf_ssq"]
    root, ssq = call("sumInnerNode", nodes[0], honest[0], nodes[1], 7)
    truth = nodes[0] + honest[0].to_bytes(12, "big")
    assert not call("verifySum", root, 1, leaves[1], truth, 1)[0]
    opened = call("openSum", root, 1, leaves[1], truth + (7).to_bytes(12, "big"), 1)
    assert opened == [True, False, ssq]
    # Beside the lie the other leaf is honest, and says the same sum of the root.
    beside = nodes[1] + (7).to_bytes(12, "big")
    assert call("verifySum", root, 0, leaves[0], beside, 1) == [True, ssq]


def test_a_sum_beyond_its_type_is_false_not_an_error(sum_trees, call):
    leaf = unhex(sum_trees[0]["leaves"][0])
    most = (bytes(32) + b"\xff" * 12) * 2
    assert call("verifySum", bytes(32), 0, leaf, most, 2) == [False, 0]


@pytest.mark.parametrize("mode", ["plain", "momentum", "nesterov", "saturate", "other"])
def test_merge(vectors, call, mode):
    known = ("plain, ", "momentum, ", "nesterov, ", "saturate")
    for case in vectors["merge"]["cases"]:
        named = next((name for name in known if name in case["name"]), "other")
        if named.rstrip(", ") != mode:
            continue
        leaves, old = [unhex(leaf) for leaf in case["updates"]], unhex(case["old_leaf"])
        new, _, _ = call("merge", leaves, case["weights"], old, merge_rule(case))
        assert new == unhex(case["new_leaf"]), case["name"]


def test_only_a_wrong_length_or_weight_is_refused(vectors, call):
    case = next(case for case in vectors["merge"]["cases"] if case["name"] == "plain, K = 1")
    old, leaf, rule = unhex(case["old_leaf"]), unhex(case["updates"][0]), merge_rule(case)
    for leaves, weights, before in (
        ([leaf[:-1]], [1], old),
        ([leaf + b"\0"], [1], old),
        ([leaf], [1], old[:-1]),
        ([leaf], [1], old + old),
        ([leaf, leaf], [65536, 1], old),
        ([leaf], [2**256 - 1], old),
    ):
        with pytest.raises(ContractCustomError):
            call("merge", leaves, weights, before, rule)


def test_round_commitments(vectors, call):
    for case in vectors["rounds"]["commitments"]:
        header = case["header"]
        reveal = (
            0,
            unhex(header["update_root"]),
            int(header["ssq"]),
            unhex(header["trace_root"]),
            unhex(header["class_id"]),
            unhex(header["update_cid"]),
            int(header["update_size"]),
            unhex(case["salt"]),
        )
        assert call("headerHash", reveal) == unhex(case["header_hash"])
        place = (
            case["run"],
            case["round"],
            case["attempt"],
            Web3.to_checksum_address(case["trainer"]),
        )
        assert call("commitment", reveal, *place) == unhex(case["commitment"])
        kept = call("revealDigest", unhex(header["update_root"]), unhex(case["header_hash"]))
        assert kept == unhex(case["reveal_digest"])


def test_round_inputs(vectors, call):
    for case in vectors["rounds"]["inputs"]:
        entries = [
            (
                Web3.to_checksum_address(entry["trainer"]),
                entry["seat"],
                entry["weight"],
                unhex(entry["update_root"]),
                unhex(entry["header_hash"]),
            )
            for entry in case["entries"]
        ]
        packed_list, digest = call("packInputs", entries)
        assert digest == unhex(case["inputs_hash"])
        assert [tuple(entry) for entry in call("unpackInputs", packed_list)] == entries


def test_round_ranks(vectors, call):
    ranks = vectors["rounds"]["ranks"]
    for seat, rank in ranks["result"].items():
        assert call("rankOf", int(ranks["roster"]), int(seat)) == rank


def test_messages(vectors, harness, call):
    file = vectors["messages"]
    for case in file["cases"]:
        typed = case["typed_data"]
        message = typed["message"]
        place = (int(message["round"]), int(message["attempt"]))
        assert typed["domain"]["verifyingContract"] == harness.address
        assert call("domainSeparator") == unhex(case["domain_separator"])
        if typed["primaryType"] == "Commitment":
            signed = (unhex(message["parentRoot"]), unhex(message["commitment"]))
            struct = call("commitmentStruct", *place, *signed)
        else:
            struct = call("attestationStruct", *place, int(message["available"]))
        assert struct == unhex(case["struct_hash"])
        signature = (unhex(case["r"]), unhex(case["vs"]))
        assert call("signerOf", struct, *signature) == [unhex(case["digest"]), file["address"]]


def entry_of(case):
    trainer = Web3.to_checksum_address(case["trainer"])
    head = (trainer, case["seat"], case["weight"])
    return (*head, unhex(case["update_root"]), unhex(case["header_hash"]))


def test_audits_draws(vectors, call):
    file = vectors["audits"]
    randomness = unhex(file["randomness"])
    for case in file["audited"]:
        for seat in range(0, 256, 5):
            drawn = call("isAudited", randomness, seat, case["audit_bps"])
            assert drawn == (seat in case["result"])
    for case in file["auditors"]:
        seats = sorted([case["seat"], *case["others"]])
        roll = [entry for entry in file["roll"] if entry["seat"] in seats]
        place = seats.index(case["seat"])
        found, auditor = call("auditorOf", randomness, [entry_of(e) for e in roll], place)
        assert (roll[auditor]["seat"] if found else None) == case["result"]
    for case in file["draw_blocks"]:
        assert call("blockOf", case["frozen_at"], case["newest"]) + 1 == case["result"]


def test_audits_juries(vectors, call):
    file = vectors["audits"]
    for case in file["juries"]:
        trial, level = int(case["trial"]), case["level"]
        randomness = unhex(case["randomness"])
        assert call("jury", unhex(file["randomness"]), trial, level) == randomness
        if not case["result"]:
            continue
        roll = [entry for entry in file["roll"] if entry["seat"] in case["members"]]
        places = call("jurors", randomness, [entry_of(e) for e in roll], 63 if level else 15)
        won = [[roll[place]["seat"], places.count(place)] for place in sorted(set(places))]
        assert won == case["result"]


def test_audits_traces(vectors, call):
    for case in vectors["audits"]["traces"]:
        accused = ([unhex(d) for d in case["accused"]], unhex(case["accused_update"]))
        accuser = ([unhex(d) for d in case["accuser"]], unhex(case["accuser_update"]))
        assert call("traceRoot", *accused) == unhex(case["accused_root"])
        assert call("traceRoot", *accuser) == unhex(case["accuser_root"])
        longest = max(len(case["accused"]), len(case["accuser"]))
        index = longest + 1 if case["result"] is None else case["result"]["index"]
        assert call("firstDifference", *accused, *accuser) == index


def test_audits_findings(vectors, call):
    file = vectors["audits"]
    for case in file["findings"]:
        m = case["typed_data"]["message"]
        run = Web3.to_checksum_address(m["run"])
        place = (run, int(m["round"]), int(m["seat"]))
        struct = call("findingStruct", *place, unhex(m["updateRoot"]), int(m["finding"]))
        assert struct == unhex(case["struct_hash"])
        signature = (unhex(case["r"]), unhex(case["vs"]))
        signer = vectors["messages"]["address"]
        assert call("signerOf", struct, *signature) == [unhex(case["digest"]), signer]
