"""From a seated jury to the last payment; see trees/training_court_votes.tree.

Each test ends with invariant T1.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from support.evm import Contract, Receipt
from support.refused import refused
from support.runs import (
    ATTACKER,
    ETHER,
    GWEI,
    KEEPER,
    MERGE_COURT,
    NOBODY,
    TRAINERS,
    WITNESS,
    Person,
    Stage,
)
from support.trials import (
    ACQUITTED,
    CONVICTED,
    DEFENCE,
    DRAW,
    HUNG,
    MOOT,
    NONE,
    OPENING,
    REPLY,
    SEAL,
    VERDICT,
    TrialGame,
    TrialRun,
    check_books,
    create_trial_run,
    vote_seal,
)

from protocol.rounds import Phase

FAILED = 4
MOVE_S, JURY_S = 60, 120
OTHER = sha256(b"neither").digest()
STAKE = ETHER


@pytest.fixture
def run(trial_stage: Stage) -> Iterator[TrialRun]:
    """Six trainers of equal stake and one class; seat 1 made its training up from digest 3 on."""
    made = create_trial_run(trial_stage, cheats={1: 3})
    yield made
    check_books(made.court, made.contract.address)


@pytest.fixture
def game(run: TrialRun) -> TrialGame:
    """A trial of the cheat, whose jury is seated."""
    made = TrialGame(run, run.play(), 1)
    made.to_jury()
    return made


@pytest.fixture
def slander(run: TrialRun) -> TrialGame:
    """A trial of honest work, whose accuser made a trace up; its jury is seated."""
    made = TrialGame(run, run.play(), 0, accuser=ATTACKER, false_from=2)
    made.to_jury()
    return made


def credit(run: TrialRun, person: Person) -> int:
    return int(run.court.creditOf(person.address))


def stakes(run: TrialRun) -> dict[int, int]:
    """What each seat has, in gwei."""
    return {seat: int(run.contract.seats(seat).stakeGwei) for seat in run.seats}


def pay(game: TrialGame, person: Person, level: int = 0) -> Receipt:
    receipt: Receipt = game.court.payJuror(game.id, level, person.address, sender=KEEPER.address)
    return receipt


def fine(game: TrialGame, person: Person, level: int = 0) -> Receipt:
    receipt: Receipt = game.court.fineJuror(
        game.id, level, person.address, sender=KEEPER.address, gas_price=0
    )
    return receipt


def votes_of(game: TrialGame, choose: Callable[[int, Person], bytes | None]) -> dict[Person, bytes]:
    """One vote a juror; None keeps silent."""
    chosen = {p: choose(i, p) for i, p in enumerate(game.jury)}
    return {p: digest for p, digest in chosen.items() if digest is not None}


def convict_merge(run: TrialRun, round_id: int) -> None:
    run.contract.convictMerge(round_id, KEEPER.address, sender=MERGE_COURT.address, gas_price=0)


# --- sealVote


def test_seal_vote_when_a_juror_does(game: TrialGame) -> None:
    """it should count its tickets, and begin to open once all are sealed"""
    run, (*early, last) = game.run, list(game.jury)
    for person in early:
        said = game.seal(person, OTHER).only("VoteSealed")
        assert (said.id, said.level, said.juror) == (1, 0, person.address)
    assert game.state == SEAL
    assert run.court.tallies(1, 0).sealed == 15 - game.jury[last]
    began = game.seal(last, OTHER).only("VotingStarted")
    assert (game.state, game.trial.deadline) == (OPENING, run.evm.now() + MOVE_S)
    assert began.deadline == game.trial.deadline


def test_seal_vote_when_it_is_not_a_jurors(game: TrialGame) -> None:
    """it should revert with NotJuror"""
    for person in (TRAINERS[1], WITNESS):
        with refused("NotJuror", 1, person.address):
            game.seal(person, OTHER)


def test_seal_vote_when_it_is_empty_or_the_second(game: TrialGame) -> None:
    """it should revert with WrongSeal or AlreadyVoted"""
    person = next(iter(game.jury))
    with refused("WrongSeal", 1, person.address):
        game.court.sealVote(1, bytes(32), sender=person.address)
    game.seal(person, OTHER)
    with refused("AlreadyVoted", 1, person.address):
        game.seal(person, OTHER)


def test_seal_vote_when_the_clock_ran_out(game: TrialGame) -> None:
    """it should revert with ClockRanOut a second after the deadline"""
    deadline = game.trial.deadline
    first, second, *_ = game.jury
    game.run.evm.next_block_at(deadline)
    game.seal(first, OTHER)
    game.run.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.seal(second, OTHER)


# --- openVote


def to_opening(game: TrialGame, digest: bytes | None = None) -> bytes:
    vote = bytes(game.trial.accuserDigest) if digest is None else digest
    for person in game.jury:
        game.seal(person, vote)
    return vote


def test_open_vote_when_it_was_sealed(game: TrialGame) -> None:
    """it should count its tickets for a side, or for none, and count all once all are opened"""
    trial, (first, second, *others) = game.trial, list(game.jury)
    votes = {first: bytes(trial.accusedDigest), second: OTHER}
    votes |= {person: bytes(trial.accuserDigest) for person in others}
    for person, digest in votes.items():
        game.seal(person, digest)
    for person, digest in votes.items():
        receipt = game.open(person, digest)
        said = receipt.only("VoteOpened")
        assert (said.juror, said.digest, said.tickets) == (
            person.address,
            digest,
            game.jury[person],
        )
    tally = game.court.tallies(1, 0)
    assert (tally.seated, tally.sealed, tally.opened) == (15, 15, 15)
    assert tally.forAccused == game.jury[first]
    assert tally.forAccuser == sum(game.jury[person] for person in others)
    counted = receipt.only("VotesCounted")
    assert (counted.verdict, counted.appealUntil) == (
        game.trial.verdict,
        game.run.evm.now() + MOVE_S,
    )
    assert game.state == VERDICT


def test_open_vote_when_it_is_another(game: TrialGame) -> None:
    """it should revert with WrongSeal for another digest or salt, another's seal, or none"""
    first, second, *others = game.jury
    vote = game.trial.accuserDigest
    game.seal(first, vote)
    copied = vote_seal(1, 0, first.address, vote, game.salt(first))
    game.court.sealVote(1, copied, sender=second.address)
    game.run.evm.sleep_until(game.trial.deadline + 1)
    game.advance()
    with refused("WrongSeal", 1, first.address):
        game.open(first, OTHER)
    with refused("WrongSeal", 1, first.address):
        game.court.openVote(1, vote, OTHER, sender=first.address)
    with refused("WrongSeal", 1, second.address):
        game.court.openVote(1, vote, game.salt(first), sender=second.address)
    with refused("WrongSeal", 1, others[0].address):
        game.open(others[0], vote)
    game.open(first, vote)


