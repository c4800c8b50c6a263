"""RunFactory and the parameters it accepts; see trees/factory.tree."""

import re
from hashlib import sha256
from typing import Any

import pytest
from support.evm import ROOT, Evm, artifacts
from support.refused import refused
from support.runs import ATTACKER, ETHER, GENESIS_ROOT, GWEI, NOBODY, SPONSOR, Stage

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("genesisRoot", {"genesisRoot": bytes(32)}),
    ("chunks", {"chunks": 0}),
    ("lr", {"lr": 0}),
    ("lr", {"lr": 1025}),
    ("mu", {"mu": 256, "momentum": True}),
    ("mu", {"mu": 1}),
    ("segments", {"segments": 0}),
    ("segments", {"segments": 17}),
    ("maxRounds", {"maxRounds": 0}),
    ("minTrainers", {"minTrainers": 0}),
    ("maxTrainers", {"maxTrainers": 1}),
    ("maxTrainers", {"maxTrainers": 257}),
    ("ringSize", {"ringSize": 1}),
    ("ringSize", {"ringSize": 1025}),
    ("minStakeGwei", {"minStakeGwei": 0}),
    ("stakeCapGwei", {"stakeCapGwei": 1}),
    ("evictAfter", {"evictAfter": 0}),
    ("evictAfter", {"absenceGrace": 0}),
    ("slashBps", {"slashBps": 10_001}),
    ("phases", {"commitS": 0}),
    ("phases", {"revealS": 0}),
    ("phases", {"auditS": 0}),
    ("mergeTimeoutS", {"mergeTurnS": 0}),
    ("mergeTimeoutS", {"mergeTurnS": 75, "mergeTimeoutS": 1200}),
    ("moveS", {"moveS": 0}),
    ("juryS", {"juryS": 0}),
    ("auditBps", {"auditBps": 10_001}),
    ("segmentEnds", {"segments": 2, "segmentEnds": (4,)}),
    ("segmentEnds", {"segments": 2, "segmentEnds": (0, 4)}),
    ("segmentEnds", {"segments": 2, "segmentEnds": (4, 4)}),
    ("segmentEnds", {"segmentEnds": (3,)}),
    ("segmentEnds", {"segmentEnds": (5,)}),
    ("beacon", {"beacon": ATTACKER.address}),
]


def test_create_run_when_the_parameters_are_sound(stage: Stage, evm: Evm) -> None:
    """it should make a run that knows its parameters, vault, courts and sponsor, holds the sent
    ETH, and stands on the genesis model
    """
    run = stage.create_run(reward_wei=3 * ETHER + 5, keeper_wei=2 * ETHER + 7).contract
    assert stage.factory.isRun(run.address)
    assert tuple(run.params())[:3] == stage.params()[:3]
    assert run.vault() == stage.vault.address
    assert run.OFFICE() == stage.office.address
    assert run.sponsor() == SPONSOR.address
    assert run.mergeCourt() == stage.factory.mergeCourt()
    assert run.trainingCourt() == stage.factory.trainingCourt()
    assert run.current().keeperGwei == 2 * ETHER // GWEI
    assert run.rewardPoolWei() == 3 * ETHER + 12
    assert evm.balance(run.address) == 5 * ETHER + 12
    assert run.getRound(0).modelRoot == GENESIS_ROOT
    assert run.getRound(0).status == 3
    assert run.aggregators() == []


@pytest.mark.parametrize(("name", "values"), WRONG)
def test_create_run_when_a_parameter_is_out_of_bounds(
    stage: Stage, name: str, values: dict[str, Any]
) -> None:
    """it should revert with InvalidParameter and the parameter's name"""
    with refused("InvalidParameter", name.encode().ljust(32, b"\0")):
        stage.create_run(**values)


def test_create_run_when_stake_unbonds_before_disputes_end(stage: Stage) -> None:
    """it should revert with UnbondingTooShort"""
    with refused("UnbondingTooShort", 10_000, 10_002):
        stage.create_run(disputeS=4_513, moveS=61)
    with refused("UnbondingTooShort", 10_000, 10_002):
        stage.create_run(disputeS=4_521)


def test_create_run_when_more_is_meant_for_keepers_than_sent(stage: Stage) -> None:
    """it should revert with InsufficientFunds"""
    with refused("InsufficientFunds", 0, 1):
        stage.factory.createRun(stage.params(), 1, sender=SPONSOR.address)


def test_create_run_when_the_code_reverts_without_a_reason(stage: Stage) -> None:
    """it should revert with DeploymentFailed"""
    broken = stage.deploy_factory(runCode=b"\x5f\x5f\xfd")  # revert(0, 0)
    with refused("DeploymentFailed"):
        broken.createRun(stage.params(), 0, sender=SPONSOR.address)


def test_constructor_when_the_code_is_longer_than_one_data_contract(stage: Stage) -> None:
    """it should keep all of it"""
    code = artifacts()["TrainingRun"].code
    padded = code + bytes(24_800 - len(code)) if len(code) < 24_800 else code
    factory = stage.deploy_factory(runCode=padded)
    assert factory.runCodeHash() == sha256(padded).digest()


@pytest.mark.parametrize("office", [NOBODY, ATTACKER.address])
def test_constructor_when_the_office_has_no_code(stage: Stage, office: str) -> None:
    """it should revert with InvalidParameter"""
    with refused("InvalidParameter", b"office".ljust(32, b"\0")):
        stage.deploy_factory(office=office)


def test_constructor_when_deployed(stage: Stage) -> None:
    """it should own a vault that knows it, and state the hash of the code of runs"""
    assert stage.vault.FACTORY() == stage.factory.address
    assert stage.vault.unbondingS() == stage.unbonding_s
    assert stage.factory.runCodeHash() == sha256(artifacts()["TrainingRun"].code).digest()


def test_every_checked_parameter_is_refused_above() -> None:
    source = (ROOT / "contracts/libraries/ParamChecks.sol").read_text()
    assert set(re.findall(r'InvalidParameter\("(\w+)"\)', source)) == {name for name, _ in WRONG}
