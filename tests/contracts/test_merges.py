"""Aggregators, proposals and settlement; see trees/merges.tree."""

import pytest
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GENESIS_ROOT,
    GWEI,
    KEEPER,
    MERGE_COURT,
    TRAINERS,
    TRAINING_COURT,
    WITNESS,
    Person,
    Run,
    Stage,
)

from protocol.rounds import Phase, aggregator_rank

BOND = 10**8 * GWEI
LISTED = tuple(Person(f"aggregator {i}") for i in range(4))


@pytest.fixture
def listed(run: Run) -> Run:
    """A run whose merge phase has begun and whose list has three aggregators."""
    for person in LISTED[:3]:
        run.evm.fund(person.address)
        run.deposit_bond(person)
        run.contract.registerAggregator(sender=person.address)
    run.play(until="merge")
    return run


def by_rank(run: Run) -> list[Person]:
    """The listed aggregators in the order of their turns."""
    seed = bytes(run.contract.getRound(run.contract.current().round).seed)
    people = {person.address: person for person in LISTED}
    addresses = run.contract.aggregators()
    ranks = {
        aggregator_rank(index=i, count=len(addresses), seed=seed): people[address]
        for i, address in enumerate(addresses)
    }
    return [ranks[rank] for rank in sorted(ranks)]


def started(run: Run) -> int:
    return int(run.contract.current().deadline - run.params.mergeTimeoutS)


# --- the list


def test_register_aggregator_when_it_has_no_bond(run: Run) -> None:
    """it should revert with InsufficientFunds"""
    with refused("InsufficientFunds", 0, BOND):
        run.contract.registerAggregator(sender=ATTACKER.address)


def test_register_aggregator_when_listed_already(run: Run) -> None:
    """it should revert with AlreadyAggregator"""
    run.contract.registerAggregator(sender=AGGREGATOR.address)
    with refused("AlreadyAggregator", AGGREGATOR.address):
        run.contract.registerAggregator(sender=AGGREGATOR.address)


def test_register_aggregator_when_sixteen_are_listed(run: Run) -> None:
    """it should revert with AggregatorsFull"""
    for person in TRAINERS[:16]:
        run.deposit_bond(person, 1)
        run.contract.registerAggregator(sender=person.address)
    with refused("AggregatorsFull", 16):
        run.contract.registerAggregator(sender=AGGREGATOR.address)


def test_register_aggregator_when_it_is_bonded(run: Run) -> None:
    """it should lock one bond, and leaving unlocks it"""
    run.contract.registerAggregator(sender=AGGREGATOR.address)
    assert run.contract.accounts(AGGREGATOR.address) == (9 * BOND, BOND)
    assert run.contract.aggregators() == [AGGREGATOR.address]
    run.contract.leaveAggregators(sender=AGGREGATOR.address)
    assert run.contract.accounts(AGGREGATOR.address) == (10 * BOND, 0)
    assert run.contract.aggregators() == []


def test_register_aggregator_when_turns_run(listed: Run) -> None:
    """it should revert with WrongPhase, and so does leaving, since turns follow from the list"""
    with refused("WrongPhase", Phase.IDLE, Phase.MERGE):
        listed.contract.registerAggregator(sender=AGGREGATOR.address)
    with refused("WrongPhase", Phase.IDLE, Phase.MERGE):
        listed.contract.leaveAggregators(sender=LISTED[0].address)


def test_leave_aggregators_when_not_listed(run: Run) -> None:
    """it should revert with NotAggregator"""
    with refused("NotAggregator", ATTACKER.address):
        run.contract.leaveAggregators(sender=ATTACKER.address)


# --- proposeMerge


def test_propose_merge_when_another_phase(run: Run) -> None:
    """it should revert with WrongPhase"""
    with refused("WrongPhase", Phase.MERGE, Phase.IDLE):
        run.propose()


