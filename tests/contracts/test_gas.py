"""What a round costs. Gas is counted, not timed, so a bound can be a test."""

import pytest

from scripts.court_gas import measure_moves, measure_proofs
from scripts.gas_bench import measure_way

pytestmark = [pytest.mark.contracts, pytest.mark.timeout(240)]


def test_a_relayed_round_costs_at_most_90_000_gas_a_trainer_and_less_with_more_trainers(stage):
    """Everything counted, in the steady state; `make bench` prints the table to 64 trainers."""
    few = measure_way(stage, "relayed", 4).total
    many = measure_way(stage, "relayed", 16).total
    assert few <= 90_000
    assert many <= few


def test_a_wrong_merge_of_16_updates_is_convicted_for_900_000_gas(court_stage):
    """A model of 124 million parameters; also if every trainer's sums lied."""
    rows = measure_proofs(court_stage, [16])
    assert [row.long for row in rows] == [False, True]
    assert all(row.gas <= 900_000 for row in rows)


def test_a_bond_pays_for_its_answer_twice(court_stage):
    """At depth 19, answers at their dearest; and no bond is out of all proportion."""
    asked = [row for row in measure_moves(court_stage) if row.bond is not None]
    assert len(asked) == 3
    for row in asked:
        assert 2 * row.gas <= row.bond <= 3 * row.gas, row
