"""Attesting and freezing; see trees/audits.tree."""

import pytest
from support.evm import Receipt
from support.refused import refused
from support.runs import AGGREGATOR, ATTACKER, KEEPER, TRAINERS, TRAINING_COURT, WITNESS, Run, Stage

from protocol.rounds import Phase, inputs_hash

ALL = 0b111


@pytest.fixture
def auditing(run: Run) -> Run:
    run.play(until="audit")
    return run


def post(run: Run, *groups: tuple) -> Receipt:
    return run.contract.postAttestations(1, list(groups), sender=KEEPER.address)


def test_attest_when_another_phase(run: Run) -> None:
    """it should revert with WrongPhase"""
    run.open()
    with refused("WrongPhase", Phase.AUDIT, Phase.COMMIT):
        run.contract.attest(1, 0, ALL, 0, sender=TRAINERS[0].address)


def test_attest_when_the_seat_is_not_the_senders(auditing: Run) -> None:
    """it should revert with NotSeated"""
    with refused("NotSeated"):
        auditing.contract.attest(1, 0, ALL, 0, sender=TRAINERS[1].address)


def test_attest_when_seated(auditing: Run) -> None:
    """it should serve in place of a signature, for those bitmaps only"""
    for seat in (0, 1):
        auditing.contract.attest(1, seat, 0b011, 0b010, sender=TRAINERS[seat].address)
    empty = bytes(32)
    signatures = [(seat, empty, empty) for seat in (0, 1)]
    for other in ((ALL, 0b010), (0b011, 0)):
        with refused("BadSignature", 0):
            post(auditing, (*other, signatures))
    post(auditing, (0b011, 0b010, signatures))
    assert tuple(auditing.contract.posted(1)) == (0b011, 0b010, 0)


def test_post_attestations_when_less_than_two_thirds(auditing: Run) -> None:
    """it should revert with EmptyBatch"""
    with refused("EmptyBatch"):
        post(auditing, auditing.attestation_group([0], ALL))


def test_post_attestations_when_two_thirds_agree(auditing: Run) -> None:
    """it should record what they call available, and what harmful"""
    group = auditing.attestation_group([0, 1], 0b101 | 1 << 200, 0b100 | 1 << 200)
    event = post(auditing, group).only("AttestationsPosted")
    assert (event.available, event.harmful, event.contested) == (0b101, 0b100, 0)
    assert tuple(auditing.contract.posted(1)) == (0b101, 0b100, 0)


def test_post_attestations_when_it_is_open_whether_an_update_does_harm(auditing: Run) -> None:
    """it should record that, until it is settled"""
    fine, harm = (auditing.attestation_group([seat], ALL, bits) for seat, bits in ((0, 0), (1, 1)))
    assert post(auditing, fine, harm).only("AttestationsPosted").contested == 0b001
    with refused("PhaseNotOver"):
        auditing.freeze([0, 1, 2], groups=[])
    last = auditing.attestation_group([2], ALL, 1)
    assert post(auditing, harm, last).only("AttestationsPosted").contested == 0
    assert tuple(auditing.contract.posted(1)) == (ALL, 0b001, 0)
    assert auditing.freeze([0, 1, 2], groups=[]).only("UpdatesUnpaid").seats == 0b001


def test_post_attestations_when_it_adds_nothing(auditing: Run) -> None:
    """it should revert with EmptyBatch, so that a keeper can not be paid for it again"""
    group = auditing.attestation_group([0, 1], 0b101)
    post(auditing, group)
    with refused("EmptyBatch"):
        post(auditing, group)


def test_post_attestations_when_a_group_is_empty(auditing: Run) -> None:
    """it should revert with EmptyBatch"""
    with refused("EmptyBatch"):
        post(auditing, auditing.attestation_group([0, 1], ALL), (ALL, 0, []))


def test_post_attestations_when_a_seat_speaks_twice(auditing: Run) -> None:
    """it should revert with DuplicateAttestation"""
    with refused("DuplicateAttestation", 0):
        post(
            auditing,
            auditing.attestation_group([0, 1], ALL),
            auditing.attestation_group([0], 0b001),
        )


def test_post_attestations_when_a_seat_is_not_in_the_roster(auditing: Run) -> None:
    """it should revert with NotSeated"""
    auditing.enroll(TRAINERS[5])
    with refused("NotSeated", 3, TRAINERS[5].address):
        post(auditing, auditing.attestation_group([0, 1, 3], ALL))


