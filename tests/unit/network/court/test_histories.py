"""What the events of court and run add up to, also when the court takes bonds and stakes."""

from types import SimpleNamespace

import pytest
from unit.network.court.makers import LIAR, OPENED_S, STRANGER, WATCHER, Round, event, root_of
from unit.trainer.makers import ME, OTHER

from network.court.case import CaseFiles, case_of, find_case
from network.court.contract import DisputeState
from network.court.history import KEPT_BLOCKS, CourtFold, CourtHistory
from network.events import Batch, Position
from network.history import Outcome, proposal_id

RUN = "0x" + "1a" * 20


def challenged(number, *, run=RUN, block=1):
    return event(
        "TreeChallenged",
        block=block,
        id=number,
        run=run,
        round=4,
        challenger=WATCHER,
        modelRoot=b"",
    )


def ended(number, *, block=1, state=DisputeState.UPHELD):
    return event(
        "DisputeEnded", block=block, id=number, state=int(state), beneficiary=WATCHER, bondsWei=1
    )


# --- the court


def test_disputes_of_other_runs_are_not_kept():
    """Neither their beginning nor anything that follows from it."""
    fold = CourtFold(run=RUN.upper().replace("0X", "0x"))
    assert fold.apply(challenged(1))
    assert not fold.apply(challenged(2, run=STRANGER))
    assert not fold.apply(ended(2))
    assert not fold.apply(event("Claimed", account=ME, amountWei=1))
    assert [one.number for one in fold.open] == [1]


def test_children_stand_until_one_is_chosen():
    fold = CourtFold(run=RUN)
    fold.apply(challenged(1))
    fold.apply(event("ChildrenShown", block=2, id=1, node=b"n", children=[b"a", b"b"]))
    found = fold.disputes[1]
    assert (found.shown, found.shown_below, found.last) == ((b"a", b"b"), b"n", ("0x2", 0))
    fold.apply(event("ChildChosen", block=3, id=1, level=0, index=1, node=b"b"))
    assert (found.shown, found.shown_below, found.last) == ((), None, ("0x3", 0))
    fold.apply(ended(1, block=4))
    assert found.ended is DisputeState.UPHELD
    assert fold.open == ()


def test_a_leaf_names_its_seat():
    fold = CourtFold(run=RUN)
    fold.apply(event("LeafChallenged", id=3, run=RUN, round=2, challenger=ME, seat=7, chunk=9))
    assert fold.disputes[3].asks_for_leaf
    assert fold.disputes[3].seat == 7


class Reader:
    """Batches in place of a chain."""

    def __init__(self, *batches):
        self.batches = list(batches)

    def read(self, _first, *, after):
        return iter([self.batches.pop(0)] if self.batches else [])


def batch(*events, block, start=0, rewound=False):
    position = Position(block_number=block, block_hash="")
    return Batch(events=events, start=start, position=position, rewound=rewound)


def history_of(*batches):
    court = SimpleNamespace(abi=SimpleNamespace(topic=lambda _: b""), address=STRANGER)
    history = CourtHistory(None, court, RUN)
    history._reader = Reader(*batches)
    return history


def test_a_reorganisation_takes_back_what_it_took():
    history = history_of(
        batch(challenged(1, block=1), challenged(2, block=5), block=5),
        batch(challenged(3, block=4), block=6, start=4, rewound=True),
    )
    assert set(history.update().disputes) == {1, 2}
    assert set(history.update().disputes) == {1, 3}


def test_what_ended_long_ago_is_forgotten():
    """A run of years before a busy court needs no more memory than a young one."""
    old, young = batch(challenged(1), challenged(2), ended(1, block=2), block=2), 3 + KEPT_BLOCKS
    history = history_of(old, batch(block=young - 1), batch(block=young))
    assert set(history.update().disputes) == {1, 2}
    assert set(history.update().disputes) == {1, 2}
    assert set(history.update().disputes) == {2}
    assert [one.args.id for one in history._log] == [2]


# --- the run


def pending(made, files=None, *, last_final=0):
    return (files or CaseFiles()).pending(made.fold, last_final=last_final, newest=1)


def test_a_case_is_put_together_once(tmp_path):
    """A look at a run of many pending rounds costs little."""
    made, files = Round(tmp_path), CaseFiles()
    assert pending(made, files) == []
    made.propose()
    (case,) = pending(made, files)
    assert pending(made, files)[0] is case
    made.propose(made.right)
    assert pending(made, files)[0] is not case
    assert pending(made, files, last_final=1) == []


