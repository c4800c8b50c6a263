"""Which move of a dispute is this account's, and from when: pure functions (docs/protocol.md 8).

A right merge is everybody's to defend and a wrong one everybody's to end; whoever is nearest goes
first, the others stand by for a third of the mover's clock.
"""

from dataclasses import dataclass
from enum import StrEnum

from network.court.contract import Dispute, DisputeState
from protocol.merkle import MerkleTree
from protocol.proofs import STEP_LEVELS, child_siblings, children_below, first_difference
from protocol.types import Address, Digest

STANDBY_SHARE = 1 / 3
"""The share of a clock that is left to whoever is nearest."""


class Stance(StrEnum):
    """What this node's own merge says of a proposal."""

    UNKNOWN = "unknown"
    RIGHT = "right"
    WRONG = "wrong"


class Act(StrEnum):
    """A move that is due."""

    SHOW = "show"
    CHOOSE = "choose"
    OPEN = "open"
    ANSWER = "answer"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An act, and the Unix time from which this account makes it."""

    act: Act
    due_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """An account before the court, now."""

    me: Address
    now_s: float

    def next_move(self, dispute: Dispute, *, stance: Stance, is_pending: bool) -> Move | None:
        """What this account does about a dispute; None if it waits for others.

        `is_pending` says that the proposal still stands or, if its tree is in dispute, that its
        bond is still locked.
        """
        if dispute.state is DisputeState.NONE or dispute.state.is_over:
            return None
        if not is_pending:
            return Move(act=Act.END, due_s=self.now_s) if self._challenged(dispute) else None
        if dispute.state is DisputeState.LEAF:
            return self._about_leaf(dispute)
        if stance is Stance.RIGHT:
            return self._in_defence(dispute)
        return self._in_pursuit(dispute, stance)

    def _in_defence(self, dispute: Dispute) -> Move | None:
        first = self._is(dispute.proposer)
        if dispute.state is DisputeState.CHOICE:
            return self._end(dispute, first=first)
        if self._is_late(dispute):
            return None
        act = Act.SHOW if dispute.state is DisputeState.CHILDREN else Act.OPEN
        return self._answer(act, dispute, first=first)

    def _in_pursuit(self, dispute: Dispute, stance: Stance) -> Move | None:
        first = self._challenged(dispute)
        sure = stance is Stance.WRONG
        if dispute.state is DisputeState.CHOICE:
            return Move(act=Act.CHOOSE, due_s=self.now_s) if first and sure else None
        if dispute.state is DisputeState.CHUNK and sure and not self._is_late(dispute):
            # Whoever knows the right chunk need not wait for a clock.
            return self._answer(Act.OPEN, dispute, first=first)
        return self._end(dispute, first=first) if first or sure else None

    def _about_leaf(self, dispute: Dispute) -> Move:
        if self._is_late(dispute):
            return self._end(dispute, first=self._challenged(dispute))
        return self._answer(Act.ANSWER, dispute, first=self._is(dispute.proposer))

    def _answer(self, act: Act, dispute: Dispute, *, first: bool) -> Move:
        wait_s = 0.0 if first else STANDBY_SHARE * (dispute.deadline_s - dispute.began_s)
        return Move(act=act, due_s=dispute.began_s + wait_s)

    def _end(self, dispute: Dispute, *, first: bool) -> Move:
        wait_s = 0.0 if first else STANDBY_SHARE * dispute.move_s
        return Move(act=Act.END, due_s=dispute.deadline_s + 1 + wait_s)

    def _is_late(self, dispute: Dispute) -> bool:
        return self.now_s > dispute.deadline_s

    def _challenged(self, dispute: Dispute) -> bool:
        return self._is(dispute.challenger)

    def _is(self, account: Address) -> bool:
        return account.lower() == self.me.lower()


# -- the tree game ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A child that is wrong: its place among those shown, its node, its path up."""

    child: int
    node: Digest
    siblings: tuple[Digest, ...]
    next_level: int


def children_of(tree: MerkleTree, dispute: Dispute) -> list[Digest] | None:
    """The nodes to show below the one in dispute; None if that is none of this tree's."""
    if tree.node(dispute.level, dispute.index) != dispute.node:
        return None
    return children_below(tree, dispute.level, dispute.index)


def choose(tree: MerkleTree, dispute: Dispute, shown: tuple[Digest, ...]) -> Choice | None:
    """The first of the shown children that differs from the own merge's; None if none does."""
    child = first_difference(children_below(tree, dispute.level, dispute.index), shown)
    if child is None:
        return None
    return Choice(
        child=child,
        node=shown[child],
        siblings=child_siblings(shown, child),
        next_level=dispute.level - min(STEP_LEVELS, dispute.level),
    )
