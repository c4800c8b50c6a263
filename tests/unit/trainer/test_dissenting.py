"""A trainer that computed another parent: the court comes first, the dissent in time."""

from types import SimpleNamespace

import pytest
from unit.trainer.makers import ME, RUN, Story, digest

from network.history import Outcome
from network.keeper import View
from network.run import OpenRound
from protocol.rounds import Phase
from trainer.duties import Duties, Identity
from trainer.journal import RoundJournal


class Desk:
    """All that a dissent touches: it computes another root, and writes down what is sent."""

    def __init__(self, *, lets):
        self.lets = lets
        self.asked, self.dissents = [], []

    def obtain(self, _fold, _round_id):
        return SimpleNamespace(root=digest(99))

    def dissent(self, key, seat, own_root, _window):
        self.dissents.append((key.round_id, seat, own_root))
        return "chain"

    def lets_dissent(self, _view, parent):
        self.asked.append(parent)
        return self.lets


def duties(folder, desk, watch):
    story = Story().enrolled().opened()
    params = story.fold.params
    parent = SimpleNamespace(outcome=Outcome.PROPOSED, round_id=0)
    story.fold.rounds[0] = parent
    made = Duties(
        identity=Identity(chain_id=1, run=RUN, trainer=ME),
        params=params,
        layout=None,
        journal=RoundJournal(folder / "journal"),
        models=desk,
        trainer=None,
        updates=None,
        verifier=None,
        submitter=desk,
        exchange=None,
        report=lambda *_, **__: None,
        wake=lambda: None,
        watch=watch,
    )
    current = OpenRound(
        round_id=1,
        attempt=1,
        phase=Phase.COMMIT,
        deadline_s=100,
        roster_count=2,
        commits=0,
        dissents=0,
        reveals=0,
        keeper_gwei=0,
    )
    return made, View(current=current, totals=None, fold=story.fold, due=None, now_s=0.0)


@pytest.mark.parametrize("lets", [False, True], ids=["not yet", "now"])
def test_a_dissent_waits_for_the_court(tmp_path, lets):
    """Rejected without a dispute, the merge would cost its proposer nothing."""
    desk = Desk(lets=lets)
    made, view = duties(tmp_path, desk, desk)
    made.fulfil(view, view.round, 0)
    assert desk.asked == [0]
    assert desk.dissents == ([(1, 0, digest(99))] if lets else [])


def test_without_a_court_a_dissent_waits_for_nothing(tmp_path):
    desk = Desk(lets=False)
    made, view = duties(tmp_path, desk, None)
    made.fulfil(view, view.round, 0)
    assert desk.dissents == [(1, 0, digest(99))]
