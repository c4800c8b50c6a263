"""One transaction convicts a wrong merge or a lying norm; see trees/merge_court.tree."""

from dataclasses import replace
from typing import Any

import pytest
from support.evm import Receipt
from support.judged import JudgedRun, Model, create_judged_run, genesis_model
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GWEI,
    KEEPER,
    NOBODY,
    TRAINERS,
    WITNESS,
    Person,
    Stage,
)

from protocol.merkle import EMPTY, MerkleTree
from protocol.proofs import (
    accumulate,
    chunk_place,
    long_opening,
    padding_proof,
    parse_inputs,
    short_opening,
    split_proof,
    update_leaf,
)
from protocol.rounds import Phase, aggregator_rank

BOND = 10**8 * GWEI
OPEN, PROPOSED, FINAL, FAILED = 1, 2, 3, 4
SECOND = Person("second aggregator")


def propose_wrong(run: JudgedRun, element: int = 300) -> int:
    """Play to a proposal that is wrong in one element of chunk 1, and give the round."""
    round_id = run.play(until="merge")
    run.merge(run.merged(round_id).off_by(element))
    return round_id


def convicts(run: JudgedRun, round_id: int, chunk: int, **how: Any) -> Receipt:
    receipt = run.prove(round_id, chunk, **how)
    assert receipt.only("MergeConvicted").beneficiary == WITNESS.address
    return receipt


# --- proveMerge


def test_prove_merge_when_a_chunk_is_wrong(judged: JudgedRun) -> None:
    """it should say what is right, pay the sender half the bond, burn half, and reopen the merge"""
    round_id = propose_wrong(judged)
    right = judged.merged(round_id)
    receipt = convicts(judged, round_id, 1)
    said = receipt.only("WrongMergeProven")
    assert (said.run, said.round, said.beneficiary) == (
        judged.contract.address,
        1,
        WITNESS.address,
    )
    assert (said.chunk, said.rightNode) == (1, right.tree.node(0, 1))
    assert said.proposedNode == judged.models[1].tree.node(0, 1)
    assert judged.contract.accounts(WITNESS.address).freeWei == BOND // 2
    assert judged.contract.burnedWei() == BOND // 2
    now = judged.contract.current()
    assert (now.round, now.phase) == (1, Phase.MERGE)


def test_prove_merge_when_the_chunk_is_right(judged: JudgedRun) -> None:
    """it should revert with ChunkIsRight for each of them and for the padding behind"""
    round_id = propose_wrong(judged)
    for chunk in (0, 2, 3, 4, 5, 6, 7):
        with refused("ChunkIsRight", chunk):
            judged.prove(round_id, chunk)


def test_prove_merge_when_the_merge_is_right(judged: JudgedRun) -> None:
    """it should revert with ChunkIsRight everywhere, also for updates opened in the long form"""
    round_id = judged.play_merge()
    for chunk in range(8):
        with refused("ChunkIsRight", chunk):
            judged.prove(round_id, chunk)
    with refused("ChunkIsRight", 3):
        judged.prove(round_id, 3, proof=opened_long(judged, round_id, 3))


def opened_long(run: JudgedRun, round_id: int, chunk: int) -> Any:
    place = chunk_place(chunk, run.ends)
    openings = tuple(
        long_opening(update_leaf(update, place.index), tree.claims(place.index))
        for _, _, update, tree in run.frozen(round_id, place.segment)
    )
    return run.chunk_proof(round_id, chunk, openings=openings)


def test_prove_merge_when_updates_are_opened_in_the_long_form(judged: JudgedRun) -> None:
    """it should convict as with the short form"""
    round_id = propose_wrong(judged)
    convicts(judged, round_id, 1, proof=opened_long(judged, round_id, 1))


def test_prove_merge_when_nothing_is_proposed(judged: JudgedRun) -> None:
    """it should revert with NotPending"""
    round_id = judged.play(until="merge")
    wrong = judged.merged(round_id).off_by(300)
    with refused("NotPending", judged.contract.address, round_id):
        judged.prove(round_id, 1, proposed=wrong)


