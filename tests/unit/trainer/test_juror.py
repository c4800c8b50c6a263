"""Jurors do the step again, seal what came out, and open the same; also after a restart."""

import pytest
from unit.network.trials.makers import (
    COURT,
    NOW_S,
    OTHER_CLASS,
    TRAINERS,
    Court,
    Round,
    false,
    honest,
    trial,
)
from unit.trainer.courts import Courthouse
from unit.trainer.makers import digest

from network.trials.contract import TrialState, seal_of
from protocol.errors import ContentUnavailable
from trainer.juror import JurorRole

ACCUSER, ACCUSED, JUROR, OTHER = TRAINERS
INDEX = 2


@pytest.fixture
def house(tmp_path):
    made = []

    def make(kind=JurorRole, *, me=JUROR, index=INDEX):
        one = Courthouse(tmp_path, Round(liars=(1,)).propose(), Court(), me=me)
        made.append(one)
        one.judges(kind)
        seat_jury(one, index)
        return one

    yield make
    for one in made:
        one.close()


def seat_jury(one, index=INDEX, *, level=0):
    court = one.court
    if level == 0:
        court.begins(trial(one.made))
        court.shows(false(1)[0])
        mine, theirs = (*honest(1)[0], honest(1)[1]), (*false(1)[0], false(1)[1])
        pad = (bytes(32),) * 3
        court.parts(index, mine[1], (*theirs, *pad)[index], (*mine, *pad)[index])
    court.seats({JUROR: 8, OTHER: 7}, level=level)


def opening(one, *, sealed=(JUROR, OTHER)):
    for juror in sealed:
        one.court.goes_on("VoteSealed", level=one.court.stored[1].level, juror=juror)
    one.court.goes_on("VotingStarted", changes={"state": TrialState.OPEN}, level=0, deadline=0)


def test_a_juror_does_the_step_and_seals_its_digest(house):
    one = house()
    one.look()
    assert one.replayer.calls == [("step", 1, INDEX)]
    ((_, number, level, vote, salt),) = one.sent("seal")
    assert (number, level, vote) == (1, 0, honest(1)[0][INDEX])
    assert one.casebook.find_ballot(COURT, 1, 0).salt == salt
    assert "juror_seated" in one.said
    assert one.watch.is_busy, "it has still to open"


def test_nothing_is_opened_before_the_phase_has_turned(house):
    one = house()
    one.look()
    one.court.goes_on("VoteSealed", level=0, juror=JUROR)
    one.look()
    assert one.sent("open") == []
    assert len(one.sent("seal")) == 1


def test_the_same_digest_and_salt_are_opened(house):
    one = house()
    one.look()
    opening(one)
    one.look()
    assert one.sent("open")[0][1:] == one.sent("seal")[0][1:]
    one.court.goes_on("VoteOpened", level=0, juror=JUROR, digest=honest(1)[0][INDEX], tickets=8)
    one.look()
    assert len(one.sent("open")) == 1
    assert {"vote_sealed", "vote_opened"} <= set(one.said)


def test_a_juror_killed_after_its_seal_opens_what_it_sealed(house):
    one = house()
    one.look()
    opening(one)
    again = one.restart()
    again.judges()
    again.look()
    assert again.sent("open")[0][1:] == one.sent("seal")[0][1:]
    assert again.replayer.calls == []
    again.close()
    one.journal.__init__(one.folder / "journal.jsonl")
    one.casebook.__init__(one.folder / "casebook.jsonl")


def test_a_ballot_that_was_written_before_a_kill_is_the_one_that_is_sealed(house):
    """It may be on chain already: another salt would spoil it."""
    one = house()
    ballot = one.casebook.vote(COURT, 1, 0, honest(1)[0][INDEX])
    one.look()
    assert one.sent("seal")[0][4] == ballot.salt
    assert one.replayer.calls == []


def test_who_did_not_seal_opens_nothing(house):
    one = house()
    opening(one, sealed=(OTHER,))
    one.look()
    assert one.acts == []


def test_the_update_itself_may_be_in_dispute(house):
    one = house(index=len(honest(1)[0]))
    one.look()
    assert one.sent("seal")[0][3] == honest(1)[1]


def test_behind_its_update_an_honest_trace_has_nothing(house):
    one = house(index=len(honest(1)[0]) + 1)
    one.look()
    assert one.sent("seal")[0][3] == bytes(32)


def test_a_juror_of_another_class_abstains_and_says_why(house):
    one = house()
    one.replayer.class_id = OTHER_CLASS
    one.look()
    assert one.acts == []
    assert "vote_abstained" in one.said
    assert not one.watch.is_busy


def test_who_was_not_drawn_does_nothing(house):
    one = house(me=ACCUSER)
    one.look()
    assert one.acts == []
    assert not one.watch.is_busy


def test_after_the_clock_nothing_is_sealed(house):
    one = house()
    one.look(one.made.view(NOW_S + 10_000))
    assert one.acts == []


def test_a_juror_votes_anew_in_the_second_jury(house):
    one = house()
    one.look()
    one.court.counts(TrialState.ACQUITTED)
    seat_jury(one, level=1)
    one.look()
    first, second = one.sent("seal")
    assert (first[2], second[2]) == (0, 1)
    assert first[3] == second[3]
    assert first[4] != second[4], "another salt"


def test_work_that_fails_is_told_and_tried_again(house):
    one = house()
    one.replayer.fails = [ContentUnavailable(cid="a shard")]
    one.look()
    assert "jury_work_failed" in one.said
    one.clock[0] += 60
    one.look()
    one.look()
    assert len(one.sent("seal")) == 1


class Liar(JurorRole):
    """Votes for the accused whatever it did."""

    def verdict(self, view, one):
        return one.trial.accused_digest


def test_a_liar_may_vote_otherwise(house):
    one = house(Liar)
    one.look()
    assert one.sent("seal")[0][3] == false(1)[0][INDEX]
    assert one.replayer.calls == []


def test_a_seal_hides_the_vote_and_binds_the_juror_to_trial_and_jury():
    """keccak256(abi.encode(id, level, juror, digest, salt))."""
    from eth_abi.abi import encode
    from eth_utils.crypto import keccak

    expected = keccak(
        encode(
            ["uint256", "uint8", "address", "bytes32", "bytes32"],
            [7, 1, JUROR, digest(1), digest(2)],
        )
    )
    assert seal_of(number=7, level=1, juror=JUROR, digest=digest(1), salt=digest(2)) == expected
