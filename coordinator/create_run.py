"""A plan becomes a run: specification and genesis are published, then the factory is called."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import structlog

from coordinator.audit_money import fund_audits
from coordinator.deterrence import check_deterrence, expected_audits
from coordinator.plan import (
    MAX_SEGMENTS,
    RunPlan,
    check_funding,
    check_plan,
    check_unbonding,
)
from learning.tasks import Task, load_task
from network.artifacts import abi_of
from network.content import model_root
from network.contract import Contract
from network.deployment import Deployment
from network.ethereum import read_code
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.run import RUN_ABI, RunParams
from network.spec_check import check_spec
from network.store import ContentStore
from network.transactions import TransactionSender
from protocol.codec import model_leaves
from protocol.errors import InvalidRunParameter, NotAContract, TransactionReverted
from protocol.spec import RunSpec
from protocol.types import Address, BlockNumber, Wei

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that was created, and the block that its history begins at.

    `audits_wei` is what its training court got for audits: nothing where it has no court.
    """

    address: Address
    block: BlockNumber
    params: RunParams
    audits_wei: Wei


def publish_run(
    store: ContentStore, plan: RunPlan, *, task: Task | None = None
) -> tuple[RunSpec, RunParams]:
    """Publish genesis model and specification; gives the parameters that name them.

    Equal plans give equal content ids. Raises InvalidRunParameter, CheatingPays, InvalidSpec,
    UnknownTask, and what making the model and `ContentStore.put` raise.
    """
    from learning.genesis import genesis  # noqa: PLC0415 - torch takes seconds to load

    check_plan(plan)
    check_deterrence(plan)
    layout, theta = genesis(
        task or load_task(plan.task),
        plan.genesis_seed,
        params=plan.task_params,
        segments=plan.segments,
        fraction_bits=plan.fraction_bits,
    )
    if layout.segment_count > MAX_SEGMENTS:
        raise InvalidRunParameter(
            name="segments",
            value=str(layout.segment_count),
            reason=f"a run has at most {MAX_SEGMENTS}",
            hint="put more tensors into a segment",
        )
    spec = plan.specification(layout)
    momentum = np.zeros_like(theta) if plan.merge.momentum else None
    model = model_leaves(theta, momentum)
    params = plan.params(
        spec=spec,
        spec_cid=store.put(spec.canonical_bytes()),
        genesis_cid=store.put(model),
        genesis_root=model_root(model, momentum=plan.merge.momentum),
    )
    check_spec(params, spec)
    return spec, params


def create_run(
    rpc: Rpc,
    deployment: Deployment,
    sender: TransactionSender,
    plan: RunPlan,
    params: RunParams,
    *,
    value_wei: Wei,
    keeper_wei: Wei,
    audits_wei: Wei | None = None,
    label: str = "",
) -> NewRun:
    """Create and fund a run with `value_wei`, of which keepers get `keeper_wei`.

    `audits_wei` go to its training court besides: as much as the expected audits cost unless it
    says another sum. Called again with the same arguments, also after a crash, it gives the same
    run; another `label` makes another one. Raises InvalidRunParameter and CheatingPays before
    anything is sent, and what TransactionSender.send raises.
    """
    check_deterrence(plan)
    if audits_wei is None:
        audits_wei = Wei(expected_audits(plan) * plan.money.audit_reward_wei)
    abi = abi_of(*RUN_ABI)
    factory = Contract(rpc, deployment.factory, abi, RevertCatalogue(abi, REMEDIES))
    check_funding(plan, value_wei=value_wei, keeper_wei=keeper_wei, audits_wei=audits_wei)
    _check_beacon(rpc, plan.beacon)
    vault = Contract(rpc, factory.read("vault"), abi, RevertCatalogue(abi, REMEDIES))
    check_unbonding(plan, vault.read("unbondingS"))
    call = factory.prepare("createRun", params.as_tuple(), keeper_wei, value_wei=value_wei)
    digest = sha256(call.data + str(value_wei).encode()).hexdigest()[:16]
    receipt = sender.send(f"create-run/{deployment.factory.lower()}/{digest}/{label}", call)
    created = [e for e in (receipt.events if receipt else ()) if e.name == "RunCreated"]
    if receipt is None or len(created) != 1:
        raise TransactionReverted(error_name="NoReason")
    run = Address(created[0].args.run)
    _log.info("run_created", run=run, block=receipt.block_number, cost_wei=receipt.cost_wei)
    given_wei = fund_audits(rpc, sender, run, audits_wei)
    return NewRun(address=run, block=receipt.block_number, params=params, audits_wei=given_wei)


def _check_beacon(rpc: Rpc, beacon: Address) -> None:
    try:
        read_code(rpc, beacon)
    except NotAContract:
        raise InvalidRunParameter(
            name="beacon",
            value=beacon,
            reason="there is no contract at that address",
            hint="take PrevrandaoBeacon's address from deployments/<chainId>.json",
        ) from None