def test_open_vote_when_it_is_the_second_or_a_strangers(game: TrialGame) -> None:
    """it should revert with AlreadyVoted or NotJuror"""
    vote = to_opening(game)
    person = next(iter(game.jury))
    game.open(person, vote)
    with refused("AlreadyVoted", 1, person.address):
        game.open(person, vote)
    with refused("NotJuror", 1, WITNESS.address):
        game.open(WITNESS, vote)


def test_open_vote_when_it_is_not_due(game: TrialGame) -> None:
    """it should revert with WrongState or ClockRanOut"""
    person = next(iter(game.jury))
    with refused("WrongState", 1, SEAL):
        game.open(person, OTHER)
    vote = to_opening(game)
    deadline = game.trial.deadline
    game.run.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.open(person, vote)


# --- verdict


def test_verdict_when_most_opened_tickets_are_the_accusers(game: TrialGame) -> None:
    """it should convict: slash, half to the accuser; the defender's bond pays jurors and accuser"""
    run, bond = game.run, game.side_bond()
    game.judge(guilty=True)
    before = run.vault.freeOf(WITNESS.address)
    receipt = game.finish()
    ended = receipt.only("TrialEnded")
    assert (ended.state, ended.winner) == (CONVICTED, WITNESS.address)
    assert receipt.only("UpdateConvicted").slashedWei == STAKE // 2
    assert run.vault.freeOf(WITNESS.address) - before == STAKE // 4
    assert run.contract.convicted(1) == 0b10
    ticket = game.trial.ticketWei
    assert credit(run, WITNESS) == 2 * bond - 15 * ticket
    assert credit(run, TRAINERS[1]) == 0
    assert game.trial.jurorsWei == 15 * ticket
    for person, tickets in game.jury.items():
        paid = pay(game, person).only("JurorPaid")
        assert (paid.juror, paid.amountWei) == (person.address, tickets * ticket)
        assert credit(run, person) == tickets * ticket
    assert game.trial.jurorsWei == 0
    assert run.contract.openTrials(1) == 0
    run.pass_dispute(1)
    assert len(run.finalize(1).all("RewardCredited")) == 5


