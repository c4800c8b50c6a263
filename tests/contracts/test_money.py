"""Funding, claims, closing and refunds of keepers; see trees/money.tree."""

import pytest
from support.evm import GAS_PRICE, Evm, Receipt
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    GWEI,
    KEEPER,
    SPONSOR,
    TRAINERS,
    Run,
    Stage,
)


def refunded_gas(receipt: Receipt) -> float:
    """Gas that the refunds of a transaction would buy at its price."""
    refunds = sum(e.amountWei for e in receipt.all("KeeperRefunded"))
    return float(refunds / receipt.gas_price)


def test_fund_when_some_is_for_keepers(empty_run: Run) -> None:
    """it should split what was sent, keepers in whole gwei"""
    before = (empty_run.contract.rewardPoolWei(), empty_run.contract.current().keeperGwei)
    empty_run.contract.fund(3 * GWEI + 5, sender=ATTACKER.address, value=10 * GWEI)
    after = (empty_run.contract.rewardPoolWei(), empty_run.contract.current().keeperGwei)
    assert (after[0] - before[0], after[1] - before[1]) == (7 * GWEI, 3)


def test_fund_when_it_comes_in_a_multicall(empty_run: Run) -> None:
    """it should count nothing twice, since a multicall takes no ETH"""
    call = empty_run.contract.encode("depositBond")
    with refused(""):
        empty_run.contract.multicall([call, call], sender=ATTACKER.address, value=5)


def test_receive_fee_when_the_caller_is_not_the_vault(empty_run: Run) -> None:
    """it should revert with Unauthorized"""
    with refused("Unauthorized", ATTACKER.address, empty_run.vault.address):
        empty_run.contract.receiveFee(sender=ATTACKER.address, value=5)


def test_claim_when_nothing_is_free(empty_run: Run) -> None:
    """it should revert with NothingToClaim"""
    with refused("NothingToClaim"):
        empty_run.contract.claim(sender=ATTACKER.address)


def test_claim_when_the_receiver_refuses_eth(stage: Stage, empty_run: Run, evm: Evm) -> None:
    """it should revert with TransferFailed"""
    evm.fund(stage.beacon.address)
    empty_run.contract.depositBond(sender=stage.beacon.address, value=7)
    with refused("TransferFailed", stage.beacon.address, 7):
        empty_run.contract.claim(sender=stage.beacon.address)


def test_claim_when_rounds_were_paid(run: Run, evm: Evm) -> None:
    """it should send the rewards of all of them at once, and only once"""
    for _ in range(2):
        number = run.play()
        run.pass_dispute(number)
        run.finalize(number)
    owed = run.contract.accounts(TRAINERS[0].address).freeWei
    before = evm.balance(TRAINERS[0].address)
    receipt = run.contract.claim(sender=TRAINERS[0].address)
    assert evm.balance(TRAINERS[0].address) == before + owed - receipt.gas * receipt.gas_price
    with refused("NothingToClaim"):
        run.contract.claim(sender=TRAINERS[0].address)


def test_claim_when_a_bond_is_locked(run: Run) -> None:
    """it should leave the bond"""
    run.contract.registerAggregator(sender=AGGREGATOR.address)
    run.contract.claim(sender=AGGREGATOR.address)
    assert run.contract.accounts(AGGREGATOR.address) == (0, 10**8 * GWEI)


def test_close_when_the_caller_is_not_the_sponsor(run: Run) -> None:
    """it should revert with Unauthorized"""
    with refused("Unauthorized", ATTACKER.address, SPONSOR.address):
        run.contract.close(sender=ATTACKER.address)


def test_close_when_a_round_is_open(run: Run) -> None:
    """it should revert with WrongPhase"""
    run.open()
    with refused("WrongPhase"):
        run.contract.close(sender=SPONSOR.address)


def test_close_when_a_round_is_unpaid(run: Run) -> None:
    """it should revert with WrongRound"""
    run.play()
    with refused("WrongRound", 1, 2):
        run.contract.close(sender=SPONSOR.address)


def test_close_when_all_is_settled(run: Run, evm: Evm) -> None:
    """it should give the sponsor what is left, and everybody else keeps what is theirs"""
    run.play()
    run.pass_dispute(1)
    run.finalize(1)
    run.contract.close(sender=SPONSOR.address)
    assert run.contract.rewardPoolWei() == run.contract.current().keeperGwei == 0
    people = (SPONSOR, KEEPER, AGGREGATOR, *TRAINERS[:3])
    for person in people:
        if run.contract.accounts(person.address).freeWei:
            run.contract.claim(sender=person.address)
    assert evm.balance(run.contract.address) == 0


def test_close_when_fees_arrive_later(run: Run) -> None:
    """it should give them to the sponsor when it closes again"""
    run.open()
    run.commit_batch([0, 1, 2])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    run.finalize(1)
    run.contract.close(sender=SPONSOR.address)
    run.contract.leaveRoster(sender=TRAINERS[0].address)
    run.contract.release(0, sender=KEEPER.address)
    closed = run.contract.close(sender=SPONSOR.address)
    assert closed.only("Closed").returnedWei == 3 * 10**6 * GWEI


