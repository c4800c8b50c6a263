"""Whether honest training pays more than cheating in a run: docs/protocol.md section 4.

A cheat saves the cost c of training its update and gains V outside of the run. An audit is drawn
for the update with probability p and finds the cheat with probability d; then the update's pay R
and the share s of the stake S are lost. Honest work is optimal if p*d*(R + s*S) >= c + V.

The inequality must hold for whoever is tempted most. Of one segment, a trainer of stake x earns at
most R(x) = reward * x / (x + (n-1)*m), where the other n-1 of the fewest trainers have the least
stake m. As c is a share k of R, it is p*d*s >= (k - p*d) * R(x)/x + V/x: both terms on the right
fall as x grows, so x = m is the worst, with R = reward / n. Of several segments, one may have a
single update, which earns all that the segment does: R = reward / segments. Caps only lower R(x).
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import structlog

from coordinator.plan import ALL_BPS, ETHER, GWEI, RunPlan
from protocol.errors import CheatingPays, InvalidRunParameter
from protocol.types import Wei

_log = structlog.get_logger(__name__)

GOOD_AUDIT_PAY = Fraction(6, 5)
"""What an auditor should get at least for each wei that training the update again costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temptation:
    """The numbers of the inequality, for whoever is tempted most; exact."""

    audited: Fraction
    detection: Fraction
    slashed: Fraction
    stake_wei: Wei
    reward_wei: Fraction
    cost_wei: Fraction
    outside_gain_wei: Wei

    @classmethod
    def of(cls, plan: RunPlan) -> "Temptation":
        """That of a plan."""
        money, assumed = plan.money, plan.assumptions
        shares = plan.min_trainers if len(plan.segments) <= 1 else len(plan.segments)
        reward_wei = Fraction(money.reward_per_round_wei, shares)
        return cls(
            audited=Fraction(money.audit_bps, ALL_BPS),
            detection=Fraction(str(assumed.detection)),
            slashed=Fraction(money.slash_bps, ALL_BPS),
            stake_wei=Wei(money.min_stake_gwei * GWEI),
            reward_wei=reward_wei,
            cost_wei=Fraction(str(assumed.training_cost_share)) * reward_wei,
            outside_gain_wei=assumed.outside_gain_wei,
        )

    @property
    def loss_wei(self) -> Fraction:
        """What a cheat must expect to lose: p*d*(R + s*S)."""
        return self.audited * self.detection * (self.reward_wei + self.slashed * self.stake_wei)

    @property
    def gain_wei(self) -> Fraction:
        """What it gains: c + V."""
        return self.cost_wei + self.outside_gain_wei

    @property
    def pays(self) -> bool:
        """Whether cheating does."""
        return self.loss_wei < self.gain_wei

    @property
    def least_stake_gwei(self) -> int | None:
        """The least stake with which cheating does not pay; None if there is none."""
        factor = self.audited * self.detection
        if not factor or not self.slashed:
            return None
        needed_wei = (self.gain_wei / factor - self.reward_wei) / self.slashed
        return max(1, ceil(needed_wei / GWEI))

    @property
    def least_audit_bps(self) -> int | None:
        """The least audit rate with which cheating does not pay; None if there is none."""
        loss_wei = self.detection * (self.reward_wei + self.slashed * self.stake_wei)
        if not loss_wei:
            return None
        needed = ceil(self.gain_wei / loss_wei * ALL_BPS)
        return needed if needed <= ALL_BPS else None

    def __str__(self) -> str:
        """The inequality with its numbers."""
        p, d, s = (f"{float(one):g}" for one in (self.audited, self.detection, self.slashed))
        sign = "<" if self.pays else ">="
        return (
            f"p*d*(R + s*S) = {p}*{d}*({_eth(self.reward_wei)} + {s}*{_eth(self.stake_wei)}) = "
            f"{_eth(self.loss_wei)} ETH {sign} c + V = {_eth(self.cost_wei)} + "
            f"{_eth(self.outside_gain_wei)} = {_eth(self.gain_wei)} ETH"
        )


def check_deterrence(plan: RunPlan) -> None:
    """Promise that in such a run cheating does not pay, or that it is called unaudited.

    Raises CheatingPays with the inequality, and InvalidRunParameter.
    """
    _check_assumptions(plan)
    if plan.assumptions.unaudited:
        _check_unaudited(plan)
        return
    if not plan.money.audit_bps:
        raise InvalidRunParameter(
            name="audit_bps",
            value="0",
            reason="nobody's training is ever checked, so cheating pays",
            hint="audit a share of the updates, or say unaudited = true: then every trainer is "
            "trusted to have trained, and only norms and merges are proven",
        )
    tempted = Temptation.of(plan)
    if tempted.pays:
        raise CheatingPays(inequality=str(tempted), hint=_hint(tempted))
    _check_audit_reward(plan, tempted)


def expected_audits(plan: RunPlan) -> int:
    """How many audits all rounds draw if each has the fewest trainers; more trainers, more."""
    return ceil(Fraction(plan.rounds * plan.min_trainers * plan.money.audit_bps, ALL_BPS))


def _check_assumptions(plan: RunPlan) -> None:
    assumed = plan.assumptions
    for name in ("detection", "training_cost_share"):
        value = getattr(assumed, name)
        if not 0.0 <= value <= 1.0:
            raise InvalidRunParameter(
                name=name,
                value=str(value),
                reason="is not in 0..1",
                hint=f"write {name} as a share: 0.8 for 80 %",
            )
    if assumed.outside_gain_wei < 0:
        raise InvalidRunParameter(
            name="outside_gain_wei",
            value=str(assumed.outside_gain_wei),
            reason="is negative",
            hint="write what a spoilt model is worth to a cheat, 0 if nothing",
        )


def _check_unaudited(plan: RunPlan) -> None:
    if plan.money.audit_bps:
        raise InvalidRunParameter(
            name="unaudited",
            value="true",
            reason=f"but audit_bps is {plan.money.audit_bps}",
            hint="leave `unaudited` out, or say audit_bps = 0",
        )
    _log.warning("run_is_unaudited", problem="whether updates were trained is never checked")


def _check_audit_reward(plan: RunPlan, tempted: Temptation) -> None:
    """Nobody audits at a loss: an audit costs about what the training did."""
    reward_wei = plan.money.audit_reward_wei
    good_wei = ceil(GOOD_AUDIT_PAY * tempted.cost_wei)
    if reward_wei < tempted.cost_wei:
        raise InvalidRunParameter(
            name="audit_reward_wei",
            value=str(reward_wei),
            reason=f"an audit costs what training does, {ceil(tempted.cost_wei)} wei",
            hint=f"pay {good_wei} wei for an audit, 1.2 times its cost",
        )
    if reward_wei < good_wei:
        _log.warning("audit_reward_is_low", audit_reward_wei=reward_wei, recommended_wei=good_wei)


def _hint(tempted: Temptation) -> str:
    stake_gwei, audit_bps = tempted.least_stake_gwei, tempted.least_audit_bps
    ways = []
    if stake_gwei is not None:
        ways.append(f"min_stake_gwei = {stake_gwei}")
    if audit_bps is not None:
        ways.append(f"audit_bps = {audit_bps}")
    if not ways:
        return "no stake and no audit rate is enough: raise slash_bps or detection"
    return "at least " + " or ".join(ways) + " is enough, the rest as it is"


def _eth(wei: Fraction | int) -> str:
    return f"{float(Fraction(wei) / ETHER):.6g}"
