"""A plan from flat names and values, as `--set` and a TOML file give them.

Every name of RunPlan, Money, Times, Assumptions and of the training, merge and assignment is known;
where two share one (`lr`, `momentum`), the trainers' is `training_lr` and the merge's `merge_lr`.
`task_params` is a table.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from coordinator.plan import Assumptions, Money, RunPlan, Times
from learning.tasks import Task
from protocol.cid import Cid
from protocol.errors import InvalidMerge, InvalidRunParameter
from protocol.merge import MergeParams
from protocol.spec import Assignment
from protocol.types import Address

_PLAN_NAMES = (
    "task_params",
    "segments",
    "fraction_bits",
    "genesis_seed",
    "norm",
    "rounds",
    "min_trainers",
    "max_trainers",
    "ring_size",
    "absence_grace",
    "evict_after",
    "guardian",
)
_T = TypeVar("_T", Assumptions, Money, Times, Assignment)


def plan_from(
    values: Mapping[str, Any], *, name: str, task: Task, manifest: Cid, beacon: Address
) -> RunPlan:
    """The plan; what is not given has its default. Raises InvalidRunParameter."""
    rest = dict(values)
    training = replace(task.default_hyperparameters, **_take(rest, _training_names(task)))
    merge = _take(rest, {f"merge_{f.name}": f.name for f in fields(MergeParams)})
    plan_values = _take(rest, {one: one for one in _PLAN_NAMES})
    if "segments" in plan_values:
        plan_values["segments"] = tuple(plan_values["segments"])
    try:
        plan = RunPlan(
            name=name,
            task=task.name,
            manifest=manifest,
            training=training,
            merge=MergeParams(**merge),
            assignment=_fill(Assignment, rest),
            money=_fill(Money, rest),
            times=_fill(Times, rest),
            assumptions=_fill(Assumptions, rest),
            beacon=beacon,
            **plan_values,
        )
    except InvalidMerge as error:
        raise InvalidRunParameter(
            name="merge", value=str(merge), reason=error.reason, hint="correct the merge's values"
        ) from None
    if rest:
        unknown = min(rest)
        raise InvalidRunParameter(
            name=unknown,
            value=str(rest[unknown]),
            reason="is no setting of a run",
            hint=f"known are {', '.join(sorted(known_names(task)))}",
        )
    return plan


def known_names(task: Task) -> set[str]:
    """Every name that `plan_from` knows."""
    names = set(_PLAN_NAMES) | set(_training_names(task))
    names |= {f"merge_{f.name}" for f in fields(MergeParams)}
    for kind in (Assignment, Assumptions, Money, Times):
        names |= {f.name for f in fields(kind)}
    return names


def _training_names(task: Task) -> dict[str, str]:
    own = [f.name for f in fields(task.default_hyperparameters)]
    return {f"training_{one}": one for one in own} | {
        one: one for one in own if one in ("epochs", "batch_size", "weight_decay")
    }


def _fill(kind: type[_T], rest: dict[str, Any]) -> _T:
    return kind(**_take(rest, {f.name: f.name for f in fields(kind)}))


def _take(rest: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Take the named values; numbers where a default is a number."""
    return {target: rest.pop(source) for source, target in names.items() if source in rest}
