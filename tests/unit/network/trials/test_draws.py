"""Who is drawn to audit whom is known from the block behind the freeze on, and not before."""

from unit.network.trials.makers import TRAINERS, Beacon, Round

from network.trials.draws import SETTLED_BLOCKS, Draws
from protocol.audits import auditor_of, is_audited


def frozen_block(made):
    return Draws(Beacon()).block_of(made.found) - 1


def test_nobody_is_drawn_before_the_block_behind_the_freeze():
    made = Round()
    draws = Draws(Beacon(head=frozen_block(made)))
    assert draws.auditors(made.fold, made.found) is None
    assert draws.drawn_for(made.fold, made.found, TRAINERS[0]) == ()


def test_every_update_is_audited_by_another_where_the_rate_is_one():
    made, beacon = Round(), Beacon()
    drawn = Draws(beacon).auditors(made.fold, made.found)
    assert drawn.keys() == {0, 1, 2, 3}
    assert all(TRAINERS[seat] != auditor for seat, auditor in drawn.items())
    roll = list(made.found.inputs[0])
    for seat, auditor in drawn.items():
        assert is_audited(randomness=beacon.said, seat=seat, audit_bps=10_000)
        assert auditor_of(randomness=beacon.said, roll=roll, seat=seat).trainer == auditor


def test_no_randomness_is_asked_for_where_nothing_is_audited():
    made, beacon = Round(audit_bps=0), Beacon()
    assert Draws(beacon).auditors(made.fold, made.found) == {}
    assert not beacon.asked


def test_a_predictable_beacon_says_it_at_once_and_is_asked_once():
    made, beacon = Round(), Beacon(predictable=True, head=0)
    draws = Draws(beacon)
    first = draws.auditors(made.fold, made.found)
    assert draws.auditors(made.fold, made.found) == first
    assert sum(beacon.asked.values()) == 1


def test_a_fresh_block_is_read_again_until_no_reorganisation_reaches_it():
    made = Round()
    block = frozen_block(made) + 1
    beacon = Beacon(head=block)
    draws = Draws(beacon)
    draws.auditors(made.fold, made.found)
    draws.auditors(made.fold, made.found)
    assert sum(beacon.asked.values()) == 2
    beacon.head = block + SETTLED_BLOCKS
    for _ in range(3):
        draws.auditors(made.fold, made.found)
    assert sum(beacon.asked.values()) == 3


def test_each_update_is_drawn_for_exactly_one_account():
    made = Round()
    draws = Draws(Beacon())
    seats = [seat for who in TRAINERS for seat in draws.drawn_for(made.fold, made.found, who)]
    assert sorted(seats) == [0, 1, 2, 3]
