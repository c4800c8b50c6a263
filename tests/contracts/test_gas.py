"""What a round costs. Gas is counted, not timed, so a bound can be a test."""

import pytest

from scripts.gas_bench import measure_way

pytestmark = [pytest.mark.contracts, pytest.mark.timeout(240)]


def test_a_relayed_round_costs_at_most_90_000_gas_a_trainer_and_less_with_more_trainers(stage):
    """Everything counted, in the steady state; `make bench` prints the table to 64 trainers."""
    few = measure_way(stage, "relayed", 4).total
    many = measure_way(stage, "relayed", 16).total
    assert few <= 90_000
    assert many <= few
