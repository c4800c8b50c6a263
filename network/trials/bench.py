"""What the roles before the training court share at a look at a run."""

from dataclasses import dataclass
from typing import Protocol

from network.bench import Turns
from network.history import RoundHistory, RunFold
from network.keeper import View
from network.trials.clerk import TrialClerk
from network.trials.contract import Trial
from network.trials.history import TrialFold, TrialHistory
from protocol.types import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTrial:
    """A trial that goes on: what the events tell of it, and what the court stores."""

    history: TrialHistory
    trial: Trial

    @property
    def number(self) -> int:
        """Its number before the court."""
        return self.history.number

    @property
    def name(self) -> tuple[object, ...]:
        """Tells its present move from every other."""
        return (self.number, self.trial.level, self.trial.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Docket:
    """The run's trials at one look: all that the events tell, and those that go on."""

    fold: TrialFold
    pending: tuple[PendingTrial, ...]


@dataclass(slots=True, kw_only=True)
class TrialBench(Turns):
    """An account before the training court of one run. Use from one thread."""

    clerk: TrialClerk

    @property
    def me(self) -> Address:
        """The account that acts."""
        return self.clerk.sender.address

    @property
    def window_s(self) -> float:
        """The clock of a move, which all share who would go on with a trial."""
        return self.clerk.run.params.move_s

    def is_party(self, one: TrialHistory) -> bool:
        """Whether the account accuses, is accused, or answered for the accused."""
        parties = (one.accuser, one.accused, one.defender)
        return any(party is not None and self.is_me(party) for party in parties)


class Role(Protocol):
    """A part that an account plays in the trials of a run."""

    def look(self, view: View, docket: Docket) -> None:
        """Do what is due, and wait for nothing."""

    @property
    def is_busy(self) -> bool:
        """Whether a duty is not done yet."""


def round_of(fold: RunFold, trial: Trial) -> RoundHistory | None:
    """The round whose update a trial is about; None if it is void, or the events lag."""
    found = fold.rounds.get(trial.round_id)
    if found is None or found.seed != trial.seed or not found.inputs:
        return None
    return found