def test_post_attestations_when_somebody_else_signed(auditing: Run) -> None:
    """it should revert with BadSignature"""
    available, harmful, signatures = auditing.attestation_group([0, 1], ALL)
    forged = [(0, *signatures[1][1:])]
    with refused("BadSignature", 0):
        post(auditing, (available, harmful, forged))


def test_post_attestations_when_the_deadline_passed(auditing: Run) -> None:
    """it should revert with PhaseOver"""
    group = auditing.attestation_group([0, 1], ALL)
    auditing.pass_deadline()
    with refused("PhaseOver"):
        post(auditing, group)


def test_freeze_when_another_phase(run: Run) -> None:
    """it should revert with WrongPhase"""
    with refused("WrongPhase", Phase.AUDIT, Phase.IDLE):
        run.contract.freeze(0, [], [], sender=KEEPER.address)


def test_freeze_when_it_names_another_attempt(auditing: Run) -> None:
    """it should revert with WrongAttempt"""
    with refused("WrongAttempt", 1, 2):
        auditing.contract.freeze(2, [], [], sender=KEEPER.address)


def test_freeze_when_a_revealed_update_is_missing(auditing: Run) -> None:
    """it should revert with WrongUpdates"""
    with refused("WrongUpdates", 2, 3):
        auditing.freeze([0, 1])


def test_freeze_when_updates_are_out_of_order(auditing: Run) -> None:
    """it should revert with WrongUpdates"""
    updates = auditing.revealed_updates([0, 1, 2])
    swapped = [updates[1], updates[0], updates[2]]
    with refused("WrongUpdates", 1, 3):
        auditing.contract.freeze(1, [], swapped, sender=KEEPER.address)


def test_freeze_when_an_update_is_not_the_revealed_one(auditing: Run) -> None:
    """it should revert with CommitmentMismatch"""
    updates = auditing.revealed_updates([0, 1, 2])
    forged = [*updates[:2], (2, b"\7" * 32, updates[2][2])]
    with refused("CommitmentMismatch", 2):
        auditing.contract.freeze(1, [], forged, sender=KEEPER.address)


def test_freeze_when_somebody_may_still_speak(auditing: Run) -> None:
    """it should revert with PhaseNotOver"""
    with refused("PhaseNotOver"):
        auditing.freeze([0, 1, 2], attesters=[0, 1], available=[0, 1])


def test_freeze_when_all_is_available_before_the_deadline(auditing: Run) -> None:
    """it should go on to the merge"""
    auditing.freeze([0, 1, 2], attesters=[0, 1])
    assert auditing.contract.current().phase == Phase.MERGE


def test_freeze_when_the_whole_roster_spoke(auditing: Run) -> None:
    """it should exclude what two thirds do not call available"""
    groups = [
        auditing.attestation_group([0], 0b111),
        auditing.attestation_group([1, 2], 0b011),
    ]
    event = auditing.freeze([0, 1, 2], groups=groups).only("UpdatesFrozen")
    assert event.included == event.available == 0b011


def test_freeze_when_attestations_were_posted(auditing: Run) -> None:
    """it should count them"""
    post(auditing, auditing.attestation_group([0, 1], ALL))
    event = auditing.freeze([0, 1, 2], groups=[]).only("UpdatesFrozen")
    assert event.included == ALL


def test_freeze_when_two_thirds_call_an_update_harmful(auditing: Run) -> None:
    """it should include it all the same, and say that it is not paid"""
    expected = [inputs_hash(segment) for segment in auditing.entries([0, 1, 2])]
    groups = [
        auditing.attestation_group([0], ALL, 0b010 | 1 << 200),
        auditing.attestation_group([1], ALL),
        auditing.attestation_group([2], ALL, 0b110),
    ]
    frozen = auditing.freeze([0, 1, 2], groups=groups)
    assert frozen.only("UpdatesUnpaid").seats == auditing.contract.unpaid(1) == 0b010
    assert frozen.only("UpdatesFrozen").included == ALL
    assert frozen.only("UpdatesFrozen").inputsHashes == expected


def test_freeze_when_nobody_calls_an_update_harmful(auditing: Run) -> None:
    """it should store and say nothing of it"""
    assert auditing.freeze([0, 1, 2]).all("UpdatesUnpaid") == []
    assert (auditing.contract.unpaid(1), auditing.contract.getRound(1).anyUnpaid) == (0, False)