def test_verdict_when_most_opened_tickets_are_the_accuseds(slander: TrialGame) -> None:
    """it should acquit: the accuser's bond pays jurors and defender, and no stake is lost"""
    run, bond, before = slander.run, slander.side_bond(), stakes(slander.run)
    slander.judge(guilty=False)
    ended = slander.finish().only("TrialEnded")
    assert (ended.state, ended.winner) == (ACQUITTED, TRAINERS[0].address)
    assert credit(run, TRAINERS[0]) == 2 * bond - 15 * slander.trial.ticketWei
    assert credit(run, ATTACKER) == 0
    assert stakes(run) == before
    assert run.contract.convicted(1) == 0
    run.pass_dispute(1)
    assert len(run.finalize(1).all("RewardCredited")) == 6


@pytest.mark.parametrize("how", ["silent", "split", "neither"])
def test_verdict_when_there_is_no_majority(game: TrialGame, how: str) -> None:
    """it should hang: each side pays half of the opened tickets, and nobody is slashed"""
    run, trial, bond = game.run, game.trial, game.side_bond()
    before = stakes(run)

    def choose(place: int, person: Person) -> bytes | None:
        if how == "neither":
            return OTHER
        if how == "silent":
            return bytes(trial.accuserDigest) if game.jury[person] == fewest and place else None
        if place == 0:
            return OTHER
        return bytes(trial.accuserDigest if place % 2 else trial.accusedDigest)

    fewest = min(game.jury.values())
    votes = votes_of(game, choose)
    game.vote(votes)
    tally = game.court.tallies(1, 0)
    assert game.trial.verdict == HUNG
    assert game.finish().only("TrialEnded").state == HUNG
    pot = tally.opened * trial.ticketWei
    assert credit(run, WITNESS) == bond - (pot - pot // 2)
    assert credit(run, TRAINERS[1]) == bond - pot // 2
    for person in votes:
        pay(game, person)
    assert game.trial.jurorsWei == 0
    assert stakes(run) == before
    for person in set(game.jury) - set(votes):
        with refused("NothingToPay"):
            pay(game, person)
    with refused("WrongState", 1, HUNG):
        fine(game, next(iter(game.jury)))


def test_verdict_when_just_half_of_the_tickets_are_opened(trial_stage: Stage) -> None:
    """it should count from half of the seated on, and not below"""
    run = create_trial_run(trial_stage, trainers=12, cheats={1: 3})
    round_id = run.play()
    for wanted, verdict in ((8, CONVICTED), (7, HUNG)):
        before = run.evm.snapshot()
        game = TrialGame(run, round_id, 1)
        game.to_jury()
        chosen, left = [], wanted
        for person, tickets in sorted(game.jury.items(), key=lambda pair: -pair[1]):
            if tickets <= left:
                chosen.append(person)
                left -= tickets
        assert left == 0
        game.judge(guilty=True, silent=set(game.jury) - set(chosen))
        assert game.trial.verdict == verdict
        run.evm.revert(before)


def test_verdict_when_two_accuse_at_once(run: TrialRun) -> None:
    """it should slash once, and settle the bonds of both trials"""
    round_id = run.play()
    games = [TrialGame(run, round_id, 1, accuser=person) for person in (WITNESS, KEEPER)]
    for game in games:
        game.to_jury()
    assert run.contract.openTrials(1) == 2
    for game in games:
        game.judge(guilty=True)
    first, second = (game.finish() for game in games)
    assert len(first.all("UpdateConvicted")) == 1
    assert second.all("UpdateConvicted") == []
    assert second.only("TrialEnded").state == CONVICTED
    assert credit(run, WITNESS) == credit(run, KEEPER) > games[0].side_bond()
    assert run.contract.openTrials(1) == 0


# --- appeal


def test_appeal_when_the_verdict_is_wrong(slander: TrialGame) -> None:
    """it should turn it: the second jury decides, and the appeal's bond goes back"""
    run, bond = slander.run, slander.side_bond()
    slander.judge(guilty=True)
    first = dict(slander.jury)
    receipt = slander.appeal(KEEPER)
    said = receipt.only("Appealed")
    assert (said.appellant, said.drawBlock) == (KEEPER.address, receipt.block + 1)
    assert (slander.state, slander.trial.level) == (DRAW, 1)
    slander.seat_jury()
    assert sum(slander.jury.values()) == 63
    ended = slander.judge(guilty=False)[-1].only("TrialEnded")
    assert (ended.state, ended.winner) == (ACQUITTED, TRAINERS[0].address)
    trial = slander.trial
    assert trial.jurorsWei == 63 * trial.ticketWei
    assert credit(run, KEEPER) == trial.appealBondWei == 63 * trial.ticketWei
    assert credit(run, TRAINERS[0]) == 2 * bond - 63 * trial.ticketWei
    assert run.contract.convicted(1) == 0
    for person in slander.jury:
        pay(slander, person, 1)
    for person in first:
        with refused("NothingToPay"):
            pay(slander, person, 0)
        fine(slander, person, 0)
    assert slander.trial.jurorsWei == 0


def test_appeal_when_the_verdict_is_right(game: TrialGame) -> None:
    """it should cost the appellant its bond, out of which both juries and the winner are paid"""
    run, bond = game.run, game.side_bond()
    game.judge(guilty=True)
    first = dict(game.jury)
    game.appeal(TRAINERS[1])
    game.seat_jury()
    ended = game.judge(guilty=True)[-1].only("TrialEnded")
    assert (ended.state, ended.winner) == (CONVICTED, WITNESS.address)
    ticket = game.trial.ticketWei
    assert credit(run, TRAINERS[1]) == 0
    assert credit(run, WITNESS) == 2 * bond + 63 * ticket - 78 * ticket
    for level, jury in enumerate((first, game.jury)):
        for person in jury:
            pay(game, person, level)
    assert game.trial.jurorsWei == 0
    with refused("WrongState", 1, CONVICTED):
        game.appeal(TRAINERS[1])


@pytest.mark.parametrize("again", [True, False])
def test_appeal_when_the_first_jury_was_hung(game: TrialGame, again: bool) -> None:
    """it should go back if it is decided, else pay the second jury first"""
    run, bond = game.run, game.side_bond()
    game.vote(dict.fromkeys(game.jury, OTHER))
    game.appeal(KEEPER, value=64 * game.trial.ticketWei)
    game.seat_jury()
    ticket = game.trial.ticketWei
    if again:
        game.vote(dict.fromkeys(game.jury, OTHER))
        assert game.state == HUNG
        assert credit(run, KEEPER) == 0
        rest = (15 + 63 - 64) * ticket
        assert credit(run, WITNESS) + credit(run, TRAINERS[1]) == 2 * bond - rest
    else:
        game.judge(guilty=True)
        assert game.state == CONVICTED
        assert credit(run, KEEPER) == 64 * ticket


def test_appeal_when_nobody_seats_the_second_jury(game: TrialGame) -> None:
    """it should let the first verdict stand, and cost the bond"""
    run = game.run
    game.judge(guilty=True)
    game.appeal(TRAINERS[1])
    ended = game.run_out().only("TrialEnded")
    assert ended.state == CONVICTED
    assert credit(run, TRAINERS[1]) == 0
    assert run.contract.convicted(1) == 0b10


def test_appeal_when_the_second_jury_keeps_silent(game: TrialGame) -> None:
    """it should hang, and the bond goes back"""
    game.judge(guilty=True)
    game.appeal(TRAINERS[1])
    game.seat_jury()
    ended = game.run_out().only("TrialEnded")
    assert ended.state == HUNG
    ticket, bond = game.trial.ticketWei, game.side_bond()
    half = 15 * ticket // 2
    assert credit(game.run, TRAINERS[1]) == 63 * ticket + bond - half
    assert game.run.contract.convicted(1) == 0


def test_appeal_when_it_is_not_due(game: TrialGame) -> None:
    """it should revert with WrongState, BondTooSmall or ClockRanOut"""
    with refused("WrongState", 1, SEAL):
        game.appeal(KEEPER)
    game.judge(guilty=True)
    bond = 63 * game.trial.ticketWei
    with refused("BondTooSmall", bond - 1, bond):
        game.appeal(KEEPER, value=bond - 1)
    deadline = game.trial.deadline
    game.run.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.appeal(KEEPER)


# --- advance


def test_advance_when_the_clock_still_runs(game: TrialGame) -> None:
    """it should revert with ClockStillRuns at the deadline"""
    deadline = game.trial.deadline
    game.run.evm.next_block_at(deadline)
    with refused("ClockStillRuns", 1, deadline):
        game.advance()
    game.run.evm.next_block_at(deadline + 1)
    game.advance()


def test_advance_when_nobody_defends(run: TrialRun) -> None:
    """it should convict the accused, whose accuser has its bond back"""
    game = TrialGame(run, run.play(), 1)
    game.accuse()
    ended = game.run_out().only("TrialEnded")
    assert (ended.state, ended.winner) == (CONVICTED, WITNESS.address)
    assert credit(run, WITNESS) == game.side_bond()
    assert run.contract.convicted(1) == 0b10


def test_advance_when_the_accuser_does_not_answer(run: TrialRun) -> None:
    """it should acquit, and give the accuser's bond to who defended"""
    game = TrialGame(run, run.play(), 0, false_from=1)
    game.accuse()
    game.show(sender=KEEPER)
    ended = game.run_out().only("TrialEnded")
    assert (ended.state, ended.winner) == (ACQUITTED, KEEPER.address)
    assert credit(run, KEEPER) == 2 * game.side_bond()


def test_advance_when_nobody_seats_a_jury(run: TrialRun) -> None:
    """it should hang, and give both bonds back"""
    game = TrialGame(run, run.play(), 1)
    game.accuse()
    game.show()
    game.answer()
    assert game.run_out().only("TrialEnded").state == HUNG
    assert credit(run, WITNESS) == credit(run, TRAINERS[1]) == game.side_bond()


def test_advance_when_nobody_seals(game: TrialGame) -> None:
    """it should count at once, hung"""
    receipt = game.run_out()
    assert receipt.only("VotesCounted").verdict == HUNG
    assert game.state == VERDICT
    assert game.run_out().only("TrialEnded").state == HUNG


def test_advance_when_nobody_opens(game: TrialGame) -> None:
    """it should begin the opening, and count it hung when that is over"""
    for person in list(game.jury)[:2]:
        game.seal(person, OTHER)
    assert game.run_out().only("VotingStarted")
    assert game.run_out().only("VotesCounted").verdict == HUNG


def test_advance_when_both_sides_use_all_their_time(run: TrialRun) -> None:
    """it should end within 13 moveS and 2 juryS"""
    game = TrialGame(run, run.play(), 1)
    game.accuse()
    began = run.evm.now()
    moves: dict[int, Callable[[], Any]] = {
        DEFENCE: game.show,
        REPLY: game.answer,
        DRAW: game.seat_jury,
        SEAL: lambda: game.seal(next(iter(game.jury)), OTHER),
        VERDICT: lambda: game.appeal(KEEPER),
    }
    waits = 0
    while game.state != HUNG:
        deadline, state = game.trial.deadline, game.state
        if state == DRAW:
            run.evm.rpc("evm_mine")
        if state in moves:
            run.evm.next_block_at(deadline)
            moves[state]()
        if state in (SEAL, OPENING):
            game.run_out()
            waits += 1
    assert (waits, game.trial.level) == (4, 1)
    # Whoever ends a phase by the clock comes a second after it.
    assert run.evm.now() - began == 13 * MOVE_S + 2 * JURY_S + waits


def test_advance_when_the_trial_is_over(game: TrialGame) -> None:
    """it should revert with WrongState, also for one that never began"""
    game.judge(guilty=True)
    game.finish()
    with refused("WrongState", 1, CONVICTED):
        game.advance()
    with refused("WrongState", 2, NONE):
        game.court.advance(2, sender=KEEPER.address)


def test_advance_when_the_merge_is_made_again(game: TrialGame) -> None:
    """it should go on: the updates are the same"""
    run = game.run
    convict_merge(run, 1)
    assert run.contract.current().phase == Phase.MERGE
    with refused("ClockStillRuns"):
        game.advance()
    run.deposit_bond(KEEPER)
    run.propose(KEEPER)
    game.judge(guilty=True)
    assert game.finish().only("UpdateConvicted").trainer == TRAINERS[1].address
    run.pass_dispute(1)
    assert len(run.finalize(1).all("RewardCredited")) == 5


def test_advance_when_the_round_is_void(run: TrialRun) -> None:
    """it should end as moot at once, in every state, and let the round be played again"""
    run.play()
    round_id = run.play()
    game = TrialGame(run, round_id, 1)
    steps = [game.accuse, game.show, game.answer, game.seat_jury]
    for done in range(len(steps) + 1):
        before = run.evm.snapshot()
        for step in steps[:done]:
            step()
        if done:
            convict_merge(run, 1)
            assert game.advance().only("TrialEnded").state == MOOT
            assert credit(run, WITNESS) == game.trial.accuserBondWei
            assert credit(run, TRAINERS[1]) == game.trial.defenderBondWei
            assert run.contract.openTrials(2) == 0
            with refused("WrongState", 1, MOOT):
                game.advance()
            with refused("WrongState", 1, MOOT):
                fine(game, TRAINERS[0])
            with refused("NothingToPay"):
                pay(game, TRAINERS[0])
        run.evm.revert(before)


def test_advance_when_moves_find_the_round_void(run: TrialRun) -> None:
    """it should make every move end the trial as moot, and credit what was sent along"""
    run.play()
    game = TrialGame(run, run.play(), 1)
    game.to_jury()
    person = next(iter(game.jury))
    before = run.evm.snapshot()
    convict_merge(run, 1)
    assert game.seal(person, OTHER).only("TrialEnded").state == MOOT
    run.evm.revert(before)
    before = run.evm.snapshot()
    vote = to_opening(game)
    convict_merge(run, 1)
    assert game.open(person, vote).only("TrialEnded").state == MOOT
    run.evm.revert(before)
    game.judge(guilty=True)
    convict_merge(run, 1)
    assert game.appeal(KEEPER, value=5).only("TrialEnded").state == MOOT
    assert credit(run, KEEPER) == 5


def test_advance_when_the_round_failed(run: TrialRun) -> None:
    """it should go on, and slash: the update was trained as badly"""
    round_id = run.play(until="merge")
    game = TrialGame(run, round_id, 1)
    game.to_jury()
    run.evm.sleep_until(run.contract.current().deadline + 1)
    run.contract.advance(sender=KEEPER.address)
    assert run.contract.getRound(1).status == FAILED
    game.run_out()
    game.run_out()
    second = TrialGame(run, run.play(), 1)
    second.to_verdict(guilty=True)
    assert second.finish().only("TrialEnded").state == CONVICTED


def test_advance_when_the_round_failed_before_the_verdict(trial_stage: Stage) -> None:
    """it should convict all the same"""
    run = create_trial_run(trial_stage, cheats={1: 3}, mergeTimeoutS=1000, juryS=5000)
    game = TrialGame(run, run.play(until="merge"), 1)
    game.to_jury()
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    assert run.contract.getRound(1).status == FAILED
    game.judge(guilty=True)
    assert game.finish().only("UpdateConvicted").trainer == TRAINERS[1].address
    check_books(run.court, run.contract.address)


def test_advance_when_the_ring_forgot_the_round(trial_stage: Stage) -> None:
    """it should be moot"""
    run = create_trial_run(
        trial_stage, cheats={1: 3}, ringSize=3, mergeTimeoutS=1000, juryS=100_000
    )
    game = TrialGame(run, run.play(until="merge"), 1)
    game.to_jury()
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    run.finalize(1)
    for round_id in (2, 3, 4):
        run.play()
        run.pass_dispute(round_id)
        run.finalize(round_id)
    assert game.advance().only("TrialEnded").state == MOOT
    check_books(run.court, run.contract.address)


def test_advance_when_the_merge_court_convicted_meanwhile(game: TrialGame) -> None:
    """it should not convict again, and settle the bonds"""
    run = game.run
    run.contract.convictUpdate(
        1, 1, TRAINERS[1].address, KEEPER.address, sender=MERGE_COURT.address, gas_price=0
    )
    game.judge(guilty=True)
    receipt = game.finish()
    assert receipt.all("UpdateConvicted") == []
    assert receipt.only("TrialEnded").state == CONVICTED
    assert credit(run, WITNESS) > game.side_bond()


# --- payJuror and fineJuror


def test_pay_juror_when_it_voted_otherwise_or_twice(game: TrialGame) -> None:
    """it should revert with NothingToPay, also for a stranger, and with WrongState before the end"""
    wrong, *right = game.jury
    guilty = bytes(game.trial.accuserDigest)
    with refused("WrongState", 1, SEAL):
        pay(game, wrong)
    game.vote(dict.fromkeys(right, guilty) | {wrong: bytes(game.trial.accusedDigest)})
    game.appeal(KEEPER)
    game.seat_jury()
    game.judge(guilty=True)
    with refused("NothingToPay"):
        pay(game, wrong, 0)
    with refused("NothingToPay"):
        pay(game, WITNESS, 0)
    pay(game, right[0], 0)
    with refused("NothingToPay"):
        pay(game, right[0], 0)


def test_fine_juror_when_it_was_silent_or_wrong(game: TrialGame) -> None:
    """it should cost the fee once, and nothing who voted right"""
    run, trial = game.run, game.trial
    silent, wrong, *right = sorted(game.jury, key=lambda p: game.jury[p])
    with refused("WrongState", 1, SEAL):
        fine(game, silent)
    before = stakes(run)
    digests = dict.fromkeys(right, bytes(trial.accuserDigest))
    game.vote(digests | {wrong: bytes(trial.accusedDigest)})
    game.finish()
    assert game.state == CONVICTED
    for person in (silent, wrong):
        seat = next(s for s, p in run.seats.items() if p == person)
        said = fine(game, person)
        assert said.only("JurorFined").juror == person.address
        assert said.only("FeeCharged").feeGwei == run.params.noRevealFeeGwei
        assert stakes(run)[seat] == before[seat] - run.params.noRevealFeeGwei
        with refused("NothingToFine"):
            fine(game, person)
    for person in (*right, WITNESS):
        with refused("NothingToFine"):
            fine(game, person)


def test_fine_juror_when_its_seat_is_gone(game: TrialGame) -> None:
    """it should revert with NotSeated"""
    run = game.run
    person = min(game.jury, key=lambda p: game.jury[p])
    seat = next(s for s, p in run.seats.items() if p == person)
    game.judge(guilty=True, silent=[person])
    game.finish()
    run.contract.leaveRoster(sender=person.address)
    run.pass_dispute(1)
    run.finalize(1)
    run.contract.release(seat, sender=KEEPER.address)
    with refused("NotSeated", seat, person.address):
        fine(game, person)


# --- money


def test_claim_when_trials_credited_it(game: TrialGame) -> None:
    """it should send everything at once, and then revert with NothingToClaim"""
    run = game.run
    game.judge(guilty=True)
    game.finish()
    owed, before = credit(run, WITNESS), run.evm.balance(WITNESS.address)
    sent = run.court.claim(sender=WITNESS.address)
    assert sent.only("Claimed").amountWei == owed
    gas = sent.gas * sent.gas_price
    assert run.evm.balance(WITNESS.address) == before + owed - gas
    with refused("NothingToClaim"):
        run.court.claim(sender=WITNESS.address)


def test_bonds_when_the_base_fee_rises(run: TrialRun) -> None:
    """it should rise with it: twice the dearest answer's gas, and 78 tickets"""
    cheap = run.court.bondsWei()
    run.evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(3 * GWEI))
    run.evm.rpc("evm_mine")
    dear = run.court.bondsWei()
    assert (dear.sideWei, dear.appealWei) == (4 * cheap.sideWei, 4 * cheap.appealWei)
    ticket = cheap.appealWei // 63
    assert cheap.sideWei - 78 * ticket == 2 * 300_000 * GWEI
    run.evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(0))
    run.evm.rpc("evm_mine")


