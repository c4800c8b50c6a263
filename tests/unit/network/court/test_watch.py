"""When a watcher acts, in which order, and that it acts once, whatever it forgets."""

import pytest
from unit.network.court.makers import (
    DISPUTE_S,
    LIAR,
    MOVE_S,
    OPENED_S,
    STRANGER,
    WATCHER,
    Court,
    Round,
    Watched,
    dispute,
)
from unit.trainer.makers import ME

from network.court.contract import DisputeState
from network.court.watch import open_watch
from network.remedies import REMEDIES
from protocol.errors import ContentUnavailable, RpcUnavailable
from protocol.rounds import Phase

GONE = ContentUnavailable(cid="an update")
DOWN = RpcUnavailable(url="node", reason="down")


def patient(watched, view, times=6):
    """Look again after every pause that a failure calls for."""
    for _ in range(times):
        watched.look(view)
        watched.clock[0] += 60


def own_dispute(case, **changes):
    return dispute(case, challenger=WATCHER, **changes)


# --- wrong merges


def test_a_published_wrong_merge_is_proven(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    watched = Watched(made)
    watched.look(made.view())
    ((act, sued, wrong),) = watched.clerk.sent
    assert (act, sued, wrong.proof.chunk) == ("prove", case, 2)
    assert watched.said == ["wrong_merge"]


def test_a_right_merge_is_left_alone(tmp_path):
    made = Round(tmp_path)
    made.propose(made.right)
    watched = Watched(made)
    watched.look(made.view())
    assert watched.acts == []
    assert not watched.watch.is_busy
    assert not watched.watch.is_wrong(1)


def test_a_withheld_model_is_asked_for_after_some_tries(tmp_path):
    """A store may be slow: three times the model is looked for before a bond is paid."""
    made = Round(tmp_path, published=False)
    case = made.propose()
    watched = Watched(made)
    watched.look(made.view())
    assert watched.acts == []
    patient(watched, made.view())
    assert watched.clerk.sent == [("challenge_tree", case)]


def test_an_object_of_another_size_is_no_model_at_all(tmp_path):
    """Nothing is downloaded for it, and the tree is asked for at once."""
    made = Round(tmp_path)
    made.wrong += b"more"
    with pytest.raises(Exception, match="leaf"):
        made.propose()
    made = Round(tmp_path / "other")
    found = made.fold.rounds[1]
    made.propose()
    made.fold.rounds[1].proposal = type(found.proposal)(
        **{
            name: getattr(found.proposal, name)
            for name in ("proposer", "model_root", "finalizable_at_s")
        },
        model=made.store.put(b"no model at all"),
    )
    watched = Watched(made)
    watched.look(made.view())
    assert watched.acts == ["challenge_tree"]


def test_a_model_that_comes_late_still_proves_it(tmp_path):
    """After the window only the model itself can; until the round is final it is looked for."""
    made = Round(tmp_path, published=False)
    made.propose()
    watched = Watched(made)
    late = made.view(OPENED_S + DISPUTE_S)
    patient(watched, late)
    assert watched.acts == []
    assert watched.watch.lets_dissent(late, 1)
    made.store.put(made.wrong)
    patient(watched, late)
    assert watched.acts == ["prove"]


def test_nobody_sues_himself(tmp_path):
    made = Round(tmp_path)
    made.propose(proposer=WATCHER)
    watched = Watched(made)
    watched.look(made.view())
    assert watched.acts == []
    assert not watched.watch.is_busy


def test_what_stands_on_a_wrong_merge_is_wrong_too(tmp_path):
    """Nothing from there on is settled."""
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made)
    watched.look(made.view())
    assert [watched.watch.is_wrong(n) for n in (0, 1, 2)] == [False, True, True]


def test_final_rounds_are_not_merged_again(tmp_path):
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made)
    watched.look(made.view(last_final=1))
    assert (watched.acts, watched.merges) == ([], [])


def test_watchers_take_turns(tmp_path):
    """The second waits a moment, so that the first one's proof is on chain by then."""
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made, rank=2)
    watched.look(made.view())
    assert watched.acts == []
    turn_s = OPENED_S + 2 * 3.0
    assert turn_s in watched.watch.wake_at_s()
    watched.look(made.view(turn_s))
    assert watched.acts == ["prove"]


