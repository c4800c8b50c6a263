"""Who shows no model or no update loses; see trees/merge_disputes.tree.

Each test ends with invariant C1: the court holds the bonds in progress and the credits, no more.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from support.evm import Contract, Evm, signature, types_of
from support.judged import (
    CHILDREN,
    CHOICE,
    CHUNK_DUE,
    LEAF_DUE,
    MOOT,
    NONE,
    REJECTED,
    UPHELD,
    JudgedRun,
    Model,
    TreeGame,
    create_judged_run,
)
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GUARDIAN,
    GWEI,
    KEEPER,
    SPONSOR,
    TRAINERS,
    WITNESS,
    Person,
    Stage,
)

from protocol.merkle import EMPTY, inner_node, leaf_node
from protocol.proofs import (
    child_siblings,
    children_below,
    long_opening,
    padding_proof,
    short_opening,
    split_proof,
    update_leaf,
)
from protocol.rounds import Phase

PROPOSER_BOND = 10**8 * GWEI
OPEN, PROPOSED, FINAL, FAILED = 1, 2, 3, 4
MOVE_S = 60
BANK_S = 3 * MOVE_S
EVERYBODY = (*TRAINERS, SPONSOR, GUARDIAN, AGGREGATOR, KEEPER, ATTACKER, WITNESS)


def check_books(court: Contract) -> None:
    """C1, over everybody that the tests know."""
    accounts = [person.address for person in EVERYBODY]
    disputes = [court.disputes(i) for i in range(1, court.disputeCount() + 1)]
    in_progress = sum(d.bondWei for d in disputes if CHILDREN <= d.state <= LEAF_DUE)
    owed = sum(court.creditOf(account) for account in accounts)
    assert court.evm.balance(court.address) == in_progress + owed


@pytest.fixture
def judged(court_stage: Stage) -> Iterator[JudgedRun]:
    run = create_judged_run(court_stage)
    yield run
    check_books(run.court)


@pytest.fixture
def large(court_stage: Stage) -> Iterator[JudgedRun]:
    """A run whose trees are nine levels deep."""
    run = create_judged_run(court_stage, chunks=300)
    yield run
    check_books(run.court)


def wrong_game(run: JudgedRun, element: int = 300) -> tuple[TreeGame, Model, Model]:
    """A challenged proposal, wrong in one element: the game, what is right, what is shown."""
    round_id = run.play(until="merge")
    right = run.merged(round_id)
    wrong = run.merge(right.off_by(element))
    game = TreeGame(run, round_id)
    game.challenge()
    return game, right, wrong


def right_game(run: JudgedRun) -> tuple[TreeGame, Model]:
    """The same about a proposal that is right."""
    round_id = run.play_merge()
    game = TreeGame(run, round_id)
    game.challenge()
    return game, run.models[round_id]


def reject_by_dissent(run: JudgedRun) -> None:
    """The next round's trainers reject the merge."""
    run.open()
    run.dissent(0)
    run.dissent(1)
    run.commit(2)
    assert run.contract.current().phase == Phase.MERGE


def prove_elsewhere(run: JudgedRun, round_id: int) -> None:
    """Somebody else convicts the proposal."""
    run.prove(round_id, 1, sender=KEEPER)


def credit(run: JudgedRun, person: Person) -> int:
    return int(run.court.creditOf(person.address))


def free(run: JudgedRun, person: Person) -> int:
    return int(run.contract.accounts(person.address).freeWei)


# --- challengeTree


def test_challenge_tree_when_a_merge_is_proposed(judged: JudgedRun) -> None:
    """it should take the bond, hold finality, and bind the proposer to its root"""
    round_id = judged.play_merge()
    game = TreeGame(judged, round_id)
    said = game.challenge(game.bond(CHILDREN) + 5).only("TreeChallenged")
    now, made = judged.evm.now(), game.dispute
    assert (said.id, said.run, said.round) == (1, judged.contract.address, round_id)
    assert (said.challenger, said.modelRoot) == (WITNESS.address, judged.models[1].tree.root)
    assert (made.run, made.round, made.state) == (judged.contract.address, round_id, CHILDREN)
    assert (made.level, made.index, made.seat) == (3, 0, 0)
    assert (made.challenger, made.proposer) == (WITNESS.address, AGGREGATOR.address)
    assert (made.moveS, made.answerBankS, made.choiceBankS) == (MOVE_S, BANK_S, BANK_S)
    assert made.deadline == now + MOVE_S + BANK_S
    assert made.bondWei == game.bond(CHILDREN) + 5
    assert (made.node, made.proposal) == (said.modelRoot, judged.contract.proposalId(round_id))
    parent, hashes = judged.beginning(round_id)
    assert made.inputs == keccak(encode(["bytes32", "bytes32[]"], [parent, hashes]))
    assert judged.contract.getRound(round_id).openDisputes == 1
    judged.pass_dispute(round_id)
    with refused("DisputeOpen", 1):
        judged.finalize(round_id)


def test_challenge_tree_when_nothing_is_proposed(judged: JudgedRun) -> None:
    """it should revert with NotPending"""
    round_id = judged.play(until="merge")
    with refused("NotPending", judged.contract.address, round_id):
        TreeGame(judged, round_id).challenge()


def test_challenge_tree_when_the_window_is_over(judged: JudgedRun) -> None:
    """it should revert with WindowClosed from the second on that ends it"""
    round_id = judged.play_merge()
    ends = judged.contract.getRound(round_id).finalizableAt
    judged.evm.next_block_at(ends - 1)
    TreeGame(judged, round_id).challenge()
    judged.evm.next_block_at(ends)
    with refused("WindowClosed", ends):
        TreeGame(judged, round_id).challenge()


def test_challenge_tree_when_the_bond_is_too_small(judged: JudgedRun) -> None:
    """it should revert with BondTooSmall"""
    game = TreeGame(judged, judged.play_merge())
    bond = game.bond(CHILDREN)
    with refused("BondTooSmall", bond - 1, bond):
        game.challenge(bond - 1)


