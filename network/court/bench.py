"""What the court's parts share at a look at a run: who acts, with what, and when next."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from network.court.clerk import Clerk
from network.court.contract import Dispute
from network.court.desk import Desk
from network.court.evidence import Examiner
from network.court.history import DisputeHistory
from protocol.types import Address, Digest

_log = structlog.get_logger(__name__)

STAGGER_SHARE = 1 / 64
LONGEST_STAGGER_S = 3.0
"""Watchers act one after the other: at most so many seconds apart, and such a share of a window."""

MAX_RANK = 16


class Report(Protocol):
    """Takes an event and its values."""

    def __call__(self, event: str, **values: Any) -> None:
        """Tell whoever watches."""


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
class Bench:
    """`rank` is the account's turn among those who would do the same. Use from one thread."""

    clerk: Clerk
    examiner: Examiner
    desk: Desk
    rank: int
    report: Report
    wake: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    now_s: float = 0.0
    moments: list[float] = field(default_factory=list)
    _told: set[tuple[object, ...]] = field(default_factory=set)

    @property
    def me(self) -> Address:
        """The account that acts."""
        return self.clerk.sender.address

    def is_me(self, account: Address) -> bool:
        """Whether an account is the one that acts."""
        return account.lower() == self.me.lower()

    def begin(self, now_s: float) -> None:
        """A new look."""
        self.now_s, self.moments = now_s, []

    def is_time(self, moment_s: float) -> bool:
        """Whether it is so late; if not, the loop is woken then."""
        if self.now_s >= moment_s:
            return True
        self.moments.append(moment_s)
        return False

    def is_after(self, moment: float) -> bool:
        """The same of this machine's own clock: the chain's stands still between blocks."""
        left_s = moment - self.clock()
        return self.is_time(self.now_s + left_s)

    def turn_s(self, since_s: float) -> float:
        """When it is this account's turn to do what anybody may since `since_s`."""
        dispute_s = self.clerk.run.params.dispute_s
        stagger_s = min(LONGEST_STAGGER_S, STAGGER_SHARE * dispute_s)
        return since_s + stagger_s * min(self.rank, MAX_RANK)

    def tell_once(self, event: str, *name: object, **values: Any) -> None:
        """Log and report an event the first time that it is told under this name."""
        if (event, *name) not in self._told:
            self._told.add((event, *name))
            _log.info(event, **values)
            self.report(event, **values)


def tree_disputes(pending: list[Pending], proposal: Digest) -> list[Pending]:
    """Those that ask for the tree of one proposal."""
    return [
        one for one in pending if not one.history.asks_for_leaf and one.dispute.proposal == proposal
    ]
