"""A coordinator drives a run on a real chain, whatever its trainers do, through its own death."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from support.anvil import run_anvil
from support.chain import signer_of
from support.evm import Evm
from support.fake_trainer import FakeTrainer
from support.runs import Stage

from coordinator.aggregator import Aggregator, ModelFiles
from coordinator.create_run import create_run, publish_run
from coordinator.driver import DriveOptions, Driver
from coordinator.inbox import Inbox
from coordinator.plan import Money, RunPlan, Times
from coordinator.publish import publish_dataset
from coordinator.relay_server import RelayServer
from learning.tasks import Training, load_task
from network.content import WeightedUpdate, merge_model
from network.deployment import Deployment
from network.heads import HeadWatcher
from network.history import Outcome, RunHistory
from network.rpc import Rpc
from network.run import RunContract
from network.settings import Settings, open_sender
from network.spec_check import load_manifest, load_spec
from network.store import LocalStore
from protocol.merge import MergeParams

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

TRAINERS = 3
TIMES = Times(commit_s=20, reveal_s=20, audit_s=8, merge_turn_s=2, merge_timeout_s=40, dispute_s=1)
SLOW = Times(commit_s=6, reveal_s=6, audit_s=4, merge_turn_s=1, merge_timeout_s=20, dispute_s=1)


class World:
    """A chain with a deployment, a store, and people made on demand."""

    def __init__(self, anvil, folder):
        self.anvil, self.folder = anvil, folder
        self.evm = Evm(anvil.url)
        self.stage = Stage(self.evm, real_training_court=True)
        self.deployment = Deployment(factory=self.stage.factory.address, first_block=0)
        self.store = LocalStore(folder / "store")
        self.task = load_task("digits")
        self.stack = contextlib.ExitStack()
        self.rpc = Rpc([anvil.url], chain_id=anvil.chain_id)

    def sender(self, place, name):
        settings = Settings(data_dir=self.folder / name)
        heads = self.stack.enter_context(
            HeadWatcher(self.rpc, websocket_urls=[self.anvil.websocket_url], poll_s=0.2)
        )
        signer = signer_of(self.anvil.private_keys[place])
        return open_sender(settings, self.rpc, signer, heads), heads

    def create(self, times=TIMES, ring_size=4, **overrides):
        _, manifest = publish_dataset(self.store, self.task, shards=4)
        plan = RunPlan(
            name="test",
            task="digits",
            manifest=manifest,
            training=Training(epochs=1, batch_size=32, lr=0.1),
            merge=MergeParams(lr=256, mu=128, momentum=True),
            rounds=10,
            ring_size=ring_size,
            times=times,
            money=Money(),
            beacon=self.stage.beacon.address,
            **overrides,
        )
        _, params = publish_run(self.store, plan, task=self.task)
        sender, _ = self.sender(0, "sponsor")
        made = create_run(
            self.rpc,
            self.deployment,
            sender,
            plan,
            params,
            value_wei=10**18,
            keeper_wei=10**17,
        )
        self.run = RunContract(self.rpc, made.address)
        self.spec = load_spec(self.store, self.run.params)
        load_manifest(self.store, self.spec)
        return made

    def enroll(self, place):
        signer = signer_of(self.anvil.private_keys[place])
        self.stage.vault.deposit(sender=signer.address, value=10**18)
        contract = self.evm.at("TrainingRun", self.run.address)
        contract.enroll(5 * 10**8, sender=signer.address)
        return signer

    def trainer(self, place, relay_url, **options):
        made = FakeTrainer(
            self.anvil.url,
            self.anvil.websocket_url,
            self.run.address,
            self.enroll(place),
            self.store,
            self.spec.layout,
            relay_url,
            **options,
        )
        self.stack.callback(made.stop)
        made.start()
        return made

    @contextlib.contextmanager
    def coordinator(self, place=1, name="coordinator", port=0, on_round=lambda _: None, **options):
        sender, heads = self.sender(place, name)
        params = self.run.params
        inbox = Inbox(
            chain_id=31337,
            run=self.run.address,
            norm_bound=params.norm_bound,
            changed=heads.nudge,
        )
        files = ModelFiles(self.folder / name / "models", momentum=params.momentum)
        with (
            RelayServer(inbox, port=port) as relay,
            Driver(
                self.run,
                RunHistory(self.rpc, self.run),
                sender,
                heads,
                inbox,
                store=self.store,
                aggregator=Aggregator(self.store, files, self.spec, params),
                layout=self.spec.layout,
                options=DriveOptions(**options),
                on_round=on_round,
            ) as driver,
        ):
            yield driver, relay

    def fold(self):
        return RunHistory(self.rpc, self.run).update()

    def check_models(self):
        """Every proposed model is the merge, computed here once more."""
        parents = {self.run.params.genesis_root: self.run.params.genesis}
        for _, found in sorted(self.fold().rounds.items()):
            if found.proposal is None:
                continue
            model = parents[found.parent_root]
            root, cid = merge_model(
                self.store,
                parent=lambda model=model: self.store.open(model, max_bytes=1 << 30),
                inputs=[
                    [
                        WeightedUpdate(cid=found.reveals[e.seat].cid, weight=e.weight)
                        for e in segment
                    ]
                    for segment in found.inputs
                ],
                layout=self.spec.layout,
                params=self.spec.merge,
                sink=self.store.put,
            )
            assert (root, cid) == (found.proposal.model_root, found.proposal.model)
            parents[root] = cid

    def transactions_of(self, place):
        account = signer_of(self.anvil.private_keys[place]).address
        return int(self.rpc.call("eth_getTransactionCount", account, "latest"), 16)


@pytest.fixture
def world(tmp_path):
    with run_anvil("--hardfork", "prague", accounts=10) as anvil:
        made = World(anvil, tmp_path)
        with made.stack:
            yield made
        made.evm.close()


def steps_of(fold, number):
    """The transactions that moved a round, in order, with the events of each."""
    steps = {}
    for event in fold.rounds[number].events:
        steps.setdefault(event.transaction_hash, []).append(event.name)
    return list(steps.values())


def test_a_run_goes_on_in_two_transactions_a_round(world):
    world.create(ring_size=8)
    told = []
    with world.coordinator(
        rounds=6, wait_final=True, register=True, settle_every=4, on_round=told.append
    ) as (driver, relay):
        trainers = [world.trainer(2 + i, relay.url) for i in range(TRAINERS)]
        started = time.monotonic()
        driver.drive()
        took_s = time.monotonic() - started
    fold = world.fold()
    assert [found.outcome for found in fold.rounds.values()] == [Outcome.FINAL] * 6
    assert all(len(found.reveals) == TRAINERS for found in fold.rounds.values())
    assert all(
        found.included == found.roster for found in fold.rounds.values() if found.round_id > 1
    )
    world.check_models()
    # An attestation may come when two thirds of the stake were enough already.
    refusals = [text for one in trainers for text in one.refusals]
    assert all("WrongPhase" in text for text in refusals), refusals
    assert took_s < 60
    for number in range(2, 7):
        opening, commits, closing, settling = steps_of(fold, number)
        assert opening[0] == "RoundOpened"
        assert commits == ["Committed"] * TRAINERS + ["PhaseStarted"]
        assert closing[:4] == [*["Revealed"] * TRAINERS, "UpdatesFrozen"]
        assert "MergeProposed" in closing
        assert settling[-1] == "RoundFinalized"
    # Settled four at least at a time: in one transaction with a closing, and once at the end.
    settled = {
        event.transaction_hash
        for found in fold.rounds.values()
        for event in found.events
        if event.name == "RoundFinalized"
    }
    assert len(settled) <= 2
    # bond, registration, opening, two a round, and the last settlement; bonds are topped up.
    assert world.transactions_of(1) <= 3 + 2 * 6 + 1 + 6
    assert {found.round_id for found in told} == set(range(1, 7))


def test_an_update_that_two_thirds_call_harmful_is_merged_and_not_paid(world):
    """Also when the third of the stake that does not say so spoke first."""
    made = world.create()
    assert made.audits_wei == 10 * 2 // 10 * world.run.params.audit_reward_wei
    court = world.stage.training_court
    assert court.auditPoolWei(world.run.address) == made.audits_wei
    with world.coordinator(rounds=3, wait_final=True, register=True) as (driver, relay):
        for place, harmful in enumerate((0, 0b001, 0b001)):
            world.trainer(2 + place, relay.url, harmful=harmful)
        driver.drive()
    fold = world.fold()
    world.check_models()
    for number in (2, 3):
        found = fold.rounds[number]
        trainers = {seat: revealed.trainer for seat, revealed in found.reveals.items()}
        assert (found.included, found.unpaid) == (0b111, 0b001)
        assert found.rewards_wei.keys() == {trainers[1], trainers[2]}


def test_trainers_who_wait_for_the_chain_are_served_by_the_long_way(world):
    """Nobody looks at headers before they are on chain: reveals at half time, then the audit."""
    world.create(times=SLOW)
    with world.coordinator(rounds=2) as (driver, relay):
        for i in range(TRAINERS):
            world.trainer(2 + i, relay.url, exchanges=False)
        driver.drive()
    fold = world.fold()
    assert all(found.proposal is not None for found in fold.rounds.values())
    assert all(found.included == found.roster for found in fold.rounds.values())
    names = [event.name for event in fold.rounds[2].events]
    assert names.count("PhaseStarted") == 3
    world.check_models()


def test_a_coordinator_without_attestations_freezes_after_the_deadline(world):
    world.create(times=SLOW)
    with world.coordinator(rounds=2) as (driver, relay):
        for i in range(TRAINERS):
            world.trainer(2 + i, relay.url, attests=False)
        driver.drive()
    outcomes = [found.outcome for found in world.fold().rounds.values()]
    assert outcomes == [Outcome.FAILED, Outcome.FAILED]


def test_a_round_goes_on_without_a_trainer_that_is_away(world):
    world.create(times=SLOW)
    with world.coordinator(rounds=2, register=True) as (driver, relay):
        world.trainer(2, relay.url)
        world.trainer(3, relay.url)
        world.trainer(4, relay.url)
        world.enroll(5)
        driver.drive()
    fold = world.fold()
    assert all(found.proposal is not None for found in fold.rounds.values())
    assert len(fold.rounds) == 2
    assert all(len(found.reveals) == 3 for found in fold.rounds.values())
    world.check_models()


def test_a_coordinator_that_dies_at_any_moment_is_replaced_by_itself(world):
    world.create()
    trainers = []
    url = None
    give_up_at = time.monotonic() + 120
    turns = 0
    while time.monotonic() < give_up_at:
        port = int(url.rsplit(":", 1)[1]) if url else 0
        with world.coordinator(port=port, rounds=3) as (driver, relay):
            if url is None:
                url = relay.url
                trainers = [world.trainer(2 + i, url) for i in range(TRAINERS)]
            for one in trainers:
                one.forget()
            # Each life is a little longer than the one before, so that it ends everywhere.
            turns += 1
            ends_at = time.monotonic() + 0.3 + 0.15 * turns
            stop = threading.Event()
            driver.drive(should_stop=lambda: stop.is_set() or time.monotonic() > ends_at)  # noqa: B023
        outcomes = [found.outcome for found in world.fold().rounds.values()]
        if len(outcomes) == 3 and Outcome.OPEN not in outcomes:
            break
    assert len(outcomes) == 3
    assert Outcome.OPEN not in outcomes
    world.check_models()


@pytest.mark.nightly  # tests/system/test_crashes.py kills it in each phase
def test_a_killed_process_goes_on_where_it_was(world):
    """The command line, killed without warning again and again, finishes the run."""
    world.create(times=replace(TIMES, audit_s=60))
    key = world.anvil.private_keys[1]
    command = [
        *(sys.executable, "-c", "from coordinator.cli import main; main()"),
        *("--rpc", world.anvil.url, "--ws", world.anvil.websocket_url),
        *("--store", f"local:{world.folder / 'store'}", "--data-dir", str(world.folder / "cli")),
        *("--factory", world.deployment.factory, "--json"),
        *("coordinate", world.run.address, "--rounds", "3", "--wait-final", "--unchecked"),
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command += ["--relay-port", str(port)]
    trainers = [world.trainer(2 + i, f"http://127.0.0.1:{port}") for i in range(TRAINERS)]
    environment = {**os.environ, "COMMONWEIGHT_TEST_KEY": key}
    lives = 0
    for lives in range(1, 30):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert "relay" in process.stdout.readline()
        for one in trainers:
            one.forget()
        try:
            _, said = process.communicate(timeout=0.2 * lives)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            continue
        assert process.returncode == 0, said
        break
    assert lives > 2
    assert [found.outcome for found in world.fold().rounds.values()] == [Outcome.FINAL] * 3
    world.check_models()
