"""The events of some contracts, in order, from any block on, through reorganisations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from network.abi import Abi, Event
from network.ethereum import parse_log, read_head
from network.rpc import Rpc
from protocol.errors import RpcRejected, RpcUnavailable
from protocol.types import Address, BlockNumber

_FIRST_SPAN = 2_000
_LONGEST_SPAN = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a reader has read: the last block of it, and its hash to notice if it goes."""

    block_number: BlockNumber
    block_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events of a range of blocks, and where to go on. `rewound`: forget what came after `start`.

    A reorganisation shows as a batch with `rewound`, whose `start` is the first block to be read
    anew; its events replace every event from that block on.
    """

    events: tuple[Event, ...]
    start: BlockNumber
    position: Position
    rewound: bool = False


class EventReader:
    """Reads events in ranges of blocks that the node can answer; raises what `Rpc` raises.

    `depth` is how many blocks a reorganisation may take back.
    """

    def __init__(
        self,
        rpc: Rpc,
        abi: Abi,
        addresses: Sequence[Address],
        *,
        names: Sequence[str] = (),
        depth: int = 64,
    ) -> None:
        self._rpc = rpc
        self._abi = abi
        self._filter: dict[str, object] = {"address": list(addresses)}
        if names:
            self._filter["topics"] = [["0x" + abi.topic(name).hex() for name in names]]
        self._depth = depth
        self._span = _FIRST_SPAN

    def read(
        self, first: BlockNumber, *, after: Position | None = None, last: BlockNumber | None = None
    ) -> Iterator[Batch]:
        """Batches from block `first` on, or from where `after` ends, up to `last` or the head."""
        head = read_head(self._rpc)
        assert head is not None, "every chain has a block"
        end = head.number if last is None else min(last, head.number)
        start, rewound = int(first), False
        if after is not None:
            block = read_head(self._rpc, after.block_number)
            rewound = block is None or block.hash != after.block_hash
            start = (
                max(first, after.block_number - self._depth) if rewound else after.block_number + 1
            )
        while start <= end:
            stop = min(start + self._span - 1, end)
            # The hash is read before the logs: if the chain changes in between, the next read sees
            # another hash under this position and rewinds.
            block = read_head(self._rpc, stop)
            events = self._events(start, stop) if block is not None else None
            if events is None or block is None:
                if block is None:
                    return  # the chain became shorter; the next call rewinds
                self._span = max(1, self._span // 4)
                continue
            yield Batch(
                events=events,
                start=BlockNumber(start),
                position=Position(block_number=BlockNumber(stop), block_hash=block.hash),
                rewound=rewound,
            )
            self._span = min(self._span * 2, _LONGEST_SPAN)
            start, rewound = stop + 1, False

    def _events(self, start: int, stop: int) -> tuple[Event, ...] | None:
        """The events of a range; None if the node wants it shorter."""
        try:
            logs = self._rpc.call(
                "eth_getLogs", {**self._filter, "fromBlock": hex(start), "toBlock": hex(stop)}
            )
        except (RpcRejected, RpcUnavailable):  # too many blocks, logs or bytes
            if start == stop:
                raise
            return None
        decoded = [self._abi.decode_log(parse_log(log)) for log in logs if not log.get("removed")]
        events = [event for event in decoded if event is not None]
        return tuple(sorted(events, key=lambda event: (event.block_number, event.log_index)))