def test_propose_merge_when_it_names_another_round(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play(until="merge")
    with refused("WrongRound", 2, 0):
        run.contract.proposeMerge(2, b"\1" * 32, b"\1" * 32, 1, sender=AGGREGATOR.address)


def test_propose_merge_when_the_deadline_passed(run: Run) -> None:
    """it should revert with PhaseOver"""
    run.play(until="merge")
    run.pass_deadline()
    with refused("PhaseOver"):
        run.propose()


def test_propose_merge_when_it_has_no_bond(run: Run) -> None:
    """it should revert with InsufficientFunds"""
    run.play(until="merge")
    with refused("InsufficientFunds", 0, BOND):
        run.propose(ATTACKER)


def test_propose_merge_when_nobody_is_listed(run: Run) -> None:
    """it should be anybody's turn, lock a bond and start the dispute window"""
    run.play(until="merge")
    event = run.propose().only("MergeProposed")
    record = run.contract.getRound(1)
    assert (record.modelRoot, record.proposer, record.status) == (
        event.modelRoot,
        AGGREGATOR.address,
        2,
    )
    assert record.finalizableAt == run.evm.now() + run.params.disputeS
    assert run.contract.accounts(AGGREGATOR.address) == (9 * BOND, BOND)


def test_propose_merge_when_it_is_the_first_ranks_turn(listed: Run) -> None:
    """it should accept that rank only, and keep the list"""
    order = by_rank(listed)
    with refused("NotYourTurn", started(listed) + 60):
        listed.propose(order[1])
    with refused("NotYourTurn", started(listed) + 180):
        listed.propose(AGGREGATOR)
    listed.propose(order[0])
    assert len(listed.contract.aggregators()) == 3


def test_propose_merge_when_a_rank_missed_its_turn(listed: Run) -> None:
    """it should take the missed off the list and unlock their bonds"""
    order = by_rank(listed)
    listed.evm.sleep_until(started(listed) + 120)
    listed.propose(order[2])
    assert listed.contract.aggregators() == [order[2].address]
    assert listed.contract.accounts(order[0].address) == (10 * BOND, 0)
    assert listed.contract.accounts(order[2].address) == (8 * BOND, 2 * BOND)


def test_propose_merge_when_every_rank_missed_its_turn(listed: Run) -> None:
    """it should be anybody's turn, and empty the list"""
    listed.evm.sleep_until(started(listed) + 180)
    listed.propose(AGGREGATOR)
    assert listed.contract.aggregators() == []


def test_propose_merge_when_sixteen_keep_silent(run: Run) -> None:
    """it should be anybody's turn before the phase ends"""
    for person in TRAINERS[:16]:
        run.deposit_bond(person, 1)
        run.contract.registerAggregator(sender=person.address)
    run.play(until="merge")
    run.evm.sleep_until(started(run) + 16 * 60)
    run.propose(AGGREGATOR)
    assert run.contract.aggregators() == []


# --- finalize


def test_finalize_when_out_of_order(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play()
    run.play()
    run.pass_dispute(2)
    with refused("WrongRound", 2, 2):
        run.finalize(2)


def test_finalize_when_the_round_is_open(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play(until="merge")
    with refused("WrongRound", 1, 0):
        run.finalize(1)


def test_finalize_when_the_window_is_open(run: Run) -> None:
    """it should revert with DisputeWindowOpen"""
    run.play()
    with refused("DisputeWindowOpen", run.contract.getRound(1).finalizableAt):
        run.finalize(1)


def test_finalize_when_no_later_round_has_confirmed_it(run: Run) -> None:
    """it should revert with NotAccepted until the next commit phase ends or nobody opens one"""
    run.play()
    run.evm.sleep_until(run.contract.getRound(1).finalizableAt)
    with refused("NotAccepted", 1):
        run.finalize(1)
    before = run.evm.snapshot()
    run.open()
    with refused("NotAccepted", 1):
        run.finalize(1)
    run.commit_batch(sorted(run.seats))
    run.finalize(1)
    run.evm.revert(before)
    run.pass_dispute(1)
    run.finalize(1)


def test_finalize_when_a_dispute_is_open(run: Run) -> None:
    """it should revert with DisputeOpen until the court lets go"""
    run.play()
    run.contract.holdFinality(1, sender=MERGE_COURT.address)
    run.pass_dispute(1)
    with refused("DisputeOpen", 1):
        run.finalize(1)
    run.contract.releaseFinality(1, sender=MERGE_COURT.address)
    run.finalize(1)


def test_finalize_when_the_inputs_are_not_the_frozen_ones(run: Run) -> None:
    """it should revert with InputsMismatch"""
    run.play()
    run.pass_dispute(1)
    for inputs in ([], [run.inputs[1][0][88:]], [*run.inputs[1], b""]):
        with refused("InputsMismatch"):
            run.contract.finalize(1, inputs, sender=KEEPER.address)


def test_finalize_when_the_window_closed(run: Run) -> None:
    """it should credit each trainer by weight, take that from the pool, unlock the proposer's bond,
    and happen once
    """
    pool = run.contract.rewardPoolWei()
    run.play()
    run.pass_dispute(1)
    receipt = run.finalize(1)
    share = ETHER * (65536 // 3) // 65536
    for person in TRAINERS[:3]:
        assert run.contract.accounts(person.address) == (share, 0)
    assert receipt.only("RoundFinalized").paidWei == 3 * share
    assert run.contract.rewardPoolWei() == pool - 3 * share
    assert run.contract.accounts(AGGREGATOR.address) == (10 * BOND, 0)
    with refused("WrongRound"):
        run.finalize(1)


def test_finalize_when_a_court_convicted_a_seat(run: Run) -> None:
    """it should not pay that seat"""
    run.play()
    run.contract.convictUpdate(
        1, 1, TRAINERS[1].address, WITNESS.address, sender=TRAINING_COURT.address
    )
    run.pass_dispute(1)
    run.finalize(1)
    assert run.contract.accounts(TRAINERS[1].address).freeWei == 0
    assert run.contract.accounts(TRAINERS[0].address).freeWei > 0


def freeze_with_harm(run: Run, harmful: int) -> None:
    run.play(until="audit")
    run.freeze([0, 1, 2], groups=[run.attestation_group([0, 1, 2], 0b111, harmful)])


def test_finalize_when_two_thirds_called_an_update_harmful(run: Run) -> None:
    """it should not pay that seat, also where a court convicted it, and leave its share in the
    pool
    """
    pool = run.contract.rewardPoolWei()
    freeze_with_harm(run, 0b110)
    run.propose()
    run.contract.convictUpdate(
        1, 2, TRAINERS[2].address, WITNESS.address, sender=TRAINING_COURT.address
    )
    run.pass_dispute(1)
    share = ETHER * (65536 // 3) // 65536
    assert run.finalize(1).only("RoundFinalized").paidWei == share
    paid = [run.contract.accounts(person.address).freeWei for person in TRAINERS[:3]]
    assert paid == [share, 0, 0]
    assert run.contract.rewardPoolWei() == pool - share
    assert [run.contract.seats(seat).stakeGwei for seat in (0, 1)] == [10**9, 10**9]


def test_finalize_when_the_merge_of_a_harmful_update_was_made_again(run: Run) -> None:
    """it should still not pay it"""
    freeze_with_harm(run, 0b001)
    run.propose()
    run.contract.convictMerge(1, WITNESS.address, sender=MERGE_COURT.address)
    run.propose()
    run.pass_dispute(1)
    run.finalize(1)
    assert run.contract.accounts(TRAINERS[0].address).freeWei == 0
    assert run.contract.accounts(TRAINERS[1].address).freeWei > 0


def test_finalize_when_a_void_round_of_that_number_had_a_harmful_update(run: Run) -> None:
    """it should pay all of the new one"""
    run.play()
    freeze_with_harm(run, 0b001)
    assert run.contract.unpaid(2) == 0b001
    run.contract.convictMerge(1, WITNESS.address, sender=MERGE_COURT.address)
    assert run.contract.unpaid(2) == 0
    run.propose()
    run.play()
    run.pass_dispute(2)
    run.finalize(1)
    assert len(run.finalize(2).all("RewardCredited")) == 3


def test_finalize_when_the_round_failed(run: Run) -> None:
    """it should pay nobody, need no inputs, and not be paid for any"""
    pool = run.contract.rewardPoolWei()
    run.play(until="merge")
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    padding = bytes(88 * 300)
    receipt = run.contract.finalize(1, [padding], sender=ATTACKER.address)
    assert receipt.only("RoundFinalized").paidWei == 0
    refund = receipt.only("KeeperRefunded").amountWei
    assert refund < receipt.gas * receipt.gas_price
    assert run.contract.rewardPoolWei() == pool
    assert run.contract.getRound(1).modelRoot == GENESIS_ROOT


def test_finalize_when_a_segment_has_no_update(stage: Stage) -> None:
    """it should pay the others, and leave that segment's share in the pool"""
    run = stage.create_run(segments=3)
    run.enroll_all(2)
    run.deposit_bond(AGGREGATOR)
    run.play()
    run.pass_dispute(1)
    assert run.finalize(1).only("RoundFinalized").paidWei == 2 * (ETHER // 3)
