"""Opening a round, committing, dissenting and revealing; see trees/submissions.tree."""

from hashlib import sha256

import pytest
from support.refused import refused
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GENESIS_ROOT,
    GUARDIAN,
    KEEPER,
    SPONSOR,
    TRAINERS,
    Run,
    Stage,
)

from protocol.rounds import COMMITMENT_BYTES, Phase

COMMITTED, REVEALED, DISSENTED = 1, 2, 3
FAILED = 4


@pytest.fixture
def committing(run: Run) -> Run:
    """The commit phase of a round on a proposed parent."""
    run.play()
    run.open()
    return run


@pytest.fixture
def revealing(run: Run) -> Run:
    run.play(until="reveal")
    return run


# --- openRound


def test_open_round_when_another_is_open(run: Run) -> None:
    """it should revert with WrongPhase"""
    run.open()
    with refused("WrongPhase", Phase.IDLE, Phase.COMMIT):
        run.open()


def test_open_round_when_halted(run: Run) -> None:
    """it should revert with RunStopped, until the guardian resumes"""
    run.contract.halt(True, sender=GUARDIAN.address)
    with refused("RunStopped"):
        run.open()
    run.contract.halt(False, sender=GUARDIAN.address)
    run.open()


def test_open_round_when_closed(run: Run) -> None:
    """it should revert with RunStopped"""
    run.contract.close(sender=SPONSOR.address)
    with refused("RunStopped"):
        run.open()


def test_open_round_when_all_rounds_were_opened(stage: Stage) -> None:
    """it should revert with RunComplete"""
    run = stage.create_run(maxRounds=1)
    run.enroll_all(2)
    run.deposit_bond(AGGREGATOR)
    run.play()
    with refused("RunComplete", 1):
        run.open()


def test_open_round_when_the_ring_is_full(stage: Stage) -> None:
    """it should revert with WrongRound and the round to settle first"""
    run = stage.create_run(ringSize=3)
    run.enroll_all(2)
    run.deposit_bond(AGGREGATOR)
    run.play()
    run.play()
    with refused("WrongRound", 1, 2):
        run.open()
    run.pass_dispute(2)
    run.finalize(1)
    run.open()


def test_open_round_when_the_pool_does_not_cover_the_rewards(stage: Stage) -> None:
    """it should revert with InsufficientFunds, counting every unsettled round"""
    run = stage.create_run(reward_wei=2 * ETHER - 1)
    run.enroll_all(2)
    run.deposit_bond(AGGREGATOR)
    run.play()
    with refused("InsufficientFunds", 2 * ETHER - 1, 2 * ETHER):
        run.open()
    run.contract.fund(0, sender=ATTACKER.address, value=1)
    run.open()


def test_open_round_when_too_few_are_enrolled(empty_run: Run) -> None:
    """it should revert with TooFewTrainers"""
    empty_run.enroll(TRAINERS[0])
    with refused("TooFewTrainers", 1, 2):
        empty_run.open()


def test_open_round_when_all_is_ready(run: Run) -> None:
    """it should fix roster, parent root and seed, start the commit phase, and show nothing of the
    round that the ring held before
    """
    for _ in range(5):  # the ring of four wraps
        number = run.play()
        run.pass_dispute(number)
        run.finalize(number)
    opened = run.open().only("RoundOpened")
    assert (opened.round, opened.attempt, opened.roster) == (6, 6, 0b111)
    assert opened.parentRoot == run.contract.getRound(5).modelRoot
    assert opened.seed == sha256(b"\x07" * 32 + (6).to_bytes(32, "big")).digest()
    record = run.contract.getRound(6)
    assert (record.seed, record.modelRoot, record.status) == (opened.seed, bytes(32), 1)
    with refused("WrongRound", 2, 0):
        run.contract.getRound(2)
    with refused("WrongRound", 7, 0):
        run.contract.inputsHash(7, 0)


# --- commit


