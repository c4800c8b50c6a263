"""Auditors replay what they were drawn for, say what they found, and accuse what was not done."""

import pytest
from unit.network.trials.makers import (
    DISPUTE_S,
    NOW_S,
    OTHER_CLASS,
    STRANGER,
    TRAINERS,
    Court,
    Round,
    honest,
    trial,
)
from unit.trainer.courts import Courthouse

from network.trials.contract import Finding, TrialState
from network.trials.draws import Draws
from protocol.distance import Likeness
from protocol.errors import ContentUnavailable, InsufficientFunds
from protocol.rounds import trace_root
from trainer.auditor import Auditor, Judgement

GONE = ContentUnavailable(cid="a shard")


@pytest.fixture
def house(tmp_path):
    """Makes a courthouse for whoever audits seat 1, which lies; all are closed at the end."""
    made = []

    def make(rounds=None, *, court=None, about=1, **how):
        found = rounds or Round(liars=(1,)).propose()
        one = Courthouse(tmp_path / str(len(made)), found, court)
        who = Draws(one.beacon).auditors(found.fold, found.found)[about]
        one.close()
        one = Courthouse(tmp_path / str(len(made)), found, court, me=who)
        made.append(one)
        one.audits(**how)
        return one

    yield make
    for one in made:
        one.close()


def drawn(one):
    return Draws(one.beacon).drawn_for(one.made.fold, one.made.found, one.me)


def test_what_was_drawn_is_replayed_once_and_nothing_else(house):
    one = house()
    one.look()
    one.look(one.made.view(NOW_S + 5))
    assert sorted(one.replayer.calls) == [("replay", seat) for seat in drawn(one)]


def test_findings_are_signed_and_posted_in_one_batch(house):
    one = house()
    one.look()
    (posted,) = one.sent("post_findings")
    found = dict(posted[2:])
    assert [(seat, finding) for seat, finding, _ in found["findings"]] == [
        (seat, Finding.DIFFERENT if seat == 1 else Finding.SAME) for seat in drawn(one)
    ]
    assert found["inputs"] == one.made.found.input_preimages()
    assert found["block_header"].startswith(b"header")
    (message,) = [m for m in one.signer.signed if m["seat"] == 1][:1]
    assert message["updateRoot"] == "0x" + one.made.headers[1].update_root.hex()
    assert message["finding"] == Finding.DIFFERENT
    assert "posting_findings" in one.said


def test_an_update_that_was_not_trained_is_accused_with_the_own_trace(house):
    one = house()
    one.look()
    ((_, accusation),) = one.sent("accuse")
    states, root = honest(1)
    assert accusation.own_root == trace_root(states, root)
    assert (accusation.seat, accusation.place, accusation.segment) == (1, 1, 0)
    assert accusation.header == one.made.headers[1]
    (note,) = [note for note in one.casebook.notes() if note.accuses]
    assert note.own_trace == states, "journalled, or it could not answer"
    assert one.said.count("audited") == len(drawn(one))


def test_honest_work_is_not_accused(house):
    one = house(Round().propose())
    one.look()
    assert one.sent("accuse") == []
    assert all(note.finding is Finding.SAME for note in one.casebook.notes())


def test_after_a_restart_nothing_is_replayed_again_and_the_same_is_accused(house):
    one = house()
    one.look()
    again = one.restart()
    again.audits()
    again.look()
    assert again.replayer.calls == []
    assert again.sent("accuse") == one.sent("accuse")
    again.close()
    one.journal.__init__(one.folder / "journal.jsonl")
    one.casebook.__init__(one.folder / "casebook.jsonl")


def test_an_accusation_that_is_before_the_court_is_not_made_again(house):
    court = Court()
    one = house(court=court)
    court.begins(trial(one.made, accuser=one.me))
    one.look()
    assert one.sent("accuse") == []


def test_anothers_trial_is_enough_while_it_goes_on(house):
    court = Court()
    one = house(court=court)
    court.begins(trial(one.made, accuser=STRANGER))
    one.look()
    assert one.sent("accuse") == []
    court.ends(TrialState.ACQUITTED)
    one.look()
    assert len(one.sent("accuse")) == 1, "its accuser may have lost on purpose"


