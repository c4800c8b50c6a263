"""The accused shows its trace, the accuser answers, and who is right appeals; restarts and all."""

import pytest
from unit.network.trials.makers import (
    MOVE_S,
    NOW_S,
    RUN,
    SEED,
    STRANGER,
    TRAINERS,
    Court,
    Round,
    false,
    honest,
    trial,
)
from unit.trainer.courts import Courthouse
from unit.trainer.makers import digest

from network.trials.contract import Finding, TrialState
from protocol.errors import InsufficientFunds
from protocol.types import Attempt, RoundId, Seat
from trainer.casebook import AuditNote
from trainer.journal import Entry, Key, key_of

ACCUSER, ACCUSED = TRAINERS[0], TRAINERS[1]


@pytest.fixture
def house(tmp_path):
    made = []

    def make(me, rounds=None, *, folder="node"):
        one = Courthouse(tmp_path / folder, rounds or Round().propose(), Court(), me=me)
        made.append(one)
        one.is_party()
        return one

    yield make
    for one in made:
        one.close()


def bind(one, *, seat=1, trace=None):
    """What the node journalled when it trained."""
    found = one.made.found
    one.journal.bind(
        Entry(
            key=key_of(RUN, found),
            seat=Seat(seat),
            parent_root=found.parent_root,
            commitment=digest(9),
            header=one.made.headers[seat],
            salt=digest(8),
            trace=honest(seat)[0] if trace is None else trace,
        )
    )


def note(one, *, work=None, seat=1):
    """What the node journalled when it accused."""
    states, root = work or honest(seat)
    found = one.made.found
    return one.casebook.keep(
        AuditNote(
            key=key_of(RUN, found),
            seat=Seat(seat),
            update_root=one.made.headers[seat].update_root,
            trace_root=one.made.headers[seat].trace_root,
            class_id=one.made.headers[seat].class_id,
            finding=Finding.DIFFERENT,
            is_same_class=True,
            own_update_root=root,
            own_trace=states,
        )
    )


# --- the accused


def test_the_accused_shows_what_it_journalled(house):
    one = house(ACCUSED)
    bind(one)
    stored = one.court.begins(trial(one.made))
    one.look()
    assert one.clerk.sent == [("show_trace", 1, stored, honest(1)[0])]
    assert "defending" in one.said
    assert one.replayer.calls == []
    assert one.watch.is_busy, "a trial of its own goes on"


def test_after_a_restart_it_shows_the_same(house):
    one = house(ACCUSED)
    bind(one)
    one.court.begins(trial(one.made))
    again = one.restart()
    again.is_party()
    again.look()
    assert again.sent("show_trace")[0][3] == honest(1)[0]
    again.close()
    one.journal.__init__(one.folder / "journal.jsonl")
    one.casebook.__init__(one.folder / "casebook.jsonl")


def test_a_journal_without_the_trace_is_made_up_for_by_the_work_done_again(house):
    one = house(ACCUSED)
    bind(one, trace=())
    one.court.begins(trial(one.made))
    one.look()
    assert one.replayer.calls == [("replay", 1)]
    assert one.sent("show_trace")[0][3] == honest(1)[0]


def test_a_liar_without_a_trace_can_show_nothing_and_is_told_so(house):
    one = house(ACCUSED, Round(liars=(1,)).propose())
    one.court.begins(trial(one.made))
    one.look()
    assert one.acts == []
    assert "cannot_defend" in one.said


def test_after_its_clock_nothing_is_shown(house):
    one = house(ACCUSED)
    bind(one)
    one.court.begins(trial(one.made))
    one.look(one.made.view(NOW_S + 4 * MOVE_S + 1))
    assert one.acts == []


def test_a_bond_that_the_accused_cannot_pay_is_told_with_a_remedy(house):
    one = house(ACCUSED)
    bind(one)
    one.court.begins(trial(one.made))
    broke = InsufficientFunds(account=ACCUSED, balance_wei=1, needed_wei=2)
    one.clerk.refuses["show_trace"] = broke
    one.look()
    ((_, values),) = [told for told in one.told if told[0] == "cannot_defend"]
    assert values["remedy"] == broke.remedy


