"""A demo with an adversary, as `make demo` runs it: real processes, a chain, courts."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from protocol.codec import decode_model
from scripts.adversaries.catalogue import COMPANIONS
from scripts.attacks.results import Course, Verdict
from scripts.attacks.scoring import Examiner

ROOT = Path(__file__).parents[2]
_WEI = 10**18
_LONGEST_S = 900
_BONDS = ("lost trial", "lost dispute")


def run_defended(
    name: str, *, adversaries: int, trainers: int, rounds: int, examiner: Examiner
) -> tuple[Course, dict[str, Any]]:
    """The models of a demo, and what it reported; RuntimeError with its last lines if it failed.

    A promise that was broken is no failure here: the table is to show it.
    """
    companions = 1 if name in COMPANIONS else 0
    with tempfile.TemporaryDirectory(prefix="commonweight-attack-") as folder:
        report, model = Path(folder) / "report.json", Path(folder) / "model"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "scripts.demo", "--adversary", name),
                *("--adversaries", str(adversaries)),
                *("--trainers", str(trainers - adversaries - companions)),
                *("--rounds", str(rounds), "--accuracy", "0"),
                *("--json", str(report), "--model", str(model)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
        if not report.exists() or not model.exists():
            raise RuntimeError(f"the demo with {name} failed:\n{done.stdout[-3000:]}{done.stderr}")
        found = json.loads(report.read_text(encoding="utf-8"))
        spec = examiner.spec
        theta, _ = decode_model(
            model.read_bytes(), spec.layout.chunk_count, momentum=spec.merge.momentum
        )
    score = examiner.score(theta)
    course = Course(
        accuracy=tuple(row["accuracy"] for row in found["rounds"]),
        by_class=score.by_class,
        fooled=score.fooled,
        roots=tuple(row["model_root"].removeprefix("0x") for row in found["rounds"]),
    )
    return course, found


def verdict_of(
    found: dict[str, Any], *, without: Sequence[str], defended: Sequence[str]
) -> Verdict:
    """What the table says of a demo's report; the roots are those of both runs' models."""
    guilty = {one["name"] for one in found["parties"] if not one["honest"]}
    main = [one for one in found["deeds"] if one["who"] != "accomplice"]
    answered = [one for one in main if one["fate"] in _CAUGHT]
    pairs = zip(without, defended, strict=False)
    return Verdict(
        held=found["protocol_held"],
        fates=dict(Counter(one["fate"] for one in main)),
        first_rounds=min((one["rounds"] for one in answered), default=None),
        merged=sum(one["merged"] for one in main),
        deeds=len(main),
        last_deed=max((one["round"] for one in main), default=0),
        lost_stake_eth=_lost(found, guilty - {"accomplice"}, bonds=False),
        lost_bonds_eth=_lost(found, guilty - {"accomplice"}, bonds=True),
        honest_lost_eth=sum(int(one["lost_wei"]) for one in found["parties"] if one["honest"])
        / _WEI,
        same_rounds=len(list(takewhile(lambda pair: pair[0] == pair[1], pairs))),
    )


_CAUGHT = ("convicted", "excluded", "refused", "defeated", "fined")


def _lost(found: dict[str, Any], who: set[str], *, bonds: bool) -> float:
    wei = sum(
        int(one["paid_wei"]) + int(one["burned_wei"])
        for one in found["penalties"]
        if one["loser"] in who and (one["cause"] in _BONDS) is bonds
    )
    return wei / _WEI
