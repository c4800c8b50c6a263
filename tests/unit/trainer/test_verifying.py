"""What a node attests: only what it fetched, hashed and measured itself."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from unit.trainer.makers import ME, digest

from network.history import Revealed
from network.store import LocalStore
from protocol.cid import cid_of
from protocol.codec import encode_update
from protocol.layout import CHUNK
from protocol.merkle import SumTree
from protocol.rounds import UpdateHeader
from trainer import verifying
from trainer.verifying import UpdateVerifier, Verdict

UPDATE = encode_update(np.arange(2 * CHUNK))
TREE = SumTree.from_leaves(UPDATE)
CID = cid_of(UPDATE)
HEADER = UpdateHeader(
    update_root=TREE.root,
    ssq=TREE.ssq,
    trace_root=digest(1),
    class_id=digest(2),
    update_cid=CID.digest,
    update_size=CID.size,
)


def revealed(**changes) -> Revealed:
    return Revealed(seat=0, trainer=ME, header=replace(HEADER, **changes))


@pytest.fixture
def place(tmp_path):
    store = LocalStore(tmp_path)
    woken = threading.Semaphore(0)
    verifier = UpdateVerifier(store, norm_bound=TREE.ssq, done=woken.release)
    yield store, verifier, woken
    verifier.close()


def verdict(place, one, chunks=2):
    _, verifier, woken = place
    assert verifier.look(one, chunks=chunks) is None
    assert woken.acquire(timeout=10)
    return verifier.look(one, chunks=chunks)


def test_an_honest_update_is_good(place):
    place[0].put(UPDATE)
    assert verdict(place, revealed()) is Verdict.GOOD


@pytest.mark.parametrize(
    "changes",
    [
        {"update_root": digest(5)},
        {"update_root": digest(5), "ssq": TREE.ssq - 1},
        {"ssq": TREE.ssq + 1},
        {"update_size": CID.size - 1},
    ],
    ids=["another root", "another root and norm", "above the bound", "another size"],
)
def test_what_is_not_as_its_header_says_is_bad(place, changes):
    place[0].put(UPDATE)
    assert verdict(place, revealed(**changes)) is Verdict.BAD


def test_a_smaller_norm_under_the_right_root_is_a_lie_that_can_be_proven(place):
    place[0].put(UPDATE)
    assert verdict(place, revealed(ssq=TREE.ssq - 1)) is Verdict.LYING


def test_an_update_of_another_segments_length_is_bad(place):
    place[0].put(UPDATE)
    assert verdict(place, revealed(), chunks=3) is Verdict.BAD


def test_a_missing_update_may_still_come(place, monkeypatch):
    """It is looked for again, and its first verdict is not kept against it."""
    monkeypatch.setattr(verifying, "RETRY_S", -1.0)
    store, verifier, woken = place
    assert verdict(place, revealed()) is Verdict.MISSING
    store.put(UPDATE)
    assert woken.acquire(timeout=10)
    verifier.look(revealed(), chunks=2)
    if verifier.look(revealed(), chunks=2) is not Verdict.GOOD:
        assert woken.acquire(timeout=10)
    assert verifier.look(revealed(), chunks=2) is Verdict.GOOD


def test_a_copied_header_with_another_norm_is_judged_by_itself(place):
    """The verdict on an honest update says nothing about a header that only shares its object."""
    place[0].put(UPDATE)
    assert verdict(place, revealed()) is Verdict.GOOD
    assert verdict(place, revealed(ssq=1)) is Verdict.LYING