def test_nobody_else_defends_or_answers(house):
    one = house(STRANGER)
    one.court.begins(trial(one.made))
    one.look()
    one.court.shows(honest(1)[0])
    one.look()
    assert one.acts == []
    assert not one.watch.is_busy


# --- the accuser


def test_the_accuser_answers_with_the_trace_that_it_committed_to(house):
    one = house(ACCUSER, Round(liars=(1,)).propose())
    note(one)
    one.court.begins(trial(one.made))
    shown = false(1)[0]
    stored = one.court.shows(shown)
    one.look()
    ((_, number, given, *named),) = one.sent("answer_trace")
    assert (number, given) == (1, stored)
    assert dict(named) == {
        "accused": shown,
        "own": honest(1)[0],
        "own_update_root": honest(1)[1],
    }


def test_an_accuser_without_its_casebook_is_told_what_it_needs(house):
    one = house(ACCUSER, Round(liars=(1,)).propose())
    one.court.begins(trial(one.made))
    one.court.shows(false(1)[0])
    one.look()
    assert one.acts == []
    assert "cannot_answer" in one.said


# --- appeals


def judged(one, verdict, *, accused=None, accuser=None, level=0):
    court = one.court
    court.begins(trial(one.made))
    states = honest(1)[0]
    court.shows(states)
    court.parts(2, states[1], accused or states[2], accuser or false(1)[0][2])
    court.seats({TRAINERS[2]: 15}, level=level)
    court.counts(verdict, level=level)


def test_an_honest_accused_appeals_after_it_did_the_step_again(house):
    one = house(ACCUSED)
    judged(one, TrialState.CONVICTED)
    one.look()
    assert one.replayer.calls == [("step", 1, 2)]
    assert one.acts == ["appeal"]


def test_an_honest_accuser_appeals(house):
    one = house(ACCUSER, Round(liars=(1,)).propose())
    judged(one, TrialState.ACQUITTED, accused=false(1)[0][2], accuser=honest(1)[0][2])
    one.look()
    assert one.acts == ["appeal"]


@pytest.mark.parametrize(
    ("me", "verdict"),
    [
        (ACCUSED, TrialState.ACQUITTED),
        (ACCUSER, TrialState.CONVICTED),
        (ACCUSED, TrialState.HUNG),
        (STRANGER, TrialState.CONVICTED),
    ],
)
def test_whoever_did_not_lose_appeals_nothing(house, me, verdict):
    one = house(me)
    judged(one, verdict)
    one.look()
    assert one.acts == []


def test_whose_step_comes_out_otherwise_now_pays_for_no_appeal(house):
    one = house(ACCUSED)
    one.replayer.works[1] = false(1)
    judged(one, TrialState.CONVICTED)
    one.look()
    assert one.acts == []
    assert "own_work_differs" in one.said


def test_there_is_one_appeal(house):
    one = house(ACCUSED)
    judged(one, TrialState.CONVICTED, level=1)
    one.look()
    assert one.acts == []


def test_a_party_that_cannot_pay_for_an_appeal_says_so(house):
    one = house(ACCUSED)
    broke = InsufficientFunds(account=ACCUSED, balance_wei=1, needed_wei=2)
    one.clerk.refuses["appeal"] = broke
    judged(one, TrialState.CONVICTED)
    one.look()
    assert "cannot_appeal" in one.said


def test_a_key_names_an_opening_of_a_round(house):
    """Traces of a voided attempt are never shown for another."""
    made = Round()
    key = key_of(RUN, made.found)
    made.open(attempt=2, seed=digest(5))
    assert key != key_of(RUN, made.found)
    assert key == Key(
        run=RUN, round_id=RoundId(1), attempt=Attempt(1), opening=key_of(RUN, Round().found).opening
    )
    assert made.found.seed != SEED
