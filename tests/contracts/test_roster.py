"""Taking, leaving and losing a seat; see trees/roster.tree."""

import pytest
from support.evm import Evm
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GWEI,
    KEEPER,
    MERGE_COURT,
    SPONSOR,
    TRAINERS,
    WITNESS,
    Run,
    Stage,
)

NEWCOMER = TRAINERS[10]
ABSENCE_GWEI = 10**6


def miss_rounds(run: Run, seat: int, count: int) -> None:
    """Everybody but one seat plays rounds up to the reveal phase, which nobody finishes."""
    others = [s for s in run.seats if s != seat]
    for _ in range(count):
        run.open()
        run.commit_batch(others)
        run.pass_deadline()
        run.contract.advance(sender=KEEPER.address)
        run.pass_deadline()
        run.contract.advance(sender=KEEPER.address)
        run.finalize(run.contract.current().round)


def test_enroll_when_the_run_is_closed(empty_run: Run) -> None:
    """it should revert with RunStopped"""
    empty_run.contract.close(sender=SPONSOR.address)
    with refused("RunStopped"):
        empty_run.enroll(NEWCOMER)


def test_enroll_when_the_account_has_a_seat(run: Run) -> None:
    """it should revert with AlreadyEnrolled"""
    with refused("AlreadyEnrolled", TRAINERS[1].address, 1):
        run.enroll(TRAINERS[1])


def test_enroll_when_the_stake_is_too_small(empty_run: Run) -> None:
    """it should revert with StakeTooSmall"""
    with refused("StakeTooSmall", 10**8 - 1, 10**8):
        empty_run.enroll(NEWCOMER, 10**8 - 1)


def test_enroll_when_the_run_is_full(stage: Stage) -> None:
    """it should revert with RunFull"""
    run = stage.create_run(maxTrainers=2)
    run.enroll_all(2)
    with refused("RunFull", 2):
        run.enroll(NEWCOMER)


def test_enroll_when_the_stake_is_not_deposited(empty_run: Run) -> None:
    """it should revert with InsufficientFreeStake"""
    with refused("InsufficientFreeStake"):
        empty_run.contract.enroll(10**9, sender=NEWCOMER.address)


def test_enroll_when_there_is_a_place(run: Run) -> None:
    """it should give the lowest free seat from the next round on"""
    run.open()
    assert run.enroll(NEWCOMER) == 3
    assert run.contract.roster() == 0b111
    assert run.contract.seats(3).trainer == NEWCOMER.address
    assert run.contract.totals().enrolledStakeGwei == 4 * 10**9
    run.contract.commit  # noqa: B018
    with refused("NotSeated", 3, NEWCOMER.address):
        run.commit(3)


def test_leave_roster_when_the_account_has_no_seat(run: Run) -> None:
    """it should revert with NotSeated"""
    with refused("NotSeated", 0, ATTACKER.address):
        run.contract.leaveRoster(sender=ATTACKER.address)


def test_leave_roster_when_it_left_before(run: Run) -> None:
    """it should revert with AlreadyLeaving"""
    run.contract.leaveRoster(sender=TRAINERS[2].address)
    with refused("AlreadyLeaving", 2):
        run.contract.leaveRoster(sender=TRAINERS[2].address)


def test_leave_roster_when_a_round_is_open(run: Run) -> None:
    """it should keep the seat in the open round and out of the next"""
    run.open()
    run.contract.leaveRoster(sender=TRAINERS[2].address)
    run.commit_batch([0, 1, 2])
    run.reveal([0, 1, 2])
    run.freeze([0, 1, 2])
    run.propose()
    run.open()
    assert run.contract.roster() == 0b011


def test_release_when_the_seat_did_not_leave(run: Run) -> None:
    """it should revert with StillInRoster"""
    with refused("StillInRoster", 1):
        run.contract.release(1, sender=KEEPER.address)


def test_release_when_the_seat_is_in_the_open_round(run: Run) -> None:
    """it should revert with StillInRoster"""
    run.open()
    run.contract.leaveRoster(sender=TRAINERS[1].address)
    with refused("StillInRoster", 1):
        run.contract.release(1, sender=KEEPER.address)


def leave_and_play(run: Run) -> None:
    """Seat 2 gives itself up in a round that is proposed, and the next one is open."""
    run.open()
    run.contract.leaveRoster(sender=TRAINERS[2].address)
    run.commit_batch([0, 1, 2])
    run.reveal([0, 1, 2])
    run.freeze([0, 1, 2])
    run.propose()
    run.open()
    run.commit_batch([0, 1])


def test_release_when_a_round_of_the_seat_is_not_settled(run: Run) -> None:
    """it should revert with StillLiable until that round is final"""
    leave_and_play(run)
    with refused("StillLiable", 2, 1):
        run.contract.release(2, sender=KEEPER.address)
    run.pass_dispute(1)
    run.finalize(1)
    run.contract.release(2, sender=KEEPER.address)
    assert run.vault.unbondingOf(run.contract.address, TRAINERS[2].address)[0] == ETHER