def test_freeze_when_a_minority_calls_an_update_harmful(auditing: Run) -> None:
    """it should leave it its pay"""
    groups = [
        auditing.attestation_group([0], ALL, 0b110),
        auditing.attestation_group([1, 2], ALL),
    ]
    assert auditing.freeze([0, 1, 2], groups=groups).all("UpdatesUnpaid") == []


def test_freeze_when_it_is_open_whether_an_update_does_harm(auditing: Run) -> None:
    """it should revert with PhaseNotOver, so that who freezes does not choose the voices"""
    groups = [auditing.attestation_group([0], ALL, 0b010), auditing.attestation_group([1], ALL)]
    with refused("PhaseNotOver"):
        auditing.freeze([0, 1, 2], groups=groups)
    with refused("PhaseNotOver"):
        auditing.freeze([0, 1, 2], groups=[auditing.attestation_group([0], ALL)])
    auditing.pass_deadline()
    assert auditing.freeze([0, 1, 2], groups=groups).all("UpdatesUnpaid") == []


def test_freeze_when_a_harmful_update_is_not_included(auditing: Run) -> None:
    """it should say nothing of its pay"""
    groups = [auditing.attestation_group([0, 1, 2], 0b011, 0b110)]
    frozen = auditing.freeze([0, 1, 2], groups=groups)
    assert frozen.only("UpdatesFrozen").included == 0b011
    assert frozen.only("UpdatesUnpaid").seats == 0b010


def test_freeze_when_the_deadline_passed_in_silence(auditing: Run) -> None:
    """it should fail the round"""
    auditing.pass_deadline()
    failed = auditing.freeze([0, 1, 2], groups=[])
    assert failed.only("RoundFailed").reason == 2
    assert auditing.contract.current().phase == Phase.IDLE


def test_freeze_when_a_court_excluded_an_update(auditing: Run) -> None:
    """it should leave it out"""
    auditing.contract.convictUpdate(
        1, 1, TRAINERS[1].address, WITNESS.address, sender=TRAINING_COURT.address
    )
    event = auditing.freeze([0, 1, 2]).only("UpdatesFrozen")
    assert (event.included, event.available) == (0b101, 0b111)


@pytest.mark.parametrize("segments", [1, 3, 5])
def test_freeze_when_stakes_differ(stage: Stage, segments: int) -> None:
    """it should fix weights and inputs hash of every segment as protocol.rounds does"""
    run = stage.create_run(segments=segments, chunks=8)
    for i, gwei in enumerate([10**9, 3 * 10**9 + 7, 9 * 10**9, 123_456_789]):  # the third is capped
        run.enroll(TRAINERS[i], gwei)
    run.play(until="audit")
    expected = [inputs_hash(segment) for segment in run.entries([0, 1, 2, 3])]
    event = run.freeze([0, 1, 2, 3]).only("UpdatesFrozen")
    assert event.inputsHashes == expected
    assert [run.contract.inputsHash(1, s) for s in range(segments)] == expected
    run.deposit_bond(AGGREGATOR)
    run.propose()
    run.pass_dispute(1)
    paid = run.finalize(1)
    assert paid.only("RoundFinalized").paidWei <= run.params.rewardPerRoundWei
    assert len(paid.all("RewardCredited")) == 4


def test_freeze_when_an_included_seat_lost_all_its_stake(stage: Stage) -> None:
    """it should leave that seat out, and still end"""
    run = stage.create_run(segments=3, minTrainers=2, slashBps=10_000)
    run.enroll_all(3)
    run.deposit_bond(AGGREGATOR)
    run.play()
    run.play(until="audit")
    run.contract.convictUpdate(
        1, 0, TRAINERS[0].address, WITNESS.address, sender=TRAINING_COURT.address
    )
    assert run.contract.seats(0).stakeGwei == 0
    event = run.freeze([0, 1, 2]).only("UpdatesFrozen")
    assert event.included == 0b110


# --- freezeWithReveals


@pytest.fixture
def revealing(run: Run) -> Run:
    run.play(until="reveal")
    return run


def at_once(run: Run, seats: list[int], groups: list[tuple] | None = None) -> Receipt:
    groups = [run.attestation_group([0, 1, 2], ALL)] if groups is None else groups
    return run.contract.freezeWithReveals(1, groups, run.reveals(seats), sender=KEEPER.address)


