"""What is overdue is done by somebody, once, and parties come before those who stand by."""

import pytest
from unit.network.trials.makers import (
    JURY_S,
    MOVE_S,
    NOW_S,
    STRANGER,
    TRAINERS,
    Beacon,
    Court,
    Round,
    Watched,
    false,
    honest,
    trial,
)

from network.remedies import REMEDIES
from network.trials.contract import TrialState
from network.trials.usher import Usher

ACCUSER, ACCUSED, JUROR, OTHER = TRAINERS
LATE_S = NOW_S + 4 * MOVE_S + 1


@pytest.fixture
def made():
    return Round(liars=(1,)).propose()


def ushered(made, court, *, me=STRANGER, rank=0, beacon=None):
    watched = Watched(made, court, me=me, rank=rank)
    watched.roles.append(Usher(watched.bench, beacon or Beacon()))
    return watched


def begun(made):
    court = Court()
    court.begins(trial(made))
    return court


def parted(made, **changes):
    court = begun(made)
    states, _ = honest(1)
    court.shows(false(1)[0])
    court.parts(2, states[1], false(1)[0][2], states[2], **changes)
    return court


@pytest.mark.parametrize("state", [TrialState.DEFENCE, TrialState.REPLY, TrialState.VERDICT])
def test_a_trial_whose_clock_ran_out_goes_on_once(made, state):
    court = Court()
    court.begins(trial(made, state=state))
    watched = ushered(made, court)
    watched.look()
    assert watched.acts == []
    watched.look(made.view(LATE_S))
    watched.look(made.view(LATE_S + 5))
    assert watched.acts == ["advance"]
    watched.close()


def test_those_who_stand_by_come_after_the_parties(made):
    party, stranger = (ushered(made, begun(made), me=me, rank=16) for me in (ACCUSER, STRANGER))
    for watched in (party, stranger):
        watched.look(made.view(LATE_S))
    assert (party.acts, stranger.acts) == (["advance"], [])
    assert any(moment > LATE_S for moment in stranger.watch.wake_at_s())
    stranger.look(made.view(LATE_S + MOVE_S))
    assert stranger.acts == ["advance"]
    party.close()
    stranger.close()


def test_a_trial_whose_round_was_voided_is_ended_at_once(made):
    court = begun(made)
    made.story.tell("RoundVoided", round=1)
    watched = ushered(made, court)
    watched.clerk.gone = True
    watched.look()
    assert watched.acts == ["advance"]
    watched.close()


def test_a_jury_is_seated_as_soon_as_its_block_is_there(made):
    court = parted(made, block=50)
    beacon = Beacon(head=49)
    watched = ushered(made, court, beacon=beacon)
    watched.look()
    assert watched.acts == []
    beacon.head = 50
    watched.look()
    ((act, number, stored, *named),) = watched.clerk.sent
    given = dict(named)
    assert (act, number, stored) == ("seat_jury", 1, court.stored[1])
    assert given["block_header"] == b"header 50"
    assert given["inputs"] == made.found.input_preimages()
    assert given["headers"] == made.headers
    watched.close()


def test_a_predictable_beacon_needs_no_block(made):
    watched = ushered(made, parted(made, block=500), beacon=Beacon(predictable=True))
    watched.look()
    assert watched.acts == ["seat_jury"]
    watched.close()


@pytest.mark.parametrize("head", [50 + 8_192, 60])
def test_a_forgotten_block_is_drawn_anew(made, head):
    """By its age, or since the chain says so."""
    watched = ushered(made, parted(made, block=50), beacon=Beacon(head=head))
    if head == 60:
        kind = REMEDIES["BlockNotKnown"]
        watched.clerk.refuses["seat_jury"] = kind(error_name="BlockNotKnown", error_args=(50,))
    watched.look()
    assert watched.acts == ["redraw"]
    watched.close()


def voted(made, *, ended=TrialState.CONVICTED, votes=(JUROR,)):
    court = parted(made)
    right = court.stored[1].accuser_digest
    court.seats(dict.fromkeys((JUROR, OTHER), 7))
    for juror in votes:
        court.goes_on("VoteOpened", level=0, juror=juror, digest=right, tickets=7)
    court.counts(ended)
    court.ends(ended, winner=ACCUSER)
    return court


def test_a_juror_asks_for_its_pay_and_is_busy_until_then(made):
    watched = ushered(made, voted(made), me=JUROR)
    watched.watch.look(made.view())
    assert watched.watch.is_busy
    watched.look()
    assert ("pay_juror", 1, 0, JUROR) in watched.clerk.sent
    assert not watched.watch.is_busy
    watched.close()


def test_jurors_who_were_paid_ask_for_nothing(made):
    court = voted(made)
    court.goes_on("JurorPaid", level=0, juror=JUROR, amountWei=5)
    court.goes_on("JurorFined", level=0, juror=OTHER)
    watched = ushered(made, court, me=JUROR)
    watched.look()
    assert watched.acts == []
    assert {"paid", "fined", "trial_ended", "jury_seated"} <= set(watched.said)
    watched.close()


def test_a_silent_juror_is_fined_by_others_in_their_turn(made):
    watched = ushered(made, voted(made), rank=3)
    watched.look()
    assert watched.acts == []
    watched.look(made.view(NOW_S + JURY_S))
    watched.look(made.view(NOW_S + 2 * JURY_S))
    assert watched.clerk.sent == [("fine_juror", 1, 0, OTHER)]
    watched.close()


def test_nobody_fines_itself(made):
    watched = ushered(made, voted(made), me=OTHER)
    watched.look()
    assert watched.acts == []
    watched.close()


def test_in_a_hung_trial_all_who_voted_are_paid_and_nobody_is_fined(made):
    watched = ushered(made, voted(made, ended=TrialState.HUNG), me=JUROR)
    watched.look()
    assert watched.acts == ["pay_juror"]
    watched.close()


def test_an_auditor_who_found_the_same_what_a_jury_convicted_is_fined(made):
    court = voted(made, votes=(JUROR, OTHER))
    court.tell(
        "FindingPosted", run="0x" + "11" * 20, round=1, auditor=OTHER, seat=1, finding=1, paidWei=3
    )
    watched = ushered(made, court)
    watched.look()
    assert watched.clerk.sent == [("fine_auditor", 1)]
    watched.close()


def test_what_cannot_be_fined_is_given_up(made):
    watched = ushered(made, voted(made))
    kind = REMEDIES["NotSeated"]
    watched.clerk.refuses["fine_juror"] = kind(error_name="NotSeated", error_args=(3, OTHER))
    for _ in range(12):
        watched.look()
        watched.clock[0] += 60
    assert watched.bench.desk._jobs == {}
    watched.close()
