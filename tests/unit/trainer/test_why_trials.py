"""What audits and trials did to an account, in words."""

import pytest
from unit.network.trials.makers import RUN, STRANGER, TRAINERS, Court, Round, false, honest, trial

from network.trials.contract import TrialState
from trainer.why_trials import tell_trials

ACCUSER, ACCUSED, JUROR, SILENT = TRAINERS


@pytest.fixture
def fold():
    made, court = Round(liars=(1,)).propose(), Court()
    court.tell("FindingPosted", run=RUN, round=1, auditor=SILENT, seat=1, finding=1, paidWei=3)
    court.begins(trial(made))
    court.shows(false(1)[0])
    court.parts(2, honest(1)[0][1], false(1)[0][2], honest(1)[0][2])
    court.seats({JUROR: 8, SILENT: 7})
    court.goes_on("VoteOpened", level=0, juror=JUROR, digest=honest(1)[0][2], tickets=8)
    court.counts(TrialState.CONVICTED)
    court.ends(TrialState.CONVICTED, winner=ACCUSER)
    court.goes_on("JurorPaid", level=0, juror=JUROR, amountWei=5)
    court.goes_on("JurorFined", level=0, juror=SILENT)
    court.tell("AuditorFined", run=RUN, round=1, auditor=SILENT, seat=1)
    return court.fold


@pytest.mark.parametrize(
    ("who", "seat", "kinds"),
    [
        (ACCUSED, 1, ["was_audited", "accused"]),
        (ACCUSER, 0, ["accuser"]),
        (JUROR, 2, ["juror", "juror_paid"]),
        (SILENT, 3, ["audited", "auditor_fined", "juror", "juror_fined"]),
        (STRANGER, None, []),
    ],
)
def test_each_hears_what_concerns_it(fold, who, seat, kinds):
    assert [fact.kind for fact in tell_trials(fold, 1, who, seat)] == kinds


def test_the_accused_hears_where_and_how_it_ended(fold):
    texts = [fact.text for fact in tell_trials(fold, 1, ACCUSED, 1)]
    assert "disputed at trace index 2: convicted" in texts[1]
    assert ACCUSER in texts[1]


def test_another_round_says_nothing(fold):
    assert tell_trials(fold, 2, ACCUSED, 1) == ()
