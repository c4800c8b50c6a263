"""From an accusation to a seated jury; see trees/training_court.tree.

Each test ends with invariant T1: the court holds bonds in progress, the pay of jurors, the audit
pools and the credits, no more.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest
from support.refused import refused
from support.runs import GWEI, KEEPER, MERGE_COURT, TRAINERS, WITNESS, Person, Stage
from support.trials import (
    CONVICTED,
    DEFENCE,
    DRAW,
    HUNG,
    MOOT,
    NONE,
    REPLY,
    SEAL,
    TrialGame,
    TrialRun,
    check_books,
    create_trial_run,
    fields,
    header_bytes,
)

from network.headers import encode_header
from protocol.audits import draw_jury, jury_randomness, members_of
from protocol.errors import InvalidBlockHeader
from protocol.rounds import trace_root

FAILED = 4
MOVE_S, JURY_S = 60, 120
HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"
MADE_UP = sha256(b"made up").digest()


@pytest.fixture
def run(trial_stage: Stage) -> Iterator[TrialRun]:
    """Six trainers of equal stake and one class; seat 1 made its training up from digest 3 on."""
    made = create_trial_run(trial_stage, cheats={1: 3})
    yield made
    check_books(made.court, made.contract.address)


def game_of(run: TrialRun, seat: int = 1, until: str = "idle") -> TrialGame:
    """A round, and whom somebody will accuse in it."""
    return TrialGame(run, run.play(until=until), seat)


def credit(run: TrialRun, person: Person) -> int:
    return int(run.court.creditOf(person.address))


# --- accuse


@pytest.mark.parametrize("until", ["merge", "idle"])
def test_accuse_when_an_update_is_frozen(run: TrialRun, until: str) -> None:
    """it should take the bond, hold finality, and bind the accuser to its own trace"""
    game = game_of(run, until=until)
    said = game.accuse(value=game.side_bond() + 5).only("Accused")
    assert (said.id, said.run, said.round) == (1, run.contract.address, game.round_id)
    assert (said.seat, said.accused, said.accuser) == (1, TRAINERS[1].address, WITNESS.address)
    assert (said.classId, said.ownRoot) == (game.header.class_id, trace_root(*game.own))
    made = game.trial
    assert (made.run, made.round, made.state) == (run.contract.address, game.round_id, DEFENCE)
    assert (made.seat, made.segment, made.level) == (1, 0, 0)
    assert (made.accuser, made.accused) == (WITNESS.address, TRAINERS[1].address)
    assert made.accuserBondWei == game.side_bond() + 5
    assert made.deadline == run.evm.now() + 4 * MOVE_S
    assert (made.moveS, made.juryS) == (MOVE_S, JURY_S)
    assert made.seed == run.contract.frozenSeed(game.round_id)
    assert made.inputsHash == run.contract.inputsHash(game.round_id, 0)
    assert (made.updateRoot, made.traceRoot) == (game.header.update_root, game.header.trace_root)
    assert (made.ownRoot, made.classId) == (said.ownRoot, said.classId)
    assert run.contract.openTrials(game.round_id) == 1
    if until == "idle":
        run.pass_dispute(game.round_id)
        with refused("DisputeOpen", 1):
            run.finalize(game.round_id)


def test_accuse_when_the_updates_are_not_frozen(run: TrialRun) -> None:
    """it should revert with NotFrozen, also once the round failed or is final"""
    game = game_of(run, until="merge")
    arguments = game.accusation()
    run.pass_deadline()
    run.contract.advance(sender=KEEPER.address)
    assert run.contract.getRound(1).status == FAILED
    with refused("NotFrozen", run.contract.address, 1):
        run.court.accuse(*arguments, sender=WITNESS.address, value=game.side_bond())
    settled = game_of(run)
    arguments = settled.accusation()
    run.pass_dispute(2)
    run.finalize(1)
    run.finalize(2)
    with refused("NotFrozen", run.contract.address, 2):
        run.court.accuse(*arguments, sender=WITNESS.address, value=game.side_bond())
    run.play(until="audit")
    with refused("NotFrozen", run.contract.address, 3):
        settled.accuse(round=3)
    with refused("WrongRound"):
        settled.accuse(round=9)


def test_accuse_when_the_window_is_over(run: TrialRun) -> None:
    """it should revert with WindowClosed from the second on that ends it"""
    game = game_of(run)
    ends = run.contract.getRound(game.round_id).finalizableAt
    run.evm.next_block_at(ends - 1)
    game.accuse()
    run.evm.next_block_at(ends)
    with refused("WindowClosed", ends):
        game.accuse()


def test_accuse_when_the_update_is_another(run: TrialRun) -> None:
    """it should revert with WrongInputs, NoSuchUpdate or WrongHeader"""
    game = game_of(run)
    raw = run.inputs[1][0]
    with refused("WrongInputs", 0):
        game.accuse(inputs=raw[88:])
    with refused("NoSuchUpdate", 6):
        game.accuse(place=6)
    with refused("WrongHeader", 2):
        game.accuse(place=2)
    with refused("WrongHeader", 1):
        game.accuse(header=fields(replace(game.header, class_id=MADE_UP)))
    with refused("WrongInputs", 1):
        game.accuse(segment=1)


def test_accuse_when_the_trace_is_the_same(run: TrialRun) -> None:
    """it should revert with NothingDisputed"""
    game = game_of(run)
    with refused("NothingDisputed"):
        game.accuse(own_root=game.header.trace_root)


def test_accuse_when_the_update_is_convicted(run: TrialRun) -> None:
    """it should revert with AlreadyGuilty"""
    game = game_of(run)
    first = replace_game(game, KEEPER)
    first.accuse()
    first.run_out()
    with refused("AlreadyGuilty", 1, 1):
        game.accuse()


def replace_game(game: TrialGame, accuser: Person) -> TrialGame:
    """Another accuser of the same update."""
    return TrialGame(game.run, game.round_id, game.seat, accuser=accuser)


def test_accuse_when_the_bond_is_too_small(run: TrialRun) -> None:
    """it should revert with BondTooSmall"""
    game = game_of(run)
    bond = game.side_bond()
    with refused("BondTooSmall", bond - 1, bond):
        game.accuse(value=bond - 1)


def test_accuse_when_there_are_segments(trial_stage: Stage) -> None:
    """it should name the segment, and the jury comes from all of them"""
    run = create_trial_run(trial_stage, segments=2, cheats={1: 3})
    game = game_of(run)
    segment, _ = game.place()
    game.to_jury()
    assert game.trial.segment == segment
    mates = [e.seat for e in run.roll(1) if run.segment_of(e.seat, game.trial.seed, 63) == segment]
    assert {p for p in game.jury} - {run.seats[s] for s in mates}
    game.judge(guilty=True)
    assert game.finish().only("TrialEnded").state == CONVICTED
    check_books(run.court, run.contract.address)


# --- showTrace


def test_show_trace_when_it_is_the_accuseds(run: TrialRun) -> None:
    """it should take the same bond from anybody, and give the accuser its turn"""
    game = game_of(run)
    game.accuse()
    said = game.show(sender=KEEPER).only("TraceShown")
    assert (said.id, said.defender, said.digests) == (1, KEEPER.address, game.shown)
    made = game.trial
    assert (made.state, made.defender) == (REPLY, KEEPER.address)
    assert made.defenderBondWei == game.side_bond()
    assert made.deadline == run.evm.now() + 4 * MOVE_S


def test_show_trace_when_it_is_another(run: TrialRun) -> None:
    """it should revert with WrongTrace for other digests, none, or more than 65"""
    game = game_of(run)
    game.accuse()
    for wrong in (
        [],
        game.shown[:-1],
        [*game.shown, MADE_UP],
        game.shown[::-1],
        game.own[0],
        [*game.shown, game.header.update_root],
        [MADE_UP] * 66,
    ):
        with refused("WrongTrace", 1):
            game.show(wrong)


def test_show_trace_when_the_bond_is_too_small(run: TrialRun) -> None:
    """it should revert with BondTooSmall, by the base fee that the trial began at"""
    game = game_of(run)
    cheap = game.side_bond()
    run.evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    game.accuse(value=2 * cheap)
    run.evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(0))
    run.evm.rpc("evm_mine")
    bond = int(run.court.bondsOf(1).sideWei)
    assert (game.side_bond(), bond, game.trial.accuserBondWei) == (cheap, 2 * cheap, 2 * cheap)
    run.evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(0))
    with refused("BondTooSmall", bond - 1, bond):
        game.show(value=bond - 1)
    run.evm.rpc("anvil_setNextBlockBaseFeePerGas", hex(0))
    game.show(value=bond)


def test_show_trace_when_it_is_not_due(run: TrialRun) -> None:
    """it should revert with WrongState, also for a trial that never began"""
    game = game_of(run)
    game.accuse()
    game.show()
    with refused("WrongState", 1, REPLY):
        game.show()
    with refused("WrongState", 2, NONE):
        run.court.showTrace(2, game.shown, sender=KEEPER.address, value=game.side_bond())


def test_show_trace_when_the_clock_ran_out(run: TrialRun) -> None:
    """it should revert with ClockRanOut a second after the deadline, and accept at it"""
    game = game_of(run)
    game.accuse()
    deadline = game.trial.deadline
    before = run.evm.snapshot()
    run.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.show()
    run.evm.revert(before)
    run.evm.next_block_at(deadline)
    game.show()


def test_show_trace_when_the_updates_are_gone(run: TrialRun) -> None:
    """it should end the trial as moot, and credit what was sent along"""
    run.play()
    game = game_of(run)
    game.accuse()
    convict_merge(run, 1)
    bond = game.side_bond()
    said = game.show(sender=KEEPER).only("TrialEnded")
    assert (said.state, said.winner) == (MOOT, "0x" + "00" * 20)
    assert (credit(run, WITNESS), credit(run, KEEPER)) == (bond, bond)
    assert run.contract.openTrials(2) == 0


def convict_merge(run: TrialRun, round_id: int) -> None:
    """The merge court takes a merge back, and the rounds that stand on it."""
    run.contract.convictMerge(
        round_id, KEEPER.address, sender=MERGE_COURT.address, gas_price=0
    )


# --- answerTrace


def to_reply(run: TrialRun, **how: object) -> TrialGame:
    game = game_of(run)
    game.accuse(**how)  # type: ignore[arg-type]
    game.show()
    return game


@pytest.mark.parametrize("first", [0, 1, 3, 5, 6])
def test_answer_trace_when_both_differ(trial_stage: Stage, first: int) -> None:
    """it should find the first digest or root that differs, and fix the block that draws"""
    run = create_trial_run(trial_stage, cheats={1: first})
    game = to_reply(run)
    receipt = game.answer()
    said = receipt.only("Diverged")
    theirs = [*game.shown, game.header.update_root]
    mine = [*game.own[0], game.own[1]]
    assert said.index == first == game.trial.index
    assert (said.accusedDigest, said.accuserDigest) == (theirs[first], mine[first])
    assert said.before == (theirs[first - 1] if first else bytes(32)) == game.trial.before
    assert said.drawBlock == receipt.block + 1 == game.trial.drawBlock
    assert game.state == DRAW
    assert game.trial.deadline == run.evm.now() + MOVE_S
    check_books(run.court, run.contract.address)


@pytest.mark.parametrize("longer", ["accused", "accuser"])
def test_answer_trace_when_one_is_longer(run: TrialRun, longer: str) -> None:
    """it should hold the shorter one to its update root, and to zeros behind it"""
    game = game_of(run, seat=0)
    digests, root = list(game.own[0]), game.own[1]
    if longer == "accused":
        own, end, index = digests[:-1], digests[-1], len(digests)
        expected = (root, bytes(32))
    else:
        own, end, index = [*digests, root], MADE_UP, len(digests) + 1
        expected = (bytes(32), MADE_UP)
    game.accuse(own_root=trace_root(own, end))
    game.show()
    said = game.answer(own=own, root=end).only("Diverged")
    assert said.index == index
    assert (said.accusedDigest, said.accuserDigest) == expected


def test_answer_trace_when_they_differ_in_nothing_but_length(run: TrialRun) -> None:
    """it should revert with NothingDisputed: behind the update's root both go on with zeros"""
    game = game_of(run, seat=0)
    own = [*game.own[0], game.own[1]]
    game.accuse(own_root=trace_root(own, bytes(32)))
    game.show()
    with refused("NothingDisputed"):
        game.answer(own=own, root=bytes(32))


