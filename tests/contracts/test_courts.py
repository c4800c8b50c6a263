"""What guardian and courts may do; see trees/courts.tree."""

from collections.abc import Callable
from typing import Any

import pytest
from support.evm import Receipt
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GUARDIAN,
    GWEI,
    KEEPER,
    MERGE_COURT,
    NOBODY,
    TRAINERS,
    TRAINING_COURT,
    WITNESS,
    Run,
    Stage,
)

from protocol.rounds import Phase

BOND = 10**8 * GWEI
NONE, OPEN, PROPOSED, FINAL, FAILED = range(5)
UNAVAILABLE = 7


def convict_update(run: Run, round_id: int, seat: int, **overrides: Any) -> Receipt:
    sender = overrides.get("sender", TRAINING_COURT.address)
    return run.contract.convictUpdate(
        round_id, seat, run.seats[seat].address, WITNESS.address, sender=sender
    )


def convict_merge(run: Run, round_id: int) -> Receipt:
    return run.contract.convictMerge(round_id, WITNESS.address, sender=MERGE_COURT.address)


CALLS: dict[str, Callable[[Run], Any]] = {
    "halt": lambda r: r.contract.halt(True, sender=ATTACKER.address),
    "rollback": lambda r: r.contract.rollback(0, sender=ATTACKER.address),
    "convictMerge": lambda r: r.contract.convictMerge(
        1, ATTACKER.address, sender=TRAINING_COURT.address
    ),
    "convictUpdate": lambda r: convict_update(r, 1, 0, sender=ATTACKER.address),
    "holdFinality": lambda r: r.contract.holdFinality(1, sender=ATTACKER.address),
    "releaseFinality": lambda r: r.contract.releaseFinality(1, sender=ATTACKER.address),
    "convictRejected": lambda r: r.contract.convictRejected(
        r.contract.proposalId(1), ATTACKER.address, sender=TRAINING_COURT.address
    ),
    "releaseRejected": lambda r: r.contract.releaseRejected(
        r.contract.proposalId(1), sender=TRAINING_COURT.address
    ),
    "beginTrial": lambda r: r.contract.beginTrial(1, sender=MERGE_COURT.address),
    "endTrial": lambda r: r.contract.endTrial(1, sender=MERGE_COURT.address),
    "fine": lambda r: r.contract.fine(0, TRAINERS[0].address, sender=MERGE_COURT.address),
    "failMerge": lambda r: r.contract.failMerge(1, sender=TRAINING_COURT.address),
}


@pytest.mark.parametrize("name", CALLS)
def test_authority_when_the_caller_is_somebody_else(run: Run, name: str) -> None:
    """it should revert with Unauthorized for everything that guardian or a court may do"""
    run.play()
    with refused("Unauthorized"):
        CALLS[name](run)


def test_authority_when_there_is_no_court(stage: Stage) -> None:
    """it should revert with Unauthorized for everybody"""
    factory = stage.deploy_factory(merge_court=NOBODY, training_court=NOBODY)
    stage.factory, kept = factory, stage.factory
    stage.vault, kept_vault = stage.evm.at("StakeVault", factory.vault()), stage.vault
    run = stage.create_run()
    stage.factory, stage.vault = kept, kept_vault
    with refused("Unauthorized"):
        run.contract.convictMerge(1, WITNESS.address, sender=MERGE_COURT.address)


# --- convictMerge


