"""The runs that a factory made."""

from collections.abc import Iterator
from dataclasses import dataclass

from network.artifacts import abi_of
from network.deployment import Deployment
from network.events import EventReader
from network.rpc import Rpc
from network.run import RUN_ABI
from protocol.errors import NotARun
from protocol.types import Address, BlockNumber, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedRun:
    """A run, who opened it, its specification's digest, and the block that made it."""

    run: Address
    sponsor: Address
    spec_cid: Digest
    block: BlockNumber


def created_runs(rpc: Rpc, deployment: Deployment) -> Iterator[CreatedRun]:
    """Every run of a factory, oldest first; raises what `Rpc` raises."""
    reader = EventReader(rpc, abi_of(*RUN_ABI), [deployment.factory], names=["RunCreated"])
    for batch in reader.read(deployment.first_block):
        for event in batch.events:
            yield CreatedRun(
                run=event.args.run,
                sponsor=event.args.sponsor,
                spec_cid=event.args.specCid,
                block=BlockNumber(event.block_number),
            )


def find_run(rpc: Rpc, deployment: Deployment, run: Address) -> CreatedRun:
    """Where a run's history begins; raises NotARun if the factory did not make it."""
    for created in created_runs(rpc, deployment):
        if created.run.lower() == run.lower():
            return created
    raise NotARun(address=run, factory=deployment.factory)