def test_answer_trace_when_a_trace_is_another(run: TrialRun) -> None:
    """it should revert with WrongTrace for other digests than were shown or committed to"""
    game = to_reply(run)
    digests, root = game.own
    for changes in (
        {"shown": game.shown[:-1]},
        {"shown": digests},
        {"own": game.shown},
        {"own": []},
        {"own": [MADE_UP] * 66},
        {"own": digests[:-1]},
        {"root": MADE_UP},
    ):
        with refused("WrongTrace", 1):
            game.answer(**changes)
    game.answer(root=root)


def test_answer_trace_when_somebody_else_does(run: TrialRun) -> None:
    """it should revert with NotAccuser"""
    game = to_reply(run)
    with refused("NotAccuser", 1, WITNESS.address):
        game.answer(sender=KEEPER)


def test_answer_trace_when_it_is_not_due(run: TrialRun) -> None:
    """it should revert with WrongState or ClockRanOut"""
    game = game_of(run)
    game.accuse()
    with refused("WrongState", 1, DEFENCE):
        game.answer()
    game.show()
    deadline = game.trial.deadline
    run.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.answer()


def test_answer_trace_when_there_are_65_digests(trial_stage: Stage) -> None:
    """it should take one answer of each side from 65 digests to the jury"""
    run = create_trial_run(trial_stage, steps=64, cheats={1: 37})
    game = to_reply(run)
    said = game.answer().only("Diverged")
    assert (said.index, len(game.shown)) == (37, 65)
    game.seat_jury()
    assert game.state == SEAL
    check_books(run.court, run.contract.address)


