"""What a sponsor decides about a run, with defaults, and what of it goes on chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from network.run import ZERO_ADDRESS, RunParams
from protocol.cid import Cid
from protocol.errors import InvalidRunParameter
from protocol.fixedpoint import FRACTION_BITS
from protocol.layout import Layout
from protocol.merge import MergeParams
from protocol.spec import Assignment, RunSpec, TaskParam, Training
from protocol.types import Address, Digest, Gwei, Wei

GWEI = 10**9
ETHER = 10**18
MAX_SEGMENTS = 16
MAX_RING = 1024
MAX_TRAINERS = 256
ALL_BPS = 10_000
MAX_AGGREGATORS = 16
LONGEST_DISPUTE_MOVES = 16

_MIN_STAKE_GWEI = Gwei(100_000_000)
_STAKE_CAP_GWEI = Gwei(1_000_000_000)
_PROPOSER_BOND_GWEI = Gwei(50_000_000)
_ABSENCE_FEE_GWEI = Gwei(1_000_000)
_NO_REVEAL_FEE_GWEI = Gwei(2_000_000)
_REWARD_WEI = Wei(ETHER // 100)
_AUDIT_REWARD_WEI = Wei(ETHER // 200)
_NO_WEI = Wei(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Stakes, bonds, fees in gwei; the reward of a round in wei."""

    min_stake_gwei: Gwei = _MIN_STAKE_GWEI
    stake_cap_gwei: Gwei = _STAKE_CAP_GWEI
    proposer_bond_gwei: Gwei = _PROPOSER_BOND_GWEI
    absence_fee_gwei: Gwei = _ABSENCE_FEE_GWEI
    no_reveal_fee_gwei: Gwei = _NO_REVEAL_FEE_GWEI
    slash_bps: int = 5_000
    reward_per_round_wei: Wei = _REWARD_WEI
    audit_bps: int = 1_000
    audit_reward_wei: Wei = _AUDIT_REWARD_WEI


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What the sponsor assumes of a cheat, so that cheating does not pay; none of it goes on chain.

    `detection` is the chance that a drawn audit finds it, `training_cost_share` the part of an
    update's pay that its training costs, `outside_gain_wei` what a spoilt model is worth to it.
    Only a run that is called `unaudited` may go without audits.
    """

    detection: float = 0.8
    training_cost_share: float = 0.7
    outside_gain_wei: Wei = _NO_WEI
    unaudited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of block time."""

    commit_s: int = 600
    reveal_s: int = 180
    audit_s: int = 180
    merge_turn_s: int = 60
    merge_timeout_s: int = 1_200
    dispute_s: int = 3_600
    move_s: int = 300
    jury_s: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run to be created. `norm` bounds the L2 norm of one trainer's update, in weights."""

    name: str
    task: str
    manifest: Cid
    training: Training
    task_params: Mapping[str, TaskParam] = field(default_factory=dict)
    merge: MergeParams = field(default_factory=MergeParams)
    assignment: Assignment = field(default_factory=Assignment)
    segments: tuple[int, ...] = ()
    fraction_bits: int = FRACTION_BITS
    genesis_seed: int = 0
    norm: float = 10.0
    rounds: int = 100
    min_trainers: int = 2
    max_trainers: int = 64
    ring_size: int = 64
    absence_grace: int = 2
    evict_after: int = 5
    money: Money = field(default_factory=Money)
    times: Times = field(default_factory=Times)
    assumptions: Assumptions = field(default_factory=Assumptions)
    guardian: Address = ZERO_ADDRESS
    beacon: Address

    @property
    def ssq_bound(self) -> int:
        """The norm as the chain counts it: floor((norm * 2^F)^2)."""
        return int((Fraction(self.norm) * 2**self.fraction_bits) ** 2)

    def specification(self, layout: Layout) -> RunSpec:
        """The specification to publish; raises InvalidSpec if it breaks the schema."""
        spec = RunSpec(
            name=self.name,
            task=self.task,
            task_params=self.task_params,
            layout=layout,
            merge=self.merge,
            assignment=self.assignment,
            training=self.training,
            manifest=self.manifest,
            ssq_bound=self.ssq_bound,
            fraction_bits=self.fraction_bits,
        )
        return RunSpec.parse(spec.canonical_bytes())

    def params(
        self, *, spec: RunSpec, spec_cid: Cid, genesis_cid: Cid, genesis_root: Digest
    ) -> RunParams:
        """The parameters to send to the factory."""
        money, times = self.money, self.times
        return RunParams(
            spec_cid=spec_cid.digest,
            genesis_root=genesis_root,
            genesis_cid=genesis_cid.digest,
            spec_size=spec_cid.size,
            genesis_size=genesis_cid.size,
            chunks=spec.layout.chunk_count,
            lr=self.merge.lr,
            mu=self.merge.mu,
            nesterov=self.merge.nesterov,
            momentum=self.merge.momentum,
            segments=spec.segments,
            norm_bound=spec.ssq_bound,
            max_rounds=self.rounds,
            min_trainers=self.min_trainers,
            max_trainers=self.max_trainers,
            ring_size=self.ring_size,
            min_stake_gwei=money.min_stake_gwei,
            stake_cap_gwei=money.stake_cap_gwei,
            proposer_bond_gwei=money.proposer_bond_gwei,
            absence_fee_gwei=money.absence_fee_gwei,
            no_reveal_fee_gwei=money.no_reveal_fee_gwei,
            absence_grace=self.absence_grace,
            evict_after=self.evict_after,
            slash_bps=money.slash_bps,
            reward_per_round_wei=money.reward_per_round_wei,
            commit_s=times.commit_s,
            reveal_s=times.reveal_s,
            audit_s=times.audit_s,
            merge_turn_s=times.merge_turn_s,
            merge_timeout_s=times.merge_timeout_s,
            dispute_s=times.dispute_s,
            guardian=self.guardian,
            beacon=self.beacon,
            move_s=times.move_s,
            jury_s=times.jury_s,
            audit_bps=money.audit_bps,
            audit_reward_wei=money.audit_reward_wei,
            segment_ends=spec.layout.segment_ends,
        )