# --- refunds


def test_refund_when_a_keeper_works(run: Run) -> None:
    """it should pay about its gas plus a tenth for every transition"""
    run.play()  # slots are written once
    run.play()
    receipts = [run.open()]
    run.commit_batch([0, 1, 2])
    receipts.append(run.freeze_with_reveals([0, 1, 2]))
    run.propose()
    run.pass_dispute(3)
    receipts.append(run.finalize(1))
    run.play(until="audit")
    receipts.append(run.freeze([0, 1, 2]))
    for receipt in receipts:
        assert 0.95 * receipt.gas < refunded_gas(receipt) < 1.25 * receipt.gas


def test_refund_when_submissions_are_relayed(run: Run) -> None:
    """it should pay nothing, since a relay is its trainers' own"""
    run.open()
    assert run.commit_batch([0, 1, 2]).all("KeeperRefunded") == []
    assert run.reveal([0, 1, 2]).all("KeeperRefunded") == []


def test_refund_when_more_signatures_are_sent_than_needed(stage: Stage) -> None:
    """it should pay for them what they cost and a tenth"""
    run = stage.create_run()
    run.enroll_all(12)
    run.play(until="reveal")
    seats = list(range(12))
    margins = []
    for attesters in (seats[:8], seats):
        before = run.evm.snapshot()
        receipt = run.freeze_with_reveals(seats, attesters=attesters)
        run.evm.revert(before)
        margins.append((refunded_gas(receipt), receipt.gas))
    added = margins[1][0] - margins[0][0], margins[1][1] - margins[0][1]
    assert added[0] < 1.2 * added[1]


def test_refund_when_the_budget_is_empty(stage: Stage) -> None:
    """it should pay nothing and stop nobody"""
    run = stage.create_run(keeper_wei=0)
    run.enroll_all(2)
    run.deposit_bond(AGGREGATOR)
    assert run.open().all("KeeperRefunded") == []
    run.commit_batch([0, 1])


def test_refund_when_the_budget_is_nearly_empty(stage: Stage) -> None:
    """it should pay what is there"""
    run = stage.create_run(keeper_wei=5 * GWEI)
    run.enroll_all(2)
    assert run.open().only("KeeperRefunded").amountWei == 5 * GWEI
    assert run.contract.current().keeperGwei == 0


def test_refund_when_the_keeper_overpays_for_gas(run: Run) -> None:
    """it should count the base fee and a small tip only"""
    price = 10**12
    receipt = run.contract.openRound(sender=KEEPER.address, gas_price=price)
    paid = receipt.only("KeeperRefunded").amountWei
    assert paid < receipt.gas * price / 100


@pytest.mark.parametrize("padding", [1_000, 20_000])
def test_refund_when_calldata_is_padded(run: Run, padding: int) -> None:
    """it should not pay for the padding"""
    run.play(until="reveal")
    group = run.attestation_group([0, 1], 0b111)
    data = run.contract.encode("freezeWithReveals", 1, [group], run.reveals([0, 1, 2]))
    before = run.evm.snapshot()
    plain, _ = run.evm.transact(sender=ATTACKER.address, to=run.contract.address, data=data)
    run.evm.revert(before)
    padded, _ = run.evm.transact(
        sender=ATTACKER.address, to=run.contract.address, data=data + bytes(padding)
    )
    profit = refunded_gas(plain) - plain.gas
    assert refunded_gas(padded) - padded.gas < profit


def test_refund_when_transitions_share_a_transaction(run: Run) -> None:
    """it should pay one base cost, however the calls are nested"""
    for _ in range(2):
        run.play()
    run.pass_dispute(2)
    encode = run.contract.encode
    single = [encode("finalize", n, run.inputs[n]) for n in (1, 2)] + [encode("openRound")]
    nested = [encode("multicall", [call]) for call in single]
    gas = []
    for calls in (single, nested):
        before = run.evm.snapshot()
        receipt = run.contract.multicall(calls, sender=ATTACKER.address)
        run.evm.revert(before)
        assert len(receipt.all("KeeperRefunded")) == 1
        gas.append((refunded_gas(receipt), receipt.gas))
    assert gas[1][0] - gas[1][1] <= gas[0][0] - gas[0][1]
    assert gas[0][0] < 1.25 * gas[0][1]


def test_refund_when_a_fee_arrives_in_the_same_multicall(run: Run) -> None:
    """it should count both"""
    run.open()
    run.commit_batch([0, 1, 2])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)  # nobody revealed: a fee each
    run.contract.leaveRoster(sender=TRAINERS[0].address)
    run.finalize(1)
    run.enroll(TRAINERS[4])
    before = run.contract.current().keeperGwei
    encode = run.contract.encode
    receipt = run.contract.multicall(
        [encode("release", 0), encode("openRound")], sender=KEEPER.address
    )
    paid = receipt.only("KeeperRefunded").amountWei // GWEI
    assert run.contract.current().keeperGwei == before + 3 * 10**6 - paid
    assert receipt.gas_price == GAS_PRICE
