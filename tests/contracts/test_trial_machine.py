"""Run, vault and training court under random roles, votes and times; docs/invariants.md, T1 to T7."""

from collections.abc import Iterator

import pytest
from support.evm import Evm
from support.run_invariants import SEEN, STAGE
from support.run_machine import play
from support.runs import Stage
from support.trial_machine import TrialMachine


@pytest.fixture
def machine(evm: Evm) -> Iterator[type[TrialMachine]]:
    before = evm.snapshot()
    STAGE[:] = [Stage(evm, real_training_court=True)]
    yield TrialMachine
    STAGE.clear()
    evm.revert(before)


@pytest.mark.timeout(900)
def test_the_training_court_is_just_whatever_people_do(machine: type[TrialMachine]) -> None:
    """it should keep every numbered invariant, with the training court's"""
    SEEN.clear()
    play(machine, examples=25, steps=25)
    for what in ("trial convicted", "trial acquitted", "JurorPaid", "found"):
        assert SEEN[what], "the machine hardly plays; see what it printed"