# --- seatJury


def expected_jury(game: TrialGame, convicted: tuple[int, ...] = ()) -> dict[Person, int]:
    """The same draw in Python."""
    run, trial = game.run, game.trial
    roll = run.roll(game.round_id)
    classes = {e.seat: run.header_of(game.round_id, e.seat).class_id for e in roll}
    draw = run.drawn(game.round_id, int(trial.drawBlock))
    seated = draw_jury(
        randomness=jury_randomness(draw=draw, trial=game.id, level=int(trial.level)),
        members=members_of(
            roll=roll,
            class_of=classes,
            class_id=game.header.class_id,
            accused=game.seat,  # type: ignore[arg-type]
            accuser=game.accuser.address,  # type: ignore[arg-type]
            convicted=convicted,  # type: ignore[arg-type]
        ),
        level=int(trial.level),
    )
    return {run.seats[j.entry.seat]: j.tickets for j in seated}


def to_draw(run: TrialRun, game: TrialGame | None = None) -> TrialGame:
    game = game_of(run) if game is None else game
    game.accuse()
    game.show()
    game.answer()
    return game


def test_seat_jury_when_the_block_is_there(run: TrialRun) -> None:
    """it should draw 15 tickets by weight, as Python does, and give them juryS"""
    game = to_draw(run)
    said = game.seat_jury().only("JurySeated")
    assert game.jury == expected_jury(game)
    assert sum(game.jury.values()) == 15
    assert TRAINERS[1] not in game.jury
    assert (said.level, said.deadline) == (0, run.evm.now() + JURY_S)
    assert (game.state, game.trial.deadline) == (SEAL, said.deadline)
    assert run.court.tallies(1, 0) == (15, 0, 0, 0, 0)
    for person, tickets in game.jury.items():
        seat = next(s for s, p in run.seats.items() if p == person)
        assert run.court.jurors(1, 0, person.address) == (
            seat,
            tickets,
            False,
            False,
            False,
            bytes(32),
        )