# --- before anything else is done about it


def test_a_dissent_waits_for_the_own_dispute(tmp_path):
    made = Round(tmp_path, published=False)
    case = made.propose()
    watched = Watched(made)
    commit = made.view(OPENED_S + 10, phase=Phase.COMMIT, round_id=2, deadline_s=OPENED_S + 100)
    patient(watched, commit)
    assert watched.acts == ["challenge_tree"]
    assert not watched.watch.lets_dissent(commit, 1), "its dispute is not on chain yet"
    watched.court.begins(1, own_dispute(case))
    watched.look(commit)
    assert watched.watch.lets_dissent(commit, 1)


def test_a_dissent_waits_no_longer_than_three_quarters_of_the_phase(tmp_path):
    """Whatever the court does, the merge must be rejected in time."""
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made)
    watched.clerk.refuses["prove"] = DOWN
    commit = made.view(OPENED_S + 10, phase=Phase.COMMIT, round_id=2, deadline_s=OPENED_S + 100)
    watched.look(commit)
    assert not watched.watch.lets_dissent(commit, 1)
    assert OPENED_S + 75 in watched.watch.wake_at_s()
    late = made.view(OPENED_S + 75, phase=Phase.COMMIT, round_id=2, deadline_s=OPENED_S + 100)
    watched.look(late)
    assert watched.watch.lets_dissent(late, 1)


@pytest.mark.parametrize(
    "refusal", [DOWN, REMEDIES["WrongOldLeaf"](error_name="WrongOldLeaf")], ids=["down", "refused"]
)
def test_a_hopeless_act_holds_nothing_up(tmp_path, refusal):
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made)
    watched.clerk.refuses["prove"] = refusal
    watched.look(made.view())
    assert watched.watch.holds(made.view())
    assert watched.watch.is_busy
    patient(watched, made.view(), times=8)
    assert not watched.watch.holds(made.view())
    assert watched.watch.lets_dissent(made.view(), 1)
    assert not watched.watch.is_busy


def test_a_wrong_merge_is_not_built_upon_while_its_proof_is_on_its_way(tmp_path):
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made)
    watched.look(made.view())
    assert watched.watch.holds(made.view())
    assert not watched.watch.holds(made.view(OPENED_S + DISPUTE_S / 2))


def test_a_dissent_waits_until_the_merge_was_made_again(tmp_path):
    """After a restart the own merge is missing for a moment."""
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made, own=GONE)
    commit = made.view(OPENED_S + 10, phase=Phase.COMMIT, round_id=2, deadline_s=OPENED_S + 100)
    watched.watch.look(commit)
    assert not watched.watch.lets_dissent(commit, 1)
    assert watched.watch.lets_dissent(commit, 7), "nothing is proposed in that round"


# --- others before the same court


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.COMMIT], ids=lambda one: one.name)
def test_anothers_challenge_is_enough_for_half_of_the_time(tmp_path, phase):
    """Half of the window, or of the commit phase at whose end the merge may be rejected."""
    made = Round(tmp_path, published=False)
    case = made.propose()
    watched = Watched(made)
    watched.court.begins(1, dispute(case, state=DisputeState.CHOICE))

    def at(now_s):
        return made.view(now_s, phase=phase, round_id=2, deadline_s=OPENED_S + 100)

    patient(watched, at(OPENED_S))
    assert watched.acts == []
    join_s = OPENED_S + (50 if phase is Phase.COMMIT else DISPUTE_S / 2)
    assert join_s in watched.watch.wake_at_s()
    patient(watched, at(join_s))
    assert watched.acts == ["challenge_tree"]


def test_a_conviction_by_another_ends_it(tmp_path):
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made, rank=16)
    watched.look(made.view())
    made.story.tell("MergeReopened", round=1, proposer=LIAR, reason=5)
    made.story.tell(
        "MergeConvicted", round=1, proposer=LIAR, beneficiary=STRANGER, paidWei=5, burnedWei=6
    )
    watched.look(made.view(OPENED_S + DISPUTE_S))
    assert watched.acts == []
    assert watched.said == ["wrong_merge", "merge_convicted"]
    assert not watched.watch.is_busy


# --- restarts


