"""Evidence from a store: the wrong chunk, its proof, and what can not be had."""

from dataclasses import replace

import numpy as np
import pytest
from unit.network.court.makers import CHUNKS, Round, Shelf, root_of

from network.acts import SEND_S
from network.court.clerk import MAX_CALL_BYTES, part_bytes
from network.court.contract import MergeCourtContract
from network.court.evidence import Examiner
from protocol.codec import chunk_ssq, decode_model, decode_update, model_leaves
from protocol.errors import ContentUnavailable, InvalidModel, InvalidUpdate, StoreUnavailable
from protocol.layout import CHUNK
from protocol.merge import MergeParams, merge_reference
from protocol.merkle import EMPTY, inner_node, leaf_node, open_sum, verify, verify_sum
from protocol.proofs import ChunkProof, parse_inputs, split_proof

RUN = "0x" + "11" * 20


def examiner(made, *models):
    shelf = Shelf(made.parent, made.right, *models)
    return Examiner(made.store, shelf, segment_ends=(CHUNKS,), momentum=False, deadline_s=5.0)


def right_node(proof):
    """What the court computes from a proof, in plain integers."""
    entries = parse_inputs(proof.inputs)
    updates = []
    for entry, opening in zip(entries, proof.openings, strict=True):
        leaf, path = opening[:257], opening[257:]
        siblings = [
            (path[at : at + 32], int.from_bytes(path[at + 32 : at + 44], "big"))
            for at in range(0, len(path), 44)
        ]
        q, e = decode_update(leaf, 1)
        opened = open_sum(
            root=entry.update_root,
            index=proof.chunk,
            leaf=leaf,
            claims=_true_claims(leaf, siblings),
        )
        assert opened.ok
        assert opened.honest
        updates.append((q[0].tolist(), int(e[0])))
    theta, _ = decode_model(proof.old_leaf, 1, momentum=False)
    merged, _ = merge_reference(
        theta[0].tolist(), None, updates, [e.weight for e in entries], MergeParams()
    )
    return leaf_node(model_leaves(np.array(merged, np.int32)))


def _true_claims(leaf, siblings):
    q, e = decode_update(leaf, 1)
    ssq, claims = int(chunk_ssq(q, e)[0]), []
    for digest, other in siblings:
        claims.append((digest, other, ssq))
        ssq += other
    return claims


def up(node, index, siblings):
    for height, sibling in enumerate(siblings):
        node = inner_node(sibling, node) if index >> height & 1 else inner_node(node, sibling)
    return node


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_first_wrong_chunk_is_found_and_proven(tmp_path, chunk):
    """Old leaf, updates and proposed node all lead to their roots; the merge gives another leaf."""
    made = Round(tmp_path, wrong=chunk)
    case = made.propose()
    found = examiner(made).find_wrong_chunk(case, root_of(made.right))
    proof = found.proof
    assert proof.chunk == chunk
    assert verify(root=case.parent_root, index=chunk, leaf=proof.old_leaf, proof=proof.old_siblings)
    assert up(found.node, chunk, found.siblings) == case.proposal.model_root
    right = right_node(proof)
    assert right == leaf_node(made.right[chunk * 4 * CHUNK : (chunk + 1) * 4 * CHUNK])
    assert right != found.node


def test_of_a_model_that_is_not_the_proposed_roots_nothing_is_proven(tmp_path):
    """Another object, blocks that are no object, another size: only the proposer knows the tree."""
    made = Round(tmp_path)
    case = made.propose()
    for model in (made.store.put(made.right), made.store.put(b"short")):
        other = replace(case, proposal=replace(case.proposal, model=model))
        assert examiner(made).find_wrong_chunk(other, root_of(made.right)) is None


def test_a_model_that_is_not_there_may_yet_come(tmp_path):
    made = Round(tmp_path, published=False)
    case = made.propose()
    with pytest.raises(ContentUnavailable):
        examiner(made).find_wrong_chunk(case, root_of(made.right))


def test_an_own_merge_that_is_gone_from_the_disk_says_which(tmp_path):
    """So that it is made again."""
    made = Round(tmp_path)
    case = made.propose()
    bare = Examiner(made.store, Shelf(), segment_ends=(CHUNKS,), momentum=False)
    with pytest.raises(ContentUnavailable) as caught:
        bare.find_wrong_chunk(case, root_of(made.right))
    assert caught.value.cid == root_of(made.right).hex()