def test_challenge_tree_when_the_model_is_one_chunk(court_stage: Stage) -> None:
    """it should begin with the chunk, and its bond"""
    run = create_judged_run(court_stage, chunks=1)
    round_id = run.play(until="merge")
    run.merge(run.merged(round_id).off_by(7))
    game = TreeGame(run, round_id)
    with refused("BondTooSmall"):
        game.challenge(game.bond(CHUNK_DUE) - 1)
    game.challenge()
    assert (game.dispute.state, game.dispute.level) == (CHUNK_DUE, 0)
    assert game.open().only("DisputeEnded").state == UPHELD


def test_challenge_tree_when_several_do(judged: JudgedRun) -> None:
    """it should run the disputes side by side, and the first that wins ends the others as moot"""
    first, right, wrong = wrong_game(judged)
    second = TreeGame(judged, first.round_id, challenger=KEEPER)
    second.challenge()
    assert (first.id, second.id, judged.court.disputeCount()) == (1, 2, 2)
    assert judged.contract.getRound(first.round_id).openDisputes == 2
    second.descend(wrong, right)
    second.open()
    assert second.dispute.state == UPHELD
    assert first.end().only("DisputeEnded").state == MOOT
    assert credit(judged, WITNESS) == first.dispute.bondWei


# --- showChildren


def test_show_children_when_they_hash_to_the_node(large: JudgedRun) -> None:
    """it should show 256 at once, from anybody, and give the challenger its turn"""
    game, model = right_game(large)
    said = game.show(model, sender=KEEPER).only("ChildrenShown")
    assert (said.id, said.node, len(said.children)) == (1, model.tree.root, 256)
    assert said.children == game.children
    assert (game.dispute.state, game.dispute.level) == (CHOICE, 9)
    assert game.dispute.deadline == large.evm.now() + MOVE_S + BANK_S
    game.choose(149)
    assert (game.dispute.level, game.dispute.index) == (1, 149)
    game.show(model)
    assert game.children == [model.tree.node(0, 298), model.tree.node(0, 299)]


def test_show_children_when_they_are_others(judged: JudgedRun) -> None:
    """it should revert with WrongChildren for other nodes, another order or number"""
    game, model = right_game(judged)
    good = children_below(model.tree, 3, 0)
    half = children_below(model.tree, 2, 0)
    others = (good[::-1], [*good, *good], [EMPTY, *good[1:]], [model.tree.root])
    for wrong in ([], good[:4], half, *others):
        with refused("WrongChildren", 1):
            judged.court.showChildren(1, wrong, sender=AGGREGATOR.address)
    with refused("WrongChildren", 1):
        game.show(judged.models[0])


def test_show_children_when_it_is_not_their_turn(judged: JudgedRun) -> None:
    """it should revert with WrongMove, also for a dispute that does not exist"""
    game, model = right_game(judged)
    game.show(model)
    with refused("WrongMove", 1, CHOICE):
        game.show(model)
    with refused("WrongMove", 2, NONE):
        judged.court.showChildren(2, game.children, sender=AGGREGATOR.address)


def test_show_children_when_the_clock_ran_out(judged: JudgedRun) -> None:
    """it should revert with ClockRanOut a second after the deadline, and accept at it"""
    game, model = right_game(judged)
    deadline = game.dispute.deadline
    before = judged.evm.snapshot()
    judged.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.show(model)
    judged.evm.revert(before)
    judged.evm.next_block_at(deadline)
    game.show(model)
    assert game.dispute.answerBankS == 0


def test_show_children_when_the_answer_took_longer_than_a_move(large: JudgedRun) -> None:
    """it should take the rest from the bank, which the next answer has less of"""
    game, model = right_game(large)
    started = large.evm.now()
    large.evm.next_block_at(started + MOVE_S + 50)
    game.show(model)
    assert (game.dispute.answerBankS, game.dispute.choiceBankS) == (BANK_S - 50, BANK_S)
    chosen = large.evm.now() + MOVE_S
    large.evm.next_block_at(chosen)
    game.choose(0)
    assert (game.dispute.answerBankS, game.dispute.choiceBankS) == (BANK_S - 50, BANK_S)
    assert game.dispute.deadline == chosen + MOVE_S + BANK_S - 50
    large.evm.next_block_at(chosen + MOVE_S + 30)
    game.show(model)
    assert game.dispute.answerBankS == BANK_S - 80


def test_show_children_when_both_sides_use_all_their_time(large: JudgedRun) -> None:
    """it should end within a move's time for each move, and both banks"""
    game, model = right_game(large)
    started = large.evm.now()
    moves = 0
    while game.dispute.state in (CHILDREN, CHOICE):
        large.evm.next_block_at(game.dispute.deadline)
        game.show(model) if game.dispute.state == CHILDREN else game.choose(0)
        moves += 1
    assert moves == 4
    assert game.dispute.deadline - started == (moves + 1) * MOVE_S + 2 * BANK_S


def test_show_children_when_the_proposal_is_gone(judged: JudgedRun) -> None:
    """it should end the dispute as moot and give the bond back"""
    game, _, wrong = wrong_game(judged)
    prove_elsewhere(judged, game.round_id)
    said = game.show(wrong).only("DisputeEnded")
    assert (said.state, said.beneficiary) == (MOOT, WITNESS.address)
    assert credit(judged, WITNESS) == said.bondsWei == game.bond(CHILDREN)


# --- chooseChild


def test_choose_child_when_it_is_shown(large: JudgedRun) -> None:
    """it should go down to it, add the bond, and at last demand the chunk"""
    game, right, wrong = wrong_game(large, element=256 * 299)
    game.show(wrong)
    said = game.choose_first_difference(right).only("ChildChosen")
    assert (said.id, said.level, said.index) == (1, 1, 149)
    assert said.node == game.dispute.node == wrong.tree.node(1, 149)
    assert game.dispute.bondWei == 2 * game.bond(CHILDREN)
    game.show(wrong)
    said = game.choose_first_difference(right).only("ChildChosen")
    assert (said.level, said.index, game.dispute.state) == (0, 299, CHUNK_DUE)
    assert game.dispute.bondWei == 2 * game.bond(CHILDREN) + game.bond(CHUNK_DUE)