def test_commit_when_no_round_commits(run: Run) -> None:
    """it should revert with WrongPhase"""
    with refused("WrongPhase", Phase.COMMIT, Phase.IDLE):
        run.contract.commit(0, 0, GENESIS_ROOT, b"\1" * 32, sender=TRAINERS[0].address)


def test_commit_when_it_names_another_attempt(committing: Run) -> None:
    """it should revert with WrongAttempt"""
    root = committing.parent_root()
    with refused("WrongAttempt", 2, 1):
        committing.contract.commit(1, 0, root, b"\1" * 32, sender=TRAINERS[0].address)


def test_commit_when_the_deadline_passed(committing: Run) -> None:
    """it should revert with PhaseOver"""
    committing.pass_deadline()
    with refused("PhaseOver"):
        committing.commit(0)


def test_commit_when_it_names_another_parent(committing: Run) -> None:
    """it should revert with WrongParentRoot"""
    with refused("WrongParentRoot", committing.parent_root(), b"\2" * 32):
        committing.contract.commit(2, 0, b"\2" * 32, b"\1" * 32, sender=TRAINERS[0].address)


def test_commit_when_the_seat_is_not_the_senders(committing: Run) -> None:
    """it should revert with NotSeated"""
    root = committing.parent_root()
    for person in (ATTACKER, TRAINERS[1]):
        with refused("NotSeated", 0, person.address):
            committing.contract.commit(2, 0, root, b"\1" * 32, sender=person.address)


def test_commit_when_it_committed_before(committing: Run) -> None:
    """it should revert with AlreadySubmitted"""
    committing.commit(0)
    with refused("AlreadySubmitted", 0):
        committing.commit(0)


def test_commit_when_in_time(committing: Run) -> None:
    """it should keep the first 27 bytes, and go on to reveal after the last"""
    commitment = committing.commitment(0)
    committing.commit(0)
    stored = committing.contract.submissions(0)
    assert stored == (2, COMMITTED, commitment[:COMMITMENT_BYTES])
    committing.commit(1)
    committing.commit(2)
    assert committing.contract.current().phase == Phase.REVEAL


def test_commit_batch_when_empty(committing: Run) -> None:
    """it should revert with EmptyBatch"""
    with refused("EmptyBatch"):
        committing.contract.commitBatch(2, committing.parent_root(), [], sender=KEEPER.address)


def test_commit_batch_when_a_signature_is_malformed(committing: Run) -> None:
    """it should revert with BadSignature"""
    batch = [(0, b"\1" * 32, b"\xff" * 32, b"\xff" * 32)]
    with refused("BadSignature", 0):
        committing.contract.commitBatch(2, committing.parent_root(), batch, sender=KEEPER.address)


def test_commit_batch_when_somebody_else_signed(committing: Run) -> None:
    """it should revert with NotSeated"""
    (signed,) = committing.signed_commitments([1])
    with refused("NotSeated"):
        committing.contract.commitBatch(
            2, committing.parent_root(), [(0, *signed[1:])], sender=KEEPER.address
        )


def test_commit_batch_when_it_was_signed_for_an_earlier_round(run: Run) -> None:
    """it should revert with NotSeated"""
    run.open()
    old = run.signed_commitments([0, 1])
    run.commit_batch([0, 1, 2])
    run.reveal([0, 1, 2])
    run.freeze([0, 1, 2])
    run.propose()
    run.open()
    with refused("NotSeated"):
        run.contract.commitBatch(2, run.parent_root(), old, sender=KEEPER.address)


def test_commit_batch_when_a_seat_is_twice_in_it(committing: Run) -> None:
    """it should revert with AlreadySubmitted"""
    with refused("AlreadySubmitted", 1):
        committing.commit_batch([1, 1])