def test_a_parent_comes_from_the_store_if_the_disk_has_it_no_more(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    bare = Examiner(made.store, Shelf(made.right), segment_ends=(CHUNKS,), momentum=False)
    assert (
        bare.find_wrong_chunk(case, root_of(made.right)).proof.old_leaf
        == (made.parent[2 * 4 * CHUNK : 3 * 4 * CHUNK])
    )


def test_a_damaged_model_is_no_evidence(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    bad = Shelf(made.right)
    bad.models[case.parent_root] = made.right
    broken = Examiner(made.store, bad, segment_ends=(CHUNKS,), momentum=False)
    with pytest.raises(InvalidModel):
        broken.find_wrong_chunk(case, root_of(made.right))


def test_padding_needs_no_evidence(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    proof = examiner(made).prove_chunk(case, CHUNKS)
    assert (proof.inputs, proof.openings, proof.old_leaf) == (b"", (), b"")
    assert examiner(made).tree(root_of(made.right)).node(0, CHUNKS) == EMPTY


def test_a_leaf_is_opened_in_the_short_form(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    opening = examiner(made).open_leaf(case.headers[1], chunks=CHUNKS, index=3)
    path = opening[257:]
    siblings = [
        (path[at : at + 32], int.from_bytes(path[at + 32 : at + 44], "big"))
        for at in range(0, len(path), 44)
    ]
    header = case.headers[1]
    assert verify_sum(
        root=header.update_root, ssq=header.ssq, index=3, leaf=opening[:257], proof=siblings
    )


def test_an_update_of_another_root_is_no_evidence(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    header = replace(case.headers[1], update_root=b"\x01" * 32)
    with pytest.raises(InvalidUpdate, match="root"):
        examiner(made).open_leaf(header, chunks=CHUNKS, index=0)
    with pytest.raises(InvalidUpdate, match="bytes"):
        examiner(made).open_leaf(header, chunks=CHUNKS + 1, index=0)


def test_what_is_missing_is_found(tmp_path):
    """Gone, or not what the root says; a lie about the norm is another matter."""
    made = Round(tmp_path, missing=(1,), liars=(0,))
    case = made.propose()
    missing = examiner(made).find_missing(case)
    assert (missing.seat, missing.place, missing.segment) == (1, 1, 0)
    assert missing.chunk in range(CHUNKS)
    made.store.put(made.updates[1])
    assert examiner(made).find_missing(case) is None
    forged = {**case.headers, 0: replace(case.headers[0], update_root=b"\x01" * 32)}
    assert examiner(made).find_missing(replace(case, headers=forged)).seat == 0


def test_a_store_that_is_down_accuses_nobody(tmp_path):
    made = Round(tmp_path)
    case = made.propose()

    def down(*_args, **_options):
        raise StoreUnavailable(place="here", reason="down")

    made.store.open = down
    with pytest.raises(StoreUnavailable):
        examiner(made).find_missing(case)


def test_a_lie_about_a_norm_is_proven_and_the_truth_is_not(tmp_path):
    made = Round(tmp_path, liars=(1,))
    case = made.propose()
    inputs = case.preimages[0]
    prove = examiner(made).prove_norm
    assert prove(case.headers[0], segment=0, chunks=CHUNKS, seat=0, inputs=inputs) is None
    proof = prove(case.headers[1], segment=0, chunks=CHUNKS, seat=1, inputs=inputs)
    path = proof.opening[257:]
    claims = [
        (path[at : at + 32], *(int.from_bytes(path[at + n : at + n + 12], "big") for n in (32, 44)))
        for at in range(0, len(path), 56)
    ]
    opened = open_sum(
        root=case.headers[1].update_root, index=0, leaf=proof.opening[:257], claims=claims
    )
    assert opened.ok
    assert opened.honest
    assert opened.ssq != case.headers[1].ssq


# --- proofs too long for one transaction


def long_proof(updates, depth):
    opening = b"\x01" * (257 + 44 * depth)
    return ChunkProof(
        chunk=0,
        inputs=bytes(88 * updates),
        openings=(opening,) * updates,
        old_leaf=bytes(2048),
        old_siblings=(bytes(32),) * depth,
    )


@pytest.mark.parametrize("updates", [1, 16, 64, 128, 256])
@pytest.mark.parametrize("depth", [0, 8, 19, 24])
def test_no_transaction_is_larger_than_nodes_relay(updates, depth):
    """And none is sent that could have been spared."""
    court = MergeCourtContract(None, RUN)
    proof = long_proof(updates, depth)

    def last(part):
        return court.prove_merge(RUN, 1, part, node=bytes(32), siblings=[bytes(32)] * depth)

    parts = list(split_proof(proof, part_bytes(proof, last)))
    calls = [*(court.feed(RUN, 1, part) for part in parts[:-1]), last(parts[-1])]
    assert max(len(call.data) for call in calls) <= MAX_CALL_BYTES
    assert sum(len(part.openings) for part in parts) == updates
    needed = sum(len(call.data) for call in calls)
    assert len(parts) <= needed // (MAX_CALL_BYTES - 2 * 1500) + 1


def test_a_proof_without_updates_is_sent_whole():
    court = MergeCourtContract(None, RUN)
    proof = long_proof(0, 19)
    size = part_bytes(proof, lambda part: court.feed(RUN, 1, part))
    assert list(split_proof(proof, size)) == [proof]
    assert SEND_S < 120
