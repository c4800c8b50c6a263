"""The run and its vault under random roles, calls and times; docs/invariants.md has the numbers."""

from collections.abc import Iterator
from hashlib import sha256

import pytest
from support.run_invariants import SEEN, STAGE
from support.run_machine import RunMachine, play
from support.runs import Run, Stage


@pytest.fixture
def machine(stage: Stage) -> Iterator[type[RunMachine]]:
    STAGE[:] = [stage]
    yield RunMachine
    STAGE.clear()


@pytest.mark.timeout(600)
def test_invariants_hold_whatever_people_do(machine: type[RunMachine]) -> None:
    """it should keep every numbered invariant"""
    SEEN.clear()
    play(machine, examples=25, steps=40)
    assert SEEN["paid"] > 5, "the machine hardly trains; see what it printed"
    assert SEEN["harmful"], "nobody was called harmful"


def test_the_machine_remembers_inputs_by_content(stage: Stage) -> None:
    """The preimages that the machine pays by are the frozen ones."""
    run = stage.create_run()
    run.enroll_all(2)
    run.play(until="merge")
    assert [sha256(i).digest() for i in run.inputs[1]] == [run.contract.inputsHash(1, 0)]
    assert isinstance(run, Run)
