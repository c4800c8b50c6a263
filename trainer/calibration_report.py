"""The calibration as a page that can be read without the program: docs/calibration.md."""

import textwrap
from collections.abc import Iterator, Sequence

from protocol.distance import Tolerance
from trainer.calibrate import (
    CONFIGURATIONS,
    LEAST_GAP,
    REFERENCE,
    Gap,
    Row,
    choose_tolerance,
    find_gaps,
)

_DEEDS = {
    "flipped": "every label false",
    "flipped-tenth": "every tenth label false",
    "flipped-one": "one label false",
    "half": "half of the steps",
    "other-shard": "another shard",
    "random": "noise of the same norm, chunk by chunk",
}


_INTRODUCTION = """
Within a determinism class the same work gives the same bytes, and a difference convicts. Between
two classes the last bits of floats differ. This page says how far int8 updates of honest work are
then apart, and how far dishonest work is from it. It decides what a report says, and whose work an
auditor of the same class should repeat; **nobody loses stake by a distance**.
`commonweight-trainer calibrate` measures and writes it anew; `protocol/distance.py` has the measure
and the tolerance.
"""
_SET_UP = """
Task `{task}`, its own hyperparameters, the same shard and seed, from the genesis model and from a
model that another seat has trained. The reference is {reference}; the other configurations differ
from it in one thing:
"""
_MEASURED = """
Relative L2 distance from the reference's honest work, and in brackets the share of elements that
differ. Of the two parent models the worse is shown: the farther for honest work, the nearer for
dishonest.
"""
_FAINT = """
"One label false" is too faint to be called dishonest by a distance, and no rule below counts it. In
the first steps that row is in no batch yet.
"""
_RULE = """
The gap is the least dishonest distance over the greatest honest one. A tolerance holds up to the
greatest number of steps up to which every gap is {least:.0f} or more; it is the geometric mean of
the greatest honest and the least dishonest distance up to there, in relative L2 and in the share of
elements that differ, to two digits. Both must be kept.
"""
_TOLERANCE = (
    "**Tolerance: up to {steps} steps, relative L2 at most {relative_l2:g}, "
    "at most {percent:g} % of the elements differ.**"
)
_BEYOND = """
Beyond, a distance proves nothing in either direction, and the verdict is "undecided". Training
amplifies last bits: at {steps} steps honest work of two classes is {honest:.1e} apart, and
dishonest work is as near as {dishonest:.1e}, since there is little left to learn in the steps that
were left out. A run whose trainers are of several classes should keep local work short, or have
enough stake of each class for audits within it.
"""


def write_report(rows: Sequence[Row], *, task: str, against: Sequence[str]) -> str:
    """The whole page, in Markdown; the same measurements give the same page."""
    gaps = find_gaps(rows)
    parts = [
        "# Calibration: how far honest work is apart across classes",
        _paragraph(_INTRODUCTION),
        _paragraph(_SET_UP, task=task, reference=REFERENCE.words),
        "\n".join(f"- `{name}`: {CONFIGURATIONS[name].words}" for name in against),
        "## Measured",
        _paragraph(_MEASURED),
        "\n".join(_works_table(rows)),
        _paragraph(_FAINT),
        "\n".join(_gaps_table(gaps)),
        "## The rule",
        _paragraph(_RULE, least=LEAST_GAP),
        *_conclusions(choose_tolerance(gaps), gaps),
    ]
    return "\n\n".join(parts) + "\n"


def _paragraph(text: str, **values: object) -> str:
    return textwrap.fill(" ".join(text.split()).format(**values), width=118)


def _works_table(rows: Sequence[Row]) -> Iterator[str]:
    steps = sorted({row.steps for row in rows})
    yield (
        "| work | "
        + " | ".join(f"{count} steps" if count > 1 else "1 step" for count in steps)
        + " |"
    )
    yield "|---|" + "---|" * len(steps)
    works = dict.fromkeys(row.work for row in sorted(rows, key=lambda row: not row.honest))
    for work in works:
        cells = []
        for count in steps:
            found = [row for row in rows if (row.work, row.steps) == (work, count)]
            pick = max if found[0].honest else min
            worst = pick(found, key=lambda row: row.distance.relative_l2).distance
            cells.append(f"{worst.relative_l2:.1e} ({100 * worst.differing:.2g} %)")
        honest = any(row.honest for row in rows if row.work == work)
        words = f"honest, `{work}`" if honest else f"dishonest: {_DEEDS[work]}"
        yield f"| {words} | " + " | ".join(cells) + " |"


def _gaps_table(gaps: Sequence[Gap]) -> Iterator[str]:
    headings = ("steps", "honest at most", "dishonest at least", "gap")
    honest_too = ("honest: greatest step", "honest: other exponents")
    yield "| " + " | ".join((*headings, *honest_too)) + " |"
    yield "|---|---|---|---|---|---|"
    for gap in gaps:
        honest = gap.honest
        yield (
            f"| {gap.steps} | {honest.relative_l2:.1e} | {gap.dishonest.relative_l2:.1e} "
            f"| {gap.width:.3g} | {honest.greatest_step:.0f} | {100 * honest.exponents:.2g} % |"
        )


def _conclusions(tolerance: Tolerance | None, gaps: Sequence[Gap]) -> Iterator[str]:
    if tolerance is None:
        yield "Here no number of steps has such a gap: **there is no tolerance**."
        return
    yield _TOLERANCE.format(
        steps=tolerance.steps,
        relative_l2=tolerance.relative_l2,
        percent=100 * tolerance.differing,
    )
    last = gaps[-1]
    if last.steps > tolerance.steps:
        yield _paragraph(
            _BEYOND,
            steps=last.steps,
            honest=last.honest.relative_l2,
            dishonest=last.dishonest.relative_l2,
        )
