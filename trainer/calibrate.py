"""How far honest work of two determinism classes is apart, and dishonest work from both.

Each configuration does the same work in a process of its own. The tolerance follows from what was
measured by the rule that is written into the report. Docs/calibration.md is such a report.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from protocol.distance import Distance, Tolerance, measure_distance
from protocol.errors import InvalidSetting
from trainer.errors import CalibrationFailed

DEADLINE_S = 1800.0
LEAST_GAP = 16.0
"""The least dishonest distance must be so many times the greatest honest one."""

_CAPS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One way to do the work: a device, and what the environment says of threads and caps."""

    words: str
    device: str = "cpu"
    environment: Mapping[str, str] = field(default_factory=dict)


REFERENCE = Configuration(words="one thread, the processor's own instruction set")
CONFIGURATIONS: dict[str, Configuration] = {
    "threads-2": Configuration(words="two threads", environment={"COMMONWEIGHT_THREADS": "2"}),
    "avx2": Configuration(
        words="capped to AVX2", environment=dict(zip(_CAPS, ("avx2", "AVX2", "AVX2"), strict=True))
    ),
    "sse4": Configuration(
        words="capped to SSE4",
        environment=dict(zip(_CAPS, ("default", "SSE41", "SSE4_2"), strict=True)),
    ),
    "cuda": Configuration(words="a CUDA device", device="cuda"),
}
DEFAULT = ("threads-2", "avx2", "sse4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How far one piece of work is from the reference's honest work, after so many steps."""

    work: str
    honest: bool
    faint: bool
    parent: str
    steps: int
    distance: Distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """At a number of steps: the greatest honest and the least dishonest distance."""

    steps: int
    honest: Distance
    dishonest: Distance

    @property
    def width(self) -> float:
        """How many times the one is the other, in relative L2; infinite if honest work is equal."""
        if self.honest.relative_l2 == 0:
            return float("inf")
        return self.dishonest.relative_l2 / self.honest.relative_l2


def calibrate(*, task: str, device: str, against: Sequence[str]) -> list[Row]:
    """Measure the named configurations against the reference, one process after the other.

    Raises InvalidSetting for an unknown name, and CalibrationFailed.
    """
    unknown = sorted(set(against) - CONFIGURATIONS.keys())
    if unknown:
        raise InvalidSetting(
            name="against",
            reason=f"{unknown[0]!r} is unknown",
            hint=f"use {', '.join(CONFIGURATIONS)}",
        )
    with tempfile.TemporaryDirectory(prefix="commonweight-") as name:
        folder = Path(name)
        reference = Configuration(words=REFERENCE.words, device=device)
        _work(task, reference, folder, "reference", "--dishonest")
        for one in against:
            _work(task, CONFIGURATIONS[one], folder, one)
        return list(_rows(folder, against))


def find_gaps(rows: Sequence[Row]) -> list[Gap]:
    """The gap at every number of steps, over all parents; faint cheating is left out."""
    gaps = []
    for steps in sorted({row.steps for row in rows}):
        here = [row for row in rows if row.steps == steps and not row.faint]
        gaps.append(
            Gap(
                steps=steps,
                honest=_join(max, [row.distance for row in here if row.honest]),
                dishonest=_join(min, [row.distance for row in here if not row.honest]),
            )
        )
    return gaps


def choose_tolerance(gaps: Sequence[Gap]) -> Tolerance | None:
    """The geometric middle of the gap at the most steps up to which every gap is wide enough.

    None if even one step does not tell honest from dishonest work.
    """
    wide: list[Gap] = []
    for gap in gaps:
        if gap.width < LEAST_GAP:
            break
        wide.append(gap)
    if not wide:
        return None
    honest = _join(max, [gap.honest for gap in wide])
    dishonest = _join(min, [gap.dishonest for gap in wide])
    return Tolerance(
        steps=wide[-1].steps,
        differing=_middle(honest.differing, dishonest.differing),
        relative_l2=_middle(honest.relative_l2, dishonest.relative_l2),
    )


def _middle(low: float, high: float) -> float:
    """Geometric mean to two digits; if honest work is equal, a 16th of dishonest."""
    return float(f"{(low * high) ** 0.5 if low else high / LEAST_GAP:.1e}")


def _join(pick: Callable[[Iterable[float]], float], distances: Sequence[Distance]) -> Distance:
    names = Distance.__dataclass_fields__
    return Distance(**{name: pick(getattr(one, name) for one in distances) for name in names})


def _work(task: str, one: Configuration, folder: Path, name: str, *options: str) -> None:
    """Let a process of this configuration do the work into its own folder."""
    place = folder / name
    place.mkdir()
    command = [
        *(sys.executable, "-m", "learning.calibration", task, one.device),
        *(str(place), str(folder / "parent"), *options),
    ]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **one.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"it took over {DEADLINE_S:.0f} s"
        raise CalibrationFailed(configuration=name, reason=reason) from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1][:300]
        raise CalibrationFailed(configuration=name, reason=reason)


def _rows(folder: Path, against: Sequence[str]) -> Iterator[Row]:
    from learning.calibration import FAINT, HONEST, PARENTS, STEPS  # noqa: PLC0415 - imports torch

    kinds = sorted(
        {path.stem.rsplit("-", 2)[0] for path in (folder / "reference").iterdir()} - {HONEST}
    )
    works = [(name, HONEST) for name in against] + [("reference", kind) for kind in kinds]
    for parent in PARENTS:
        for steps in STEPS:
            reference = (folder / "reference" / f"{HONEST}-{parent}-{steps}.bin").read_bytes()
            for name, kind in works:
                update = (folder / name / f"{kind}-{parent}-{steps}.bin").read_bytes()
                yield Row(
                    work=name if kind == HONEST else kind,
                    honest=kind == HONEST,
                    faint=kind == FAINT,
                    parent=parent,
                    steps=steps,
                    distance=measure_distance(update, reference),
                )
