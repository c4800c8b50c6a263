"""Which updates are audited and by whom: known from the block behind the freeze on.

Docs/protocol.md section 9. Where the run's beacon is predictable, everybody knows it in advance.
"""

from collections.abc import Callable
from functools import cached_property

from network.artifacts import abi_of
from network.contract import Contract
from network.headers import encode_header
from network.history import RoundHistory, RunFold
from network.remedies import REMEDIES
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.run import RunContract
from protocol.audits import auditor_of, is_audited
from protocol.errors import InvalidBlockHeader
from protocol.types import Address, BlockNumber, Digest, Seat

SETTLED_BLOCKS = 8
"""A draw is read anew until its block is so old: a reorganisation may change it."""

_BEACON_ABI = "PrevrandaoBeacon"


class Beacon:
    """The run's source of randomness; safe for several threads. Reads raise what `Rpc` raises."""

    def __init__(self, rpc: Rpc, run: RunContract, head_number: Callable[[], int]) -> None:
        abi = abi_of(_BEACON_ABI)
        self._rpc = rpc
        self._run = run
        self._contract = Contract(rpc, run.params.beacon, abi, RevertCatalogue(abi, REMEDIES))
        self.head_number = head_number

    @cached_property
    def is_predictable(self) -> bool:
        """Whether its draws are known in advance; every report of such a run says so."""
        return bool(self._contract.read("predictable"))

    def header_of(self, number: int) -> bytes:
        """A block's header, as the beacon wants it; raises InvalidBlockHeader."""
        if self.is_predictable:
            return b""
        block = self._rpc.call("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003 - the method's own flag
        if block is None:
            raise InvalidBlockHeader(number=number, reason="the node does not have it")
        return encode_header(block)

    def draw(self, round_id: int, block: int) -> Digest | None:
        """The randomness of a block; None while there is no such block."""
        if not self.is_predictable and self.head_number() < block:
            return None
        header = self.header_of(block)
        return Digest(self._contract.read("draw", self._run.address, round_id, block, header))


class Draws:
    """Who is drawn for what in one run. Use from one thread."""

    def __init__(self, beacon: Beacon) -> None:
        self._beacon = beacon
        self._known: dict[tuple[object, ...], dict[Seat, Address]] = {}

    def block_of(self, found: RoundHistory) -> BlockNumber:
        """The block that draws the auditors of a frozen round."""
        frozen = [e.block_number for e in found.events if e.name == "UpdatesFrozen"]
        return BlockNumber(frozen[-1] + 1)

    def auditors(self, fold: RunFold, found: RoundHistory) -> dict[Seat, Address] | None:
        """The auditor of each audited update of a frozen round; None while nobody knows."""
        bps, block = fold.params.audit_bps, self.block_of(found)
        if bps == 0:
            return {}
        name = (found.seed, found.inputs_hashes, block)
        if name in self._known:
            return self._known[name]
        randomness = self._beacon.draw(found.round_id, block)
        if randomness is None:
            return None
        roll = [entry for segment in found.inputs for entry in segment]
        drawn = {}
        for seat in (entry.seat for entry in roll):
            if is_audited(randomness=randomness, seat=seat, audit_bps=bps):
                auditor = auditor_of(randomness=randomness, roll=roll, seat=seat)
                if auditor is not None:
                    drawn[seat] = auditor.trainer
        if self._beacon.is_predictable or self._beacon.head_number() - block >= SETTLED_BLOCKS:
            self._known[name] = drawn
        return drawn

    def drawn_for(self, fold: RunFold, found: RoundHistory, account: Address) -> tuple[Seat, ...]:
        """The updates that an account is to audit."""
        drawn = self.auditors(fold, found) or {}
        return tuple(s for s, who in sorted(drawn.items()) if who.lower() == account.lower())
