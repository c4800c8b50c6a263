"""What whoever acts before a court knows at a look at a run: who it is, and when it is its turn."""

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from network.desk import Desk
from protocol.types import Address

_log = structlog.get_logger(__name__)

STAGGER_SHARE = 1 / 64
LONGEST_STAGGER_S = 3.0
"""Watchers act one after the other: at most so many seconds apart, and such a share of a window."""

MAX_RANK = 16


class Report(Protocol):
    """Takes an event and its values."""

    def __call__(self, event: str, **values: Any) -> None:
        """Tell whoever watches."""


def say_nothing(event: str, **values: Any) -> None:
    """A report to nobody."""


@dataclass(slots=True, kw_only=True)
class Turns:
    """`rank` is the account's turn among those who would do the same. Use from one thread."""

    desk: Desk
    rank: int
    report: Report
    wake: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    now_s: float = 0.0
    moments: list[float] = field(default_factory=list)
    _told: set[tuple[object, ...]] = field(default_factory=set)

    @property
    @abstractmethod
    def me(self) -> Address:
        """The account that acts."""

    @property
    @abstractmethod
    def window_s(self) -> float:
        """The time that all who would act share."""

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
        stagger_s = min(LONGEST_STAGGER_S, STAGGER_SHARE * self.window_s)
        return since_s + stagger_s * min(self.rank, MAX_RANK)

    def wake_at_s(self) -> list[float]:
        """Unix times at which there may be something to do though no block comes."""
        again_s = self.desk.again_in_s()
        return self.moments + ([] if again_s is None else [self.now_s + again_s])

    def tell_once(self, event: str, *name: object, **values: Any) -> None:
        """Log and report an event the first time that it is told under this name."""
        if (event, *name) not in self._told:
            self._told.add((event, *name))
            _log.info(event, **values)
            self.report(event, **values)