def test_choose_child_when_somebody_else_does(judged: JudgedRun) -> None:
    """it should revert with NotChallenger"""
    game, model = right_game(judged)
    game.show(model)
    with refused("NotChallenger", 1, WITNESS.address):
        game.choose(0, sender=ATTACKER)


def test_choose_child_when_it_was_not_shown(judged: JudgedRun) -> None:
    """it should revert with WrongNode for another node, place or path"""
    game, model = right_game(judged)
    game.show(model)
    good, siblings = game.children[3], list(child_siblings(game.children, 3))
    above = [model.tree.node(1, 0), model.tree.node(2, 1)]
    for child, node, path in (
        (3, EMPTY, siblings),
        (2, good, siblings),
        (11, good, siblings),
        (3, good, siblings[:2]),
        (3, good, [*siblings, EMPTY]),
        (1, model.tree.node(1, 1), above),
    ):
        with refused("WrongNode", child):
            judged.court.chooseChild(1, child, node, path, sender=WITNESS.address, value=ETHER)


def test_choose_child_when_the_bond_is_too_small(large: JudgedRun) -> None:
    """it should revert with BondTooSmall, and the last choice costs more with more updates"""
    game, model = right_game(large)
    game.show(model)
    bond = game.bond(CHILDREN)
    with refused("BondTooSmall", bond - 1, bond):
        game.choose(0, value=bond - 1)
    game.choose(0)
    game.show(model)
    bond = int(large.court.bondWei(CHUNK_DUE, 3))
    with refused("BondTooSmall", bond - 1, bond):
        game.choose(0, value=bond - 1)
    game.choose(0, value=bond)


def test_choose_child_when_it_is_not_its_turn(judged: JudgedRun) -> None:
    """it should revert with WrongMove"""
    game, model = right_game(judged)
    game.children = children_below(model.tree, 3, 0)
    with refused("WrongMove", 1, CHILDREN):
        game.choose(0)


def test_choose_child_when_the_clock_ran_out(judged: JudgedRun) -> None:
    """it should revert with ClockRanOut a second after the deadline, and accept at it"""
    game, model = right_game(judged)
    game.show(model)
    deadline = game.dispute.deadline
    before = judged.evm.snapshot()
    judged.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.choose(0)
    judged.evm.revert(before)
    judged.evm.next_block_at(deadline)
    game.choose(0)
    assert (game.dispute.choiceBankS, game.dispute.answerBankS) == (0, BANK_S)


def test_choose_child_when_the_proposal_is_gone(judged: JudgedRun) -> None:
    """it should end the dispute as moot and give all bonds back"""
    game, right, wrong = wrong_game(judged)
    game.show(wrong)
    prove_elsewhere(judged, game.round_id)
    assert game.choose_first_difference(right).only("DisputeEnded").state == MOOT
    assert credit(judged, WITNESS) == game.bond(CHILDREN) + game.bond(CHUNK_DUE)


# --- openChunk


def test_open_chunk_when_it_is_wrong(large: JudgedRun) -> None:
    """it should convict the proposer for the challenger, and give its bonds back"""
    game, right, wrong = wrong_game(large, element=256 * 170)
    game.descend(wrong, right)
    receipt = game.open(sender=KEEPER)
    said = receipt.only("WrongMergeProven")
    assert (said.chunk, said.beneficiary) == (170, WITNESS.address)
    assert (said.proposedNode, said.rightNode) == (wrong.tree.node(0, 170), right.tree.node(0, 170))
    ended = receipt.only("DisputeEnded")
    assert (ended.state, ended.beneficiary) == (UPHELD, WITNESS.address)
    assert receipt.only("MergeConvicted").proposer == AGGREGATOR.address
    assert credit(large, WITNESS) == ended.bondsWei == game.dispute.bondWei
    assert free(large, WITNESS) == PROPOSER_BOND // 2
    assert large.contract.current().phase == Phase.MERGE


def test_open_chunk_when_it_is_right(large: JudgedRun) -> None:
    """it should give the bonds to the proposer and let the round become final"""
    game, model = right_game(large)
    game.descend_to(model, 255)
    ended = game.open(sender=KEEPER).only("DisputeEnded")
    assert (ended.state, ended.beneficiary) == (REJECTED, AGGREGATOR.address)
    assert credit(large, AGGREGATOR) == ended.bondsWei == game.dispute.bondWei
    assert large.contract.getRound(game.round_id).openDisputes == 0
    large.settle(game.round_id)
    assert large.contract.getRound(game.round_id).status == FINAL


def test_open_chunk_when_the_challenger_chose_a_right_one(judged: JudgedRun) -> None:
    """it should reject, though another chunk is wrong, and another dispute wins still"""
    game, right, wrong = wrong_game(judged)
    second = TreeGame(judged, game.round_id, challenger=KEEPER)
    second.challenge()
    game.descend_to(wrong, 0)
    assert game.open().only("DisputeEnded").state == REJECTED
    assert judged.contract.getRound(game.round_id).openDisputes == 1
    second.descend(wrong, right)
    assert second.open().only("DisputeEnded").state == UPHELD


@pytest.mark.parametrize("chunk", [5, 7])
def test_open_chunk_when_it_is_padding(judged: JudgedRun, chunk: int) -> None:
    """it should want the empty leaf there, without an opening"""
    game, model = right_game(judged)
    game.descend_to(model, chunk)
    assert game.open(padding_proof(chunk)).only("DisputeEnded").state == REJECTED


def test_open_chunk_when_something_lies_in_the_padding(judged: JudgedRun) -> None:
    """it should convict"""
    round_id = judged.play(until="merge")
    right = judged.merged(round_id)
    more = judged.merge(Model(right.data + right.leaf(0), momentum=False))
    game = TreeGame(judged, round_id)
    game.challenge()
    game.show(more)
    game.choose_first_difference(right)
    assert game.dispute.index == 5
    assert game.open(padding_proof(5)).only("DisputeEnded").state == UPHELD