# --- a run that lies


def fake_run(run: TrialRun, game: TrialGame) -> Contract:
    """A run of the attacker that says what the real one says."""
    fake = run.evm.deploy("FakeRun", sender=ATTACKER.address)
    real = run.contract
    for name, arguments in (
        ("params", ()),
        ("getRound", (game.round_id,)),
        ("frozenSeed", (game.round_id,)),
        ("inputsHash", (game.round_id, 0)),
        ("convicted", (game.round_id,)),
        ("sponsor", ()),
        ("totals", ()),
    ):
        data = real.encode(name, *arguments)
        raw = run.evm.rpc("eth_call", {"to": real.address, "data": "0x" + data.hex()}, "latest")
        fake.setAnswer(data[:4], bytes.fromhex(raw[2:]), sender=ATTACKER.address)
    return fake


def reentries(game: TrialGame, run: str) -> dict[str, bytes]:
    """Every call that changes the court."""
    header = (0, bytes(32), bytes(32), bytes(32), 0)
    calls: dict[str, tuple[Any, ...]] = {
        "accuse": (run, 1, 0, b"", 0, header, bytes(32)),
        "showTrace": (1, []),
        "answerTrace": (1, [], [], bytes(32)),
        "seatJury": (1, b"", [], []),
        "redraw": (1,),
        "sealVote": (1, bytes(32)),
        "openVote": (1, bytes(32), bytes(32)),
        "appeal": (1,),
        "advance": (1,),
        "payJuror": (1, 0, ATTACKER.address),
        "fineJuror": (1, 0, ATTACKER.address),
        "fundAudits": (run,),
        "returnAudits": (run,),
        "postFindings": (run, 1, b"", [], []),
        "fineAuditor": (1,),
        "claim": (),
    }
    return {name: game.court.encode(name, *values) for name, values in calls.items()}