def test_a_restarted_watcher_goes_on_with_its_own_dispute(tmp_path):
    """It knows it from the chain, and opens no second one."""
    made = Round(tmp_path, published=False)
    case = made.propose()
    court = Court()
    court.begins(1, own_dispute(case))
    watched = Watched(made, court=court)
    patient(watched, made.view())
    assert watched.acts == []
    assert watched.watch.is_busy
    over = own_dispute(case).deadline_s + 1
    assert over in watched.watch.wake_at_s()
    watched.look(made.view(over))
    assert watched.clerk.sent == [("end", 1)]


def test_an_act_that_failed_is_tried_again_after_a_pause(tmp_path):
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made)
    watched.clerk.refuses["prove"] = DOWN
    watched.look(made.view())
    del watched.clerk.refuses["prove"]
    watched.look(made.view())
    assert watched.acts == []
    assert OPENED_S + 1.0 in watched.watch.wake_at_s()
    watched.clock[0] += 1.0
    watched.look(made.view())
    assert watched.acts == ["prove"]


def test_a_merge_is_made_once_and_one_at_a_look(tmp_path):
    made = Round(tmp_path)
    made.propose(made.right)
    watched = Watched(made)
    for _ in range(3):
        watched.look(made.view())
    assert watched.merges == [1]


def test_storage_is_read_again_only_after_an_event(tmp_path):
    made = Round(tmp_path)
    case = made.propose(made.right)
    watched = Watched(made)
    watched.court.begins(1, dispute(case))
    for _ in range(3):
        watched.look(made.view())
    assert watched.court.reads == 1
    chosen = dispute(case, state=DisputeState.CHOICE)
    watched.court.goes_on(1, "ChildrenShown", chosen, block=2, node=b"", children=[])
    watched.look(made.view())
    assert watched.court.reads == 2


# --- disputes that go on


def test_a_right_merge_is_defended_after_a_third_of_the_clock(tmp_path):
    made = Round(tmp_path)
    case = made.propose(made.right)
    watched = Watched(made)
    watched.court.begins(1, dispute(case))
    watched.look(made.view())
    assert watched.acts == []
    third_s = OPENED_S + 4 * MOVE_S / 3
    assert third_s in watched.watch.wake_at_s()
    watched.look(made.view(third_s))
    ((act, number, _, children),) = watched.clerk.sent
    assert (act, number, len(children)) == ("show", 1, 8)


def test_its_proposer_defends_it_at_once(tmp_path):
    made = Round(tmp_path)
    case = made.propose(made.right, proposer=WATCHER)
    watched = Watched(made)
    watched.court.begins(1, dispute(case, proposer=WATCHER))
    watched.look(made.view())
    assert watched.acts == ["show"]


def test_a_challenger_follows_the_proposer_to_the_chunk(tmp_path):
    made = Round(tmp_path, published=False)
    case = made.propose()
    watched = Watched(made)
    examiner = watched.bench.examiner
    watched.court.begins(1, own_dispute(case))
    shown = examiner.tree(case.parent_root).levels[0] + [b"\x01" * 32] * 3
    choice = own_dispute(case, state=DisputeState.CHOICE)
    watched.court.goes_on(1, "ChildrenShown", choice, block=2, node=choice.node, children=shown)
    watched.look(made.view())
    ((act, number, _, chosen),) = watched.clerk.sent
    assert (act, number, chosen.child, chosen.node) == ("choose", 1, 0, shown[0])
    chunk = own_dispute(case, state=DisputeState.CHUNK, level=0, index=4, node=shown[4])
    watched.court.goes_on(1, "ChildChosen", chunk, block=3, level=0, index=4, node=shown[4])
    watched.look(made.view())
    act, number, sued, proof = watched.clerk.sent[-1]
    assert (act, number, sued, proof.chunk) == ("open_chunk", 1, case, 4)


def test_the_bonds_of_a_dispute_without_object_are_fetched(tmp_path):
    """Its proposal was convicted through another one."""
    made = Round(tmp_path)
    case = made.propose()
    watched = Watched(made)
    watched.court.begins(1, own_dispute(case))
    made.story.tell("MergeReopened", round=1, proposer=LIAR, reason=5)
    watched.clerk.locked = False
    watched.look(made.view())
    assert watched.clerk.sent == [("end", 1)]