def test_open_chunk_when_the_proof_is_of_something_else(judged: JudgedRun) -> None:
    """it should refuse another chunk, beginning, leaf or opening, and wait on"""
    game, right, wrong = wrong_game(judged)
    game.descend(wrong, right)
    parent, hashes = judged.beginning(game.round_id)
    good = judged.chunk_proof(game.round_id, 1)
    other = judged.chunk_proof(game.round_id, 2)
    for root, given in (
        (wrong.tree.root, hashes),
        (parent, []),
        (parent, [*hashes, hashes[0]]),
    ):
        with refused("WrongBeginning", 1):
            judged.court.openChunk(1, root, given, good.fields, sender=AGGREGATOR.address)
    for error, proof in (
        ("WrongNode", other),
        ("WrongInputs", replace(good, inputs=b"")),
        ("WrongOldLeaf", replace(good, old_leaf=other.old_leaf)),
        ("WrongOpenings", replace(good, openings=good.openings[:2])),
        ("WrongUpdateOpening", replace(good, openings=other.openings)),
    ):
        with refused(error):
            game.open(proof)
    assert game.dispute.state == CHUNK_DUE


def test_open_chunk_when_its_updates_were_fed(judged: JudgedRun) -> None:
    """it should go on from the prover's accumulator"""
    game, model = right_game(judged)
    game.descend_to(model, 2)
    *parts, last = split_proof(judged.chunk_proof(game.round_id, 2), 400)
    assert len(parts) == 2
    for part in parts:
        judged.court.feed(
            judged.contract.address, game.round_id, part.fields, sender=AGGREGATOR.address
        )
    with refused("WrongAccumulator"):
        game.open(last, sender=KEEPER)
    assert game.open(last).only("DisputeEnded").state == REJECTED


def test_open_chunk_when_there_are_segments(court_stage: Stage) -> None:
    """it should take the hash of the chunk's own segment"""
    run = create_judged_run(court_stage, trainers=4, segments=2, chunks=5)
    game, right, wrong = wrong_game(run, element=256 * 4)
    game.descend(wrong, right)
    assert game.dispute.index == 4
    assert game.open().only("DisputeEnded").state == UPHELD


def test_open_chunk_when_the_merge_was_rejected_meanwhile(judged: JudgedRun) -> None:
    """it should convict the rejected proposal and leave the reopened merge alone"""
    game, right, wrong = wrong_game(judged)
    game.show(wrong)
    reject_by_dissent(judged)
    assert judged.contract.rejected(game.dispute.proposal).disputes == 1
    locked = judged.contract.accounts(AGGREGATOR.address).lockedWei
    game.choose_first_difference(right)
    receipt = game.open(sender=WITNESS)
    assert receipt.only("RejectedConvicted").beneficiary == WITNESS.address
    assert receipt.only("DisputeEnded").state == UPHELD
    assert judged.contract.accounts(AGGREGATOR.address).lockedWei == locked - PROPOSER_BOND
    assert judged.contract.current().phase == Phase.MERGE
    judged.merge(right)
    judged.settle(1)


def test_open_chunk_when_the_rejected_merge_was_right(judged: JudgedRun) -> None:
    """it should give back the proposer's bond, dispute by dispute"""
    game, model = right_game(judged)
    second = TreeGame(judged, game.round_id, challenger=KEEPER)
    second.challenge()
    reject_by_dissent(judged)
    proposal = game.dispute.proposal
    assert judged.contract.rejected(proposal) == (AGGREGATOR.address, 2)
    game.descend_to(model, 0)
    game.open()
    assert judged.contract.rejected(proposal) == (AGGREGATOR.address, 1)
    before = free(judged, AGGREGATOR)
    second.show(model)
    second.run_out()
    assert second.dispute.state == REJECTED
    assert judged.contract.rejected(proposal).disputes == 0
    assert free(judged, AGGREGATOR) == before + PROPOSER_BOND


def test_open_chunk_when_another_dispute_convicted_the_rejected_one(judged: JudgedRun) -> None:
    """it should end as moot"""
    game, right, wrong = wrong_game(judged)
    second = TreeGame(judged, game.round_id, challenger=KEEPER)
    second.challenge()
    reject_by_dissent(judged)
    for each in (game, second):
        each.descend(wrong, right)
    game.open()
    assert second.open().only("DisputeEnded").state == MOOT
    assert credit(judged, KEEPER) == second.dispute.bondWei


def test_open_chunk_when_the_same_root_is_proposed_again(judged: JudgedRun) -> None:
    """it should end as moot, though it is the same root, block and proposer, and free no other"""
    round_id = judged.play(until="merge")
    wrong = judged.merged(round_id).off_by(300)
    game, second = TreeGame(judged, round_id), TreeGame(judged, round_id, challenger=KEEPER)
    evm, proposed = judged.evm, b""
    evm.rpc("evm_setAutomine", False)
    try:
        # Two proposals of one block, the first of them challenged and convicted there.
        judged.models[round_id] = wrong
        root = wrong.tree.root
        propose = ("proposeMerge", round_id, root, sha256(root).digest(), 4096)
        arguments = judged.merge_arguments(round_id, 1, proposed=wrong)
        challenge = ("challengeTree", judged.contract.address, round_id)
        for contract, call, person, value in (
            (judged.contract, propose, AGGREGATOR, 0),
            (judged.court, challenge, WITNESS, ETHER),
            (judged.court, ("proveMerge", *arguments), KEEPER, 0),
            (judged.contract, propose, AGGREGATOR, 0),
        ):
            send_only(evm, contract, call, person, value)
            proposed = proposed or root
        evm.rpc("evm_mine")
    finally:
        evm.rpc("evm_setAutomine", True)
    game.id = 1
    assert judged.contract.getRound(round_id).modelRoot == proposed
    assert judged.contract.proposalId(round_id) != game.dispute.proposal
    second.challenge()
    assert game.show(wrong).only("DisputeEnded").state == MOOT
    assert judged.contract.getRound(round_id).openDisputes == 1


