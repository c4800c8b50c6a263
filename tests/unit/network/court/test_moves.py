"""Whose move it is, from when, and which child is wrong: pure rules."""

import pytest
from unit.network.court.makers import LIAR, MOVE_S, OPENED_S, STRANGER, WATCHER, dispute

from network.court.contract import DisputeState
from network.court.moves import Act, Move, Player, Stance, children_of, choose
from protocol.merkle import MerkleTree, inner_node
from protocol.proofs import children_below

CHILDREN, CHOICE, CHUNK, LEAF = (
    DisputeState.CHILDREN,
    DisputeState.CHOICE,
    DisputeState.CHUNK,
    DisputeState.LEAF,
)
RIGHT, WRONG, UNKNOWN = Stance.RIGHT, Stance.WRONG, Stance.UNKNOWN
NOW = float(OPENED_S)
OVER = OPENED_S + 4 * MOVE_S + 1
THIRD = OPENED_S + 4 * MOVE_S / 3
GRACE = MOVE_S / 3


def move(me, state, stance, *, now_s=NOW, is_pending=True):
    found = dispute(state=state, challenger=STRANGER, proposer=LIAR)
    player = Player(me=me, now_s=now_s)
    made = player.next_move(found, stance=stance, is_pending=is_pending)
    return None if made is None else (made.act, made.due_s)


@pytest.mark.parametrize(
    ("me", "state", "stance", "expected"),
    [
        # a right merge: its proposer answers at once, others after a third
        (LIAR, CHILDREN, RIGHT, (Act.SHOW, NOW)),
        (WATCHER, CHILDREN, RIGHT, (Act.SHOW, THIRD)),
        (LIAR, CHUNK, RIGHT, (Act.OPEN, NOW)),
        (WATCHER, CHUNK, RIGHT, (Act.OPEN, THIRD)),
        (LIAR, CHOICE, RIGHT, (Act.END, OVER)),
        (WATCHER, CHOICE, RIGHT, (Act.END, OVER + GRACE)),
        # a wrong one: its challenger chooses, opens, and ends
        (STRANGER, CHILDREN, WRONG, (Act.END, OVER)),
        (WATCHER, CHILDREN, WRONG, (Act.END, OVER + GRACE)),
        (STRANGER, CHOICE, WRONG, (Act.CHOOSE, NOW)),
        (WATCHER, CHOICE, WRONG, None),
        (STRANGER, CHUNK, WRONG, (Act.OPEN, NOW)),
        (WATCHER, CHUNK, WRONG, (Act.OPEN, THIRD)),
        # who can not tell, does nothing but what it began
        (WATCHER, CHILDREN, UNKNOWN, None),
        (WATCHER, CHOICE, UNKNOWN, None),
        (WATCHER, CHUNK, UNKNOWN, None),
        (STRANGER, CHILDREN, UNKNOWN, (Act.END, OVER)),
        (STRANGER, CHUNK, UNKNOWN, (Act.END, OVER)),
        (STRANGER, CHOICE, UNKNOWN, None),
        # a leaf: its author at once, others after a third
        (LIAR, LEAF, UNKNOWN, (Act.ANSWER, NOW)),
        (WATCHER, LEAF, UNKNOWN, (Act.ANSWER, THIRD)),
        # over
        (STRANGER, DisputeState.UPHELD, WRONG, None),
        (STRANGER, DisputeState.MOOT, WRONG, None),
        (STRANGER, DisputeState.NONE, WRONG, None),
    ],
)
def test_who_moves_when(me, state, stance, expected):
    assert move(me, state, stance) == expected


@pytest.mark.parametrize(
    ("me", "state", "stance", "expected"),
    [
        (LIAR, CHILDREN, RIGHT, None),
        (WATCHER, CHUNK, RIGHT, None),
        (STRANGER, CHUNK, WRONG, (Act.END, OVER)),
        (WATCHER, CHUNK, WRONG, (Act.END, OVER + GRACE)),
        (STRANGER, LEAF, UNKNOWN, (Act.END, OVER)),
        (WATCHER, LEAF, UNKNOWN, (Act.END, OVER + GRACE)),
    ],
)
def test_after_the_deadline_an_answer_is_no_use(me, state, stance, expected):
    """And nobody ends a dispute against a merge that it knows to be right."""
    assert move(me, state, stance, now_s=OVER) == expected


@pytest.mark.parametrize("state", [CHILDREN, CHOICE, CHUNK, LEAF], ids=lambda one: one.name)
def test_what_has_no_object_any_more_is_ended_by_its_challenger(state):
    assert move(STRANGER, state, WRONG, is_pending=False) == (Act.END, NOW)
    assert move(WATCHER, state, WRONG, is_pending=False) is None


def test_the_clock_of_a_later_move_is_shorter():
    """What a side took longer than a move is gone from its bank."""
    late = dispute(state=CHILDREN, answer_bank_s=30, deadline_s=OPENED_S + 90)
    made = Player(me=WATCHER, now_s=NOW).next_move(late, stance=RIGHT, is_pending=True)
    assert made == Move(act=Act.SHOW, due_s=OPENED_S + 30)


def tree(*wrong, leaves=300):
    return MerkleTree.from_nodes(
        [bytes([1 if i in wrong else 0]) + i.to_bytes(31, "big") for i in range(leaves)]
    )


@pytest.mark.parametrize("places", [(0,), (299,), (37, 255), (256,)])
def test_a_challenger_comes_down_to_the_first_wrong_chunk(places):
    """Two moves for nine levels; what it chooses leads to the node that was in dispute."""
    right, wrong = tree(), tree(*places)
    found = dispute(level=9, index=0, node=wrong.root)
    for level in (1, 0):
        shown = tuple(children_of(wrong, found))
        choice = choose(right, found, shown)
        assert (choice.next_level, choice.node) == (level, shown[choice.child])
        node = choice.node
        for height, sibling in enumerate(choice.siblings):
            pair = (sibling, node) if choice.child >> height & 1 else (node, sibling)
            node = inner_node(*pair)
        assert node == found.node
        step = found.level - level
        index = found.index << step | choice.child
        found = dispute(level=level, index=index, node=choice.node)
    assert found.index == min(places)


def test_a_tree_whose_padding_is_no_padding_is_wrong_there():
    right = tree(leaves=5)
    wrong = MerkleTree.from_nodes([*right.levels[0], b"\x07" * 32])
    found = dispute(level=3, index=0, node=wrong.root)
    assert choose(right, found, tuple(children_below(wrong, 3, 0))).child == 5


def test_only_ones_own_tree_is_shown():
    """Of a node that is not in it there is nothing to show."""
    found = dispute(level=9, index=0, node=tree(4).root)
    assert children_of(tree(), found) is None
    assert (
        choose(tree(), dispute(level=9, node=tree().root), tuple(children_below(tree(), 9, 0)))
        is None
    )
