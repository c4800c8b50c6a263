"""Watchers before the real court: what is wrong is convicted, what is right is defended."""

import sqlite3

import pytest
from support.anvil import run_anvil
from support.court_world import AGGREGATOR, ATTACKER, WITNESS, CourtWorld

from network.court import clerk
from network.court.contract import DisputeState
from network.history import Outcome
from protocol.cid import cid_of
from protocol.merkle import MerkleTree
from protocol.proofs import child_siblings, children_below

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def anvil():
    with run_anvil("--hardfork", "prague", accounts=6) as running:
        yield running


@pytest.fixture
def make_world(anvil, tmp_path):
    """Worlds on one chain; each has its own contracts."""
    made = []

    def make(**options):
        world = CourtWorld(anvil, tmp_path / str(len(made)), **options)
        made.append(world)
        return world

    yield make
    for world in made:
        world.close()


def bond_of(world, person):
    account = world.run.contract.accounts(person.address)
    return account.freeWei, account.lockedWei


def test_a_wrong_merge_whose_model_is_published_is_convicted_in_one_act(make_world):
    """Half of the bond goes to whoever proved it, and the same inputs can be merged again."""
    world = make_world(segments=(3, 5))
    watcher = world.watcher()
    number = world.freeze_round()
    right = world.merge(number)
    world.propose(world.wrong(right, chunk=4), person=ATTACKER)
    view = watcher.attend(lambda v: v.fold.rounds[number].rejected)
    found = view.fold.rounds[number]
    bond_wei = world.client.params.proposer_bond_gwei * 10**9
    (conviction,) = found.convictions
    assert (conviction.beneficiary, conviction.paid_wei) == (watcher.address, bond_wei // 2)
    assert conviction.proposal.proposer == ATTACKER.address
    assert found.outcome is Outcome.OPEN
    world.propose(right)
    watcher.settle()
    assert watcher.said == ["wrong_merge", "merge_convicted"]
    assert world.court.disputeCount() == 0


def pass_clocks(world):
    """Let the clock of every dispute run out, and a standby's time too."""
    numbers = range(1, world.court.disputeCount() + 1)
    world.evm.sleep_until(max(world.court.disputes(n).deadline for n in numbers) + 40)


def show(world, number, tree, person=ATTACKER):
    """The proposer's side answers with the nodes of its own tree."""
    d = world.court.disputes(number)
    children = children_below(tree, d.level, d.index)
    world.court.showChildren(number, children, sender=person.address)


def tree_of(model):
    return MerkleTree.from_leaves(model, 2 * 4 * 256)


def state_of(world, number=1):
    return DisputeState(world.court.disputes(number).state)


def test_a_proposer_that_shows_nothing_is_convicted_by_the_clock(make_world):
    """Nothing was published: it is asked for its tree, and its silence is enough."""
    world = make_world()
    watcher = world.watcher()
    number = world.freeze_round()
    right = world.merge(number)
    world.propose(world.wrong(right, chunk=2), person=ATTACKER, publish=False)
    watcher.attend(lambda _: world.court.disputeCount())
    assert world.run.contract.getRound(number).openDisputes == 1
    pass_clocks(world)
    view = watcher.attend(lambda v: v.fold.rounds[number].convictions)
    (conviction,) = view.fold.rounds[number].convictions
    assert conviction.beneficiary == watcher.address
    assert world.court.creditOf(watcher.address) > 0
    watcher.attend(lambda _: not watcher.watch.is_busy)
    watcher.watch.claim()
    assert world.court.creditOf(watcher.address) == 0
    assert world.evm.balance(world.court.address) == 0


def test_a_proposer_that_plays_to_the_end_is_convicted_by_its_own_chunk(make_world):
    """The watcher follows it down the tree, killed before each move, and opens the chunk itself."""
    world = make_world(segments=(200, 100))
    watcher = world.watcher()
    number = world.freeze_round()
    wrong = world.wrong(world.merge(number), chunk=271)
    world.propose(wrong, person=ATTACKER, publish=False)
    watcher.attend(lambda _: world.court.disputeCount())
    for level in (9, 1):
        assert (state_of(world), world.court.disputes(1).level) == (DisputeState.CHILDREN, level)
        watcher.restart()
        watcher.settle()
        show(world, 1, tree_of(wrong))
        watcher.restart()
        watcher.attend(lambda _: state_of(world) is not DisputeState.CHOICE)
    view = watcher.attend(lambda v: v.fold.rounds[number].convictions)
    assert world.court.disputes(1).index == 271
    assert state_of(world) is DisputeState.UPHELD
    assert world.court.disputeCount() == 1
    assert view.fold.rounds[number].convictions[0].beneficiary == watcher.address


def test_a_model_of_one_chunk_is_opened_at_once(make_world):
    world = make_world(segments=(1,))
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.wrong(world.merge(number), chunk=0), person=ATTACKER, publish=False)
    watcher.attend(lambda v: v.fold.rounds[number].convictions)
    assert state_of(world) is DisputeState.UPHELD