def test_prove_merge_when_the_round_is_final(judged: JudgedRun) -> None:
    """it should revert with NotPending"""
    round_id = propose_wrong(judged)
    judged.settle(round_id)
    with refused("NotPending", judged.contract.address, round_id):
        judged.prove(round_id, 1)
    with refused("NotPending", judged.contract.address, 0):
        judged.court.proveMerge(
            judged.contract.address, 0, padding_proof(5).fields, EMPTY, [], sender=KEEPER.address
        )


def test_prove_merge_when_the_window_is_over_but_the_round_not_final(judged: JudgedRun) -> None:
    """it should convict still"""
    round_id = propose_wrong(judged)
    judged.pass_dispute(round_id)
    convicts(judged, round_id, 1)


def test_prove_merge_when_another_proposal_took_its_place(judged: JudgedRun) -> None:
    """it should revert with WrongNode"""
    round_id = propose_wrong(judged)
    wrong = judged.models[round_id]
    convicts(judged, round_id, 1)
    judged.merge()
    with refused("WrongNode", 1):
        judged.prove(round_id, 1, proposed=wrong)


def test_prove_merge_when_the_node_has_another_place(judged: JudgedRun) -> None:
    """it should revert with WrongNode, also for a path of another length or a chunk far beyond"""
    round_id = propose_wrong(judged)
    run, number, fields, node, siblings = judged.merge_arguments(round_id, 1)
    for changed in (
        (fields, judged.models[round_id].tree.node(0, 2), siblings),
        (fields, node, siblings[:2]),
        (fields, node, [*siblings, EMPTY]),
        ((9, *fields[1:]), node, siblings),
        ((2, *fields[1:]), node, siblings),
    ):
        with refused("WrongNode"):
            judged.court.proveMerge(run, number, *changed, sender=WITNESS.address)


def test_prove_merge_when_something_lies_behind_the_last_chunk(judged: JudgedRun) -> None:
    """it should convict without an opening"""
    round_id = judged.play(until="merge")
    right = judged.merged(round_id)
    more = Model(right.data + right.leaf(4), momentum=False)
    judged.merge(more)
    for chunk in (0, 6, 7):
        with refused("ChunkIsRight", chunk):
            judged.prove(round_id, chunk)
    said = convicts(judged, round_id, 5).only("WrongMergeProven")
    assert (said.chunk, said.rightNode) == (5, EMPTY)


def test_prove_merge_when_the_inputs_are_others(judged: JudgedRun) -> None:
    """it should revert with WrongInputs"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    for inputs in (b"", proof.inputs[88:], proof.inputs + bytes(88), b"\x01" + proof.inputs[1:]):
        with refused("WrongInputs", 0):
            judged.prove(round_id, 1, proof=replace(proof, inputs=inputs))


def test_prove_merge_when_an_opening_is_missing_or_too_many(judged: JudgedRun) -> None:
    """it should revert with WrongOpenings"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    with refused("WrongOpenings", 2, 3):
        judged.prove(round_id, 1, proof=replace(proof, openings=proof.openings[:2]))
    with refused("WrongOpenings", 4, 3):
        again = (*proof.openings, proof.openings[0])
        judged.prove(round_id, 1, proof=replace(proof, openings=again))