def check_plan(plan: RunPlan) -> None:
    """Promise that the contract takes a plan; InvalidRunParameter says what to change."""
    money, times = plan.money, plan.times
    _in_range("rounds", plan.rounds, 1, (1 << 32) - 1)
    _in_range("max_trainers", plan.max_trainers, 1, MAX_TRAINERS)
    _in_range("min_trainers", plan.min_trainers, 1, plan.max_trainers)
    _in_range("ring_size", plan.ring_size, 3, MAX_RING)
    _in_range("absence_grace", plan.absence_grace, 1, 255)
    _in_range("evict_after", plan.evict_after, 1, 255)
    _in_range("slash_bps", money.slash_bps, 0, ALL_BPS)
    _in_range("audit_bps", money.audit_bps, 0, ALL_BPS)
    _in_range("min_stake_gwei", money.min_stake_gwei, 1, (1 << 56) - 1)
    _in_range("stake_cap_gwei", money.stake_cap_gwei, money.min_stake_gwei, (1 << 56) - 1)
    for name in ("proposer_bond_gwei", "absence_fee_gwei", "no_reveal_fee_gwei"):
        _in_range(name, getattr(money, name), 0, (1 << 56) - 1)
    for name in ("reward_per_round_wei", "audit_reward_wei"):
        _in_range(name, getattr(money, name), 0, (1 << 96) - 1)
    for name in ("commit_s", "reveal_s", "audit_s", "merge_turn_s", "move_s", "jury_s"):
        _in_range(name, getattr(times, name), 1, (1 << 32) - 1)
    # After the turns of a full list of aggregators, anybody must have time to propose.
    least_s = MAX_AGGREGATORS * times.merge_turn_s + 1
    _in_range("merge_timeout_s", times.merge_timeout_s, least_s, (1 << 32) - 1)
    _in_range("dispute_s", times.dispute_s, 0, (1 << 32) - 1)
    if not 1 <= plan.ssq_bound < 1 << 96:
        most = 2.0 ** (48 - plan.fraction_bits)
        raise InvalidRunParameter(
            name="norm",
            value=str(plan.norm),
            reason="no such bound fits the chain's 96 bits",
            hint=f"choose an L2 norm in weights above 0 and below {most:g}",
        )


def check_funding(
    plan: RunPlan, *, value_wei: Wei, keeper_wei: Wei, audits_wei: Wei | None = None
) -> None:
    """Promise that the money sent opens at least one round, and pays for an audit if there are any.

    Raises InvalidRunParameter.
    """
    audit_wei = plan.money.audit_reward_wei if plan.money.audit_bps else 0
    if audits_wei is not None and audits_wei < audit_wei:
        raise InvalidRunParameter(
            name="audits_wei",
            value=str(audits_wei),
            reason=f"pays for no audit: one costs {audit_wei} wei",
            hint="give more for audits; what is left comes back when the run is closed",
        )
    if keeper_wei > value_wei:
        raise InvalidRunParameter(
            name="keeper_wei",
            value=str(keeper_wei),
            reason=f"is more than the {value_wei} wei that are sent",
            hint="send more, or give keepers less",
        )
    needed = plan.money.reward_per_round_wei
    if value_wei - keeper_wei < needed:
        raise InvalidRunParameter(
            name="value_wei",
            value=str(value_wei),
            reason=f"leaves {value_wei - keeper_wei} wei for rewards, a round needs {needed}",
            hint="send more, or lower the reward of a round",
        )


def check_unbonding(plan: RunPlan, unbonding_s: int) -> None:
    """Promise that stake stays slashable while disputes last; raises InvalidRunParameter."""
    needed_s = 2 * plan.times.dispute_s + LONGEST_DISPUTE_MOVES * plan.times.move_s
    if unbonding_s < needed_s:
        raise InvalidRunParameter(
            name="dispute_s",
            value=str(plan.times.dispute_s),
            reason=f"disputes may last {needed_s} s, stake is released after {unbonding_s} s",
            hint="choose a shorter dispute_s or move_s, or deploy a vault that unbonds longer",
        )


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidRunParameter(
            name=name,
            value=str(value),
            reason=f"is not in {low}..{high}",
            hint=f"choose {name} in {low}..{high}",
        )