def send_only(
    evm: Evm, contract: Contract, call: tuple[Any, ...], person: Person, value: int
) -> None:
    """Send without waiting for a block."""
    transaction = {
        "from": person.address,
        "to": contract.address,
        "data": "0x" + contract.encode(*call).hex(),
        "value": hex(value),
        "gas": hex(3_000_000),
        "gasPrice": hex(GWEI),
    }
    evm.rpc("eth_sendTransaction", transaction)


def test_open_chunk_when_the_clock_ran_out(judged: JudgedRun) -> None:
    """it should revert with ClockRanOut a second after the deadline, and accept at it"""
    game, model = right_game(judged)
    game.descend_to(model, 0)
    deadline = game.dispute.deadline
    before = judged.evm.snapshot()
    judged.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.open()
    judged.evm.revert(before)
    judged.evm.next_block_at(deadline)
    game.open()


def test_open_chunk_when_it_is_not_due(judged: JudgedRun) -> None:
    """it should revert with WrongMove"""
    game, _ = right_game(judged)
    with refused("WrongMove", 1, CHILDREN):
        game.open()


# --- challengeLeaf


def ask_leaf(
    run: JudgedRun, round_id: int, chunk: int, place: int, *, value: int | None = None, **how: Any
) -> Any:
    segment = next(i for i, end in enumerate(run.ends) if chunk < end) if chunk < 5 else 0
    inputs = how.pop("inputs", run.inputs.get(round_id, [b""])[segment])
    bond = int(run.court.bondWei(LEAF_DUE, 0))
    return run.court.challengeLeaf(
        run.contract.address,
        round_id,
        chunk,
        inputs,
        place,
        sender=WITNESS.address,
        value=bond if value is None else value,
    )


def show_leaf(
    run: JudgedRun, seat: int, index: int, *, long: bool = False, sender: Person = KEEPER
) -> Any:
    (update, tree), *_ = [(u, t) for s, _, u, t in run.frozen(1) if s == seat]
    leaf = update_leaf(update, index)
    opening = (
        long_opening(leaf, tree.claims(index)) if long else short_opening(leaf, tree.proof(index))
    )
    return run.court.answerLeaf(1, opening, sender=sender.address)


def test_challenge_leaf_when_an_update_is_frozen(judged: JudgedRun) -> None:
    """it should take the bond, hold finality, and bind the trainer to its root"""
    round_id = judged.play_merge()
    said = ask_leaf(judged, round_id, 3, 1).only("LeafChallenged")
    assert (said.id, said.run, said.round) == (1, judged.contract.address, round_id)
    assert (said.challenger, said.seat, said.chunk) == (WITNESS.address, 1, 3)
    made = judged.court.disputes(1)
    _, tree = judged.update(1, 1, 1)
    assert (made.state, made.seat, made.proposer) == (LEAF_DUE, 1, TRAINERS[1].address)
    assert (made.node, made.index, made.level) == (tree.root, 3, 3)
    assert made.deadline == judged.evm.now() + MOVE_S + BANK_S
    assert made.bondWei == judged.court.bondWei(LEAF_DUE, 0)
    assert judged.contract.getRound(round_id).openDisputes == 1


def test_challenge_leaf_when_there_are_segments(court_stage: Stage) -> None:
    """it should count leaves from the segment's first chunk"""
    run = create_judged_run(court_stage, trainers=4, segments=2, chunks=5)
    round_id = run.play_merge()
    said = ask_leaf(run, round_id, 4, 1).only("LeafChallenged")
    made = run.court.disputes(1)
    assert (made.index, made.level, made.seat) == (2, 2, said.seat)
    with refused("WrongInputs", 1):
        ask_leaf(run, round_id, 4, 1, inputs=run.inputs[round_id][0])


def test_challenge_leaf_when_there_is_none(judged: JudgedRun) -> None:
    """it should revert with NoSuchChunk, NoSuchUpdate or WrongInputs"""
    round_id = judged.play_merge()
    with refused("NoSuchChunk", 5, 5):
        ask_leaf(judged, round_id, 5, 0)
    with refused("NoSuchUpdate", 3):
        ask_leaf(judged, round_id, 0, 3)
    with refused("WrongInputs", 0):
        ask_leaf(judged, round_id, 0, 0, inputs=judged.inputs[1][0][88:])


def test_challenge_leaf_when_too_late_or_too_cheap(judged: JudgedRun) -> None:
    """it should revert with BondTooSmall, WindowClosed or NotPending"""
    round_id = judged.play_merge()
    bond = int(judged.court.bondWei(LEAF_DUE, 0))
    with refused("BondTooSmall", bond - 1, bond):
        ask_leaf(judged, round_id, 0, 0, value=bond - 1)
    judged.pass_dispute(round_id)
    with refused("WindowClosed"):
        ask_leaf(judged, round_id, 0, 0)
    judged.finalize(round_id)
    with refused("NotPending", judged.contract.address, round_id):
        ask_leaf(judged, round_id, 0, 0)


# --- answerLeaf


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_answer_leaf_when_its_sums_are_true(judged: JudgedRun, long: bool) -> None:
    """it should show the leaf, give the bond to who answers, and let the round become final"""
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    receipt = show_leaf(judged, 1, 3, long=long)
    update, _ = judged.update(1, 1, 1)
    assert receipt.only("LeafShown").leaf == update_leaf(update, 3)
    ended = receipt.only("DisputeEnded")
    assert (ended.state, ended.beneficiary) == (REJECTED, KEEPER.address)
    assert credit(judged, KEEPER) == ended.bondsWei
    judged.settle(round_id)