def test_prove_merge_when_an_opening_is_malformed(judged: JudgedRun) -> None:
    """it should revert with WrongUpdateOpening for any other length, bit, sum, place or update"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    first, second, third = proof.openings
    _, _, update, tree = judged.frozen(round_id)[1]
    other_place = short_opening(update_leaf(update, 2), tree.proof(2))
    flipped = bytes([second[0] ^ 1]) + second[1:]
    sibling = second[:257] + bytes([second[257] ^ 1]) + second[258:]
    sums = second[:300] + bytes([second[300] ^ 1]) + second[301:]
    huge = second[:289] + b"\xff" * 12 + second[301:]
    lengths = (b"", second[:-1], second + b"\x00", second[:257], second + bytes(44))
    for wrong in (*lengths, flipped, sibling, sums, huge, other_place, first):
        with refused("WrongUpdateOpening", 1):
            judged.prove(round_id, 1, proof=replace(proof, openings=(first, wrong, third)))


def test_prove_merge_when_the_old_leaf_is_another(judged: JudgedRun) -> None:
    """it should revert with WrongOldLeaf for other bytes, another chunk's, and other siblings"""
    round_id = propose_wrong(judged)
    proof, genesis = judged.chunk_proof(round_id, 1), judged.models[0]
    for changes in (
        {"old_leaf": genesis.leaf(2)},
        {"old_leaf": genesis.leaf(1)[:-1]},
        {"old_leaf": genesis.off_by(256).leaf(1)},
        {"old_siblings": genesis.tree.proof(0)},
        {"old_siblings": proof.old_siblings[:2]},
    ):
        with refused("WrongOldLeaf", 1):
            judged.prove(round_id, 1, proof=replace(proof, **changes))  # type: ignore[arg-type]


def test_prove_merge_when_the_parents_tree_has_leaves_of_another_size(court_stage: Stage) -> None:
    """it should revert with WrongModelLeaf, since no merge follows from such a parent"""
    genesis = genesis_model(5, momentum=False)
    odd = MerkleTree.from_leaves(genesis.data, 512)
    run = create_judged_run(court_stage, chunks=10, genesisRoot=odd.root)
    round_id = run.play(until="merge")
    run.propose(root=genesis_model(10, momentum=False).tree.root)
    run.models[round_id] = genesis_model(10, momentum=False)
    proof = run.chunk_proof(round_id, 1)
    proof = replace(proof, old_leaf=genesis.data[512:1024], old_siblings=odd.proof(1))
    with refused("WrongModelLeaf", 512):
        run.prove(round_id, 1, proof=proof)


@pytest.mark.parametrize("place", [(0, 1), (1, 0), (2, 0), (0, 0)], ids=str)
def test_prove_merge_when_sums_of_an_update_lie(judged: JudgedRun, place: tuple[int, int]) -> None:
    """it should convict with that update in the long form, and refuse the short one"""
    judged.lies[1] = {place: 5}
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    _, _, update, tree = judged.frozen(round_id)[1]
    if place != (0, 0):
        short = short_opening(update_leaf(update, 1), tree.proof(1))
        openings = (proof.openings[0], short, proof.openings[2])
        with refused("WrongUpdateOpening", 1):
            judged.prove(round_id, 1, proof=replace(proof, openings=openings))
    convicts(judged, round_id, 1, proof=proof)