def test_a_lie_in_the_padding_is_found(make_world):
    """The right model under a root that hides something behind its last chunk."""
    world = make_world()
    watcher = world.watcher()
    number = world.freeze_round()
    right = world.merge(number)
    nodes = [*tree_of(right).levels[0], b"\x05" * 32]
    tree = MerkleTree.from_nodes(nodes)
    world.store.put(right)
    cid = cid_of(right)
    world.run.contract.proposeMerge(
        number, tree.root, cid.digest, cid.size, sender=ATTACKER.address
    )
    watcher.attend(lambda _: world.court.disputeCount())
    show(world, 1, tree)
    watcher.attend(lambda v: v.fold.rounds[number].convictions)
    assert world.court.disputes(1).index == 5


@pytest.mark.parametrize("chunk", [0, 271, 400], ids=["first", "second segment", "padding"])
def test_a_right_merge_is_defended_by_whoever_watches(make_world, chunk):
    """The proposer is away; a stranger challenges, chooses as it likes, and loses its bonds."""
    world = make_world(segments=(200, 100))
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.merge(number))
    wei = 10**17
    world.court.challengeTree(world.run.contract.address, number, sender=WITNESS.address, value=wei)
    watcher.settle()
    assert state_of(world) is DisputeState.CHILDREN, "others have a third of the clock first"
    for shift in (1, 0):
        world.evm.sleep(81)
        watcher.attend(lambda _: state_of(world) is DisputeState.CHOICE)
        (shown,) = [d.shown for d in watcher.watch._history.fold.open]
        child = (chunk >> shift) % len(shown)
        world.court.chooseChild(
            1,
            child,
            shown[child],
            child_siblings(shown, child),
            sender=WITNESS.address,
            value=wei,
        )
    world.evm.sleep(81)
    watcher.attend(lambda _: state_of(world) is DisputeState.REJECTED)
    assert world.court.disputes(1).index == chunk
    assert world.court.creditOf(AGGREGATOR.address) == 3 * wei
    assert world.run.contract.getRound(number).openDisputes == 0


def test_a_challenger_that_falls_silent_holds_nothing_up(make_world):
    """Whoever watches ends its dispute, so that the round can become final."""
    world = make_world()
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.merge(number))
    world.court.challengeTree(
        world.run.contract.address, number, sender=WITNESS.address, value=10**17
    )
    world.evm.sleep(81)
    watcher.attend(lambda _: state_of(world) is DisputeState.CHOICE)
    pass_clocks(world)
    watcher.attend(lambda _: state_of(world) is DisputeState.REJECTED)
    assert world.run.contract.getRound(number).openDisputes == 0


def test_a_merge_rejected_by_its_trainers_does_not_save_its_proposer(make_world):
    """The own dispute is open before anybody dissents, and goes on after the rejection."""
    world = make_world()
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.wrong(world.merge(number), chunk=1), person=ATTACKER, publish=False)
    world.run.open()
    view = watcher.look()
    assert not watcher.watch.lets_dissent(view, number)
    watcher.attend(lambda v: watcher.watch.lets_dissent(v, number))
    assert world.court.disputeCount() == 1
    for seat in (0, 1, 2):
        world.run.dissent(seat)
    assert bond_of(world, ATTACKER)[1] > 0
    pass_clocks(world)
    view = watcher.attend(lambda v: v.fold.rounds[number].convictions)
    assert view.fold.rounds[number].convictions[0].proposal.proposer == ATTACKER.address
    assert bond_of(world, ATTACKER)[1] == 0


def test_an_accomplice_does_not_keep_a_watcher_from_asking(make_world):
    """Another's challenge is enough for half of the window, not longer: it may lose on purpose."""
    world = make_world()
    watcher = world.watcher()
    number = world.freeze_round()
    wrong = world.wrong(world.merge(number), chunk=1)
    world.propose(wrong, person=ATTACKER, publish=False)
    world.court.challengeTree(
        world.run.contract.address, number, sender=WITNESS.address, value=10**17
    )
    show(world, 1, tree_of(wrong))  # and the accomplice chooses nothing
    half_s = world.run.contract.getRound(number).finalizableAt - 500
    watcher.attend(lambda _: half_s in watcher.watch.wake_at_s())
    assert world.court.disputeCount() == 1
    world.evm.sleep_until(half_s)
    watcher.attend(lambda _: world.court.disputeCount() == 2)
    assert world.court.disputes(2).challenger == watcher.address