def test_a_rejected_proposal_is_pursued_while_its_bond_is_locked(tmp_path):
    made = Round(tmp_path)
    case = made.propose()
    watched = Watched(made)
    watched.court.begins(1, own_dispute(case))
    watched.look(made.view())
    made.story.tell("MergeReopened", round=1, proposer=LIAR, reason=4)
    watched.look(made.view())
    assert watched.acts == []
    watched.look(made.view(OPENED_S + 4 * MOVE_S + 1))
    assert watched.clerk.sent == [("end", 1)]


# --- updates


def test_a_missing_update_is_asked_for_once(tmp_path):
    """After some tries and a quarter of the window; a second look at it costs nothing."""
    made = Round(tmp_path, missing=(1,))
    case = made.propose()
    watched = Watched(made, own=GONE)
    patient(watched, made.view())
    assert watched.acts == []
    quarter_s = OPENED_S + DISPUTE_S / 4
    patient(watched, made.view(quarter_s))
    ((act, sued, missing),) = watched.clerk.sent
    assert (act, sued, missing.place, missing.seat) == ("challenge_leaf", case, 1, 1)
    asked = dispute(case, challenger=WATCHER, state=DisputeState.LEAF, seat=1)
    watched.court.begins(1, asked, seat=1)
    patient(watched, made.view(quarter_s))
    assert watched.acts == ["challenge_leaf"]


def test_what_can_be_had_is_not_asked_for(tmp_path):
    """The own merge failed for another reason."""
    made = Round(tmp_path)
    made.propose()
    watched = Watched(made, own=GONE)
    patient(watched, made.view(OPENED_S + DISPUTE_S / 2))
    assert watched.acts == []


def test_anothers_question_for_the_same_update_is_enough(tmp_path):
    made = Round(tmp_path, missing=(1,))
    case = made.propose()
    watched = Watched(made, own=GONE)
    watched.court.begins(1, dispute(case, state=DisputeState.LEAF, seat=1), seat=1)
    patient(watched, made.view(OPENED_S + DISPUTE_S / 4))
    assert watched.acts == []


@pytest.mark.parametrize("author", [True, False], ids=["author", "others"])
def test_whoever_holds_an_update_answers_for_it(tmp_path, author):
    made = Round(tmp_path)
    case = made.propose(made.right)
    watched = Watched(made)
    header = case.headers[1]
    asked = dispute(
        case,
        state=DisputeState.LEAF,
        seat=1,
        node=header.update_root,
        index=3,
        proposer=WATCHER if author else ME,
    )
    watched.court.begins(1, asked, seat=1)
    watched.look(made.view())
    assert watched.acts == (["answer_leaf"] if author else [])
    watched.look(made.view(OPENED_S + 4 * MOVE_S / 3))
    act, number, opening = watched.clerk.sent[-1]
    assert (act, number, opening[:257]) == ("answer_leaf", 1, made.updates[1][3 * 257 : 4 * 257])


@pytest.mark.parametrize("proposed", [False, True], ids=["frozen", "proposed"])
def test_a_lie_about_a_norm_is_proven_once_the_chain_knows_enough(tmp_path, proposed):
    """Merged, it is named by the frozen inputs, which the court reads of a proposed round."""
    made = Round(tmp_path, liars=(0,))
    watched = Watched(made)
    found = made.fold.rounds[1]
    watched.watch.accuse(1, 1, found.reveals[0])
    watched.watch.accuse(1, 1, found.reveals[1])
    if proposed:
        made.propose(made.right)
    watched.look(made.view())
    if not proposed:
        assert watched.acts == []
        return
    ((act, number, attempt, proof),) = watched.clerk.sent
    assert (act, number, attempt, proof.seat) == ("prove_norm", 1, 1, 0)
    assert proof.inputs == found.input_preimages()[0]
    made.story.tell("UpdateConvicted", round=1, trainer=ME, beneficiary=WATCHER, slashedWei=5)
    watched.look(made.view())
    assert watched.acts == ["prove_norm"]
    assert watched.said == ["update_convicted"]


def test_without_a_court_nothing_is_watched():
    """And the log says so."""
    run = type("Run", (), {"address": STRANGER})()
    nothing = dict.fromkeys(("rpc", "sender", "store", "shelf", "recompute", "wake"))
    assert open_watch(run=run, court=None, **nothing) is None
