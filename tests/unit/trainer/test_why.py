"""Each way to earn something or nothing has its reason and its advice."""

import pytest
from unit.trainer.makers import ME, OTHER, Story, digest

from trainer.why import Reason, explain


def both_committed(story: Story) -> Story:
    return story.enrolled().opened().committed(ME, 0).committed(OTHER, 1).phase(2)


def both_revealed(story: Story) -> Story:
    return both_committed(story).revealed(ME, 0).revealed(OTHER, 1).phase(3)


def final(story: Story) -> Story:
    both_revealed(story).frozen(included=0b11, available=0b11).phase(4).proposed()
    story.tell("RewardCredited", round=1, trainer=ME, amountWei=32768)
    return story.tell("RoundFinalized", round=1, paidWei=32768)


STORIES = {
    "unknown": (lambda s: s.enrolled(), Reason.UNKNOWN_ROUND),
    "no seat": (
        lambda s: s.tell("Enrolled", trainer=OTHER, seat=1, stakeGwei=10).opened(roster=0b10),
        Reason.NOT_IN_ROSTER,
    ),
    "late seat": (lambda s: s.opened(roster=0b10).enrolled(), Reason.NOT_IN_ROSTER),
    "still committing": (lambda s: s.enrolled().opened(), Reason.ROUND_OPEN),
    "absent": (
        lambda s: s.enrolled().opened().committed(OTHER, 1).phase(2),
        Reason.ABSENT,
    ),
    "dissented": (
        lambda s: (
            s.enrolled()
            .opened()
            .tell("Dissented", round=1, trainer=ME, seat=0, parentRoot=digest(8))
        ),
        Reason.DISSENTED,
    ),
    "may still reveal": (both_committed, Reason.ROUND_OPEN),
    "not revealed": (
        lambda s: (
            both_committed(s)
            .revealed(OTHER, 1)
            .phase(3)
            .tell("FeeCharged", round=1, trainer=ME, feeGwei=7, absent=False)
        ),
        Reason.NOT_REVEALED,
    ),
    "audit runs": (both_revealed, Reason.ROUND_OPEN),
    "unavailable": (
        lambda s: both_revealed(s).frozen(included=0b10, available=0b10),
        Reason.UNAVAILABLE,
    ),
    "excluded": (
        lambda s: (
            both_revealed(s)
            .tell("UpdateConvicted", round=1, trainer=ME, beneficiary=OTHER, slashedWei=1)
            .frozen(included=0b10, available=0b11)
        ),
        Reason.CONVICTED,
    ),
    "frozen": (
        lambda s: both_revealed(s).frozen(included=0b11, available=0b11),
        Reason.NOT_FINAL,
    ),
    "harmful": (
        lambda s: (
            both_revealed(s)
            .frozen(included=0b11, available=0b11)
            .tell("UpdatesUnpaid", round=1, seats=0b01)
        ),
        Reason.HARMFUL,
    ),
    "another's is harmful": (
        lambda s: (
            both_revealed(s)
            .frozen(included=0b11, available=0b11)
            .tell("UpdatesUnpaid", round=1, seats=0b10)
        ),
        Reason.NOT_FINAL,
    ),
    "failed": (
        lambda s: both_committed(s).tell("RoundFailed", round=1, reason=1),
        Reason.ROUND_FAILED,
    ),
    "paid": (final, Reason.PAID),
}


@pytest.mark.parametrize("name", STORIES)
def test_each_outcome_has_its_reason(name):
    tell, reason = STORIES[name]
    story = Story()
    tell(story)
    said = explain(story.fold, 1, ME)
    assert said.reason is reason
    assert said.explanation
    assert said.advice


def test_pay_comes_with_its_weight():
    """What was earned is what the rule says: half of 65536 wei."""
    story = Story()
    final(story)
    said = explain(story.fold, 1, ME)
    assert (said.earned_wei, said.expected_wei, said.weight) == (32768, 32768, 32768)


def test_a_harmful_update_is_owed_nothing():
    story = Story()
    final(story)
    story.tell("UpdatesUnpaid", round=1, seats=0b01)
    said = explain(story.fold, 1, ME)
    assert (said.reason, said.expected_wei) == (Reason.HARMFUL, 0)


def test_fees_are_named():
    story = Story()
    STORIES["not revealed"][0](story)
    assert explain(story.fold, 1, ME).fees_gwei == 7


def test_a_failed_round_says_why_it_failed():
    story = Story()
    STORIES["failed"][0](story)
    assert "too few reveals" in explain(story.fold, 1, ME).explanation