def test_release_when_a_merge_of_the_seat_is_reopened(run: Run, evm: Evm) -> None:
    """it should revert with StillLiable for as long as the merge may be made again"""
    leave_and_play(run)
    run.contract.convictMerge(1, WITNESS.address, sender=MERGE_COURT.address)
    # The last moment at which it can be proposed again, longer after it left than stake unbonds.
    evm.sleep_until(run.contract.current().deadline - 1)
    with refused("StillLiable", 2, 1):
        run.contract.release(2, sender=KEEPER.address)
    run.deposit_bond(KEEPER)
    run.propose(KEEPER)
    with refused("StillLiable", 2, 1):
        run.contract.release(2, sender=KEEPER.address)


def test_release_when_the_rounds_of_the_seat_are_void(run: Run) -> None:
    """it should wait for none that take their numbers"""
    leave_and_play(run)
    run.contract.leaveRoster(sender=TRAINERS[1].address)
    run.contract.convictMerge(1, WITNESS.address, sender=MERGE_COURT.address)
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    run.finalize(1)
    assert run.contract.seats(1).lastRound == 2
    run.contract.release(1, sender=KEEPER.address)
    run.contract.release(2, sender=KEEPER.address)


def test_release_when_the_seat_is_free(run: Run) -> None:
    """it should unbond the stake, and the next newcomer gets the seat"""
    run.contract.leaveRoster(sender=TRAINERS[1].address)
    run.contract.release(1, sender=KEEPER.address)
    assert run.contract.seatPlusOneOf(TRAINERS[1].address) == 0
    assert run.vault.unbondingOf(run.contract.address, TRAINERS[1].address)[0] == ETHER
    assert run.vault.lockedOf(run.contract.address, TRAINERS[1].address) == 0
    assert run.enroll(NEWCOMER) == 1


def test_release_when_fees_were_charged(run: Run, evm: Evm) -> None:
    """it should send them to the keeper budget and unbond the rest"""
    miss_rounds(run, 2, 2)
    run.contract.leaveRoster(sender=TRAINERS[2].address)
    before = run.contract.current().keeperGwei
    held = evm.balance(run.contract.address)
    run.contract.release(2, sender=KEEPER.address)
    assert run.contract.current().keeperGwei == before + ABSENCE_GWEI
    assert evm.balance(run.contract.address) == held + ABSENCE_GWEI * GWEI
    unbonding = run.vault.unbondingOf(run.contract.address, TRAINERS[2].address)[0]
    assert unbonding == ETHER - ABSENCE_GWEI * GWEI


def test_absence_when_within_the_grace(run: Run) -> None:
    """it should count once a round and cost nothing"""
    miss_rounds(run, 2, 1)
    assert run.contract.seats(2)[1:3] == (10**9, 1)


def test_absence_when_the_grace_is_used_up(run: Run) -> None:
    """it should cost the fee, once a round"""
    miss_rounds(run, 2, 2)
    assert run.contract.seats(2)[1:3] == (10**9 - ABSENCE_GWEI, 2)
    assert run.contract.totals().enrolledStakeGwei == 3 * 10**9 - 2 * 3 * 10**6 * 2 - ABSENCE_GWEI


def test_absence_when_the_round_goes_on_to_freeze(run: Run) -> None:
    """it should count once, too"""
    run.open()
    run.commit_batch([0, 1])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    run.reveal([0, 1])
    run.freeze([0, 1])
    assert run.contract.seats(2).absences == 1


@pytest.mark.parametrize("way", ["commit", "dissent"])
def test_absence_when_the_trainer_comes_back(run: Run, way: str) -> None:
    """it should count from nothing again, whether it commits or dissents"""
    run.play()
    run.open()
    run.commit_batch([0, 1])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    assert run.contract.seats(2).absences == 1
    run.reveal([0, 1])
    run.freeze([0, 1])
    run.propose()
    run.open()
    run.commit(2) if way == "commit" else run.dissent(2)
    assert run.contract.seats(2).absences == 0


def test_absence_when_too_many_in_a_row(run: Run) -> None:
    """it should evict the seat"""
    miss_rounds(run, 2, 3)
    assert run.contract.leaving() == 0b100
    run.open()
    assert run.contract.roster() == 0b011


def test_absence_when_the_stake_falls_below_the_minimum(stage: Stage) -> None:
    """it should evict the seat"""
    run = stage.create_run(minStakeGwei=10**9, absenceGrace=1)
    run.enroll_all(3)
    miss_rounds(run, 2, 1)
    assert run.contract.leaving() & 0b100


def test_no_reveal_when_a_committer_keeps_silent(run: Run) -> None:
    """it should cost the fee once, and the round goes on with the others"""
    run.open()
    run.commit_batch([0, 1, 2])
    run.reveal([0, 1])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    run.freeze([0, 1])
    assert run.contract.seats(2)[1:3] == (10**9 - 3 * 10**6, 0)


def test_no_reveal_when_the_stake_is_less_than_the_fee(stage: Stage) -> None:
    """it should take what is there"""
    run = stage.create_run(noRevealFeeGwei=10**10)
    run.enroll_all(3)
    run.open()
    run.commit_batch([0, 1, 2])
    run.reveal([0, 1])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    run.freeze([0, 1])
    assert run.contract.seats(2).stakeGwei == 0
    run.deposit_bond(AGGREGATOR)
    run.propose()
    run.pass_dispute(1)
    run.finalize(1)
    run.contract.release(2, sender=KEEPER.address)
    assert run.vault.unbondingOf(run.contract.address, TRAINERS[2].address)[0] == 0
