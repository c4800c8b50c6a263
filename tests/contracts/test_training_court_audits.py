"""Who audits, what is found, and what it earns; see trees/training_court_audits.tree.

Each test ends with invariant T1.
"""

from collections.abc import Iterator

import pytest
from support.evm import Receipt
from support.refused import refused
from support.runs import (
    ATTACKER,
    ETHER,
    KEEPER,
    MERGE_COURT,
    SPONSOR,
    TRAINERS,
    Person,
    Stage,
)
from support.trials import (
    CLOSE,
    CONVICTED,
    DIFFERENT,
    SAME,
    VERDICT,
    TrialGame,
    TrialRun,
    check_books,
    create_trial_run,
    header_bytes,
)

REWARD = 10**15


@pytest.fixture
def run(trial_stage: Stage) -> Iterator[TrialRun]:
    """Six trainers, each of whose updates is audited; an ether lies there for audits."""
    made = create_trial_run(trial_stage, cheats={1: 3})
    fund(made, ETHER)
    yield made
    check_books(made.court, made.contract.address)


@pytest.fixture
def random(trial_stage: Stage) -> Iterator[TrialRun]:
    """The same with a beacon that reads headers, where about half of the updates are audited."""
    beacon = trial_stage.evm.deploy("PrevrandaoBeacon", sender=KEEPER.address)
    made = create_trial_run(trial_stage, cheats={1: 3}, beacon=beacon.address, auditBps=5_000)
    fund(made, ETHER)
    yield made
    check_books(made.court, made.contract.address)


def fund(run: TrialRun, wei: int, sender: Person = SPONSOR) -> Receipt:
    receipt: Receipt = run.court.fundAudits(
        run.contract.address, sender=sender.address, value=wei
    )
    return receipt


def pool(run: TrialRun) -> int:
    return int(run.court.auditPoolWei(run.contract.address))


def credit(run: TrialRun, person: Person) -> int:
    return int(run.court.creditOf(person.address))


def all_findings(run: TrialRun, round_id: int, finding: int = SAME) -> list[tuple[object, ...]]:
    return [
        run.finding(round_id, seat, finding, auditor)
        for seat, auditor in run.auditors(round_id).items()
    ]


def close(run: TrialRun) -> None:
    run.pass_dispute(run.contract.current().round)
    run.finalize(run.contract.current().round)
    run.contract.close(sender=SPONSOR.address)


# --- fundAudits and returnAudits


def test_fund_audits_when_anybody_gives(run: TrialRun) -> None:
    """it should add to the run's pool"""
    said = fund(run, 7, sender=KEEPER).only("AuditsFunded")
    assert (said.run, said.amountWei) == (run.contract.address, 7)
    assert pool(run) == ETHER + 7


def test_return_audits_when_the_run_is_closed(run: TrialRun) -> None:
    """it should credit the sponsor with what is left, once"""
    run.play()
    run.post_findings(1, all_findings(run, 1))
    close(run)
    said = run.court.returnAudits(run.contract.address, sender=SPONSOR.address)
    assert said.only("AuditsReturned").amountWei == ETHER - 6 * REWARD
    assert credit(run, SPONSOR) == ETHER - 6 * REWARD
    assert pool(run) == 0
    with refused("NothingToClaim"):
        run.court.returnAudits(run.contract.address, sender=SPONSOR.address)


def test_return_audits_when_it_is_not_due(run: TrialRun) -> None:
    """it should revert with NotSponsor or NotClosed"""
    with refused("NotSponsor", SPONSOR.address):
        run.court.returnAudits(run.contract.address, sender=ATTACKER.address)
    with refused("NotClosed", run.contract.address):
        run.court.returnAudits(run.contract.address, sender=SPONSOR.address)


# --- postFindings