def convicted(made, reason=5):
    made.story.tell("MergeReopened", round=1, proposer=LIAR, reason=reason)
    if reason == 5:
        made.story.tell(
            "MergeConvicted", round=1, proposer=LIAR, beneficiary=WATCHER, paidWei=3, burnedWei=4
        )


def test_a_conviction_names_the_proposal_and_the_inputs_stay(tmp_path):
    """So that the round can be merged, proposed and replayed again."""
    made = Round(tmp_path)
    case = made.propose()
    convicted(made)
    found = made.fold.rounds[1]
    (conviction,) = found.convictions
    assert conviction.proposal == case.proposal == found.rejected[-1]
    assert (conviction.beneficiary, conviction.paid_wei, conviction.burned_wei) == (WATCHER, 3, 4)
    assert found.outcome is Outcome.OPEN
    assert found.inputs == case.inputs
    again = made.propose(made.right)
    assert found.model_root == root_of(made.right)
    assert [one.id for one in pending(made)] == [again.id]


@pytest.mark.parametrize("voided", [False, True])
def test_a_rejected_proposal_is_convicted_by_its_name(tmp_path, voided):
    """Also when its round was voided meanwhile."""
    made = Round(tmp_path)
    case = made.propose()
    convicted(made, reason=4)
    found = made.fold.rounds[1]
    if voided:
        made.story.tell("RoundVoided", round=1, reason=5)
    made.story.tell(
        "RejectedConvicted",
        proposal=case.id,
        proposer=LIAR,
        beneficiary=WATCHER,
        paidWei=3,
        burnedWei=4,
    )
    assert [one.proposal for one in found.convictions] == [case.proposal]
    assert find_case(made.fold, 1, case.id) == case


def test_a_merge_that_can_not_be_checked_fails_its_round(tmp_path):
    """The model is the parent's, and the proposal stands no more."""
    made = Round(tmp_path)
    case = made.propose(made.right)
    made.story.tell("RoundFailed", round=1, reason=7)
    found = made.fold.rounds[1]
    assert (found.outcome, found.failure) == (Outcome.FAILED, 7)
    assert found.model_root == case.parent_root
    assert found.rejected == [case.proposal]
    assert found.convictions == []
    assert pending(made) == []


def test_a_convicted_update_costs_its_seat_a_share_of_its_stake(tmp_path):
    """As the run reckons, so that later weights are those of the chain."""
    made = Round(tmp_path)
    made.story.tell("UpdateConvicted", round=1, trainer=OTHER, beneficiary=ME, slashedWei=99)
    assert made.fold.stakes_gwei == {0: 10, 1: 5}
    assert made.fold.rounds[1].convicted == 0b10
    made.story.tell("UpdateConvicted", round=9, trainer=OTHER, beneficiary=ME, slashedWei=99)
    assert made.fold.stakes_gwei == {0: 10, 1: 3}


def test_a_proposal_has_the_name_that_the_run_gives_it(tmp_path):
    """keccak256(abi.encode(round, seed, modelRoot, proposer, finalizableAt))."""
    from eth_abi.abi import encode
    from eth_utils.crypto import keccak

    made = Round(tmp_path)
    case = made.propose()
    kinds = ["uint32", "bytes32", "bytes32", "address", "uint40"]
    values = [1, case.seed, case.proposal.model_root, LIAR, OPENED_S + 640]
    assert case.id == keccak(encode(kinds, values))
    assert case.id != proposal_id(2, case.seed, case.proposal)


def test_a_model_is_where_the_chain_says(tmp_path):
    """An object that is too short to be one is nowhere."""
    made = Round(tmp_path)
    case = made.propose()
    fold = made.fold
    assert fold.object_of(case.parent_root) == fold.params.genesis
    assert fold.object_of(root_of(made.wrong)) == case.proposal.model
    assert fold.object_of(b"\x01" * 32) is None
    found = fold.rounds[1]
    short = type(case.proposal)(
        proposer=LIAR,
        model_root=b"\x01" * 32,
        model=made.store.put(b"short"),
        finalizable_at_s=1,
    )
    found.proposal = short
    assert fold.object_of(b"\x01" * 32) is None
    assert case_of(fold, found, short).parent_model == fold.params.genesis