def test_answer_leaf_when_its_sums_lie(judged: JudgedRun) -> None:
    """it should convict the trainer for the challenger, who has its bond back; the merge stands"""
    judged.lies[1] = {(1, 1): 3}
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    with refused("WrongUpdateOpening", 1):
        show_leaf(judged, 1, 3)
    receipt = show_leaf(judged, 1, 3, long=True)
    assert receipt.only("WrongNormProven").seat == 1
    assert receipt.only("UpdateConvicted").beneficiary == WITNESS.address
    ended = receipt.only("DisputeEnded")
    assert (ended.state, ended.beneficiary) == (UPHELD, WITNESS.address)
    assert credit(judged, WITNESS) == ended.bondsWei
    assert judged.contract.getRound(round_id).openDisputes == 0
    assert judged.contract.getRound(round_id).status == PROPOSED
    assert len(judged.settle(round_id).all("RewardCredited")) == 2


def test_answer_leaf_when_the_liar_is_convicted_already(judged: JudgedRun) -> None:
    """it should give the bond to who answers"""
    judged.lies[1] = {(1, 1): 3}
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    judged.contract.convictUpdate(
        round_id,
        1,
        TRAINERS[1].address,
        ATTACKER.address,
        sender=judged.court.address,
        gas_price=0,
    )
    ended = show_leaf(judged, 1, 3, long=True).only("DisputeEnded")
    assert (ended.state, ended.beneficiary) == (REJECTED, KEEPER.address)


def test_answer_leaf_when_it_is_another(judged: JudgedRun) -> None:
    """it should revert with WrongUpdateOpening and the seat, and wait on"""
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    for seat, index in ((1, 2), (0, 3)):
        for long in (False, True):
            with refused("WrongUpdateOpening", 1):
                show_leaf(judged, seat, index, long=long)
    with refused("WrongUpdateOpening", 1):
        judged.court.answerLeaf(1, b"", sender=KEEPER.address)
    assert judged.court.disputes(1).state == LEAF_DUE


def test_answer_leaf_when_the_model_is_one_chunk(court_stage: Stage) -> None:
    """it should want 257 bytes and no more"""
    run = create_judged_run(court_stage, chunks=1)
    ask_leaf(run, run.play_merge(), 0, 2)
    assert show_leaf(run, 2, 0).only("DisputeEnded").state == REJECTED


def test_answer_leaf_when_the_merge_was_convicted_meanwhile(judged: JudgedRun) -> None:
    """it should end as moot"""
    game, _, _ = wrong_game(judged)
    ask_leaf(judged, game.round_id, 3, 1)
    prove_elsewhere(judged, game.round_id)
    update, tree = judged.update(1, 1, 1)
    opening = short_opening(update_leaf(update, 3), tree.proof(3))
    receipt = judged.court.answerLeaf(2, opening, sender=KEEPER.address)
    assert receipt.only("DisputeEnded").state == MOOT
    assert receipt.all("LeafShown") == []


def test_answer_leaf_when_the_merge_was_rejected_meanwhile(judged: JudgedRun) -> None:
    """it should end as moot, and free the rejected proposer's bond of this dispute"""
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    proposal = judged.court.disputes(1).proposal
    reject_by_dissent(judged)
    assert judged.contract.rejected(proposal).disputes == 1
    assert show_leaf(judged, 1, 3).only("DisputeEnded").state == MOOT
    assert judged.contract.rejected(proposal).disputes == 0
    assert judged.contract.accounts(AGGREGATOR.address).lockedWei == 0


def test_answer_leaf_when_the_clock_ran_out(judged: JudgedRun) -> None:
    """it should revert with ClockRanOut a second after the deadline, and accept at it"""
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    deadline = judged.court.disputes(1).deadline
    before = judged.evm.snapshot()
    judged.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        show_leaf(judged, 1, 3)
    judged.evm.revert(before)
    judged.evm.next_block_at(deadline)
    show_leaf(judged, 1, 3)


def test_answer_leaf_when_nobody_asked(judged: JudgedRun) -> None:
    """it should revert with WrongMove"""
    right_game(judged)
    with refused("WrongMove", 1, CHILDREN):
        show_leaf(judged, 1, 3)


# --- endDispute


def test_end_dispute_when_the_clock_still_runs(judged: JudgedRun) -> None:
    """it should revert with ClockStillRuns up to the deadline, and end a second later"""
    game, _ = right_game(judged)
    deadline = game.dispute.deadline
    judged.evm.next_block_at(deadline)
    with refused("ClockStillRuns", 1, deadline):
        game.end()
    judged.evm.next_block_at(deadline + 1)
    game.end()


def test_end_dispute_when_no_children_were_shown(judged: JudgedRun) -> None:
    """it should convict the proposer and give the challenger its bond back"""
    judged.play(until="merge")
    judged.propose()  # a root of which nobody knows a leaf
    game = TreeGame(judged, 1)
    game.challenge()
    receipt = game.run_out()
    assert receipt.only("DisputeEnded").state == UPHELD
    assert receipt.only("MergeConvicted").beneficiary == WITNESS.address
    assert credit(judged, WITNESS) == game.bond(CHILDREN)
    judged.merge()
    judged.settle(1)


def test_end_dispute_when_no_child_was_chosen(judged: JudgedRun) -> None:
    """it should give the bond to the proposer and let the round become final"""
    game, model = right_game(judged)
    game.show(model)
    receipt = game.run_out()
    assert receipt.only("DisputeEnded").state == REJECTED
    assert credit(judged, AGGREGATOR) == game.bond(CHILDREN)
    judged.settle(game.round_id)


def test_end_dispute_when_no_chunk_was_opened(judged: JudgedRun) -> None:
    """it should convict the proposer, though the chunk be right: nobody could show it"""
    game, model = right_game(judged)
    game.descend_to(model, 0)
    receipt = game.run_out()
    assert receipt.only("DisputeEnded").state == UPHELD
    assert receipt.only("MergeConvicted").proposer == AGGREGATOR.address


