"""A run in which cheating pays is refused, with the inequality and what would mend it."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from unit.coordinator.test_plan import PLAN

from coordinator.deterrence import Temptation, check_deterrence, expected_audits
from coordinator.plan import GWEI, Assumptions, Money
from protocol.errors import CheatingPays, InvalidRunParameter


def plan(*, assumptions=None, min_trainers=2, segments=(), **money):
    return replace(
        PLAN,
        money=Money(**money),
        assumptions=Assumptions(**(assumptions or {})),
        min_trainers=min_trainers,
        segments=segments,
    )


def test_the_defaults_deter_with_a_stake_of_twenty_rewards():
    check_deterrence(PLAN)
    tempted = Temptation.of(PLAN)
    assert tempted.stake_wei == 20 * tempted.reward_wei
    assert not tempted.pays


def test_the_message_shows_the_inequality_with_its_numbers_and_the_least_that_is_enough():
    with pytest.raises(CheatingPays) as caught:
        check_deterrence(plan(min_stake_gwei=10_000_000))
    assert caught.value.inequality == (
        "p*d*(R + s*S) = 0.1*0.8*(0.005 + 0.5*0.01) = 0.0008 ETH < c + V = 0.0035 + 0 = 0.0035 ETH"
    )
    assert caught.value.remedy == (
        "at least min_stake_gwei = 77500000 or audit_bps = 4375 is enough, the rest as it is"
    )


def test_what_the_message_names_is_enough_and_not_a_bit_less():
    with pytest.raises(CheatingPays):
        check_deterrence(plan(min_stake_gwei=77_499_999))
    check_deterrence(plan(min_stake_gwei=77_500_000))
    with pytest.raises(CheatingPays):
        check_deterrence(plan(min_stake_gwei=10_000_000, audit_bps=4_374))
    check_deterrence(plan(min_stake_gwei=10_000_000, audit_bps=4_375))


def test_a_gain_outside_of_the_run_needs_more_stake():
    gain = {"outside_gain_wei": 5 * PLAN.money.reward_per_round_wei // 2}
    with pytest.raises(CheatingPays, match="min_stake_gwei = 702500000"):
        check_deterrence(plan(assumptions=gain))
    check_deterrence(plan(assumptions=gain, min_stake_gwei=702_500_000))


@pytest.mark.parametrize(
    ("min_trainers", "segments", "shares"),
    [(1, (), 1), (2, (), 2), (8, (), 8), (8, (3,), 8), (8, (1, 2), 2), (8, (1, 1, 1), 3)],
)
def test_the_reward_is_that_of_who_is_tempted_most(min_trainers, segments, shares):
    """Of one segment the fewest trainers share; of several, one may have a single update."""
    tempted = Temptation.of(plan(min_trainers=min_trainers, segments=segments))
    assert tempted.reward_wei == Fraction(PLAN.money.reward_per_round_wei, shares)


@given(
    least=st.integers(1, 10**6),
    more=st.integers(0, 10**7),
    others=st.lists(st.integers(0, 10**7), min_size=1, max_size=6),
    audit_bps=st.integers(1, 10_000),
    slash_bps=st.integers(1, 10_000),
)
def test_whoever_has_more_stake_is_tempted_less(least, more, others, audit_bps, slash_bps):
    """The docstring's argument: if it deters the smallest stake, it deters every other."""
    made = plan(
        min_stake_gwei=least,
        stake_cap_gwei=10**9,
        min_trainers=len(others) + 1,
        audit_bps=audit_bps,
        slash_bps=slash_bps,
        reward_per_round_wei=10**12,
    )
    smallest = Temptation.of(made)
    assume(not smallest.pays)
    stake = least + more
    everybody = stake + sum(least + other for other in others)
    reward = Fraction(10**12 * stake, everybody)
    cost = Fraction(7, 10) * reward
    larger = replace(smallest, stake_wei=stake * GWEI, reward_wei=reward, cost_wei=cost)
    assert not larger.pays


def test_a_run_without_audits_goes_by_that_name_alone():
    with pytest.raises(InvalidRunParameter, match="unaudited = true"):
        check_deterrence(plan(audit_bps=0))
    check_deterrence(plan(audit_bps=0, min_stake_gwei=1, assumptions={"unaudited": True}))
    with pytest.raises(InvalidRunParameter, match="leave `unaudited` out"):
        check_deterrence(plan(assumptions={"unaudited": True}))


@pytest.mark.parametrize("name", ["detection", "training_cost_share"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_shares_are_shares(name, value):
    with pytest.raises(InvalidRunParameter, match=name):
        check_deterrence(plan(assumptions={name: value}))


def test_a_negative_gain_is_refused():
    with pytest.raises(InvalidRunParameter, match="outside_gain_wei"):
        check_deterrence(plan(assumptions={"outside_gain_wei": -1}))


def test_where_neither_stake_nor_audits_help_it_says_so():
    with pytest.raises(CheatingPays, match="raise slash_bps or detection"):
        check_deterrence(plan(slash_bps=0, assumptions={"training_cost_share": 1.0}))
    with pytest.raises(CheatingPays, match="raise slash_bps or detection"):
        check_deterrence(plan(assumptions={"detection": 0.0}))


def test_nobody_is_asked_to_audit_at_a_loss():
    cost_wei = 35 * 10**14
    with pytest.raises(InvalidRunParameter, match="audit_reward_wei") as caught:
        check_deterrence(plan(audit_reward_wei=cost_wei - 1))
    assert str(cost_wei * 6 // 5) in caught.value.remedy
    check_deterrence(plan(audit_reward_wei=cost_wei))


def test_the_audits_expected_are_rounded_up():
    assert expected_audits(PLAN) == 100 * 2 // 10
    assert expected_audits(replace(PLAN, rounds=1)) == 1
    assert expected_audits(replace(PLAN, money=Money(audit_bps=0))) == 0