def test_commit_batch_when_all_signed(committing: Run) -> None:
    """it should commit for each, and Python's EIP-712 digest and commitment are the contract's"""
    receipt = committing.commit_batch([0, 1])
    assert [e.commitment for e in receipt.all("Committed")] == [
        committing.commitment(seat) for seat in (0, 1)
    ]
    committing.commit(2)
    committing.reveal([0, 1, 2])


# --- dissent


def test_dissent_when_the_parent_is_final(run: Run) -> None:
    """it should revert with NothingToDissent"""
    run.play()
    run.pass_dispute(1)
    run.finalize(1)
    run.open()
    with refused("NothingToDissent"):
        run.dissent(0)


def test_dissent_when_it_names_the_parents_own_root(committing: Run) -> None:
    """it should revert with NothingToDissent"""
    with refused("NothingToDissent"):
        committing.dissent(0, committing.parent_root())


def test_dissent_when_it_committed_before(committing: Run) -> None:
    """it should revert with AlreadySubmitted"""
    committing.commit(0)
    with refused("AlreadySubmitted", 0):
        committing.dissent(0)


def test_dissent_when_the_seat_is_not_the_senders(committing: Run) -> None:
    """it should revert with NotSeated"""
    with refused("NotSeated"):
        committing.contract.dissent(2, 0, b"\2" * 32, sender=ATTACKER.address)


def test_dissent_when_a_minority(committing: Run) -> None:
    """it should let the round go on"""
    committing.dissent(0)
    assert committing.contract.submissions(0).progress == DISSENTED
    committing.commit_batch([1, 2])
    assert committing.contract.current().phase == Phase.REVEAL
    assert committing.contract.seats(0).absences == 0


def test_dissent_when_a_majority_of_the_stake_that_spoke(committing: Run) -> None:
    """it should void the round, reopen the merge, and give the proposer its bond back"""
    committing.dissent(0)
    committing.dissent(1)
    last = committing.commit(2)
    assert last.only("MergeReopened").round == 1
    assert last.only("RoundVoided").round == 2
    now = committing.contract.current()
    assert (now.round, now.phase) == (1, Phase.MERGE)
    assert committing.contract.accounts(AGGREGATOR.address).lockedWei == 0
    committing.propose(root=b"\x0d" * 32)
    assert committing.open().only("RoundOpened").parentRoot == b"\x0d" * 32


def test_dissent_when_the_deadline_passes_on_a_majority(committing: Run) -> None:
    """it should void the round then"""
    committing.dissent(0)
    committing.dissent(1)
    committing.pass_deadline()
    committing.contract.advance(sender=KEEPER.address)
    assert committing.contract.current().phase == Phase.MERGE


def test_dissent_when_somebody_hurries_to_finalize_the_parent(committing: Run) -> None:
    """it should revert with NotAccepted, and the round still ends"""
    committing.pass_dispute(1)
    committing.dissent(0)
    with refused("NotAccepted", 1):
        committing.finalize(1)
    committing.pass_deadline()
    committing.contract.advance(sender=KEEPER.address)
    assert committing.contract.current().phase == Phase.MERGE
    assert committing.contract.accounts(AGGREGATOR.address).lockedWei == 0


# --- revealBatch


def test_reveal_when_empty(revealing: Run) -> None:
    """it should revert with EmptyBatch"""
    with refused("EmptyBatch"):
        revealing.contract.revealBatch(1, [], sender=KEEPER.address)


def test_reveal_when_another_phase(run: Run) -> None:
    """it should revert with WrongPhase"""
    run.open()
    with refused("WrongPhase", Phase.REVEAL, Phase.COMMIT):
        run.reveal([0])


def test_reveal_when_the_seat_did_not_commit(run: Run) -> None:
    """it should revert with NotSeated"""
    run.open()
    run.commit_batch([0, 1])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    with refused("NotSeated", 2, TRAINERS[2].address):
        run.reveal([2])


def test_reveal_when_it_revealed_before(revealing: Run) -> None:
    """it should revert with NotSeated"""
    revealing.reveal([0])
    with refused("NotSeated"):
        revealing.reveal([0])