def test_convict_merge_when_nothing_is_proposed(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play(until="merge")
    with refused("WrongRound", 1, NONE):
        convict_merge(run, 1)


def test_convict_merge_when_the_round_is_final(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play()
    run.pass_dispute(1)
    run.finalize(1)
    with refused("WrongRound", 1, FINAL):
        convict_merge(run, 1)


def test_convict_merge_when_the_merge_is_proposed(run: Run) -> None:
    """it should give half the bond to the beneficiary, burn half, take the proposer off the list,
    and reopen the merge
    """
    run.contract.registerAggregator(sender=AGGREGATOR.address)
    run.play()
    convict_merge(run, 1)
    assert run.contract.accounts(WITNESS.address).freeWei == BOND // 2
    assert run.contract.burnedWei() == BOND // 2
    assert run.contract.accounts(AGGREGATOR.address) == (9 * BOND, 0)
    assert run.contract.aggregators() == []
    now = run.contract.current()
    assert (now.round, now.phase) == (1, Phase.MERGE)
    assert run.contract.getRound(1).status == OPEN


def test_convict_merge_when_later_rounds_stand_on_it(run: Run) -> None:
    """it should void them, unlock their bonds, and the reopened merge ends with honest pay"""
    run.play()
    run.play()
    run.open()
    run.commit(0)
    voided = convict_merge(run, 1)
    assert [e.round for e in voided.all("RoundVoided")] == [3, 2]
    assert run.contract.accounts(AGGREGATOR.address) == (9 * BOND, 0)
    run.propose(root=b"\x11" * 32)
    run.pass_dispute(1)
    receipt = run.finalize(1)
    assert len(receipt.all("RewardCredited")) == 3
    assert run.open().only("RoundOpened").parentRoot == b"\x11" * 32
    with refused("WrongRound"):
        convict_merge(run, 1)


def test_convict_merge_when_the_proposer_proposes_again(run: Run) -> None:
    """it should take the second bond, too"""
    run.play()
    convict_merge(run, 1)
    run.propose()
    convict_merge(run, 1)
    assert run.contract.accounts(AGGREGATOR.address) == (8 * BOND, 0)
    assert run.contract.burnedWei() == BOND


def test_convict_merge_when_nobody_proposes_again(run: Run) -> None:
    """it should fail the round at the deadline"""
    run.play()
    convict_merge(run, 1)
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    assert run.contract.getRound(1).status == FAILED
    run.open()


# --- a merge that was rejected while the court had disputes about it


def reject(run: Run, *, disputes: int) -> bytes:
    """Everybody dissents from round 1's merge; gives the proposal's name."""
    run.play()
    for _ in range(disputes):
        run.contract.holdFinality(1, sender=MERGE_COURT.address)
    proposal = bytes(run.contract.proposalId(1))
    run.open()
    for seat in (0, 1, 2):
        run.dissent(seat)
    assert run.contract.getRound(1).status == OPEN
    return proposal


def test_rejected_merges_when_nothing_is_disputed(run: Run) -> None:
    """it should unlock the bond, and convictRejected and releaseRejected revert with NotRejected"""
    proposal = reject(run, disputes=0)
    assert run.contract.accounts(AGGREGATOR.address) == (10 * BOND, 0)
    with refused("NotRejected", proposal):
        run.contract.convictRejected(proposal, WITNESS.address, sender=MERGE_COURT.address)
    with refused("NotRejected", proposal):
        run.contract.releaseRejected(proposal, sender=MERGE_COURT.address)


def test_rejected_merges_when_convicted_later(run: Run) -> None:
    """it should take the bond once, also after the merge was proposed again"""
    proposal = reject(run, disputes=2)
    assert run.contract.accounts(AGGREGATOR.address) == (9 * BOND, BOND)
    run.propose()
    again = bytes(run.contract.proposalId(1))
    run.contract.convictRejected(proposal, WITNESS.address, sender=MERGE_COURT.address)
    assert run.contract.accounts(AGGREGATOR.address) == (8 * BOND, BOND)
    assert run.contract.accounts(WITNESS.address).freeWei == BOND // 2
    assert run.contract.burnedWei() == BOND // 2
    assert bytes(run.contract.proposalId(1)) == again
    with refused("NotRejected", proposal):
        run.contract.convictRejected(proposal, WITNESS.address, sender=MERGE_COURT.address)


def test_rejected_merges_when_every_dispute_ends_without_conviction(run: Run) -> None:
    """it should unlock the bond with the last of them"""
    proposal = reject(run, disputes=2)
    run.contract.releaseRejected(proposal, sender=MERGE_COURT.address)
    assert run.contract.rejected(proposal) == (AGGREGATOR.address, 1)
    assert run.contract.accounts(AGGREGATOR.address) == (9 * BOND, BOND)
    run.contract.releaseRejected(proposal, sender=MERGE_COURT.address)
    assert run.contract.accounts(AGGREGATOR.address) == (10 * BOND, 0)
    assert run.contract.rejected(proposal) == (NOBODY, 0)


def test_rejected_merges_when_proposed_again(run: Run) -> None:
    """it should give the new proposal another name, and none without a proposal"""
    proposal = reject(run, disputes=1)
    assert bytes(run.contract.proposalId(1)) == bytes(32)
    run.evm.sleep(1)
    run.propose()
    assert bytes(run.contract.proposalId(1)) != proposal


# --- failMerge


def test_fail_merge_when_nothing_is_proposed(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play(until="merge")
    with refused("WrongRound", 1, NONE):
        run.contract.failMerge(1, sender=MERGE_COURT.address)


def test_fail_merge_when_later_rounds_stand_on_it(run: Run) -> None:
    """it should void them, unlock every bond, keep the parent's model, and the run goes on"""
    run.play()
    run.play()
    run.open()
    receipt = run.contract.failMerge(1, sender=MERGE_COURT.address)
    assert [e.round for e in receipt.all("RoundVoided")] == [3, 2]
    assert receipt.only("RoundFailed").reason == UNAVAILABLE
    assert run.contract.accounts(AGGREGATOR.address) == (10 * BOND, 0)
    assert run.contract.getRound(1).status == FAILED
    assert run.contract.getRound(1).modelRoot == run.contract.getRound(0).modelRoot
    assert run.finalize(1).all("RewardCredited") == []
    assert run.open().only("RoundOpened").round == 2


# --- convictUpdate


def test_convict_update_when_before_freeze(run: Run) -> None:
    """it should exclude the update and slash its author by the run's share"""
    run.play(until="audit")
    convict_update(run, 1, 1)
    assert run.contract.excluded(1) == 0b010
    assert run.contract.seats(1).stakeGwei == 5 * 10**8
    assert run.vault.freeOf(WITNESS.address) == ETHER // 4
    assert run.vault.burnedWei() == ETHER // 4
    assert run.contract.totals().enrolledStakeGwei == 25 * 10**8


def test_convict_update_when_after_freeze(run: Run) -> None:
    """it should mark it so that finalize does not pay it"""
    run.play(until="merge")
    convict_update(run, 1, 1)
    assert run.contract.convicted(1) == 0b010
    assert run.contract.excluded(1) == 0


def test_convict_update_when_convicted_already(run: Run) -> None:
    """it should revert with AlreadyConvicted, also across the freeze"""
    run.play(until="audit")
    convict_update(run, 1, 1)
    with refused("AlreadyConvicted", 1, 1):
        convict_update(run, 1, 1)
    run.freeze([0, 1, 2])
    with refused("AlreadyConvicted", 1, 1):
        convict_update(run, 1, 1)


def test_convict_update_when_the_author_left(run: Run) -> None:
    """it should slash what is unbonding"""
    run.play()
    run.contract.leaveRoster(sender=TRAINERS[2].address)
    run.pass_dispute(1)
    run.finalize(1)
    run.contract.release(2, sender=KEEPER.address)
    convict_update(run, 1, 2)
    unbonding = run.vault.unbondingOf(run.contract.address, TRAINERS[2].address)[0]
    assert unbonding == ETHER // 2
    assert run.vault.freeOf(WITNESS.address) == ETHER // 4


def test_convict_update_when_the_rest_is_below_the_minimum(stage: Stage) -> None:
    """it should evict the author"""
    run = stage.create_run(minStakeGwei=10**9)
    run.enroll_all(3)
    run.play(until="audit")
    convict_update(run, 1, 2)
    assert run.contract.leaving() == 0b100
    assert run.contract.totals().enrolledStakeGwei == 2 * 10**9


def test_convict_update_when_the_author_leaves_at_the_end_of_the_round(run: Run) -> None:
    """it should slash the seat, and releasing it still works"""
    run.play(until="audit")
    run.contract.leaveRoster(sender=TRAINERS[2].address)
    convict_update(run, 1, 2)
    run.freeze([0, 1, 2])
    run.propose()
    run.pass_dispute(1)
    run.finalize(1)
    run.contract.release(2, sender=KEEPER.address)
    assert run.vault.unbondingOf(run.contract.address, TRAINERS[2].address)[0] == ETHER // 2


def test_convict_update_when_the_ring_no_longer_holds_the_round(run: Run) -> None:
    """it should revert with WrongRound"""
    with refused("WrongRound", 9, NONE):
        convict_update(run, 9, 0)


# --- finality


def test_hold_finality_when_nothing_is_proposed(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play(until="merge")
    with refused("WrongRound", 1, NONE):
        run.contract.holdFinality(1, sender=MERGE_COURT.address)


def test_release_finality_when_a_conviction_cleared_it(run: Run) -> None:
    """it should do nothing"""
    run.play()
    run.contract.holdFinality(1, sender=MERGE_COURT.address)
    convict_merge(run, 1)
    run.contract.releaseFinality(1, sender=MERGE_COURT.address)
    assert run.contract.getRound(1).openDisputes == 0


# --- trials


def begin_trial(run: Run, round_id: int) -> Receipt:
    return run.contract.beginTrial(round_id, sender=TRAINING_COURT.address)


@pytest.mark.parametrize("phase", ["commit", "audit"])
def test_begin_trial_when_the_updates_are_not_frozen(run: Run, phase: str) -> None:
    """it should revert with WrongRound"""
    run.play(until=phase)
    with refused("WrongRound", 1, OPEN):
        begin_trial(run, 1)


def test_begin_trial_when_the_round_is_final(run: Run) -> None:
    """it should revert with WrongRound"""
    settled(run, 1)
    with refused("WrongRound", 1, FINAL):
        begin_trial(run, 1)


@pytest.mark.parametrize("phase", ["merge", "idle"])
def test_begin_trial_when_the_updates_are_frozen(run: Run, phase: str) -> None:
    """it should keep the round from becoming final until it ends, through a merge that is made again"""
    run.play(until=phase)
    begin_trial(run, 1)
    if phase == "merge":
        run.propose()
    convict_merge(run, 1)
    run.deposit_bond(KEEPER)
    run.propose(KEEPER)
    run.pass_dispute(1)
    with refused("DisputeOpen", 1):
        run.finalize(1)
    run.contract.endTrial(1, sender=TRAINING_COURT.address)
    run.finalize(1)
    assert run.contract.getRound(1).status == FINAL


def test_end_trial_when_the_round_is_void(run: Run) -> None:
    """it should end it, and let the round be played again"""
    run.play()
    run.play()
    begin_trial(run, 2)
    convict_merge(run, 1)
    assert run.contract.openTrials(2) == 1
    run.contract.endTrial(2, sender=TRAINING_COURT.address)
    assert run.contract.openTrials(2) == 0


def test_frozen_seed_when_the_round_goes_on(run: Run) -> None:
    """it should be zero until the freeze, then the round's seed"""
    assert run.contract.frozenSeed(1) == bytes(32)
    run.play(until="audit")
    assert run.contract.frozenSeed(1) == bytes(32)
    frozen = run.freeze([0, 1, 2])
    seed = run.contract.getRound(1).seed
    assert run.contract.frozenSeed(1) == seed
    assert run.contract.getRound(1).frozenAt == frozen.block & 0xFFFF
    run.propose()
    assert run.contract.frozenSeed(1) == seed
    assert run.contract.getRound(1).frozenAt == frozen.block & 0xFFFF


def test_frozen_seed_when_the_round_is_void(run: Run) -> None:
    """it should be zero"""
    run.play()
    run.play()
    convict_merge(run, 1)
    assert run.contract.frozenSeed(2) == bytes(32)
    assert run.contract.frozenSeed(1) != bytes(32)


def test_fine_when_the_seat_is_of_another(run: Run) -> None:
    """it should revert with NotSeated"""
    with refused("NotSeated", 1, TRAINERS[0].address):
        run.contract.fine(1, TRAINERS[0].address, sender=TRAINING_COURT.address)


def test_fine_when_the_seat_is_empty(run: Run) -> None:
    """it should revert with NotSeated, also for the zero address"""
    with refused("NotSeated", 9, NOBODY):
        run.contract.fine(9, NOBODY, sender=TRAINING_COURT.address)
    assert run.contract.leaving() == 0


def test_fine_when_there_is_stake(run: Run) -> None:
    """it should cost the fee of an update that was not revealed"""
    fined = run.contract.fine(1, TRAINERS[1].address, sender=TRAINING_COURT.address)
    assert fined.only("FeeCharged").feeGwei == run.params.noRevealFeeGwei
    assert run.contract.seats(1).stakeGwei == 10**9 - run.params.noRevealFeeGwei


def test_fine_when_it_takes_the_whole_stake(stage: Stage) -> None:
    """it should keep the seat's update out of the freeze"""
    run = stage.create_run(noRevealFeeGwei=10**10, minTrainers=2)
    run.enroll_all(3)
    run.play(until="audit")
    run.contract.fine(1, TRAINERS[1].address, sender=TRAINING_COURT.address)
    frozen = run.freeze([0, 1, 2], attesters=[0, 1, 2]).only("UpdatesFrozen")
    assert frozen.included == 0b101


# --- rollback


def settled(run: Run, count: int) -> None:
    for _ in range(count):
        number = run.play()
        run.pass_dispute(number)
        run.finalize(number)


def test_rollback_when_nobody_was_convicted(run: Run) -> None:
    """it should revert with WrongRound"""
    settled(run, 2)
    with refused("WrongRound", 1, FINAL):
        run.contract.rollback(1, sender=GUARDIAN.address)


def test_rollback_when_to_the_convicted_round_or_later(run: Run) -> None:
    """it should revert with WrongRound"""
    settled(run, 3)
    convict_update(run, 2, 0)
    with refused("WrongRound", 2, FINAL):
        run.contract.rollback(2, sender=GUARDIAN.address)
    with refused("WrongRound", 3, FINAL):
        run.contract.rollback(3, sender=GUARDIAN.address)


def test_rollback_when_to_an_earlier_round(run: Run) -> None:
    """it should void what came later, unlock its bonds, leave paid rewards, and go on from there"""
    settled(run, 2)
    paid = run.contract.accounts(TRAINERS[1].address).freeWei
    root = run.contract.getRound(1).modelRoot
    run.play()
    convict_update(run, 2, 0)
    run.open()
    run.contract.rollback(1, sender=GUARDIAN.address)
    now = run.contract.current()
    assert (now.round, now.phase) == (1, Phase.IDLE)
    assert run.contract.totals().lastFinal == 1
    assert run.contract.accounts(AGGREGATOR.address) == (10 * BOND, 0)
    assert run.contract.accounts(TRAINERS[1].address).freeWei == paid
    opened = run.open().only("RoundOpened")
    assert (opened.round, opened.attempt, opened.parentRoot) == (2, 5, root)


def test_rollback_when_the_conviction_was_used(run: Run) -> None:
    """it should revert with WrongRound"""
    settled(run, 3)
    convict_update(run, 3, 0)
    run.contract.rollback(2, sender=GUARDIAN.address)
    settled(run, 1)
    with refused("WrongRound"):
        run.contract.rollback(2, sender=GUARDIAN.address)


def test_rollback_when_to_genesis(run: Run) -> None:
    """it should begin anew"""
    settled(run, 1)
    convict_update(run, 1, 0)
    run.contract.rollback(0, sender=GUARDIAN.address)
    settled(run, 1)
    assert run.contract.totals().lastFinal == 1