def selector(run: TrialRun, name: str, *values: Any) -> bytes:
    return run.contract.encode(name, *values)[:4]


def test_run_when_it_calls_back(run: TrialRun) -> None:
    """it should find every door of the court closed while it is called"""
    from eth_utils.crypto import keccak  # noqa: PLC0415 - for this alone

    game = TrialGame(run, run.play(), 1, accuser=ATTACKER)
    fake = fake_run(run, game)
    begin, end = selector(run, "beginTrial", 1), selector(run, "endTrial", 1)
    convict = selector(run, "convictUpdate", 1, 1, NOBODY, NOBODY)
    bond = game.side_bond()
    closed = b"\x00" + keccak(text="ReentrancyGuardReentrantCall()")[:4]
    for payload in reentries(game, fake.address).values():
        fake.callBack(begin, run.court.address, payload, sender=ATTACKER.address)
        said = run.court.accuse(
            *game.accusation(run=fake.address), sender=ATTACKER.address, value=bond
        )
        game.id = said.only("Accused").id
        assert fake.came() == closed
    for trigger in (end, convict):
        fake.callBack(trigger, run.court.address, payload, sender=ATTACKER.address)
        fake.forget(sender=ATTACKER.address)
        game.run_out()
        assert fake.came() == closed
        game.id -= 1


def test_run_when_it_lies_about_everything(run: TrialRun) -> None:
    """it should move no more money than was paid into its own trials"""
    real = TrialGame(run, run.play(), 1)
    real.accuse()  # somebody else's bond lies there
    lies = TrialGame(run, 1, 1, accuser=ATTACKER)
    fake = fake_run(run, lies)
    lies.accuse(run=fake.address)
    lies.show(sender=ATTACKER)
    lies.answer()
    lies.seat_jury()
    lies.judge(guilty=True)
    lies.finish()
    lies.accuse(run=fake.address)
    fake.setAnswer(selector(run, "frozenSeed", 1), bytes(32), sender=ATTACKER.address)
    assert lies.advance().only("TrialEnded").state == MOOT
    assert run.contract.convicted(1) == 0
    assert run.contract.openTrials(1) == 1
    assert credit(run, ATTACKER) <= 3 * lies.side_bond()
    run.court.claim(sender=ATTACKER.address)
    assert real.state == DEFENCE
