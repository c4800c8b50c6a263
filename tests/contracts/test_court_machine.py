"""Run, vault and merge court under random roles, proofs and games; docs/invariants.md, C1 to C7."""

from collections.abc import Iterator

import pytest
from support.court_machine import CourtMachine
from support.evm import Evm
from support.run_invariants import SEEN, STAGE
from support.run_machine import play
from support.runs import DEFAULT_PARAMS, Stage

# The least that the factory accepts.
UNBONDING_S = 2 * DEFAULT_PARAMS["disputeS"] + 16 * DEFAULT_PARAMS["moveS"]


@pytest.fixture
def machine(evm: Evm) -> Iterator[type[CourtMachine]]:
    before = evm.snapshot()
    STAGE[:] = [Stage(evm, unbonding_s=UNBONDING_S, real_court=True)]
    yield CourtMachine
    STAGE.clear()
    evm.revert(before)


@pytest.mark.timeout(900)
def test_the_court_is_just_whatever_people_do(machine: type[CourtMachine]) -> None:
    """it should keep every numbered invariant, with the court's"""
    SEEN.clear()
    play(machine, examples=20, steps=40)
    for what in ("wrong merge proven", "tree upheld", "tree rejected", "right merge final"):
        assert SEEN[what] > 1, "the machine hardly plays; see what it printed"
