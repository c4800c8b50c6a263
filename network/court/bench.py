"""What the merge court's parts share at a look at a run: who acts, with what, and when next."""

from dataclasses import dataclass

from network.bench import Turns
from network.court.clerk import Clerk
from network.court.contract import Dispute
from network.court.evidence import Examiner
from network.court.history import DisputeHistory
from protocol.types import Address, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A dispute that goes on: what the events tell of it, and what the court stores."""

    history: DisputeHistory
    dispute: Dispute

    @property
    def number(self) -> int:
        """Its number before the court."""
        return self.history.number


@dataclass(slots=True, kw_only=True)
class Bench(Turns):
    """An account before the merge court of one run. Use from one thread."""

    clerk: Clerk
    examiner: Examiner

    @property
    def me(self) -> Address:
        """The account that acts."""
        return self.clerk.sender.address

    @property
    def window_s(self) -> float:
        """The dispute window."""
        return self.clerk.run.params.dispute_s


def tree_disputes(pending: list[Pending], proposal: Digest) -> list[Pending]:
    """Those that ask for the tree of one proposal."""
    return [
        one for one in pending if not one.history.asks_for_leaf and one.dispute.proposal == proposal
    ]
