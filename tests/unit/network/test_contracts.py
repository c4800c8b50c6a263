"""What the clients know of the contracts."""

import pytest

from network.artifacts import abi_of, immutables_of, runtime_code
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.run import RUN_ABI

EVERY = (
    "TrainingRun",
    "RunOffice",
    "StakeVault",
    "RunFactory",
    "MergeCourt",
    "TrainingCourt",
    "PrevrandaoBeacon",
)


def test_every_custom_error_has_an_exception_that_says_what_to_do():
    """No refusal of a contract reaches a person without a remedy, and no remedy is dead."""
    catalogue = RevertCatalogue(abi_of(*EVERY), REMEDIES)
    assert catalogue.without_remedy == frozenset()
    assert REMEDIES.keys() <= catalogue._abi.error_names


@pytest.mark.parametrize("name", EVERY)
def test_runtime_code_is_below_the_size_limit(name):
    """EIP-170; with room for what is to come, but for the court that is finished."""
    limit = 24_576 if name == "TrainingCourt" else 23_000
    assert 0 < len(runtime_code(name)) <= limit


def test_immutables_are_found_by_walking_the_code():
    """Data of a PUSH is not taken for an opcode; a PUSH32 of zeros is an immutable."""
    code = bytes([0x60, 0x7F, 0x7F]) + bytes(32) + bytes([0x7F]) + b"\x01" * 32
    assert immutables_of(code) == ((3, 32),)
    assert immutables_of(runtime_code("RunOffice")) == ()


def test_the_run_abi_serves_vault_and_factory_too():
    """One catalogue decodes whatever a call of a run may revert with."""
    assert {"NotARun", "StillUnbonding", "WrongPhase"} <= abi_of(*RUN_ABI).error_names
