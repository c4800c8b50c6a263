"""One anvil and one deployment for all contract tests; each test starts from the same block."""

from collections.abc import Iterator

import pytest
from support.anvil import run_anvil
from support.evm import Evm
from support.judged import JudgedRun, create_judged_run
from support.runs import AGGREGATOR, Run, Stage

pytestmark = pytest.mark.contracts


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rsplit("/", 1)[0]):
            item.add_marker(pytest.mark.contracts)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def evm() -> Iterator[Evm]:
    with run_anvil("--hardfork", "prague", "--base-fee", "0") as anvil:
        evm = Evm(anvil.url)
        yield evm
        evm.close()


@pytest.fixture(scope="session")
def deployed(evm: Evm) -> Stage:
    return Stage(evm)


@pytest.fixture
def stage(deployed: Stage) -> Iterator[Stage]:
    """The deployment; whatever a test does to it is undone."""
    before = deployed.evm.snapshot()
    yield deployed
    deployed.evm.revert(before)


@pytest.fixture(scope="session")
def deployed_with_court(evm: Evm) -> Stage:
    return Stage(evm, real_court=True)


@pytest.fixture
def court_stage(deployed_with_court: Stage) -> Iterator[Stage]:
    """The deployment with the merge court; whatever a test does to it is undone."""
    before = deployed_with_court.evm.snapshot()
    yield deployed_with_court
    deployed_with_court.evm.revert(before)


@pytest.fixture(scope="session")
def deployed_with_training_court(evm: Evm) -> Stage:
    return Stage(evm, real_training_court=True)


@pytest.fixture
def trial_stage(deployed_with_training_court: Stage) -> Iterator[Stage]:
    """The deployment with the training court; whatever a test does to it is undone."""
    before = deployed_with_training_court.evm.snapshot()
    yield deployed_with_training_court
    deployed_with_training_court.evm.revert(before)


@pytest.fixture
def judged(court_stage: Stage) -> JudgedRun:
    """A run of five chunks with three trainers, all of whose bytes exist."""
    return create_judged_run(court_stage)


@pytest.fixture
def empty_run(stage: Stage) -> Run:
    """A run without people."""
    return stage.create_run()


@pytest.fixture
def run(empty_run: Run) -> Run:
    """A run with three trainers of equal stake and one bonded aggregator that is not listed."""
    empty_run.enroll_all(3)
    empty_run.deposit_bond(AGGREGATOR)
    return empty_run
