"""StakeVault, through a real run; see trees/vault.tree."""

import pytest
from support.evm import Evm
from support.refused import refused
from support.runs import ATTACKER, ETHER, GWEI, TRAINERS, TRAINING_COURT, WITNESS, Run, Stage

OWNER = TRAINERS[0]


@pytest.fixture
def seated(empty_run: Run) -> Run:
    """One trainer with 1 ETH behind the run."""
    empty_run.enroll(OWNER)
    return empty_run


def leave(run: Run) -> None:
    run.contract.leaveRoster(sender=OWNER.address)
    run.contract.release(0, sender=ATTACKER.address)


def test_deposit_when_nothing_is_sent(stage: Stage) -> None:
    """it should revert with NothingToMove"""
    with refused("NothingToMove"):
        stage.vault.deposit(sender=OWNER.address)


def test_deposit_when_eth_is_sent(stage: Stage) -> None:
    """it should add to the sender's free stake"""
    stage.vault.deposit(sender=OWNER.address, value=5)
    assert stage.vault.freeOf(OWNER.address) == 5


def test_withdraw_when_the_amount_is_zero(stage: Stage) -> None:
    """it should revert with NothingToMove"""
    with refused("NothingToMove"):
        stage.vault.withdraw(0, sender=OWNER.address)


def test_withdraw_when_more_than_is_free(stage: Stage) -> None:
    """it should revert with InsufficientFreeStake"""
    stage.vault.deposit(sender=OWNER.address, value=5)
    with refused("InsufficientFreeStake", OWNER.address, 5, 6):
        stage.vault.withdraw(6, sender=OWNER.address)


def test_withdraw_when_the_receiver_refuses_eth(stage: Stage, evm: Evm) -> None:
    """it should revert with TransferFailed"""
    refuser = stage.beacon.address  # a contract without receive
    evm.fund(refuser)
    stage.vault.deposit(sender=refuser, value=5)
    with refused("TransferFailed"):
        stage.vault.withdraw(5, sender=refuser)


def test_withdraw_when_it_is_free(stage: Stage, evm: Evm) -> None:
    """it should send it to its owner"""
    stage.vault.deposit(sender=OWNER.address, value=5 * ETHER)
    before = evm.balance(stage.vault.address)
    stage.vault.withdraw(2 * ETHER, sender=OWNER.address)
    assert stage.vault.freeOf(OWNER.address) == 3 * ETHER
    assert before - evm.balance(stage.vault.address) == 2 * ETHER


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("lock", (OWNER.address, 1)),
        ("unlock", (OWNER.address, 1)),
        ("slash", (OWNER.address, 1, 0, ATTACKER.address)),
        ("collectFee", (OWNER.address, 1)),
    ],
)
def test_lock_when_the_caller_is_no_run(stage: Stage, method: str, arguments: tuple) -> None:
    """it should revert with NotARun, and so do unlock, slash and collectFee"""
    stage.vault.deposit(sender=OWNER.address, value=5)
    with refused("NotARun", ATTACKER.address):
        stage.vault.send(method, *arguments, sender=ATTACKER.address)


def test_lock_when_a_run_asks(seated: Run) -> None:
    """it should move free stake behind that run"""
    assert seated.vault.freeOf(OWNER.address) == 0
    assert seated.vault.lockedOf(seated.contract.address, OWNER.address) == ETHER


def test_lock_when_the_stake_backs_another_run(seated: Run, stage: Stage) -> None:
    """it should revert with InsufficientFreeStake"""
    other = stage.create_run()
    with refused("InsufficientFreeStake"):
        other.contract.enroll(10**9, sender=OWNER.address)


def test_unlock_when_more_than_is_locked(seated: Run, evm: Evm) -> None:
    """it should revert with InsufficientLockedStake"""
    evm.fund(seated.contract.address)
    with refused("InsufficientLockedStake"):
        seated.vault.unlock(OWNER.address, ETHER + 1, sender=seated.contract.address)


