"""A plan that the contract would refuse is refused first, with what to change."""

from dataclasses import replace

import pytest

from coordinator.plan import (
    Assumptions,
    Money,
    RunPlan,
    Times,
    check_funding,
    check_plan,
    check_unbonding,
)
from coordinator.plan_file import known_names, plan_from
from coordinator.posting import passed_marks
from learning.tasks import load_task
from protocol.cid import Cid
from protocol.errors import InvalidRunParameter
from protocol.spec import Training

PLAN = RunPlan(
    name="x",
    task="digits",
    manifest=Cid(digest=bytes(32), size=1),
    training=Training(epochs=1, batch_size=1, lr=0.1),
    beacon="0x" + "11" * 20,
)


def test_the_defaults_are_good():
    check_plan(PLAN)


def test_the_norm_is_squared_in_the_models_units_without_rounding():
    assert replace(PLAN, norm=10.0).ssq_bound == (10 << 22) ** 2
    assert replace(PLAN, norm=0.1, fraction_bits=8).ssq_bound == 655


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("norm", replace(PLAN, norm=0.0)),
        ("norm", replace(PLAN, norm=2.0**27)),
        ("min_trainers", replace(PLAN, min_trainers=65)),
        ("ring_size", replace(PLAN, ring_size=1)),
        ("merge_timeout_s", replace(PLAN, times=Times(merge_timeout_s=960))),
        ("stake_cap_gwei", replace(PLAN, money=Money(stake_cap_gwei=1))),
        ("commit_s", replace(PLAN, times=Times(commit_s=0))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_contract_refuses_is_named(name, plan):
    with pytest.raises(InvalidRunParameter) as caught:
        check_plan(plan)
    assert caught.value.name == name
    assert caught.value.remedy


def test_money_and_unbonding_must_suffice():
    reward = PLAN.money.reward_per_round_wei
    check_funding(PLAN, value_wei=reward + 5, keeper_wei=5)
    for value, keeper in ((reward, 1), (1, 2)):
        with pytest.raises(InvalidRunParameter):
            check_funding(PLAN, value_wei=value, keeper_wei=keeper)
    check_funding(PLAN, value_wei=reward, keeper_wei=0, audits_wei=PLAN.money.audit_reward_wei)
    with pytest.raises(InvalidRunParameter, match="audits_wei"):
        check_funding(PLAN, value_wei=reward, keeper_wei=0, audits_wei=1)
    unaudited = replace(PLAN, money=Money(audit_bps=0))
    check_funding(unaudited, value_wei=reward, keeper_wei=0, audits_wei=0)
    check_unbonding(PLAN, 12_000)
    with pytest.raises(InvalidRunParameter):
        check_unbonding(PLAN, 11_999)


def test_a_plan_from_flat_names_knows_every_name_and_no_other():
    task = load_task("digits")

    def plan(values):
        return plan_from(values, name="x", task=task, manifest=PLAN.manifest, beacon=PLAN.beacon)

    made = plan({"merge_momentum": True, "merge_mu": 9, "training_lr": 0.5, "commit_s": 7})
    assert plan({"detection": 0.5, "unaudited": True}).assumptions == Assumptions(
        detection=0.5, unaudited=True
    )
    assert (made.merge.mu, made.training.lr, made.times.commit_s) == (9, 0.5, 7)
    assert "dispute_s" in known_names(task)
    for bad in ({"nonsense": 1}, {"merge_mu": 9}):
        with pytest.raises(InvalidRunParameter):
            plan(bad)


def test_marks_pass_one_by_one():
    passed = [passed_marks(now, deadline_s=100, phase_s=100) for now in (0, 49, 50, 75, 90, 200)]
    assert passed == [0, 0, 1, 2, 3, 3]
