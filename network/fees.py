"""What a transaction may cost: EIP-1559 fees, their cap, and how they rise when one is stuck."""

from dataclasses import dataclass

from network.rpc import Rpc
from protocol.errors import RpcRejected
from protocol.types import Wei

GWEI = 10**9
_CAP_WEI = Wei(200 * GWEI)
_PRIORITY_CAP_WEI = Wei(3 * GWEI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """The two fees of an EIP-1559 transaction, in wei per gas."""

    max_fee_wei: Wei
    priority_fee_wei: Wei


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePolicy:
    """How much to offer. Nodes accept a replacement from 10 % more on; we add 12.5 % or more.

    `cap_wei` bounds the fee per gas; `replace_after_s` is how long a transaction may wait before it
    is replaced, `max_replacements` how often.
    """

    cap_wei: Wei = _CAP_WEI
    priority_cap_wei: Wei = _PRIORITY_CAP_WEI
    bump_permille: int = 125
    replace_after_s: float = 30.0
    max_replacements: int = 6

    def first(self, *, base_fee_wei: int, suggested_priority_wei: int) -> Fees:
        """Room for six full blocks: twice the base fee, plus the priority fee, up to the cap."""
        priority = min(suggested_priority_wei, self.priority_cap_wei, self.cap_wei)
        highest = min(2 * base_fee_wei + priority, self.cap_wei)
        return Fees(max_fee_wei=Wei(max(highest, priority)), priority_fee_wei=Wei(priority))

    def raised(self, old: Fees, *, base_fee_wei: int) -> Fees | None:
        """Fees that replace the old ones, or None if the cap forbids a valid replacement."""
        least = _raise(old.max_fee_wei, self.bump_permille)
        if least > self.cap_wei:
            return None
        priority = _raise(old.priority_fee_wei, self.bump_permille)
        highest = min(max(least, 2 * base_fee_wei + priority), self.cap_wei)
        return Fees(max_fee_wei=Wei(highest), priority_fee_wei=Wei(min(priority, highest)))


def _raise(fee_wei: int, permille: int) -> int:
    """At least so much more, rounded up, and at least one wei."""
    return fee_wei + max(1, -(-fee_wei * permille // 1000))


def suggest_priority(rpc: Rpc) -> Wei:
    """The node's suggestion, in wei per gas; one gwei from a node that has none."""
    try:
        return Wei(int(rpc.call("eth_maxPriorityFeePerGas"), 16))
    except RpcRejected:
        return Wei(GWEI)