def test_seat_jury_when_some_may_not_judge(trial_stage: Stage) -> None:
    """it should leave out other classes, the accuser's seat and whoever was convicted"""
    run = create_trial_run(trial_stage, cheats={1: 3, 4: 1}, classes={2: MADE_UP})
    game = game_of(run)
    other = TrialGame(run, game.round_id, 4, accuser=KEEPER)
    other.accuse()
    other.run_out()
    game.accuser = TRAINERS[3]
    to_draw(run, game)
    game.seat_jury()
    assert set(game.jury) == {TRAINERS[0], TRAINERS[5]}
    assert game.jury == expected_jury(game, convicted=(4,))
    check_books(run.court, run.contract.address)


def test_seat_jury_when_nobody_may_judge(trial_stage: Stage) -> None:
    """it should hang the trial at once, and give the bonds back"""
    run = create_trial_run(trial_stage, cheats={1: 3}, classes={1: MADE_UP})
    game = to_draw(run)
    bond = game.side_bond()
    assert game.seat_jury().only("TrialEnded").state == HUNG
    assert credit(run, WITNESS) == credit(run, TRAINERS[1]) == bond
    assert run.contract.openTrials(1) == 0
    check_books(run.court, run.contract.address)


def test_seat_jury_when_the_roll_is_another(run: TrialRun) -> None:
    """it should revert with WrongInputs, WrongHeaders or WrongHeader"""
    game = to_draw(run)
    raw, headers = run.inputs[1][0], run.header_fields(1)
    for inputs in ([], [raw[88:]], [raw, b""]):
        with refused("WrongInputs"):
            game.seat_jury(inputs=inputs)
    with refused("WrongHeaders", 5, 6):
        game.seat_jury(headers=headers[:-1])
    with refused("WrongHeader", 0):
        game.seat_jury(headers=[headers[1], *headers[1:]])


