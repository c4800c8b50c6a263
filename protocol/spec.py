"""The run specification, and its schema (docs/protocol.md section 6).

    {"assignment": {"policy": "shuffled" | "fixed", "shards_per_trainer": 1..1024},
     "codec": "dense-int8",
     "format": "commonweight-run/1",
     "fraction_bits": 8..30,
     "layout": {"segments": [tensors of each, ...], "tensors": [[name, [dimension, ...]], ...]},
     "manifest": {"cid": text, "size": bytes},
     "merge": {"lr": 1..1024, "momentum": bool, "mu": 0..255, "nesterov": bool},
     "name": text,
     "ssq_bound": decimal text of a uint96 above 0,
     "task": text,
     "task_params": {name: integer | number | text | bool, ...},
     "training": {"batch_size": .., "checkpoints": 1..64, "epochs": .., "lr": .., "momentum": ..,
                  "weight_decay": ..}}

Numbers of `training` are written with a fraction (0.0, not 0), but for batch_size, checkpoints and
epochs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

from protocol.cid import Cid
from protocol.errors import InvalidMerge, InvalidSpec
from protocol.fixedpoint import FRACTION_BITS, MAX_FRACTION_BITS
from protocol.layout import Layout
from protocol.manifest import read_cid
from protocol.merge import MAX_LR, ONE, MergeParams
from protocol.rounds import MAX_TRACE_STEPS
from protocol.strict_json import Fields, canonical_bytes, load_object

FORMAT = "commonweight-run/1"
CODEC = "dense-int8"
MAX_SPEC_BYTES = 1 << 20
MAX_TASK_PARAMS = 64
MIN_FRACTION_BITS = 8
_DECIMAL = re.compile(r"[1-9][0-9]{0,28}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

Policy = Literal["shuffled", "fixed"]
TaskParam = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """How shards are dealt; under `fixed` a trainer keeps one shard."""

    policy: Policy = "shuffled"
    shards_per_trainer: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a trainer does to its shards: SGD with momentum over epochs passes.

    `checkpoints` is how many states it digests on the way, beside the first.
    """

    epochs: int
    batch_size: int
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    checkpoints: int = MAX_TRACE_STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything about a run that is not on chain; ssq_bound is in units of 4^-fraction_bits.

    Whoever builds one by hand reads it back with parse(canonical_bytes()), which checks it.
    """

    name: str
    task: str
    task_params: Mapping[str, TaskParam]
    layout: Layout
    merge: MergeParams
    assignment: Assignment
    training: Training
    manifest: Cid
    ssq_bound: int
    fraction_bits: int = FRACTION_BITS
    codec: str = CODEC

    @property
    def segments(self) -> int:
        """Segments of the model."""
        return self.layout.segment_count

    def canonical_bytes(self) -> bytes:
        """Give the object to publish."""
        return canonical_bytes(
            {
                "assignment": {
                    "policy": self.assignment.policy,
                    "shards_per_trainer": self.assignment.shards_per_trainer,
                },
                "codec": self.codec,
                "format": FORMAT,
                "fraction_bits": self.fraction_bits,
                "layout": self.layout.to_json(),
                "manifest": {"cid": self.manifest.text, "size": self.manifest.size},
                "merge": {
                    "lr": self.merge.lr,
                    "momentum": self.merge.momentum,
                    "mu": self.merge.mu,
                    "nesterov": self.merge.nesterov,
                },
                "name": self.name,
                "ssq_bound": str(self.ssq_bound),
                "task": self.task,
                "task_params": dict(self.task_params),
                "training": {
                    "batch_size": self.training.batch_size,
                    "checkpoints": self.training.checkpoints,
                    "epochs": self.training.epochs,
                    "lr": self.training.lr,
                    "momentum": self.training.momentum,
                    "weight_decay": self.training.weight_decay,
                },
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "RunSpec":
        """Read a specification from a stranger's bytes, or raise InvalidSpec naming the field."""
        value = load_object(data, max_bytes=MAX_SPEC_BYTES, refuse=_refuse)
        fields = Fields(value, path="", refuse=_refuse)
        fields.choice("format", (FORMAT,))
        manifest = fields.inner("manifest")
        spec = cls(
            name=fields.text("name"),
            task=fields.text("task", high=64),
            task_params=_read_task_params(fields),
            layout=Layout.from_json(fields.take("layout")),
            merge=_read_merge(fields.inner("merge")),
            assignment=_read_assignment(fields.inner("assignment")),
            training=_read_training(fields.inner("training")),
            manifest=read_cid(manifest),
            ssq_bound=_read_ssq_bound(fields),
            fraction_bits=fields.integer(
                "fraction_bits", low=MIN_FRACTION_BITS, high=MAX_FRACTION_BITS
            ),
            codec=fields.choice("codec", (CODEC,)),
        )
        manifest.finish()
        fields.finish()
        return spec


def _read_task_params(fields: Fields) -> Mapping[str, TaskParam]:
    value = fields.take("task_params")
    if not isinstance(value, dict) or len(value) > MAX_TASK_PARAMS:
        fields.fail("task_params", f"wants an object of at most {MAX_TASK_PARAMS}")
    inner = Fields(value, path="task_params", refuse=_refuse)
    params: dict[str, TaskParam] = {}
    for name, param in value.items():
        if not _NAME.fullmatch(name):
            inner.fail(name[:80], "wants a name of small letters, digits and _")
        if isinstance(param, bool):
            params[name] = inner.flag(name)
        elif isinstance(param, int):
            params[name] = inner.integer(name, low=-(2**53), high=2**53)
        elif isinstance(param, float):
            params[name] = inner.number(name, low=-1e30, high=1e30)
        else:
            params[name] = inner.text(name, low=0)
    return MappingProxyType(params)


def _read_merge(fields: Fields) -> MergeParams:
    lr = fields.integer("lr", low=1, high=MAX_LR)
    mu = fields.integer("mu", low=0, high=ONE - 1)
    nesterov, momentum = fields.flag("nesterov"), fields.flag("momentum")
    fields.finish()
    try:
        return MergeParams(lr=lr, mu=mu, nesterov=nesterov, momentum=momentum)
    except InvalidMerge as error:
        fields.fail("momentum", error.reason)


def _read_assignment(fields: Fields) -> Assignment:
    policy = cast("Policy", fields.choice("policy", ("shuffled", "fixed")))
    most = 1 if policy == "fixed" else 1024
    shards_per_trainer = fields.integer("shards_per_trainer", low=1, high=most)
    fields.finish()
    return Assignment(policy=policy, shards_per_trainer=shards_per_trainer)


def _read_training(fields: Fields) -> Training:
    training = Training(
        epochs=fields.integer("epochs", low=1, high=1000),
        batch_size=fields.integer("batch_size", low=1, high=1 << 20),
        lr=fields.number("lr", low=1e-9, high=100.0),
        momentum=fields.number("momentum", low=0.0, high=0.9999),
        weight_decay=fields.number("weight_decay", low=0.0, high=1.0),
        checkpoints=fields.integer("checkpoints", low=1, high=MAX_TRACE_STEPS),
    )
    fields.finish()
    return training


def _read_ssq_bound(fields: Fields) -> int:
    value: Any = fields.take("ssq_bound")
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or int(value) >= 1 << 96:
        fields.fail("ssq_bound", "wants the decimal text of a uint96 above 0")
    return int(value)


def _refuse(field: str, reason: str) -> InvalidSpec:
    return InvalidSpec(field=field, reason=reason)