@pytest.mark.parametrize("state", [TrialState.REPLY, TrialState.VERDICT])
def test_a_trial_that_waits_for_its_accuser_or_its_end_covers_nothing(house, state):
    court = Court()
    one = house(court=court)
    court.begins(trial(one.made, accuser=STRANGER, state=state))
    one.look()
    assert len(one.sent("accuse")) == 1


def test_a_convicted_update_is_left_alone(house):
    one = house()
    one.made.story.tell(
        "UpdateConvicted", round=1, trainer=TRAINERS[1], beneficiary=STRANGER, slashedWei=1
    )
    one.look()
    assert one.sent("accuse") == []


@pytest.mark.parametrize(
    ("likeness", "finding"),
    [
        (Likeness.EQUAL, Finding.CLOSE),
        (Likeness.ALIKE, Finding.CLOSE),
        (Likeness.APART, Finding.DIFFERENT),
        (Likeness.UNDECIDED, Finding.NONE),
    ],
)
def test_of_another_class_the_distance_is_reported_and_nobody_accused(house, likeness, finding):
    one = house(Round(liars=(1,), classes={1: OTHER_CLASS}).propose())
    one.likeness = likeness
    one.look()
    assert one.sent("accuse") == []
    (note,) = [note for note in one.casebook.notes() if note.seat == 1]
    assert (note.finding, note.is_same_class) == (finding, False)
    posted = [seat for sent in one.sent("post_findings") for seat, *_ in dict(sent[2:])["findings"]]
    assert (1 in posted) == (finding is not Finding.NONE), "what says nothing is not posted"


def test_a_bond_that_is_not_covered_is_told_with_a_remedy(house):
    one = house()
    one.clerk.refuses["accuse"] = InsufficientFunds(account=one.me, balance_wei=1, needed_wei=2)
    one.look()
    (told,) = [values for name, values in one.told if name == "cannot_accuse"]
    assert told["remedy"] == f"send ether to {one.me}"


def test_a_shard_that_comes_late_only_delays(house):
    one = house()
    one.replayer.fails = [GONE, GONE]
    for _ in range(4):
        one.look()
        one.clock[0] += 60
    assert len(one.sent("accuse")) == 1


def test_what_cannot_be_replayed_is_told_and_keeps_back_nothing_else(house):
    one = house()
    one.replayer.fails = [GONE] * 200
    for _ in range(10):
        one.look()
        one.clock[0] += 60
    assert "audit_failed" in one.said
    assert not one.roles[0].is_busy


def test_nothing_is_audited_before_it_is_drawn(house):
    one = house()
    one.beacon.head = 0
    one.look()
    assert one.replayer.calls == []
    assert not one.watch.is_busy


def test_a_round_that_is_final_is_not_audited_any_more(house):
    one = house()
    one.made.story.tell("RoundFinalized", round=1, paidWei=0)
    one.look()
    assert one.replayer.calls == []


def test_an_auditor_is_busy_until_all_that_it_was_drawn_for_is_judged(house):
    one = house()
    one.watch.look(one.made.view())
    assert one.watch.is_busy
    one.look()
    assert not one.roles[0].is_busy


def test_what_is_posted_is_not_posted_again(house):
    court = Court()
    one = house(court=court)
    for seat in drawn(one):
        court.tell(
            "FindingPosted",
            run="0x" + "11" * 20,
            round=1,
            auditor=one.me,
            seat=seat,
            finding=1,
            paidWei=3,
        )
    one.look()
    assert one.sent("post_findings") == []


def test_late_findings_are_posted_though_some_are_missing(house):
    one = house()
    if len(drawn(one)) < 2:
        pytest.skip("one draw is never partly done")
    one.replayer.fails = [GONE]
    one.look()
    assert one.sent("post_findings") == []
    one.look(one.made.view(NOW_S + DISPUTE_S - 10))
    assert len(one.sent("post_findings")) == 1


class Accusing(Auditor):
    """Finds that everything differs."""

    def judge(self, replay, revealed):
        return Judgement(finding=Finding.DIFFERENT, is_same_class=True)


def test_a_liar_may_judge_otherwise(tmp_path):
    made = Round().propose()
    one = Courthouse(tmp_path, made)
    one.audits(Accusing)
    one.look()
    assert {accusation.seat for _, accusation in one.sent("accuse")} == set(drawn(one))
    one.close()
