"""What trials cost whom, and what became of accusations and of votes that never came."""

from types import SimpleNamespace

import pytest
from unit.scripts.stories import ETH, LIAR, OTHER, PROVER, Story

from network.run import ZERO_ADDRESS
from network.trials.contract import Finding, TrialState
from scripts.deeds import (
    Fate,
    accusation_deeds,
    dated,
    excused,
    silence_deeds,
    update_deeds,
)
from scripts.judgement import audit_pay, excuses
from scripts.penalties import Cause, penalties
from scripts.verdicts import Conduct, judge_deeds

BOND = ETH // 20
TICKET = BOND // 100


@pytest.fixture
def story():
    return Story()


def trial(*, accuser=PROVER, defender=LIAR, level=0, verdict=TrialState.CONVICTED, unpaid=0):
    """What the court stores of an ended trial, as far as money goes."""
    return SimpleNamespace(
        round_id=1,
        level=level,
        verdict=verdict,
        accuser=accuser,
        accuser_bond_wei=BOND,
        defender=defender,
        defender_bond_wei=BOND if defender != ZERO_ADDRESS else 0,
        appellant=LIAR if level else ZERO_ADDRESS,
        appeal_bond_wei=2 * BOND if level else 0,
        jurors_wei=unpaid,
    )


def convicted_by_trial(story, number=1, round_id=1):
    """As the courts tell it: the trial ends, the update is convicted, its trainer is slashed."""
    end = story.trial_ended(number, TrialState.CONVICTED, PROVER)
    story.tell(
        "UpdateConvicted",
        together=True,
        round=round_id,
        trainer=LIAR,
        beneficiary=PROVER,
        slashedWei=ETH // 2,
    )
    story.tell(
        "Slashed",
        together=True,
        trainer=LIAR,
        beneficiary=PROVER,
        paidWei=ETH // 4,
        burnedWei=ETH // 4,
    )
    return end


# -- money


def test_the_loser_of_a_trial_pays_jurors_and_winner_its_whole_bond(story):
    story.accused(1, 1, accuser=PROVER, accused=LIAR)
    story.trial_ended(1, TrialState.CONVICTED, PROVER)
    story.juror_paid(1, OTHER, 8 * TICKET)
    lost = penalties(story.events, {1: trial(unpaid=7 * TICKET)})
    assert [(one.loser, one.winner, one.paid_wei) for one in lost] == [
        (LIAR, OTHER, 8 * TICKET),
        (LIAR, None, 7 * TICKET),
        (LIAR, PROVER, BOND - 15 * TICKET),
    ]
    assert {one.cause for one in lost} == {Cause.TRIAL}
    assert {one.cause.court for one in lost} == {"TrainingCourt"}


def test_an_accuser_that_loses_pays_its_bond_to_the_defender(story):
    story.trial_ended(1, TrialState.ACQUITTED, OTHER)
    lost = penalties(story.events, {1: trial(accuser=LIAR, defender=OTHER)})
    assert [(one.loser, one.winner, one.lost_wei) for one in lost] == [(LIAR, OTHER, BOND)]


def test_an_appeal_in_vain_costs_its_bond_too(story):
    story.trial_ended(1, TrialState.CONVICTED, PROVER)
    lost = penalties(story.events, {1: trial(level=1)})
    assert sum(one.lost_wei for one in lost) == 3 * BOND
    assert {one.loser for one in lost} == {LIAR}


def test_an_appeal_that_turned_the_verdict_costs_nothing(story):
    story.trial_ended(1, TrialState.ACQUITTED, LIAR)
    lost = penalties(story.events, {1: trial(level=1)})
    assert [(one.loser, one.lost_wei) for one in lost] == [(PROVER, BOND)]


def test_a_silent_defender_has_no_bond_to_lose(story):
    story.trial_ended(1, TrialState.CONVICTED, PROVER)
    assert penalties(story.events, {1: trial(defender=ZERO_ADDRESS)}) == []