def test_end_dispute_when_no_leaf_was_shown(judged: JudgedRun) -> None:
    """it should convict the trainer and fail the round, whose proposer keeps its bond"""
    round_id = judged.play_merge()
    judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    judged.evm.sleep_until(judged.court.disputes(1).deadline + 1)
    receipt = judged.court.endDispute(1, sender=KEEPER.address)
    assert receipt.only("DisputeEnded").state == UPHELD
    assert receipt.only("UpdateConvicted").trainer == TRAINERS[1].address
    assert [event.round for event in receipt.all("RoundVoided")] == [2]
    assert judged.contract.getRound(round_id).status == FAILED
    assert judged.contract.getRound(round_id).modelRoot == judged.models[0].tree.root
    assert judged.contract.accounts(AGGREGATOR.address).lockedWei == 0
    assert credit(judged, WITNESS) == receipt.only("DisputeEnded").bondsWei
    judged.finalize(round_id)
    assert judged.open().only("RoundOpened").parentRoot == judged.models[0].tree.root


def test_end_dispute_when_the_leafs_trainer_is_convicted_already(judged: JudgedRun) -> None:
    """it should fail the round and slash nobody again"""
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    ask_leaf(judged, round_id, 4, 1)
    judged.contract.convictUpdate(
        round_id, 1, TRAINERS[1].address, ATTACKER.address, sender=judged.court.address, gas_price=0
    )
    judged.evm.sleep_until(judged.court.disputes(2).deadline + 1)
    receipt = judged.court.endDispute(1, sender=KEEPER.address)
    assert receipt.all("UpdateConvicted") == []
    assert judged.contract.getRound(round_id).status == FAILED
    second = judged.court.endDispute(2, sender=KEEPER.address)
    assert second.only("DisputeEnded").state == MOOT


def test_end_dispute_when_the_round_is_void(judged: JudgedRun) -> None:
    """it should be moot at once for a round that a conviction before it took back"""
    first = judged.play(until="merge")
    judged.merge(judged.merged(first).off_by(300))
    second = judged.play_merge()
    game = TreeGame(judged, second)
    game.challenge()
    prove_elsewhere(judged, first)
    assert judged.contract.current().round == first
    assert game.end().only("DisputeEnded").state == MOOT
    assert credit(judged, WITNESS) == game.bond(CHILDREN)


def test_end_dispute_when_the_round_is_rolled_back(judged: JudgedRun) -> None:
    """it should be moot at once"""
    for _ in range(2):
        judged.settle(judged.play_merge())
    game, _ = right_game(judged)
    judged.contract.convictUpdate(
        2, 1, TRAINERS[1].address, ATTACKER.address, sender=judged.court.address, gas_price=0
    )
    judged.contract.rollback(1, sender=GUARDIAN.address)
    assert game.end().only("DisputeEnded").state == MOOT


def test_end_dispute_when_the_ring_forgot_the_round(judged: JudgedRun) -> None:
    """it should be moot still"""
    game, right, _ = wrong_game(judged)
    prove_elsewhere(judged, game.round_id)
    judged.merge(right)
    judged.settle(game.round_id)
    for _ in range(judged.params.ringSize):
        judged.settle(judged.play_merge())
    with refused("WrongRound"):
        judged.contract.getRound(game.round_id)
    assert game.end().only("DisputeEnded").state == MOOT


def test_end_dispute_when_the_merge_was_rejected_and_nothing_is_shown(judged: JudgedRun) -> None:
    """it should convict the rejected proposal when the clock ran out"""
    game, _, _ = wrong_game(judged)
    reject_by_dissent(judged)
    with refused("ClockStillRuns"):
        game.end()
    receipt = game.run_out()
    assert receipt.only("RejectedConvicted").proposer == AGGREGATOR.address
    assert free(judged, WITNESS) == PROPOSER_BOND // 2


def test_end_dispute_when_the_leafs_merge_was_rejected(judged: JudgedRun) -> None:
    """it should be moot at once, and convict nobody"""
    round_id = judged.play_merge()
    ask_leaf(judged, round_id, 3, 1)
    reject_by_dissent(judged)
    receipt = judged.court.endDispute(1, sender=KEEPER.address)
    assert receipt.only("DisputeEnded").state == MOOT
    assert receipt.all("UpdateConvicted") == []
    assert judged.contract.accounts(AGGREGATOR.address).lockedWei == 0


def test_end_dispute_when_it_is_over(judged: JudgedRun) -> None:
    """it should revert with WrongMove, also for one that never began"""
    game, _ = right_game(judged)
    game.run_out()
    with refused("WrongMove", 1, UPHELD):
        game.end()
    with refused("WrongMove", 1, UPHELD):
        game.show(judged.models[1])
    with refused("WrongMove", 7, NONE):
        judged.court.endDispute(7, sender=KEEPER.address)


# --- claim


def test_claim_when_disputes_credited_it(judged: JudgedRun) -> None:
    """it should send everything at once"""
    game, _, _ = wrong_game(judged)
    second = TreeGame(judged, game.round_id)
    second.challenge()
    prove_elsewhere(judged, game.round_id)
    game.end()
    second.end()
    owed, before = credit(judged, WITNESS), judged.evm.balance(WITNESS.address)
    receipt = judged.court.claim(sender=WITNESS.address, gas_price=0)
    assert (receipt.only("Claimed").account, receipt.only("Claimed").amountWei) == (
        WITNESS.address,
        owed,
    )
    assert judged.evm.balance(WITNESS.address) == before + owed
    assert owed == 2 * game.bond(CHILDREN)
    with refused("NothingToClaim"):
        judged.court.claim(sender=WITNESS.address)


def test_claim_when_nothing_is_credited(judged: JudgedRun) -> None:
    """it should revert with NothingToClaim"""
    with refused("NothingToClaim"):
        judged.court.claim(sender=ATTACKER.address)


def test_claim_when_the_receiver_refuses_eth(court_stage: Stage) -> None:
    """it should revert with TransferFailed and keep the credit"""
    run, refuser = create_judged_run(court_stage), court_stage.beacon.address
    run.evm.fund(refuser)
    round_id = run.play_merge()
    bond = int(run.court.bondWei(CHILDREN, 0))
    run.court.challengeTree(run.contract.address, round_id, sender=refuser, value=bond)
    run.evm.sleep_until(run.court.disputes(1).deadline + 1)
    run.court.endDispute(1, sender=KEEPER.address)
    with refused("TransferFailed", refuser, bond):
        run.court.claim(sender=refuser)
    assert run.court.creditOf(refuser) == bond