def test_two_watchers_convict_once(make_world):
    """Who comes second spends nothing, or gets its bond back."""
    world = make_world()
    watchers = [world.watcher(place, f"watcher-{place}") for place in (0, 1)]
    number = world.freeze_round()
    world.propose(world.wrong(world.merge(number), chunk=3), person=ATTACKER)
    for one in watchers * 2:
        one.look()
    for one in watchers:
        view = one.attend(lambda v: v.fold.rounds[number].convictions)
        one.settle()
    assert len(view.fold.rounds[number].convictions) == 1


def test_a_long_proof_is_fed_in_parts_and_taken_up_after_a_kill(make_world, monkeypatch):
    """No transaction is larger than allowed, and no part is paid twice."""
    monkeypatch.setattr(clerk, "MAX_CALL_BYTES", 6_500)
    world = make_world(segments=(40,), trainers=7)
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.wrong(world.merge(number), chunk=31), person=ATTACKER)
    nonce = "eth_getTransactionCount"
    first = int(world.evm.rpc(nonce, watcher.address, "latest"), 16)
    watcher.look()
    watcher.attend(lambda _: int(world.evm.rpc(nonce, watcher.address, "latest"), 16) > first)
    watcher.restart()
    watcher.attend(lambda v: v.fold.rounds[number].convictions)
    keys = [key for key in keys_of(world, "watcher") if key.startswith("court/feed")]
    assert len(keys) >= 2
    sent = int(world.evm.rpc(nonce, watcher.address, "latest"), 16) - first
    assert sent == len(keys) + 1


def keys_of(world, name):
    with sqlite3.connect(world.folder / name / "transactions.sqlite") as journal:
        found = journal.execute("SELECT key, length(data) FROM intents").fetchall()
    assert all(size <= clerk.MAX_CALL_BYTES for _, size in found)
    return [key for key, _ in found]


# --- updates


def test_an_update_that_nobody_can_have_fails_the_merge(make_world):
    """Its author pays, the proposer keeps its bond, and the run goes on from the same model."""
    world = make_world()
    world.run.withheld.add(1)
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.merge(number))
    world.evm.sleep(260)
    watcher.attend(lambda _: world.court.disputeCount())
    watcher.restart()
    world.evm.sleep(300)
    view = watcher.attend(lambda v: v.fold.rounds[number].outcome is Outcome.FAILED)
    assert view.fold.rounds[number].convicted == 0b10
    assert view.fold.stakes_gwei[1] == world.run.contract.seats(1).stakeGwei
    assert bond_of(world, AGGREGATOR)[1] == 0
    assert world.court.disputeCount() == 1
    world.run.open()
    assert watcher.look().fold.rounds[number + 1].parent_root == world.client.params.genesis_root


def test_whoever_holds_an_update_shows_its_leaf(make_world):
    """A challenge of an update that can be had costs the challenger its bond."""
    world = make_world(segments=(3, 5))
    watcher = world.watcher()
    number = world.freeze_round()
    world.propose(world.merge(number))
    segment = next(i for i, data in enumerate(world.run.inputs[number]) if data)
    world.court.challengeLeaf(
        world.run.contract.address,
        number,
        (1, 6)[segment],
        world.run.inputs[number][segment],
        0,
        sender=WITNESS.address,
        value=10**17,
    )
    watcher.settle()
    assert state_of(world) is DisputeState.LEAF
    world.evm.sleep(81)
    watcher.attend(lambda _: state_of(world) is DisputeState.REJECTED)
    assert world.court.creditOf(watcher.address) == 10**17


@pytest.mark.parametrize("frozen", [False, True], ids=["revealed", "merged"])
def test_a_lie_about_a_norm_is_proven_before_and_after_the_freeze(make_world, frozen):
    """The root is the update's, the header says less: the seat pays and earns nothing."""
    world = make_world(segments=(3, 5))
    world.run.lies[2] = {"ssq": 1}
    watcher = world.watcher()
    number = world.run.play(until="merge" if frozen else "audit")
    if frozen:
        world.propose(world.merge(number))
    found = watcher.look().fold.rounds[number]
    watcher.watch.accuse(found.round_id, found.attempt, found.reveals[2])
    watcher.watch.accuse(found.round_id, found.attempt, found.reveals[0])
    view = watcher.attend(lambda v: v.fold.rounds[number].convicted)
    watcher.settle()
    assert view.fold.rounds[number].convicted == 0b100
    assert view.fold.stakes_gwei[2] == world.run.contract.seats(2).stakeGwei == 5 * 10**8
    if not frozen:
        world.run.freeze((0, 1, 2))
        assert watcher.look().fold.rounds[number].included == 0b011
        assert watcher.look().fold.rounds[number].inputs
