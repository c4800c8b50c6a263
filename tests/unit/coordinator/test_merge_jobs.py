"""Merging beside the driver: what fails says why, and a lie about a norm stops no merge."""

import time
from types import SimpleNamespace

import pytest
from unit.network.court.makers import CHUNKS, Round

from coordinator.merge_jobs import MergeJobs
from protocol.cid import cid_of
from protocol.errors import ContentUnavailable
from protocol.layout import CHUNK, Layout, TensorSpec

LAYOUT = Layout(tensors=(TensorSpec(name="w", shape=(CHUNKS * CHUNK,)),), segments=(1,))


class Aggregator:
    """Knows the parent's object and what comes of a merge."""

    def __init__(self, made):
        self.made = made

    def parent_of(self, _fold, _found):
        return cid_of(self.made.parent)

    def merge(self, _found, _inputs, *, parent):
        return SimpleNamespace(root=b"root", model=parent)


@pytest.fixture
def run():
    """Ask until there is an answer or a failure."""
    opened = []

    def ask(made):
        jobs = MergeJobs(made.store, Aggregator(made), LAYOUT, done=lambda: None)
        opened.append(jobs)
        found = made.fold.rounds[1]
        give_up_at = time.monotonic() + 10
        while time.monotonic() < give_up_at:
            merged = jobs.prepared(made.fold, found, found.inputs)
            failure = jobs.failure(found, found.inputs)
            if merged is not None or failure is not None:
                return jobs, found, merged, failure
            time.sleep(0.01)
        raise AssertionError("no answer")

    yield ask
    for jobs in opened:
        jobs.close()


def test_a_failed_merge_says_why(tmp_path, run):
    """So that the court can be asked for what is missing."""
    made = Round(tmp_path, missing=(1,))
    jobs, found, merged, failure = run(made)
    assert merged is None
    assert isinstance(failure, ContentUnavailable)
    assert jobs.liars(made.fold, found) == []


def test_a_lie_about_a_norm_is_known_and_stops_no_merge(tmp_path, run):
    """Its bytes are the root's: the merge is as good as any, the lie is the court's matter."""
    made = Round(tmp_path, liars=(1,))
    jobs, found, merged, _ = run(made)
    assert merged.root == b"root"
    assert jobs.liars(made.fold, found) == [1]