def test_seat_jury_when_it_is_not_due(run: TrialRun) -> None:
    """it should revert with WrongState or ClockRanOut"""
    game = to_reply(run)
    with refused("WrongState", 1, REPLY):
        game.seat_jury(header=b"")
    game.answer()
    deadline = game.trial.deadline
    run.evm.sleep_until(deadline)
    run.evm.next_block_at(deadline + 1)
    with refused("ClockRanOut", 1, deadline):
        game.seat_jury()


@pytest.fixture
def random(trial_stage: Stage) -> Iterator[TrialRun]:
    """The same with a beacon that reads headers."""
    beacon = trial_stage.evm.deploy("PrevrandaoBeacon", sender=KEEPER.address)
    made = create_trial_run(trial_stage, cheats={1: 3}, beacon=beacon.address)
    yield made
    check_books(made.court, made.contract.address)


def test_seat_jury_when_the_beacon_reads_headers(random: TrialRun) -> None:
    """it should draw by the prevrandao of the block after the answer, from its real header"""
    game = to_draw(random)
    game.seat_jury()
    assert game.jury == expected_jury(game)
    number = hex(int(game.trial.drawBlock))
    block = random.evm.rpc("eth_getBlockByNumber", number, False)
    assert bytes.fromhex(block["mixHash"][2:]) in header_bytes(random, int(number, 16))


def test_seat_jury_when_the_header_is_wrong(random: TrialRun) -> None:
    """it should revert with WrongHeaderOf, and with BlockNotKnown for a block to come"""
    game = to_draw(random)
    number = int(game.trial.drawBlock)
    with refused("BlockNotKnown", number):
        game.court.seatJury(
            1, b"", random.inputs[1], random.header_fields(1), sender=KEEPER.address
        )
    random.mine_past(number)
    good = header_bytes(random, number)
    forged = bytearray(good)
    forged[-40] ^= 1
    for wrong in (b"", header_bytes(random, number - 1), good[:-1], good + b"\0", bytes(forged)):
        with refused("WrongHeaderOf", number):
            game.seat_jury(header=wrong)
    with refused("WrongHeaderOf", number):
        game.seat_jury(header=bytes(3000))
    block = random.evm.rpc("eth_getBlockByNumber", hex(number), False)
    with pytest.raises(InvalidBlockHeader):
        encode_header(block | {"mixHash": "0x" + MADE_UP.hex()})
    game.seat_jury(header=good)


def test_seat_jury_when_the_block_is_older_than_blockhash(random: TrialRun) -> None:
    """it should find it in the chain's history contract"""
    game = to_draw(random)
    number = int(game.trial.drawBlock)
    random.evm.rpc("anvil_mine", hex(300), hex(0))
    game.seat_jury(header=header_bytes(random, number))
    assert game.state == SEAL


# --- redraw


def test_redraw_when_the_block_is_known(random: TrialRun) -> None:
    """it should revert with BlockStillKnown, also for a block to come"""
    game = to_draw(random)
    number = int(game.trial.drawBlock)
    for _ in range(3):
        with refused("BlockStillKnown", number):
            game.court.redraw(1, sender=KEEPER.address)
        random.evm.rpc("evm_mine")


def test_redraw_when_the_chain_forgot_the_block(random: TrialRun) -> None:
    """it should draw by the next block, while the clock runs on"""
    game = to_draw(random)
    number, deadline = int(game.trial.drawBlock), game.trial.deadline
    # 8,191 blocks take a minute; a chain without EIP-2935 forgets after 256.
    random.evm.rpc("anvil_setCode", HISTORY, "0x")
    random.evm.rpc("anvil_mine", hex(260), hex(0))
    with refused("BlockNotKnown", number):
        game.seat_jury(header=header_bytes(random, number))
    receipt = game.court.redraw(1, sender=KEEPER.address)
    assert receipt.only("Redrawn").drawBlock == receipt.block + 1 == game.trial.drawBlock
    assert game.trial.deadline == deadline
    game.seat_jury()
    assert game.jury == expected_jury(game)


def test_redraw_when_no_jury_is_due(run: TrialRun) -> None:
    """it should revert with WrongState"""
    game = to_reply(run)
    with refused("WrongState", 1, REPLY):
        run.court.redraw(1, sender=KEEPER.address)
