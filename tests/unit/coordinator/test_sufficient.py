"""As few signatures as two thirds of the stake need, from the largest stakes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.posting import sufficient
from protocol.rounds import Opinion, tally


def chosen(bitmaps, stakes, *, harmful=None, needed=0b111):
    harm = harmful or {}
    voices = {
        seat: (Opinion(available=bits, harmful=harm.get(seat, 0)), None)
        for seat, bits in bitmaps.items()
    }
    return sufficient(voices, stakes, total_gwei=sum(stakes.values()), needed=needed)


@pytest.mark.parametrize(
    ("bitmaps", "stakes", "expected"),
    [
        ({0: 7, 1: 7, 2: 7}, {0: 1, 1: 1, 2: 1}, {0, 1}),
        ({0: 7, 1: 7, 2: 7}, {0: 1, 1: 1, 2: 7}, {2}),
        ({0: 7, 1: 7, 2: 3}, {0: 1, 1: 1, 2: 1}, {0, 1}),
        ({0: 7, 1: 3, 2: 3}, {0: 1, 1: 1, 2: 1}, None),
        ({0: 15, 1: 7}, {0: 1, 1: 1, 2: 1}, {0, 1}),
        ({0: 7}, {0: 1, 1: 1}, None),
        ({}, {0: 1}, None),
    ],
)
def test_the_largest_stakes_speak_until_two_thirds_are_reached(bitmaps, stakes, expected):
    found = chosen(bitmaps, stakes)
    assert (set(found) if found is not None else None) == expected


@given(st.dictionaries(st.integers(0, 7), st.tuples(st.integers(1, 99), st.integers(0, 7))))
def test_it_finds_voices_just_when_the_rule_calls_everything_available(people):
    """One rule for all seats: whoever does not call every update available is not heard."""
    stakes = {seat: stake for seat, (stake, _) in people.items()}
    able = {
        seat: Opinion(available=bits) for seat, (_, bits) in people.items() if bits & 0b111 == 0b111
    }
    total = sum(stakes.values())
    found = chosen({seat: bits for seat, (_, bits) in people.items()}, stakes)
    told = tally(opinions=able, stakes_gwei=stakes, total_gwei=total)
    assert (found is not None) == (told.available == 0b111)


@pytest.mark.parametrize(
    ("harmful", "expected"),
    [
        ({}, {0, 1}),
        ({0: 1}, {0, 1, 2}),
        ({0: 1, 1: 1}, {0, 1}),
        ({2: 1}, {0, 1}),
        ({0: 1, 1: 2, 2: 4}, {0, 1, 2}),
    ],
)
def test_so_many_speak_that_it_is_settled_which_updates_do_harm(harmful, expected):
    assert set(chosen({0: 7, 1: 7, 2: 7}, {0: 1, 1: 1, 2: 1}, harmful=harmful)) == expected


def test_while_a_silent_trainer_may_make_an_update_harmful_nothing_is_sufficient():
    assert chosen({0: 7, 1: 7}, {0: 1, 1: 1, 2: 1}, harmful={0: 1}) is None