def test_a_hung_jury_is_paid_by_both_sides(story):
    story.trial_ended(1, TrialState.HUNG, ZERO_ADDRESS)
    story.juror_paid(1, OTHER, 9 * TICKET)
    lost = penalties(story.events, {1: trial(verdict=TrialState.NONE)})
    assert sum(one.lost_wei for one in lost) == 9 * TICKET
    assert {one.loser for one in lost} == {LIAR, PROVER}
    assert {one.winner for one in lost} == {OTHER}


def test_a_moot_trial_costs_nobody_anything(story):
    story.trial_ended(1, TrialState.MOOT, ZERO_ADDRESS)
    assert penalties(story.events, {1: trial()}) == []


def test_a_slash_belongs_to_the_court_whose_trial_ended_with_it(story):
    convicted_by_trial(story)
    slash = [one for one in penalties(story.events, {1: trial()}) if one.burned_wei]
    assert [(one.cause, one.round_id) for one in slash] == [(Cause.TRAINING, 1)]


@pytest.mark.parametrize(
    ("event", "who", "cause"),
    [("JurorFined", "juror", Cause.JUROR), ("AuditorFined", "auditor", Cause.AUDITOR)],
)
def test_a_fine_names_the_duty_that_was_missed(story, event, who, cause):
    story.tell(event, **{"id": 1, "level": 0, who: LIAR})
    story.tell("FeeCharged", together=True, round=1, trainer=LIAR, feeGwei=5, absent=False)
    story.tell("FeeCharged", round=2, trainer=LIAR, feeGwei=5, absent=False)
    assert [one.cause for one in penalties(story.events)] == [cause, Cause.SILENCE]


def test_audits_are_paid_by_auditor(story):
    for auditor in (OTHER, OTHER, PROVER):
        story.tell("FindingPosted", round=1, auditor=auditor, seat=1, finding=1, paidWei=5)
    assert audit_pay(story.events) == {OTHER: 10, PROVER: 5}


# -- updates


def committed(story, number, seat=4):
    return story.tell("Committed", round=number, trainer=LIAR, seat=seat)


def updates(story, trials=None):
    return update_deeds(story.events, LIAR, penalties(story.events, trials))