def test_post_findings_when_the_drawn_auditors_signed(run: TrialRun) -> None:
    """it should record and pay each update once, in any phase before the round is final"""
    run.play(until="merge")
    auditors = run.auditors(1)
    assert set(auditors) == set(range(6))
    assert all(auditor != run.seats[seat] for seat, auditor in auditors.items())
    first, *others = all_findings(run, 1)
    said = run.post_findings(1, [first]).only("FindingPosted")
    assert (said.run, said.round, said.seat) == (run.contract.address, 1, 0)
    assert (said.auditor, said.finding, said.paidWei) == (auditors[0].address, SAME, REWARD)
    run.propose()
    assert len(run.post_findings(1, others).all("FindingPosted")) == 5
    paid = dict.fromkeys(auditors.values(), 0)
    for auditor in auditors.values():
        paid[auditor] += REWARD
    assert {auditor: credit(run, auditor) for auditor in paid} == paid
    assert pool(run) == ETHER - 6 * REWARD
    for seat, auditor in auditors.items():
        assert run.court.findings(run.contract.address, 1, seat) == (auditor.address, SAME)
    with refused("AlreadyFound", 0):
        run.post_findings(1, [first])
    with refused("AlreadyFound", 0):
        run.post_findings(1, [run.finding(1, 0, DIFFERENT, auditors[0])])


def test_post_findings_when_the_beacon_reads_headers(random: TrialRun) -> None:
    """it should draw by the block after the freeze, as Python does"""
    random.play()
    auditors = random.auditors(1)
    frozen_at = random.contract.getRound(1).frozenAt
    assert random.audit_block(1) == frozen_at + 1
    posted = random.post_findings(1, all_findings(random, 1, CLOSE)).all("FindingPosted")
    assert {e.seat: e.auditor for e in posted} == {s: p.address for s, p in auditors.items()}
    for seat in set(range(6)) - set(auditors):
        with refused("NotDrawn", seat):
            random.post_findings(1, [random.finding(1, seat, SAME, TRAINERS[0])])
    with refused("WrongHeaderOf", frozen_at + 1):
        random.post_findings(1, [], header=header_bytes(random, frozen_at))


def test_post_findings_when_the_block_is_to_come(random: TrialRun) -> None:
    """it should revert with BlockNotKnown in the block after the freeze"""
    frozen = random.play(until="merge")
    number = random.contract.getRound(frozen).frozenAt + 1
    with refused("BlockNotKnown", number):
        random.post_findings(frozen, [], header=b"")


def test_post_findings_when_somebody_else_signed(run: TrialRun) -> None:
    """it should revert with WrongSignature, also for another finding, update, court or none"""
    run.play()
    auditor = run.auditors(1)[2]
    stranger = next(p for p in TRAINERS if p != auditor)
    seat, finding, r, vs = run.finding(1, 2, SAME, auditor)
    for wrong in (
        run.finding(1, 2, SAME, stranger),
        (seat, CLOSE, r, vs),
        (seat, 0, r, vs),
        (seat, finding, bytes(32), bytes(32)),
        (seat, *run.finding(1, 3, SAME, auditor)[1:]),
    ):
        with refused("WrongSignature", 2):
            run.post_findings(1, [wrong])
    run.post_findings(1, [(seat, finding, r, vs)])


def test_post_findings_when_the_update_is_not_there(run: TrialRun) -> None:
    """it should revert with NotDrawn, and WrongInputs for another roll"""
    run.play()
    good = run.finding(1, 2, SAME, run.auditors(1)[2])
    with refused("NotDrawn", 9):
        run.post_findings(1, [(9, *good[1:])])
    raw = run.inputs[1][0]
    for inputs in ([], [raw[88:]], [raw, raw]):
        with refused("WrongInputs"):
            run.post_findings(1, [good], inputs=inputs)


def test_post_findings_when_the_others_weigh_nothing(trial_stage: Stage) -> None:
    """it should revert with NotDrawn: nobody audits"""
    run = create_trial_run(trial_stage, trainers=1, minTrainers=1)
    run.play()
    assert run.auditors(1) == {}
    with refused("NotDrawn", 0):
        run.post_findings(1, [run.finding(1, 0, SAME, TRAINERS[0])])


