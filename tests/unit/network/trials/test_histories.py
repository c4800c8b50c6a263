"""What the court's events add up to, for one run; and what a watch makes of them."""

import pytest
from unit.network.trials.makers import (
    COURT,
    RUN,
    STRANGER,
    TRAINERS,
    Court,
    Round,
    Watched,
    false,
    honest,
    trial,
)

from network.trials.contract import Finding, TrialState
from protocol.errors import RpcUnavailable

OTHER_RUN = "0x" + "77" * 20


def test_other_runs_trials_and_findings_are_not_kept():
    made, court = Round(), Court()
    court.begins(trial(made, run=OTHER_RUN))
    court.tell(
        "FindingPosted", run=OTHER_RUN, round=1, auditor=STRANGER, seat=1, finding=1, paidWei=1
    )
    court.tell("AuditorFined", run=OTHER_RUN, round=1, auditor=STRANGER, seat=1)
    court.tell("TrialEnded", id=1, state=7, winner=STRANGER)
    assert (court.fold.trials, court.fold.findings, court.fold.fined_auditors) == ({}, {}, {})


def test_a_trial_is_followed_from_its_accusation_to_its_end():
    made, court = Round(liars=(1,)), Court()
    court.begins(trial(made))
    court.shows(false(1)[0])
    court.parts(2, honest(1)[0][1], false(1)[0][2], honest(1)[0][2])
    court.seats({TRAINERS[2]: 8, TRAINERS[3]: 7})
    court.counts(TrialState.ACQUITTED)
    court.goes_on("Appealed", appellant=TRAINERS[0], drawBlock=9)
    court.seats({TRAINERS[2]: 63}, level=1)
    (one,) = court.fold.open
    assert (one.accused, one.accuser, one.shown) == (TRAINERS[1], TRAINERS[0], false(1)[0])
    assert (one.index, one.before) == (2, honest(1)[0][1])
    assert one.juries[0].verdict is TrialState.ACQUITTED
    assert one.jury.tickets == {TRAINERS[2]: 63}
    assert one.appellant == TRAINERS[0]
    court.ends(TrialState.CONVICTED, winner=TRAINERS[0])
    assert court.fold.open == ()
    assert court.fold.ended == (one,)
    assert court.fold.trials_of(1, 1) == (one,)
    assert court.fold.trials_of(1, 2) == ()


def test_a_finding_is_kept_by_round_and_seat():
    court = Court()
    court.tell("FindingPosted", run=RUN, round=1, auditor=STRANGER, seat=2, finding=3, paidWei=4)
    posted = court.fold.findings[(1, 2)]
    assert (posted.auditor, posted.finding, posted.paid_wei) == (STRANGER, Finding.DIFFERENT, 4)


def test_trials_that_ended_long_ago_are_forgotten():
    court = Court()
    court.begins(trial(Round()))
    court.ends(TrialState.MOOT)
    assert court.fold.forget(2) == set()
    assert court.fold.forget(3) == {1}
    assert court.fold.trials == {}


def test_the_court_is_read_once_after_each_of_its_events():
    made, court = Round().propose(), Court()
    court.begins(trial(made))
    watched = Watched(made, court, me=STRANGER)
    watched.look()
    watched.look()
    assert court.reads == 1
    court.shows(honest(1)[0])
    watched.look()
    assert court.reads == 2
    watched.close()


class Failing:
    """A role that has a problem."""

    is_busy = False

    def __init__(self) -> None:
        self.looks = 0

    def look(self, view, docket) -> None:
        self.looks += 1
        raise RpcUnavailable(url="node", reason="down")


def test_a_role_that_fails_keeps_no_other_from_its_duty():
    made, court = Round().propose(), Court()
    watched = Watched(made, court)
    first, second = Failing(), Failing()
    watched.roles += [first, second]
    with pytest.raises(RpcUnavailable):
        watched.watch.look(made.view())
    assert (first.looks, second.looks) == (1, 1)
    watched.close()


def test_what_happens_is_told_once():
    made, court = Round().propose(), Court()
    court.begins(trial(made))
    watched = Watched(made, court, me=STRANGER)
    watched.look()
    watched.look()
    assert watched.said.count("accused") == 1
    assert dict(watched.told)["accused"]["by"] == TRAINERS[0]
    assert watched.clerk.court.address == COURT
    watched.close()


def test_the_loop_is_woken_when_a_clock_runs_out():
    made, court = Round().propose(), Court()
    stored = court.begins(trial(made))
    watched = Watched(made, court, me=STRANGER)
    watched.look()
    assert stored.deadline_s + 1 in watched.watch.wake_at_s()
    watched.close()
