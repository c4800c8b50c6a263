"""A stranger proposes a wrong merge to a running network: whoever watches convicts it by itself."""

import pytest

from coordinator.audit.replay import replay_run
from network.artifacts import abi_of
from network.content import WeightedUpdate, merge_model, model_root
from network.court.contract import court_of
from network.heads import HeadWatcher
from network.history import Outcome, RunHistory
from network.keys import unlock_keystore
from network.run import RUN_ABI, RunContract
from network.transactions import TransactionSender
from protocol.cid import cid_of
from protocol.rounds import Phase
from scripts import demo_run
from scripts.demo_network import STAKE_GWEI, DemoSettings, build_network
from scripts.demo_run import Follower
from scripts.localnet_parts import make_key
from scripts.processes import Processes

# The adversaries of test_adversaries.py do the same as registered aggregators.
pytestmark = [pytest.mark.system, pytest.mark.nightly, pytest.mark.timeout(300)]

ROUNDS = 3


class Liar:
    """An account with one bond that proposes round 1's merge, one bit off."""

    def __init__(self, network, heads, folder):
        key = make_key(folder / "keys", "liar", network.rpc)
        self.network, self.heads, self.address = network, heads, key.address
        self.run = RunContract(network.rpc, network.run)
        self.sender = TransactionSender(
            network.rpc,
            unlock_keystore(key.keystore, key.passphrase_file.read_text()),
            folder / "liar.journal",
            heads=heads,
            abi=abi_of(*RUN_ABI),
            reverts=self.run.reverts,
        )
        self.bond_wei = self.run.params.proposer_bond_gwei * 10**9
        self.sender.send("bond", self.run.prepare("depositBond", value_wei=self.bond_wei))

    def lie(self, spec, *, published):
        """Propose a model with one wrong bit once round 1 is frozen; gives its root."""
        current = self.heads.wait_for(self._mergeable, timeout_s=90)
        assert current is not None, "round 1 was never frozen"
        store = self.network.open_store()
        fold = RunHistory(self.network.rpc, self.run, first_block=1).update()
        found = fold.rounds[1]
        kept = bytearray()

        def keep(pieces):
            for piece in pieces:
                kept.extend(piece)
            return cid_of(bytes(kept))

        params = self.run.params
        merge_model(
            store,
            parent=lambda: store.open(params.genesis, max_bytes=params.genesis_size),
            inputs=[
                [WeightedUpdate(cid=found.reveals[e.seat].cid, weight=e.weight) for e in segment]
                for segment in found.inputs
            ],
            layout=spec.layout,
            params=spec.merge,
            sink=keep,
        )
        kept[-1] ^= 1
        root = model_root(bytes(kept), momentum=spec.merge.momentum)
        if published:
            store.put(bytes(kept))
        self.sender.send(
            "lie",
            self.run.propose_merge(
                round_id=current.round_id, model_root=root, model=cid_of(bytes(kept))
            ),
        )
        return root

    def _mergeable(self):
        current = self.run.current()
        return current if current.phase is Phase.MERGE else None


@pytest.mark.parametrize("published", [True, False], ids=["published", "withheld"])
def test_a_wrong_merge_costs_its_proposer_the_bond(tmp_path, monkeypatch, published):
    """Half of it goes to who brought it to court; the run goes on and all roots replay."""
    monkeypatch.setitem(demo_run.TIMES, "dispute_s", 60)
    monkeypatch.setitem(demo_run.TIMES, "move_s", 4)
    settings = DemoSettings(folder=tmp_path, rounds=ROUNDS)
    with Processes(tmp_path / "logs") as processes:
        network = build_network(settings, processes, print)
        network.start_coordinator("--no-propose")
        for index in range(settings.trainers):
            network.start_trainer(index, "--bond")
        follower = Follower(network)
        with HeadWatcher(network.rpc, websocket_urls=[network.chain.websocket_url]) as heads:
            liar = Liar(network, heads, tmp_path)
            root = liar.lie(follower.spec, published=published)
            history = RunHistory(network.rpc, liar.run, first_block=1)

            def convicted():
                fold = history.update()
                return fold.rounds[1].convictions or None

            convictions = heads.wait_for(convicted, timeout_s=120)
            assert convictions, "the wrong merge was not convicted"

            def done():
                fold = history.update()
                last = fold.rounds.get(ROUNDS)
                finished = last is not None and last.outcome >= Outcome.PROPOSED
                return fold if finished else None

            fold = heads.wait_for(done, timeout_s=150)
            assert fold is not None, "the run did not go on"
            liar.sender.close()
        replays = list(replay_run(fold=fold, spec=follower.spec, store=network.open_store()))
        stakes = [liar.run.seat(seat).stake_gwei for seat in range(settings.trainers)]
        court = court_of(network.rpc, liar.run)
        assert court is not None
        left = liar.run.account(liar.address)
        burned_wei = liar.run.read("burnedWei")
        honest = {network.coordinator_key.address, *(key.address for key in network.trainer_keys)}
        disputes = court.read("disputeCount")
    (conviction,) = convictions
    assert conviction.proposal.model_root == root
    assert conviction.beneficiary in honest
    assert conviction.paid_wei == liar.bond_wei // 2
    assert burned_wei == liar.bond_wei - conviction.paid_wei
    assert left.locked_wei == 0
    assert left.free_wei < liar.bond_wei  # a refund of its gas, no more
    assert [replay.problems for replay in replays] == [()] * ROUNDS
    assert stakes == [STAKE_GWEI] * settings.trainers
    assert (disputes == 0) == published