def test_post_findings_when_the_pool_runs_dry(trial_stage: Stage) -> None:
    """it should pay as far as it goes, and record all"""
    run = create_trial_run(trial_stage)
    fund(run, REWARD + 5)
    run.play()
    posted = run.post_findings(1, all_findings(run, 1)).all("FindingPosted")
    assert [e.paidWei for e in posted] == [REWARD, 5, 0, 0, 0, 0]
    check_books(run.court, run.contract.address)


def test_post_findings_when_the_updates_are_not_pending(run: TrialRun) -> None:
    """it should revert with NotFrozen before the freeze, and once the round is final"""
    run.play()
    findings = all_findings(run, 1)
    run.pass_dispute(1)
    run.finalize(1)
    with refused("NotFrozen", run.contract.address, 1):
        run.post_findings(1, findings)
    run.play(until="audit")
    with refused("NotFrozen", run.contract.address, 2):
        run.post_findings(2, [], inputs=run.inputs[1])


def test_post_findings_when_the_round_is_played_again(run: TrialRun) -> None:
    """it should pay for the new updates"""
    run.play()
    run.play()
    run.post_findings(2, all_findings(run, 2))
    run.contract.convictMerge(1, KEEPER.address, sender=MERGE_COURT.address, gas_price=0)
    run.propose()
    run.play()
    assert len(run.post_findings(2, all_findings(run, 2)).all("FindingPosted")) == 6


# --- fineAuditor


def fine_auditor(run: TrialRun, trial: int = 1) -> Receipt:
    receipt: Receipt = run.court.fineAuditor(trial, sender=KEEPER.address, gas_price=0)
    return receipt


def convict(run: TrialRun, *, finding: int = SAME, seat: int = 1) -> TrialGame:
    """A round whose cheat was found to be honest, and convicted by a jury."""
    run.play()
    auditor = run.auditors(1)[seat]
    run.post_findings(1, [run.finding(1, seat, finding, auditor)])
    game = TrialGame(run, 1, 1)
    game.to_verdict(guilty=True)
    with refused("WrongState", 1, VERDICT):
        fine_auditor(run)
    game.finish()
    assert game.state == CONVICTED
    return game


def test_fine_auditor_when_a_jury_convicted_what_it_found_the_same(run: TrialRun) -> None:
    """it should cost the fee once"""
    convict(run)
    auditor = run.auditors(1)[1]
    seat = next(s for s, p in run.seats.items() if p == auditor)
    before = run.contract.seats(seat).stakeGwei
    said = fine_auditor(run).only("AuditorFined")
    assert (said.auditor, said.seat) == (auditor.address, 1)
    assert before - run.contract.seats(seat).stakeGwei == run.params.noRevealFeeGwei
    with refused("NothingToFine"):
        fine_auditor(run)


@pytest.mark.parametrize("finding", [CLOSE, DIFFERENT])
def test_fine_auditor_when_it_found_something_else(run: TrialRun, finding: int) -> None:
    """it should revert with NothingToFine"""
    convict(run, finding=finding)
    with refused("NothingToFine"):
        fine_auditor(run)


def test_fine_auditor_when_it_found_nothing_about_it(run: TrialRun) -> None:
    """it should revert with NothingToFine"""
    convict(run, seat=2)
    with refused("NothingToFine"):
        fine_auditor(run)


def test_fine_auditor_when_the_clock_convicted(run: TrialRun) -> None:
    """it should revert with NothingToFine: the work may have been right"""
    run.play()
    run.post_findings(1, all_findings(run, 1))
    game = TrialGame(run, 1, 1)
    game.accuse()
    game.run_out()
    assert game.state == CONVICTED
    with refused("NothingToFine"):
        fine_auditor(run)


def test_fine_auditor_when_the_trial_acquitted(run: TrialRun) -> None:
    """it should revert with NothingToFine"""
    run.play()
    run.post_findings(1, all_findings(run, 1))
    game = TrialGame(run, 1, 0, false_from=1)
    game.to_verdict(guilty=False)
    game.finish()
    with refused("NothingToFine"):
        fine_auditor(run)