def test_unlock_when_a_seat_is_released(seated: Run, evm: Evm) -> None:
    """it should start the unbonding"""
    leave(seated)
    amount, release_at = seated.vault.unbondingOf(seated.contract.address, OWNER.address)
    assert amount == ETHER
    assert release_at == evm.now() + seated.stage.unbonding_s


def test_unlock_when_stake_is_unbonding_already(seated: Run, evm: Evm) -> None:
    """it should make all of it wait as long as the last"""
    leave(seated)
    evm.sleep(5_000)
    seated.enroll(OWNER, 2 * 10**9)
    leave(seated)
    amount, release_at = seated.vault.unbondingOf(seated.contract.address, OWNER.address)
    assert amount == 3 * ETHER
    assert release_at == evm.now() + seated.stage.unbonding_s


def test_release_when_nothing_is_unbonding(seated: Run) -> None:
    """it should revert with NothingToMove"""
    with refused("NothingToMove"):
        seated.vault.release(seated.contract.address, OWNER.address, sender=ATTACKER.address)


def test_release_when_it_is_too_early(seated: Run, evm: Evm) -> None:
    """it should revert with StillUnbonding until the second it ends"""
    leave(seated)
    evm.sleep(seated.stage.unbonding_s - 2)
    with refused("StillUnbonding"):
        seated.vault.release(seated.contract.address, OWNER.address, sender=ATTACKER.address)


def test_release_when_unbonding_ended(seated: Run, evm: Evm) -> None:
    """it should make the stake free, once, whoever calls"""
    leave(seated)
    evm.sleep(seated.stage.unbonding_s)
    seated.vault.release(seated.contract.address, OWNER.address, sender=ATTACKER.address)
    assert seated.vault.freeOf(OWNER.address) == ETHER
    with refused("NothingToMove"):
        seated.vault.release(seated.contract.address, OWNER.address, sender=ATTACKER.address)


def test_slash_when_stake_is_locked(seated: Run) -> None:
    """it should pay half to the beneficiary and burn half"""
    seated.contract.convictUpdate(
        0, 0, OWNER.address, WITNESS.address, sender=TRAINING_COURT.address
    )
    assert seated.vault.lockedOf(seated.contract.address, OWNER.address) == ETHER // 2
    assert seated.vault.freeOf(WITNESS.address) == ETHER // 4
    assert seated.vault.burnedWei() == ETHER // 4


def test_slash_when_stake_is_unbonding(seated: Run) -> None:
    """it should take the same share of it"""
    leave(seated)
    seated.contract.convictUpdate(
        0, 0, OWNER.address, WITNESS.address, sender=TRAINING_COURT.address
    )
    assert seated.vault.unbondingOf(seated.contract.address, OWNER.address)[0] == ETHER // 2
    assert seated.vault.freeOf(WITNESS.address) == ETHER // 4


def test_slash_when_more_is_asked_than_unbonds(seated: Run, evm: Evm) -> None:
    """it should revert with InsufficientLockedStake"""
    evm.fund(seated.contract.address)
    with refused("InsufficientLockedStake"):
        seated.vault.slash(OWNER.address, 0, 1, WITNESS.address, sender=seated.contract.address)


def test_collect_fee_when_a_run_asks(seated: Run, evm: Evm) -> None:
    """it should send locked stake to the run's keeper budget"""
    before = seated.contract.current().keeperGwei
    evm.fund(seated.contract.address)
    held = evm.balance(seated.contract.address)
    seated.vault.collectFee(OWNER.address, 7 * GWEI, sender=seated.contract.address)
    assert seated.contract.current().keeperGwei == before + 7
    assert evm.balance(seated.contract.address) <= held + 7 * GWEI
    assert seated.vault.lockedOf(seated.contract.address, OWNER.address) == ETHER - 7 * GWEI