def test_a_conviction_by_trial_costs_stake_and_bond(story):
    committed(story, 1)
    story.revealed(1)
    story.frozen(1, 0b11111)
    end = convicted_by_trial(story)
    (deed,) = updates(story, {1: trial()})
    assert (deed.fate, deed.decided, deed.merged) == (Fate.CONVICTED, end, True)
    assert (deed.lost_wei, deed.burned_wei) == (ETH // 2 + BOND, ETH // 4)


def test_a_header_that_the_run_never_took_is_refused(story):
    """Beyond the norm bound: it was committed to, and could not be revealed."""
    committed(story, 1)
    freeze = story.frozen(1, 0b01111)
    story.tell("FeeCharged", together=True, round=1, trainer=LIAR, feeGwei=7, absent=False)
    (deed,) = updates(story)
    assert (deed.fate, deed.decided, deed.merged) == (Fate.REFUSED, freeze, False)
    assert deed.lost_wei == 7 * 10**9


def test_an_update_that_two_thirds_call_harmful_is_merged_unpaid(story):
    committed(story, 1)
    story.revealed(1)
    story.frozen(1, 0b11111)
    story.tell("UpdatesUnpaid", round=1, seats=0b10000)
    (deed,) = updates(story)
    assert (deed.fate, deed.merged, deed.unpaid) == (Fate.ACCEPTED, True, True)


def merged(story, round_id=1):
    committed(story, round_id)
    story.revealed(round_id)
    story.frozen(round_id, 0b11111)


def look(story, *, all_audited=True, adversaries=(LIAR, PROVER)):
    (deed,) = excused(
        updates(story),
        story.events,
        {LIAR: 4},
        adversaries=adversaries,
        all_audited=all_audited,
    )
    return deed.fate


def test_an_accomplice_that_found_nothing_shields(story):
    merged(story)
    story.tell("FindingPosted", round=1, auditor=PROVER, seat=4, finding=Finding.SAME, paidWei=0)
    assert look(story) is Fate.SHIELDED
    assert look(story, adversaries=(LIAR,)) is Fate.ACCEPTED


def test_an_honest_auditor_that_found_nothing_is_no_excuse(story):
    merged(story)
    story.tell("FindingPosted", round=1, auditor=OTHER, seat=4, finding=Finding.SAME, paidWei=0)
    assert look(story) is Fate.ACCEPTED


def test_without_a_finding_an_update_was_undrawn_only_where_some_are_not_audited(story):
    merged(story)
    assert look(story) is Fate.ACCEPTED
    assert look(story, all_audited=False) is Fate.UNDRAWN


def test_what_a_run_excuses_depends_on_rate_and_number():
    assert excuses(1, 10_000) == set()
    assert excuses(2, 10_000) == {Fate.SHIELDED}
    assert excuses(1, 5_000) == {Fate.UNDRAWN}


def test_a_deed_is_dated_by_the_rounds_that_were_opened_meanwhile(story):
    story.opened(1)
    merged(story)
    story.opened(2)
    story.opened(3)
    convicted_by_trial(story)
    story.opened(4)
    assert [one.rounds for one in dated(updates(story), story.events)] == [2]


# -- accusations


@pytest.mark.parametrize(
    ("state", "fate"),
    [
        (TrialState.ACQUITTED, Fate.DEFEATED),
        (TrialState.CONVICTED, Fate.ACCEPTED),
        (TrialState.HUNG, Fate.HUNG),
        (TrialState.MOOT, Fate.VOID),
    ],
)
def test_an_accusation_ends_as_its_trial_does(story, state, fate):
    story.accused(1, 3, accuser=LIAR, accused=OTHER)
    story.accused(2, 3, accuser=OTHER, accused=PROVER)
    end = story.trial_ended(1, state, OTHER)
    (deed,) = accusation_deeds(story.events, LIAR, [])
    assert (deed.round_id, deed.fate, deed.decided) == (3, fate, end)
    promises = judge_deeds([deed], Conduct.ACCUSES)
    assert all(one.held for one in promises) == (fate is Fate.DEFEATED)


def test_a_defeat_costs_the_accusers_bond(story):
    story.accused(1, 3, accuser=LIAR, accused=OTHER)
    story.trial_ended(1, TrialState.ACQUITTED, OTHER)
    lost = penalties(story.events, {1: trial(accuser=LIAR, defender=OTHER)})
    (deed,) = accusation_deeds(story.events, LIAR, lost)
    assert deed.lost_wei == BOND


# -- votes


def test_a_juror_that_votes_did_nothing_and_one_that_does_not_is_fined(story):
    story.accused(1, 3, accuser=OTHER, accused=PROVER)
    story.seated(1, LIAR, OTHER)
    story.accused(2, 4, accuser=OTHER, accused=PROVER)
    story.seated(2, LIAR)
    story.tell("VoteOpened", id=2, level=0, juror=LIAR)
    story.trial_ended(1, TrialState.CONVICTED, OTHER)
    fine = story.juror_fined(1, LIAR)
    (deed,) = silence_deeds(story.events, LIAR, penalties(story.events))
    assert (deed.round_id, deed.fate, deed.decided) == (3, Fate.FINED, fine)
    assert deed.lost_wei == 2_000_000 * 10**9


def test_silence_without_a_fine_breaks_the_promise(story):
    story.accused(1, 3, accuser=OTHER, accused=PROVER)
    story.seated(1, LIAR)
    story.trial_ended(1, TrialState.CONVICTED, OTHER)
    deeds = silence_deeds(story.events, LIAR, [])
    assert [one.fate for one in deeds] == [Fate.PENDING]
    assert not all(one.held for one in judge_deeds(deeds, Conduct.IDLES))


def test_silence_in_a_trial_without_verdict_costs_nothing(story):
    story.accused(1, 3, accuser=OTHER, accused=PROVER)
    story.seated(1, LIAR)
    story.trial_ended(1, TrialState.HUNG, ZERO_ADDRESS)
    assert [one.fate for one in silence_deeds(story.events, LIAR, [])] == [Fate.HUNG]