# --- bondWei


def test_bond_wei_when_the_base_fee_rises(judged: JudgedRun) -> None:
    """it should rise with it, since it pays the answer's gas twice"""
    court, evm = judged.court, judged.evm
    states = (CHILDREN, CHOICE, CHUNK_DUE, LEAF_DUE)
    cheap = [court.bondWei(state, 10) for state in states]
    evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(3 * GWEI))
    evm.rpc("evm_mine")
    dear = [court.bondWei(state, 10) for state in states]
    evm.rpc("anvil_setNextBlockBaseFeePerGas", "0x0")
    evm.rpc("evm_mine")
    assert dear == [4 * bond for bond in cheap]
    assert court.bondWei(CHUNK_DUE, 11) > court.bondWei(CHUNK_DUE, 10)


# --- runs that lie


OLD_LEAF = bytes(1024)


def fake_run(stage: Stage, root: bytes, *, chunks: int = 1) -> Contract:
    """A run without updates that has this root as model of every round, each of them proposed."""
    fake = stage.evm.deploy("FakeRun", sender=ATTACKER.address)
    record = (bytes(32), root, ATTACKER.address, 2**40 - 1, 0, PROPOSED, False, False, 0)
    answer(stage, fake, "params", stage.params(chunks=chunks))
    answer(stage, fake, "getRound", record)
    answer(stage, fake, "inputsHash", sha256(b"").digest())
    answer(stage, fake, "proposalId", b"\x05" * 32)
    fake.setAnswer(
        keccak(text="current()")[:4],
        encode(["uint256"] * 11, [1, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0]),
        sender=ATTACKER.address,
    )
    return fake


def answer(stage: Stage, fake: Contract, name: str, *values: Any) -> None:
    """Have the fake run answer a view with these values."""
    abi = stage.evm.at("TrainingRun", fake.address).artifact.abi
    entry = next(entry for entry in abi if entry.get("name") == name)
    selector = keccak(text=signature(entry))[:4]
    data = encode(types_of(entry["outputs"]), values)
    fake.setAnswer(selector, data, sender=ATTACKER.address)


def reentries(court: Contract, run: str) -> dict[str, bytes]:
    """Every call that changes the court."""
    proof = padding_proof(1).fields
    norm = (0, b"", 0, bytes(32), (0, bytes(32), bytes(32), bytes(32), 0), 0, b"")
    calls: dict[str, tuple[Any, ...]] = {
        "proveMerge": (run, 1, proof, bytes(32), []),
        "feed": (run, 1, proof),
        "proveNorm": (run, 1, norm),
        "challengeTree": (run, 1),
        "showChildren": (1, []),
        "chooseChild": (1, 0, bytes(32), []),
        "openChunk": (1, bytes(32), [], proof),
        "challengeLeaf": (run, 1, 0, b"", 0),
        "answerLeaf": (1, b""),
        "endDispute": (1,),
        "claim": (),
    }
    return {name: court.encode(name, *values) for name, values in calls.items()}


def changing(court: Contract) -> set[str]:
    return {
        entry["name"]
        for entry in court.artifact.abi
        if entry["type"] == "function" and entry["stateMutability"] in ("payable", "nonpayable")
    }


def test_run_when_it_calls_back(court_stage: Stage) -> None:
    """it should find every door of the court closed while it is called"""
    court = court_stage.court
    assert court is not None
    fake = fake_run(court_stage, EMPTY, chunks=3)
    doors = reentries(court, fake.address)
    assert doors.keys() == changing(court)
    root = inner_node(inner_node(EMPTY, EMPTY), inner_node(EMPTY, leaf_node(OLD_LEAF)))
    lie = (bytes(32), root, ATTACKER.address, 2**40 - 1, 0, PROPOSED, False, False, 0)
    answer(court_stage, fake, "getRound", lie)
    siblings = [EMPTY, inner_node(EMPTY, EMPTY)]
    prove = (fake.address, 1, padding_proof(3).fields, leaf_node(OLD_LEAF), siblings)
    for payload in doors.values():
        for trigger, call, value in (
            ("holdFinality(uint32)", ("challengeTree", fake.address, 1), ETHER),
            ("convictMerge(uint32,address)", ("proveMerge", *prove), 0),
        ):
            selector = keccak(text=trigger)[:4]
            fake.callBack(selector, court.address, payload, sender=ATTACKER.address)
            court.send(*call, sender=ATTACKER.address, value=value)
            assert fake.came() == b"\x00" + keccak(text="ReentrancyGuardReentrantCall()")[:4]
            fake.forget(sender=ATTACKER.address)


def test_run_when_it_lies_about_everything(court_stage: Stage) -> None:
    """it should move no more money than was paid into its own dispute"""
    run = create_judged_run(court_stage)
    game, _ = right_game(run)  # somebody else's bond lies there
    court, root = run.court, leaf_node(OLD_LEAF)
    fake = fake_run(court_stage, root)
    court.challengeTree(fake.address, 1, sender=ATTACKER.address, value=ETHER)
    answer(court_stage, fake, "proposalId", bytes(32))
    answer(court_stage, fake, "rejected", AGGREGATOR.address, 9)
    proof = (0, b"", b"", [], OLD_LEAF, [])
    opening = (2, root, [sha256(b"").digest()], proof)
    court.openChunk(*opening, sender=ATTACKER.address)
    assert court.disputes(2).state == REJECTED
    with refused("WrongMove"):
        court.openChunk(*opening, sender=ATTACKER.address)
    with refused("WrongMove"):
        court.endDispute(2, sender=ATTACKER.address)
    court.claim(sender=ATTACKER.address)
    assert court.evm.balance(court.address) == game.dispute.bondWei
    check_books(court)