@pytest.mark.parametrize("place", [1, 2, 3, 4, 5, 6, 7])
def test_reveal_when_a_field_differs_from_the_commitment(revealing: Run, place: int) -> None:
    """it should revert with CommitmentMismatch"""
    (reveal,) = revealing.reveals([0])
    value = reveal[place]
    other = value + 1 if isinstance(value, int) else sha256(value).digest()
    changed = (*reveal[:place], other, *reveal[place + 1 :])
    with refused("CommitmentMismatch", 0):
        revealing.contract.revealBatch(1, [changed], sender=KEEPER.address)


def test_reveal_when_the_norm_is_above_the_bound(stage: Stage) -> None:
    """it should revert with NormAboveBound"""
    run = stage.create_run(normBound=10**9)
    run.enroll_all(2)
    run.play(until="reveal")
    run.reveal([0])  # exactly at the bound
    with refused("NormAboveBound", 10**9 + 1, 10**9):
        run.reveal([1])


def test_reveal_when_the_deadline_passed(revealing: Run) -> None:
    """it should revert with PhaseOver"""
    revealing.pass_deadline()
    with refused("PhaseOver"):
        revealing.reveal([0])


def test_reveal_when_in_time(revealing: Run) -> None:
    """it should store what binds root and header, and start the audit after the last"""
    event = revealing.reveal([0]).only("Revealed")
    header = revealing.header(0, 1, 1)
    assert (event.updateRoot, event.ssq, event.updateCid) == (
        header.update_root,
        header.ssq,
        header.update_cid,
    )
    assert revealing.contract.submissions(0).progress == REVEALED
    revealing.reveal([1, 2])
    assert revealing.contract.current().phase == Phase.AUDIT


# --- advance


def test_advance_when_nothing_runs_out(run: Run) -> None:
    """it should revert with WrongPhase"""
    with refused("WrongPhase"):
        run.contract.advance(sender=KEEPER.address)
    run.play(until="audit")
    with refused("WrongPhase"):
        run.contract.advance(sender=KEEPER.address)


def test_advance_when_the_deadline_is_not_past(run: Run) -> None:
    """it should revert with PhaseNotOver"""
    run.open()
    with refused("PhaseNotOver"):
        run.contract.advance(sender=KEEPER.address)


def test_advance_when_too_few_committed(run: Run) -> None:
    """it should fail the round, which keeps its number and its parent's root"""
    run.open()
    run.commit(0)
    run.pass_deadline()
    assert run.contract.advance(sender=KEEPER.address).only("RoundFailed").reason == 0
    assert run.contract.getRound(1).modelRoot == GENESIS_ROOT
    assert run.contract.getRound(1).status == FAILED
    assert run.open().only("RoundOpened").round == 2


def test_advance_when_enough_committed(run: Run) -> None:
    """it should go on to reveal"""
    run.open()
    run.commit_batch([0, 1])
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    assert run.contract.current().phase == Phase.REVEAL


def test_advance_when_too_few_revealed(revealing: Run) -> None:
    """it should fail the round and charge who did not reveal"""
    revealing.reveal([0])
    revealing.pass_deadline()
    failed = revealing.contract.advance(sender=KEEPER.address)
    assert failed.only("RoundFailed").reason == 1
    assert [e.trainer for e in failed.all("FeeCharged")] == [t.address for t in TRAINERS[1:3]]


def test_advance_when_enough_revealed(revealing: Run) -> None:
    """it should go on to audit"""
    revealing.reveal([0, 1])
    revealing.pass_deadline()
    revealing.contract.advance(sender=KEEPER.address)
    assert revealing.contract.current().phase == Phase.AUDIT


def test_advance_when_nobody_proposed(run: Run) -> None:
    """it should fail the round"""
    run.play(until="merge")
    run.pass_deadline()
    assert run.contract.advance(sender=KEEPER.address).only("RoundFailed").reason == 3
