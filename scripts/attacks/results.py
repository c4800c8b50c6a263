"""What was measured of each adversary, kept beside the table so that one can be measured again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAST_ROUNDS = 4
"""Over how many rounds the worst model is named: where labels are flipped, accuracy swings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a run's model did: accuracy after each round, and shares of the final model."""

    accuracy: tuple[float, ...]
    by_class: tuple[float, ...]
    fooled: float
    roots: tuple[str, ...]

    @property
    def final(self) -> float:
        """The last model's accuracy."""
        return self.accuracy[-1]

    @property
    def worst(self) -> float:
        """The least of the last rounds."""
        return min(self.accuracy[-LAST_ROUNDS:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run with courts made of the adversaries; deeds are counted by their fate.

    `first_rounds` is how many rounds passed between the first deed and its answer, `merged` how
    many updates moved the model, `same_rounds` how many first models are bit for bit those of the
    run without defence.
    """

    held: bool
    fates: dict[str, int]
    first_rounds: int | None
    merged: int
    deeds: int
    last_deed: int
    lost_stake_eth: float
    lost_bonds_eth: float
    honest_lost_eth: float
    same_rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One adversary, so many of five trainers, with the defence and without.

    Without a verdict nothing of the defence applies, and both courses are one.
    """

    name: str
    adversaries: int
    without: Course
    defended: Course
    verdict: Verdict | None = None
    wall_s: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from the others."""
        return (self.name, self.adversaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that the table shows."""

    rounds: int
    trainers: int
    baseline: Course
    attacks: tuple[Attack, ...]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read what `save` wrote; raises OSError, KeyError, TypeError and ValueError."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            rounds=found["rounds"],
            trainers=found["trainers"],
            baseline=_course(found["baseline"]),
            attacks=tuple(_attack(one) for one in found["attacks"]),
        )


def _course(found: dict[str, Any]) -> Course:
    return Course(
        accuracy=tuple(found["accuracy"]),
        by_class=tuple(found["by_class"]),
        fooled=found["fooled"],
        roots=tuple(found["roots"]),
    )


def _attack(found: dict[str, Any]) -> Attack:
    verdict = found["verdict"]
    return Attack(
        name=found["name"],
        adversaries=found["adversaries"],
        without=_course(found["without"]),
        defended=_course(found["defended"]),
        verdict=None if verdict is None else Verdict(**verdict),
        wall_s=found["wall_s"],
    )