def test_freeze_with_reveals_when_another_phase(auditing: Run) -> None:
    """it should revert with WrongPhase"""
    with refused("WrongPhase", Phase.REVEAL, Phase.AUDIT):
        at_once(auditing, [0, 1, 2])


def test_freeze_with_reveals_when_the_deadline_passed(revealing: Run) -> None:
    """it should revert with PhaseOver"""
    revealing.pass_deadline()
    with refused("PhaseOver"):
        at_once(revealing, [0, 1, 2])


def test_freeze_with_reveals_when_a_committed_seat_is_missing(revealing: Run) -> None:
    """it should revert with WrongUpdates"""
    with refused("WrongUpdates", 2, 3):
        at_once(revealing, [0, 1])


@pytest.mark.parametrize("seats", [[0, 2, 1], [0, 1, 1]])
def test_freeze_with_reveals_when_seats_do_not_ascend(revealing: Run, seats: list[int]) -> None:
    """it should revert with WrongUpdates"""
    with refused("WrongUpdates", 2, 3):
        at_once(revealing, seats)


def test_freeze_with_reveals_when_somebody_revealed_before(revealing: Run) -> None:
    """it should revert with WrongUpdates, and the long way stays open"""
    revealing.reveal([1])
    with refused("WrongUpdates"):
        at_once(revealing, [0, 1, 2])
    revealing.reveal([0, 2])
    revealing.freeze([0, 1, 2])


def test_freeze_with_reveals_when_a_reveal_does_not_open_its_commitment(revealing: Run) -> None:
    """it should revert with CommitmentMismatch"""
    reveals = revealing.reveals([0, 1, 2])
    reveals[1] = (*reveals[1][:-1], b"\7" * 32)
    group = revealing.attestation_group([0, 1, 2], ALL)
    with refused("CommitmentMismatch", 1):
        revealing.contract.freezeWithReveals(1, [group], reveals, sender=KEEPER.address)


def test_freeze_with_reveals_when_two_thirds_do_not_find_all_available(revealing: Run) -> None:
    """it should revert with PhaseNotOver"""
    for groups in (
        [],
        [revealing.attestation_group([0], ALL)],
        [revealing.attestation_group([0, 1, 2], 0b011)],
        [revealing.attestation_group([0], ALL), revealing.attestation_group([1, 2], 0b101)],
    ):
        with refused("PhaseNotOver"):
            at_once(revealing, [0, 1, 2], groups)


def test_freeze_with_reveals_when_it_is_open_whether_an_update_does_harm(revealing: Run) -> None:
    """it should revert with PhaseNotOver"""
    groups = [revealing.attestation_group([0], ALL, 1), revealing.attestation_group([1], ALL)]
    with refused("PhaseNotOver"):
        at_once(revealing, [0, 1, 2], groups)


def test_freeze_with_reveals_when_two_thirds_call_an_update_harmful(revealing: Run) -> None:
    """it should include it all the same, and say that it is not paid"""
    frozen = at_once(revealing, [0, 1, 2], [revealing.attestation_group([0, 1], ALL, 0b001)])
    assert frozen.only("UpdatesUnpaid").seats == 0b001
    assert frozen.only("UpdatesFrozen").included == ALL


def test_freeze_with_reveals_when_all_is_at_hand(revealing: Run) -> None:
    """it should freeze what the long way freezes, and pay for it"""
    expected = [inputs_hash(segment) for segment in revealing.entries([0, 1, 2])]
    event = revealing.freeze_with_reveals([0, 1, 2], attesters=[0, 2]).only("UpdatesFrozen")
    assert (event.included, event.available) == (ALL, ALL)
    assert event.inputsHashes == expected
    assert revealing.contract.current().phase == Phase.MERGE
    revealing.propose()
    revealing.pass_dispute(1)
    assert len(revealing.finalize(1).all("RewardCredited")) == 3


def test_freeze_with_reveals_when_a_court_excluded_an_update(revealing: Run) -> None:
    """it should leave it out"""
    revealing.contract.convictUpdate(
        1, 1, TRAINERS[1].address, WITNESS.address, sender=TRAINING_COURT.address
    )
    event = revealing.freeze_with_reveals([0, 1, 2]).only("UpdatesFrozen")
    assert event.included == 0b101


def test_attest_when_nobody_knows_the_sender(auditing: Run) -> None:
    """it should revert with NotSeated"""
    with refused("NotSeated", 200, ATTACKER.address):
        auditing.contract.attest(1, 200, ALL, 0, sender=ATTACKER.address)
