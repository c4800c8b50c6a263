"""Who lost what by whose proof, and whether the protocol held: from events told in order."""

import pytest
from unit.scripts.stories import ETH, LIAR, OTHER, PROVER, Story

from network.history import Proposal, proposal_id
from protocol.cid import Cid
from scripts.deeds import Fate, proposal_deeds, update_deeds
from scripts.holdings import Holding, accounts_in
from scripts.penalties import Cause, penalties
from scripts.verdicts import Conduct, judge_deeds, judge_run, parties


@pytest.fixture
def story():
    return Story()


def merge_fates(story):
    deeds = proposal_deeds(story.events, LIAR, penalties(story.events))
    return [(one.round_id, one.fate, one.decided) for one in deeds]


def update_fates(story):
    deeds = update_deeds(story.events, LIAR, penalties(story.events))
    return [(one.round_id, one.fate, one.decided) for one in deeds]


# -- proposals


def test_a_convicted_proposal_names_its_proof_and_its_penalty(story):
    story.opened(1)
    lie = story.proposed(1, LIAR)
    proof = story.convicted(1)
    story.proposed(1, OTHER, root=2)
    story.tell("RoundFinalized", round=1, paidWei=0)
    (deed,) = proposal_deeds(story.events, LIAR, penalties(story.events))
    assert (deed.fate, deed.transaction, deed.decided) == (Fate.CONVICTED, lie, proof)
    (penalty,) = deed.penalties
    assert (penalty.winner, deed.lost_wei, deed.paid_wei) == (PROVER, ETH // 20, ETH // 40)
    assert deed.blocks == 1


def test_a_proposal_that_only_dissent_removed_is_not_convicted(story):
    story.opened(1)
    story.proposed(1, LIAR)
    dissent = story.tell("MergeReopened", round=1, proposer=LIAR, reason=4)
    story.proposed(1, OTHER, root=2)
    story.tell("RoundFinalized", round=1, paidWei=0)
    assert merge_fates(story) == [(1, Fate.REJECTED, dissent)]


def test_a_rejected_proposal_is_convicted_when_its_dispute_ends(story):
    """The conviction names the proposal alone; the round comes from its name."""
    story.opened(3)
    story.proposed(3, LIAR)
    args = story.events[-1].args
    story.tell("MergeReopened", round=3, proposer=LIAR, reason=4)
    name = proposal_id(
        3,
        bytes([3]) * 32,
        Proposal(
            proposer=LIAR,
            model_root=args.modelRoot,
            model=Cid(digest=args.modelCid, size=args.modelSize),
            finalizable_at_s=args.finalizableAt,
        ),
    )
    story.proposed(3, OTHER, root=2)
    end = story.tell(
        "RejectedConvicted",
        proposal=name,
        proposer=LIAR,
        beneficiary=PROVER,
        paidWei=1,
        burnedWei=2,
    )
    assert merge_fates(story) == [(3, Fate.CONVICTED, end)]
    (penalty,) = penalties(story.events)
    assert (penalty.round_id, penalty.cause, penalty.lost_wei) == (3, Cause.MERGE, 3)


def test_two_lies_in_one_round_have_fates_of_their_own(story):
    story.opened(1)
    story.proposed(1, LIAR)
    first = story.convicted(1)
    story.proposed(1, LIAR, root=2)
    second = story.tell("MergeReopened", round=1, proposer=LIAR, reason=4)
    assert merge_fates(story) == [(1, Fate.CONVICTED, first), (1, Fate.REJECTED, second)]


@pytest.mark.parametrize(
    ("event", "fate"), [("RoundFinalized", Fate.ACCEPTED), ("RoundVoided", Fate.VOID)]
)
def test_a_proposal_is_accepted_or_goes_with_its_round(story, event, fate):
    story.opened(1)
    story.proposed(1, LIAR)
    end = story.tell(event, round=1)
    assert merge_fates(story) == [(1, fate, end)]


def test_what_others_propose_is_no_deed(story):
    story.opened(1)
    story.proposed(1, OTHER)
    story.tell("RoundFinalized", round=1, paidWei=0)
    assert merge_fates(story) == []


# -- updates


def test_an_update_that_is_not_frozen_is_excluded(story):
    story.revealed(1)
    freeze = story.frozen(1, 0b01111)
    assert update_fates(story) == [(1, Fate.EXCLUDED, freeze)]


def test_an_update_that_is_frozen_is_accepted(story):
    story.revealed(1)
    freeze = story.frozen(1, 0b11111)
    assert update_fates(story) == [(1, Fate.ACCEPTED, freeze)]


def test_a_conviction_outweighs_what_the_freeze_said(story):
    """Before it or after it; the penalty is the vault's, of the same transaction."""
    story.revealed(1)
    before = story.update_convicted(1)
    story.frozen(1, 0b01111)
    story.revealed(2)
    story.frozen(2, 0b11111)
    after = story.update_convicted(2, slashed_wei=ETH // 4)
    deeds = update_deeds(story.events, LIAR, penalties(story.events))
    assert [(one.fate, one.decided) for one in deeds] == [
        (Fate.CONVICTED, before),
        (Fate.CONVICTED, after),
    ]
    assert [one.lost_wei for one in deeds] == [ETH // 2, ETH // 4]
    assert [one.penalties[0].round_id for one in deeds] == [1, 2]
    assert [one.merged for one in deeds] == [False, True]


def test_an_update_of_a_voided_opening_is_void_and_the_next_one_counts(story):
    story.revealed(2)
    void = story.tell("RoundVoided", round=2, reason=4)
    story.revealed(2)
    freeze = story.frozen(2, 0b01111)
    assert update_fates(story) == [(2, Fate.VOID, void), (2, Fate.EXCLUDED, freeze)]


# -- penalties and books


def test_fees_and_lost_disputes_are_penalties_and_bonds_that_come_back_are_not(story):
    story.tell("FeeCharged", round=1, trainer=LIAR, feeGwei=7, absent=True)
    for number, winner in ((1, OTHER), (2, PROVER)):
        story.tell("TreeChallenged", id=number, round=2, challenger=PROVER)
        story.tell("DisputeEnded", id=number, state=6, beneficiary=winner, bondsWei=5)
    fee, dispute = penalties(story.events)
    assert (fee.cause, fee.loser, fee.winner, fee.lost_wei) == (
        Cause.ABSENCE,
        LIAR,
        None,
        7 * 10**9,
    )
    assert (dispute.cause, dispute.loser, dispute.winner, dispute.lost_wei) == (
        Cause.DISPUTE,
        PROVER,
        OTHER,
        5,
    )


def test_the_books_name_everybody_who_lost_or_won(story):
    story.opened(1)
    story.proposed(1, LIAR)
    story.convicted(1)
    books = parties(
        {OTHER: "trainer-0", LIAR: "adversary"},
        adversaries=[LIAR],
        penalties=penalties(story.events),
        rewards_wei={OTHER: 9},
    )
    assert [
        (one.name, one.is_honest, one.lost_wei, one.won_wei, one.rewards_wei) for one in books
    ] == [
        ("trainer-0", True, 0, 0, 9),
        ("adversary", False, ETH // 20, 0, 0),
        ("stranger", True, 0, ETH // 40, 0),
    ]


def test_every_account_of_an_event_is_known(story):
    story.tell("Slashed", run="0x" + "11" * 20, trainer=LIAR, beneficiary=PROVER, paidWei=1)
    assert {LIAR, PROVER} <= accounts_in(story.events)


# -- judgement


def judge(story, **changes):
    lost = penalties(story.events)
    values = {
        "verified": True,
        "rounds": 5,
        "wanted_rounds": 5,
        "accuracy": 0.97,
        "wanted_accuracy": 0.96,
        "books": parties(
            {OTHER: "trainer-0", LIAR: "adversary"},
            adversaries=[LIAR],
            penalties=lost,
            rewards_wei={},
        ),
        "burned_wei": sum(one.burned_wei for one in lost),
        "holdings": [Holding(contract="Vault", balance_wei=3, parts={"free": 3})],
        "mismatches": [],
    }
    return {one.text: one.held for one in judge_run(**(values | changes))}


def test_a_run_without_fault_holds_every_promise(story):
    assert all(judge(story).values())


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"verified": False}, "every merge replays"),
        ({"rounds": 4}, "the run goes on"),
        ({"accuracy": 0.95}, "the model learns"),
        ({"mismatches": ["one wei is gone"]}, "every wei is accounted for"),
        ({"burned_wei": 1}, "every wei is accounted for"),
        (
            {"holdings": [Holding(contract="Vault", balance_wei=4, parts={"free": 3})]},
            "every wei is accounted for",
        ),
    ],
)
def test_each_fault_breaks_its_promise_and_no_other(story, changes, broken):
    assert [text for text, held in judge(story, **changes).items() if not held] == [broken]


def test_an_honest_party_that_loses_breaks_a_promise_and_the_adversary_does_not(story):
    story.tell("FeeCharged", round=1, trainer=LIAR, feeGwei=7, absent=False)
    assert all(judge(story).values())
    story.tell("FeeCharged", round=1, trainer=OTHER, feeGwei=7, absent=False)
    assert not judge(story)["no honest party loses stake or bond"]


def held(deeds, conduct=Conduct.TRAINS, **options):
    return all(one.held for one in judge_deeds(deeds, conduct, **options))


def test_exclusion_answers_an_update_and_only_conviction_a_merge(story):
    story.revealed(1)
    story.frozen(1, 0b01111)
    deeds = update_deeds(story.events, LIAR, [])
    assert held(deeds)
    assert not held(deeds, Conduct.PROPOSES)


def test_a_deed_without_answer_breaks_a_promise(story):
    story.revealed(1)
    story.update_convicted(1)
    story.revealed(2)
    deeds = update_deeds(story.events, LIAR, penalties(story.events))
    assert [one.fate for one in deeds] == [Fate.CONVICTED, Fate.PENDING]
    assert not held(deeds)


def test_an_adversary_that_never_acted_shows_nothing():
    assert not held([])


def test_an_excuse_answers_only_where_it_is_given(story):
    story.revealed(1)
    story.frozen(1, 0b11111)
    deeds = update_deeds(story.events, LIAR, [])
    assert not held(deeds)
    assert held(deeds, excuses={Fate.ACCEPTED})
