"""Whoever holds a key audits what it chooses, posts nothing, and accuses only if it was told to."""

import pytest
from unit.network.trials.makers import STRANGER, Court, Round
from unit.trainer.courts import Courthouse

from trainer.auditing import AuditPlan, AuditTable, FreeAuditor


@pytest.fixture
def house(tmp_path):
    made = []

    def make(rounds=None, **plan):
        one = Courthouse(tmp_path, rounds or Round(liars=(1,)).propose(), Court(), me=STRANGER)
        made.append(one)

        def kind(**parts):
            return FreeAuditor(AuditPlan(**plan), **parts)

        one.auditor = one.audits(kind)
        return one

    yield make
    for one in made:
        one.close()


def replayed(one):
    return sorted(seat for _, seat in one.replayer.calls)


def test_all_updates_are_replayed_and_nothing_is_sent(house):
    one = house()
    one.look()
    assert replayed(one) == [0, 1, 2, 3]
    assert one.acts == []
    assert one.auditor.differs
    assert not one.watch.is_busy


def test_where_all_is_as_it_should_be_nothing_differs(house):
    one = house(Round().propose())
    one.look()
    assert not one.auditor.differs
    assert len(one.auditor.findings) == 4


def test_told_to_accuse_it_accuses_what_its_class_proves(house):
    one = house(accuse=True)
    one.look()
    assert [accusation.seat for _, accusation in one.sent("accuse")] == [1]
    assert one.sent("post_findings") == []


def test_what_is_final_is_replayed_and_not_accused(house):
    one = house(accuse=True)
    one.made.story.tell("RoundFinalized", round=1, paidWei=0)
    one.look()
    assert replayed(one) == [0, 1, 2, 3]
    assert one.acts == []
    assert one.auditor.differs


def test_another_round_is_left_alone(house):
    one = house(round_id=2)
    one.look()
    assert replayed(one) == []


def test_no_share_is_nothing_and_a_choice_stands(house):
    assert replayed(_looked(house(rate=0.0))) == []


def test_half_of_the_updates_stay_the_same_half(house):
    one = house(rate=0.5)
    one.look()
    first = replayed(one)
    one.look()
    assert replayed(one) == first


def _looked(one):
    one.look()
    return one


def test_the_table_has_a_line_an_update():
    lines = []
    table = AuditTable(lines.append)
    table(
        "audited",
        round=3,
        seat=2,
        trainer=STRANGER,
        finding="different",
        same_class=True,
        note="",
        predictable=True,
    )
    table("trial_ended", trial=1, state="convicted")
    assert lines[0].split() == [
        *("round", "3", "seat", "2", "own", "class", "different"),
        *("(draws", "are", "predictable)"),
    ]
    assert lines[1] == "trial ended: trial=1  state=convicted"
