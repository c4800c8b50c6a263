"""Without anybody before the court: trainers recompute a wrong merge, refuse it, and go on."""

import pytest

from coordinator.audit.replay import replay_run
from network.artifacts import abi_of
from network.heads import HeadWatcher
from network.history import Outcome, RunHistory
from network.keys import unlock_keystore
from network.run import RUN_ABI, RunContract
from network.transactions import TransactionSender
from protocol.cid import cid_of
from protocol.rounds import Phase
from scripts.demo_network import STAKE_GWEI, DemoSettings, build_network
from scripts.demo_run import Follower
from scripts.localnet_parts import make_key
from scripts.processes import Processes

# In test_court_watch.py trainers reject a merge that is before the court besides.
pytestmark = [pytest.mark.system, pytest.mark.nightly, pytest.mark.timeout(300)]

WRONG_ROOT = b"\x66" * 32


def test_trainers_refuse_a_wrong_merge_and_replace_it(tmp_path):
    """Nobody trains on the wrong root, honest stake rejects it, and no honest party loses stake."""
    settings = DemoSettings(folder=tmp_path, rounds=3)
    with Processes(tmp_path / "logs") as processes:
        network = build_network(settings, processes, print)
        liar = make_key(tmp_path / "keys", "liar", network.rpc)
        run = RunContract(network.rpc, network.run)
        network.start_coordinator("--no-propose", "--no-watch")
        for index in range(settings.trainers):
            network.start_trainer(index, "--bond", "--no-watch")
        with HeadWatcher(network.rpc, websocket_urls=[network.chain.websocket_url]) as heads:
            sender = TransactionSender(
                network.rpc,
                unlock_keystore(liar.keystore, liar.passphrase_file.read_text()),
                tmp_path / "liar.journal",
                heads=heads,
                abi=abi_of(*RUN_ABI),
                reverts=run.reverts,
            )
            bond_wei = run.params.proposer_bond_gwei * 10**9
            sender.send("bond", run.prepare("depositBond", value_wei=bond_wei))

            def mergeable():
                current = run.current()
                return current if current.phase is Phase.MERGE else None

            found = heads.wait_for(mergeable, timeout_s=90)
            assert found is not None, "round 1 was never frozen"
            wrong = cid_of(b"no model at all")
            sender.send(
                "lie",
                run.propose_merge(round_id=found.round_id, model_root=WRONG_ROOT, model=wrong),
            )
            follower = Follower(network)
            history = RunHistory(network.rpc, run, first_block=1)

            def replaced():
                fold = history.update()
                return fold if fold.rounds[1].rejected and fold.rounds[1].proposal else None

            fold = heads.wait_for(replaced, timeout_s=120)
            assert fold is not None, "the wrong merge stands"

            def done():
                fold = history.update()
                last = fold.rounds.get(settings.rounds)
                finished = last is not None and last.outcome >= Outcome.PROPOSED
                return fold if finished else None

            fold = heads.wait_for(done, timeout_s=150)
            assert fold is not None, "the run did not go on"
            sender.close()
        replays = list(replay_run(fold=fold, spec=follower.spec, store=network.open_store()))
        stakes = [run.seat(seat).stake_gwei for seat in range(settings.trainers)]
    assert fold.rounds[1].rejected[0].model_root == WRONG_ROOT
    assert [replay.problems for replay in replays] == [()] * settings.rounds
    assert stakes == [STAKE_GWEI] * settings.trainers
    voided = fold.voided[0]
    assert len(voided.dissents) > settings.trainers // 2
    assert not voided.commitments
