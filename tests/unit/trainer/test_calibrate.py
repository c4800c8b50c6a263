"""The tolerance follows from measurements by the rule that the report states."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from protocol.distance import TOLERANCE, Distance, Tolerance
from protocol.errors import InvalidSetting
from trainer import calibrate as module
from trainer.calibrate import Row, calibrate, choose_tolerance, find_gaps
from trainer.calibration_report import write_report
from trainer.cli import main
from trainer.errors import CalibrationFailed

PAGE = Path(__file__).resolve().parents[3] / "docs" / "calibration.md"


def _row(work, steps, l2, *, parent="genesis", faint=False):
    far = Distance(differing=l2 / 2, greatest_step=1, exponents=0, relative_l2=l2)
    return Row(
        work=work, honest=work == "avx2", faint=faint, parent=parent, steps=steps, distance=far
    )


SHORT = [
    *(_row("avx2", 1, 0.0), _row("avx2", 1, 0.001, parent="trained"), _row("half", 1, 0.9)),
    _row("flipped-one", 1, 0.0, faint=True),
]
MIDDLE = [
    *(_row("avx2", 8, 0.01), _row("half", 8, 0.4), _row("half", 8, 1.4, parent="trained")),
    _row("flipped-one", 8, 0.0, faint=True),
]
LONG = [_row("avx2", 64, 0.2), _row("half", 64, 0.3), _row("flipped-one", 64, 0.0, faint=True)]
ROWS = SHORT + MIDDLE + LONG


def test_a_gap_is_from_the_farthest_honest_to_the_nearest_dishonest_work():
    gaps = find_gaps(ROWS)

    assert [gap.steps for gap in gaps] == [1, 8, 64]
    assert [gap.width for gap in gaps] == [pytest.approx(w) for w in (900, 40, 1.5)]


def test_the_tolerance_is_the_middle_up_to_where_the_gaps_are_wide():
    assert choose_tolerance(find_gaps(ROWS)) == Tolerance(
        steps=8, differing=0.032, relative_l2=0.063
    )


def test_a_wide_gap_behind_a_narrow_one_does_not_count():
    rows = [*(_row("avx2", 1, 0.1), _row("half", 1, 0.2)), *MIDDLE]

    assert choose_tolerance(find_gaps(rows)) is None


def test_equal_honest_work_leaves_a_tolerance_below_dishonest_work():
    rows = [_row("avx2", 1, 0.0), _row("half", 1, 0.8)]

    assert choose_tolerance(find_gaps(rows)).relative_l2 == 0.05


def test_the_report_tells_rule_tolerance_and_limit():
    page = write_report(ROWS, task="digits", against=["avx2"])

    assert "up to 8 steps, relative L2 at most 0.063, at most 3.2 % of the elements" in page
    assert "undecided" in page
    assert "| honest, `avx2` | 1.0e-03" in page
    assert page == write_report(ROWS, task="digits", against=["avx2"])
    assert "there is no tolerance" in write_report(LONG, task="digits", against=["avx2"])


def test_the_published_page_says_what_the_code_applies():
    said = (
        f"Tolerance: up to {TOLERANCE.steps} steps, relative L2 at most "
        f"{TOLERANCE.relative_l2:g}, at most {100 * TOLERANCE.differing:g} % of the elements"
    )

    assert said in PAGE.read_text(encoding="utf-8")


def test_an_unknown_configuration_is_named():
    with pytest.raises(InvalidSetting, match="abacus"):
        calibrate(task="digits", device="cpu", against=["abacus"])


def test_a_configuration_that_can_not_work_is_named_with_its_last_words():
    with pytest.raises(CalibrationFailed, match=r"reference.*telepathy"):
        calibrate(task="telepathy", device="cpu", against=[])


def test_the_command_writes_the_page_and_says_the_tolerance(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "calibrate", lambda **_: ROWS)
    page = tmp_path / "page.md"

    result = CliRunner().invoke(main, ["--json", "calibrate", "--output", str(page)])

    assert json.loads(result.stdout)["relative_l2"] == 0.063
    assert page.read_text().startswith("# Calibration")
    refused = CliRunner().invoke(main, ["--json", "calibrate", "--output", str(page / "below")])
    assert (refused.exit_code, json.loads(refused.stdout)["error"]) == (1, "InvalidSetting")


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_two_threads_are_alike_for_short_work():
    gaps = find_gaps(calibrate(task="digits", device="cpu", against=["threads-2"]))

    assert gaps[0].width > module.LEAST_GAP