def test_prove_merge_when_there_are_segments(court_stage: Stage) -> None:
    """it should compute each chunk from its own segment's inputs"""
    run = create_judged_run(court_stage, trainers=5, segments=2, chunks=7)
    round_id = run.play(until="merge")
    right = run.merged(round_id)
    assert [len(preimage) // 88 for preimage in run.inputs[round_id]] in ([2, 3], [3, 2])
    run.merge(right.off_by(256 * 6 + 9))
    for chunk in range(6):
        with refused("ChunkIsRight", chunk):
            run.prove(round_id, chunk)
    with refused("WrongInputs", 1):
        proof = run.chunk_proof(round_id, 6, inputs=run.inputs[round_id][0])
        run.prove(round_id, 6, proof=proof)
    convicts(run, round_id, 6)


def test_prove_merge_when_a_segment_has_no_update(court_stage: Stage) -> None:
    """it should want its chunks as they were, momentum too"""
    rule = {"momentum": True, "mu": 200, "nesterov": True}
    run = create_judged_run(court_stage, trainers=2, segments=3, chunks=6, **rule)
    round_id = run.play(until="merge")
    (empty,) = [i for i, preimage in enumerate(run.inputs[round_id]) if not preimage]
    chunk = 2 * empty
    right = run.merged(round_id)
    assert right.leaf(chunk) == run.models[0].leaf(chunk)
    run.merge(right.off_by(512 * chunk + 511))
    with refused("ChunkIsRight", chunk + 1):
        run.prove(round_id, chunk + 1)
    convicts(run, round_id, chunk)


@pytest.mark.parametrize("nesterov", [False, True])
def test_prove_merge_when_there_is_momentum(court_stage: Stage, nesterov: bool) -> None:
    """it should compare momentum like the model, with and without nesterov"""
    rule = {"momentum": True, "mu": 230, "nesterov": nesterov, "lr": 100}
    run = create_judged_run(court_stage, **rule)
    settled = run.play_merge()
    round_id = run.play(until="merge")
    right = run.merged(round_id)
    run.merge(right.off_by(512 + 300))
    for chunk in (0, 2, 3, 4):
        with refused("ChunkIsRight", chunk):
            run.prove(round_id, chunk)
    convicts(run, round_id, 1)
    run.merge(right)
    with refused("ChunkIsRight", 1):
        run.prove(round_id, 1)
    assert run.contract.getRound(settled).status == PROPOSED


def test_prove_merge_when_the_model_is_one_chunk(court_stage: Stage) -> None:
    """it should convict with the leaf as the root"""
    run = create_judged_run(court_stage, chunks=1)
    round_id = run.play(until="merge")
    run.merge(run.merged(round_id).off_by(255))
    convicts(run, round_id, 0)
    run.merge()
    with refused("ChunkIsRight", 0):
        run.prove(round_id, 0)


def test_prove_merge_when_the_parent_is_stale(judged: JudgedRun) -> None:
    """it should convict a merge into the grandparent"""
    judged.play_merge()
    round_id = judged.play(until="merge")
    judged.merge(judged.merged(round_id, parent=judged.models[0]))
    convicts(judged, round_id, 4)


def test_prove_merge_when_later_rounds_stand_on_it(judged: JudgedRun) -> None:
    """it should void them and unlock their bonds"""
    first = propose_wrong(judged)
    judged.play_merge()
    judged.open()
    receipt = convicts(judged, first, 1)
    assert [event.round for event in receipt.all("RoundVoided")] == [3, 2]
    assert judged.contract.accounts(AGGREGATOR.address).lockedWei == 0


def test_prove_merge_when_the_next_rank_proposes_right(judged: JudgedRun) -> None:
    """it should keep the updates' place and pay them, and the liar is off the list"""
    judged.evm.fund(SECOND.address)
    judged.deposit_bond(SECOND)
    people = (AGGREGATOR, SECOND)
    for person in people:
        judged.contract.registerAggregator(sender=person.address)
    round_id = judged.play(until="merge")
    seed = bytes(judged.contract.getRound(round_id).seed)
    liar, honest = sorted(
        people, key=lambda p: aggregator_rank(index=people.index(p), count=2, seed=seed)
    )
    right = judged.merged(round_id)
    judged.merge(right.off_by(300), liar)
    convicts(judged, round_id, 1)
    assert judged.contract.aggregators() == [honest.address]
    judged.merge(right, honest)
    receipt = judged.settle(round_id)
    assert [event.trainer for event in receipt.all("RewardCredited")] == [
        person.address for person in TRAINERS[:3]
    ]
    assert judged.contract.getRound(round_id).status == FINAL


def test_prove_merge_when_forty_updates_come_in_three_parts(court_stage: Stage) -> None:
    """it should convict from the accumulator that the parts before left"""
    run = create_judged_run(court_stage, trainers=40)
    round_id = propose_wrong(run)
    proof = run.chunk_proof(round_id, 1)
    first, second, last = split_proof(proof, 14 * len(proof.openings[0]))
    for part in (first, second):
        run.court.feed(run.contract.address, round_id, part.fields, sender=WITNESS.address)
    with refused("WrongAccumulator"):
        run.prove(round_id, 1, proof=replace(last, accumulator=second.accumulator))
    convicts(run, round_id, 1, proof=last)


def test_prove_merge_when_the_roster_is_full(court_stage: Stage) -> None:
    """it should convict from 256 updates in parts of at most 16 million gas"""
    run = create_judged_run(court_stage, trainers=256, chunks=2)
    run.open()
    seats = range(256)
    for first in range(0, 256, 64):
        run.commit_batch(seats[first : first + 64])
    for first in range(0, 256, 64):
        run.reveal(seats[first : first + 64])
    run.freeze(seats)
    run.merge(run.merged(1).off_by(300))
    *parts, last = split_proof(run.chunk_proof(1, 1), 60_000)
    assert len(parts) == 1
    for part in parts:
        gas = run.court.feed(run.contract.address, 1, part.fields, sender=WITNESS.address).gas
        assert gas < 16_000_000
    assert convicts(run, 1, 1, proof=last).gas < 16_000_000


# --- feed


def fed(run: JudgedRun, round_id: int, proof: Any, sender: Person = WITNESS) -> Any:
    receipt = run.court.feed(run.contract.address, round_id, proof.fields, sender=sender.address)
    return receipt.only("Fed")


def test_feed_when_a_part_opens(judged: JudgedRun) -> None:
    """it should emit the weighted sum, whose bytes anybody can compute"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    weights = [entry.weight for entry in parse_inputs(proof.inputs)]
    leaves = [opening[:257] for opening in proof.openings]
    said = fed(judged, round_id, replace(proof, openings=proof.openings[:1]))
    assert (said.run, said.round, said.prover, said.chunk) == (
        judged.contract.address,
        round_id,
        WITNESS.address,
        1,
    )
    assert said.accumulator == accumulate(b"", leaves[:1], weights[:1])
    rest = replace(proof, openings=proof.openings[1:], accumulator=said.accumulator)
    assert fed(judged, round_id, rest).accumulator == accumulate(b"", leaves, weights)


def test_feed_when_all_is_fed(judged: JudgedRun) -> None:
    """it should leave nothing to open but the old leaf"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    accumulator = fed(judged, round_id, proof).accumulator
    whole = replace(proof, openings=(), accumulator=accumulator)
    with refused("WrongOpenings", 0, 0):
        fed(judged, round_id, whole)
    convicts(judged, round_id, 1, proof=whole)


def test_feed_when_there_are_no_openings_or_too_many(judged: JudgedRun) -> None:
    """it should revert with WrongOpenings"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    with refused("WrongOpenings", 0, 3):
        fed(judged, round_id, replace(proof, openings=()))
    with refused("WrongOpenings", 4, 3):
        fed(judged, round_id, replace(proof, openings=(*proof.openings, b"")))


def test_feed_when_the_accumulator_is_of_somebody_else(judged: JudgedRun) -> None:
    """it should revert with WrongAccumulator, and so does one of another chunk or of no feed"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    part = replace(proof, openings=proof.openings[:1])
    accumulator = fed(judged, round_id, part).accumulator
    rest = replace(proof, openings=proof.openings[1:], accumulator=accumulator)
    with refused("WrongAccumulator"):
        fed(judged, round_id, rest, ATTACKER)
    with refused("WrongAccumulator"):
        judged.prove(round_id, 1, proof=rest, sender=ATTACKER)
    other = judged.chunk_proof(round_id, 2)
    with refused("WrongAccumulator"):
        fed(judged, round_id, replace(other, accumulator=accumulator))
    made_up = accumulate(b"", [proof.openings[0][:257]], [65536])
    with refused("WrongAccumulator"):
        fed(judged, round_id, replace(rest, accumulator=made_up))


def test_feed_when_it_begins_anew(judged: JudgedRun) -> None:
    """it should forget the accumulator before"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    first = replace(proof, openings=proof.openings[:1])
    two = fed(judged, round_id, replace(proof, openings=proof.openings[:2])).accumulator
    fed(judged, round_id, first)
    rest = replace(proof, openings=proof.openings[2:], accumulator=two)
    with refused("WrongAccumulator"):
        judged.prove(round_id, 1, proof=rest)


def test_feed_when_an_opening_is_malformed(judged: JudgedRun) -> None:
    """it should revert with WrongUpdateOpening and its place"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    with refused("WrongUpdateOpening", 2):
        fed(judged, round_id, replace(proof, openings=(*proof.openings[:2], b"")))


def test_feed_when_there_is_no_such_chunk(judged: JudgedRun) -> None:
    """it should revert with NoSuchChunk, also in the padding"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    for chunk in (5, 2**32 - 1):
        with refused("NoSuchChunk", chunk, 5):
            fed(judged, round_id, replace(proof, chunk=chunk))


def test_feed_when_the_weights_are_made_up(judged: JudgedRun) -> None:
    """it should revert with WeightsTooLarge or leave what proves nothing"""
    round_id = propose_wrong(judged)
    proof = judged.chunk_proof(round_id, 1)
    entry = proof.inputs[:21] + b"\x01\x00\x00" + proof.inputs[24:88]
    alone = replace(proof, inputs=entry, openings=proof.openings[:1])
    accumulator = fed(judged, round_id, alone).accumulator
    with refused("WrongAccumulator"):
        judged.prove(
            round_id, 1, proof=replace(proof, openings=proof.openings[1:], accumulator=accumulator)
        )
    twice = replace(alone, inputs=entry * 2, openings=proof.openings[:1] * 2)
    with refused("WeightsTooLarge"):
        fed(judged, round_id, twice)


# --- proveNorm


def norm_proof(
    run: JudgedRun, who: int, leaf: int = 0, *, frozen: bool = True, **changes: Any
) -> tuple[Any, ...]:
    """NormProof of one leaf of a seat's update in the open or last round."""
    now = run.contract.current()
    update, tree = run.update(who, now.round, now.attempt)
    header = run.header(who, now.round, now.attempt)
    segment = run.segment_of(
        who, bytes(run.contract.getRound(now.round).seed), run.contract.roster()
    )
    fields = {
        "segment": segment if frozen else 0,
        "inputs": run.inputs[now.round][segment] if frozen else b"",
        "seat": who,
        "updateRoot": tree.root,
        "header": (
            header.ssq,
            header.trace_root,
            header.class_id,
            header.update_cid,
            header.update_size,
        ),
        "index": leaf,
        "opening": long_opening(update_leaf(update, leaf), tree.claims(leaf)),
    }
    assert changes.keys() <= fields.keys()
    return tuple((fields | changes).values())


def prove_norm(run: JudgedRun, who: int, leaf: int = 0, **how: Any) -> Receipt:
    proof = norm_proof(run, who, leaf, **how)
    round_id = run.contract.current().round
    return run.court.proveNorm(run.contract.address, round_id, proof, sender=WITNESS.address)


def test_prove_norm_when_the_header_names_another_sum(judged: JudgedRun) -> None:
    """it should convict with any leaf, and the witness gets half of what is slashed"""
    judged.header_ssq[1] = 5
    judged.play_merge()
    receipt = prove_norm(judged, 1, 3)
    said = receipt.only("WrongNormProven")
    assert (said.run, said.round, said.beneficiary, said.seat) == (
        judged.contract.address,
        1,
        WITNESS.address,
        1,
    )
    assert receipt.only("UpdateConvicted").trainer == TRAINERS[1].address
    assert judged.vault.freeOf(WITNESS.address) == ETHER // 4
    assert judged.contract.convicted(1) == 0b010


@pytest.mark.parametrize(
    ("place", "shows"),
    [((0, 4), {4}), ((1, 1), {2, 3}), ((2, 0), {0, 1, 2, 3})],
    ids=str,
)
def test_prove_norm_when_a_node_names_another_sum(
    judged: JudgedRun, place: tuple[int, int], shows: set[int]
) -> None:
    """it should convict with the leaves below that node, and with no other"""
    judged.lies[2] = {place: 1}
    judged.play_merge()
    for index in set(range(5)) - shows:
        with refused("NormIsRight", 2):
            prove_norm(judged, 2, index)
    for index in shows:
        before = judged.evm.snapshot()
        prove_norm(judged, 2, index)
        judged.evm.revert(before)


def test_prove_norm_when_sums_and_header_are_true(judged: JudgedRun) -> None:
    """it should revert with NormIsRight, before and after the freeze"""
    judged.play(until="audit")
    with refused("NormIsRight", 0):
        prove_norm(judged, 0, frozen=False)
    judged.freeze([0, 1, 2])
    judged.merge()
    for index in range(5):
        with refused("NormIsRight", 0):
            prove_norm(judged, 0, index)


def test_prove_norm_when_the_header_does_not_name_the_sum_of_the_root(judged: JudgedRun) -> None:
    """it should convict also if the sums above two lying leaves make the header true"""
    total = sum(ssq for _, ssq in judged_leaves(judged))
    judged.lies[0] = {(0, 0): total, (0, 1): 0, (0, 2): 0, (0, 3): 0, (0, 4): 0}
    judged.play_merge()
    assert judged.header(0, 1, 1).ssq == total
    for index in range(5):
        before = judged.evm.snapshot()
        prove_norm(judged, 0, index)
        judged.evm.revert(before)


def judged_leaves(run: JudgedRun) -> list[tuple[bytes, int]]:
    """Leaf nodes of seat 0's first update, which its dice will give again."""
    before = run.evm.snapshot()
    run.open()
    _, tree = run.update(0, 1, 1)
    run.evm.revert(before)
    run._updates.clear()
    return tree.levels[0]


def test_prove_norm_when_revealed_in_the_open_attempt(judged: JudgedRun) -> None:
    """it should slash the author and keep the update out of the freeze"""
    judged.header_ssq[1] = 5
    judged.play(until="reveal")
    judged.reveal([1])
    before = judged.evm.snapshot()
    prove_norm(judged, 1, frozen=False)
    judged.evm.revert(before)
    judged.reveal([0, 2])
    prove_norm(judged, 1, frozen=False)
    assert judged.contract.excluded(1) == 0b010
    frozen = judged.freeze([0, 1, 2])
    assert frozen.only("UpdatesFrozen").included == 0b101


def test_prove_norm_when_there_are_segments(court_stage: Stage) -> None:
    """it should find the seat's segment by itself before the freeze, and by its inputs after"""
    run = create_judged_run(court_stage, trainers=4, segments=2, chunks=3)
    run.header_ssq |= dict.fromkeys(range(4), 5)
    run.play(until="audit")
    for seat in range(4):
        before = run.evm.snapshot()
        prove_norm(run, seat, frozen=False)
        run.evm.revert(before)
    run.freeze([0, 1, 2, 3])
    run.merge()
    for seat in range(4):
        prove_norm(run, seat)


def test_prove_norm_when_the_model_is_one_chunk(court_stage: Stage) -> None:
    """it should compare the leaf itself with the header"""
    run = create_judged_run(court_stage, chunks=1)
    run.header_ssq[0] = 5
    run.play_merge()
    prove_norm(run, 0)
    with refused("NormIsRight", 1):
        prove_norm(run, 1)


def test_prove_norm_when_the_round_is_final(judged: JudgedRun) -> None:
    """it should convict still"""
    judged.header_ssq[1] = 5
    round_id = judged.play_merge()
    judged.settle(round_id)
    prove_norm(judged, 1)


def test_prove_norm_when_the_round_failed(judged: JudgedRun) -> None:
    """it should revert with NotPending, since nothing says whose inputs those are"""
    judged.header_ssq[1] = 5
    judged.play(until="merge")
    proof = norm_proof(judged, 1)
    judged.pass_deadline()
    judged.contract.advance(sender=KEEPER.address)
    with refused("NotPending", judged.contract.address, 1):
        judged.court.proveNorm(judged.contract.address, 1, proof, sender=WITNESS.address)


def test_prove_norm_when_the_attempt_is_void(judged: JudgedRun) -> None:
    """it should revert with NotPending for a reveal of a round that a conviction took back"""
    judged.header_ssq[1] = 5
    first = propose_wrong(judged)
    judged.play(until="audit")
    proof = norm_proof(judged, 1, frozen=False)
    convicts(judged, first, 1)
    for round_id in (1, 2):
        with refused("NotPending", judged.contract.address, round_id):
            judged.court.proveNorm(judged.contract.address, round_id, proof, sender=WITNESS.address)


def test_prove_norm_when_another_round_is_open(judged: JudgedRun) -> None:
    """it should revert with NotPending for a reveal of the round before"""
    judged.header_ssq[1] = 5
    judged.play_merge()
    proof = norm_proof(judged, 1, frozen=False)
    with refused("NotPending", judged.contract.address, 1):
        judged.court.proveNorm(judged.contract.address, 1, proof, sender=WITNESS.address)


def test_prove_norm_when_the_inputs_are_others(judged: JudgedRun) -> None:
    """it should revert with WrongInputs"""
    judged.header_ssq[1] = 5
    judged.play_merge()
    with refused("WrongInputs", 0):
        prove_norm(judged, 1, inputs=judged.inputs[1][0][88:])
    with refused("WrongInputs", 3):
        prove_norm(judged, 1, segment=3)


def test_prove_norm_when_the_seat_has_no_update(judged: JudgedRun) -> None:
    """it should revert with NoSuchUpdate, before and after the freeze"""
    judged.header_ssq |= {1: 5, 2: 5}
    judged.play(until="reveal")
    judged.reveal([0, 1])
    with refused("NoSuchUpdate", 2):
        prove_norm(judged, 2, frozen=False)
    judged.pass_deadline()
    judged.contract.advance(sender=KEEPER.address)
    judged.freeze([0, 1])
    judged.merge()
    with refused("NoSuchUpdate", 2):
        prove_norm(judged, 2)


def test_prove_norm_when_the_header_is_another(judged: JudgedRun) -> None:
    """it should revert with WrongHeader, before and after the freeze"""
    judged.header_ssq[1] = 5
    judged.play(until="audit")
    good = norm_proof(judged, 1, frozen=False)
    wrongs = ({"updateRoot": bytes(32)}, {"header": (6, *good[4][1:])}, {"seat": 0})
    for wrong in wrongs:
        with refused("WrongHeader"):
            prove_norm(judged, 1, frozen=False, **wrong)
    judged.freeze([0, 1, 2])
    judged.merge()
    for wrong in wrongs:
        with refused("WrongHeader"):
            prove_norm(judged, 1, **wrong)


def test_prove_norm_when_the_opening_is_malformed(judged: JudgedRun) -> None:
    """it should revert with WrongUpdateOpening for the short form, other bits and other places"""
    judged.header_ssq[1] = 5
    judged.play_merge()
    update, tree = judged.update(1, 1, 1)
    short = short_opening(update_leaf(update, 0), tree.proof(0))
    good = norm_proof(judged, 1)[-1]
    flipped = good[:260] + bytes([good[260] ^ 1]) + good[261:]
    for wrong in (
        {"opening": b""},
        {"opening": short},
        {"opening": flipped},
        {"index": 1},
        {"index": 8},
        {"index": 2**32 - 1},
    ):
        with refused("WrongUpdateOpening", 1):
            prove_norm(judged, 1, **wrong)


def test_prove_norm_when_convicted_already(judged: JudgedRun) -> None:
    """it should revert with AlreadyConvicted"""
    judged.header_ssq[1] = 5
    judged.play_merge()
    prove_norm(judged, 1)
    with refused("AlreadyConvicted", 1, 1):
        prove_norm(judged, 1, 2)


def test_prove_norm_when_convicted_before_the_merge_reopens(judged: JudgedRun) -> None:
    """it should leave the update in the merge, unpaid"""
    judged.header_ssq[1] = 5
    round_id = propose_wrong(judged)
    prove_norm(judged, 1)
    convicts(judged, round_id, 1)
    judged.merge()
    paid = judged.settle(round_id).all("RewardCredited")
    assert [event.trainer for event in paid] == [TRAINERS[0].address, TRAINERS[2].address]
    assert NOBODY not in {event.trainer for event in paid}
