"""`make attacks`: measures every adversary against training, and writes docs/attacks.md.

`make attacks ARGS="--only lazy --only backdoor"` measures those again and keeps the others' rows.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import click

from scripts.adversaries.catalogue import AGAINST_TRAINING, COMPANIONS, LEARNERS
from scripts.adversaries.retouching import flipped
from scripts.attacks.defended import ROOT, run_defended, verdict_of
from scripts.attacks.results import Attack, Course, Results
from scripts.attacks.table import OWN_SHARD, render
from scripts.attacks.undefended import Cast, Ground, prepare, train_undefended, with_own_shards
from scripts.processes import ending_on_signals

TRAINERS = 5
EPOCHS = 2
NAMES = (*AGAINST_TRAINING, OWN_SHARD)
PAGE = ROOT / "docs" / "attacks.md"
DATA = ROOT / "docs" / "attacks.json"
_GREATEST_LABEL = 9


def course_without(ground: Ground, cast: Cast, *, rounds: int) -> Course:
    """The run without any defence."""
    examiner = ground.examiner
    steps = list(train_undefended(ground, cast, rounds=rounds))
    scores = [examiner.score(step.theta) for step in steps]
    return Course(
        accuracy=tuple(score.accuracy for score in scores),
        by_class=scores[-1].by_class,
        fooled=scores[-1].fooled,
        roots=tuple(step.root.hex() for step in steps),
    )


def measure(ground: Ground, name: str, adversaries: int, *, rounds: int) -> Attack:
    """One adversary, without and with the defence; raises RuntimeError if the demo failed."""
    started_s = time.monotonic()
    if name == OWN_SHARD:
        own = with_own_shards(
            ground,
            adversaries,
            lambda rows: {**rows, "y": flipped(rows["y"], greatest=_GREATEST_LABEL)},
        )
        course = course_without(own, Cast(honest=TRAINERS), rounds=rounds)
        wall_s = time.monotonic() - started_s
        return Attack(
            name=name, adversaries=adversaries, without=course, defended=course, wall_s=wall_s
        )
    companion = COMPANIONS.get(name)
    honest = TRAINERS - adversaries - (0 if companion is None else 1)
    cast = Cast(honest=honest, adversary=name, adversaries=adversaries, companion=companion)
    without = course_without(ground, cast, rounds=rounds)
    defended, report = run_defended(
        name,
        adversaries=adversaries,
        trainers=TRAINERS,
        rounds=rounds,
        examiner=ground.examiner,
    )
    return Attack(
        name=name,
        adversaries=adversaries,
        without=without,
        defended=defended,
        verdict=verdict_of(report, without=without.roots, defended=defended.roots),
        wall_s=time.monotonic() - started_s,
    )


def problems_of(attack: Attack) -> list[str]:
    """What must not be, in words."""
    found = attack.verdict
    if found is None:
        return []
    problems = [] if found.held else ["a promise of the protocol was broken"]
    # What is refused or excluded in round 1 is the defence at work.
    if not found.same_rounds and attack.name in LEARNERS and found.merged == found.deeds:
        problems.append("the first model differs from that of the run without defence")
    return problems


def _former(rounds: int) -> Results | None:
    try:
        former = Results.load(DATA)
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return former if (former.rounds, former.trainers) == (rounds, TRAINERS) else None


def _write(results: Results) -> None:
    results.save(DATA)
    PAGE.write_text(render(results), encoding="utf-8")


def _merged(former: Iterable[Attack], new: Attack) -> tuple[Attack, ...]:
    return (*(one for one in former if one.key != new.key), new)


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="measure these; else all")
@click.option("--rounds", default=12, type=click.IntRange(4, 100), help="rounds of each run")
def main(only: tuple[str, ...], rounds: int) -> None:
    """Measure adversaries with one and two of five trainers, with the defence and without."""
    broken = []
    with ending_on_signals(), tempfile.TemporaryDirectory(prefix="commonweight-attacks-") as name:
        ground = prepare(Path(name), task="digits", shards=TRAINERS, epochs=EPOCHS)
        former = _former(rounds)
        if former is None:
            click.echo(f"{rounds} rounds without an adversary")
            baseline = course_without(ground, Cast(honest=TRAINERS), rounds=rounds)
            former = Results(rounds=rounds, trainers=TRAINERS, baseline=baseline, attacks=())
        results = former
        todo = [(one, count) for one in only or NAMES for count in (1, 2)]
        for place, (adversary, count) in enumerate(todo, start=1):
            try:
                attack = measure(ground, adversary, count, rounds=rounds)
            except RuntimeError as error:
                broken.append(f"{adversary} x {count}")
                click.echo(f"[{place}/{len(todo)}] {adversary} x {count}: {error}", err=True)
                continue
            attacks = _merged(results.attacks, attack)
            results = Results(
                rounds=rounds, trainers=TRAINERS, baseline=former.baseline, attacks=attacks
            )
            _write(results)
            said = "; ".join(problems_of(attack)) or "as promised"
            broken += [f"{adversary} x {count}"] if problems_of(attack) else []
            click.echo(
                f"[{place}/{len(todo)}] {adversary} x {count}: "
                f"accuracy {attack.defended.final:.3f} with the defence, "
                f"{attack.without.final:.3f} without; {said}; {attack.wall_s:.0f} s"
            )
    click.echo(f"{PAGE.relative_to(ROOT)} and {DATA.relative_to(ROOT)} written")
    if broken:
        click.echo(f"not as promised: {', '.join(broken)}", err=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
