"""Aggregators that lie: `wrong-merge` and `withheld-model`."""

import secrets

from coordinator.commands import coordinate
from coordinator.output import Output
from network.rpc import Rpc
from network.run import RunContract
from network.settings import Settings, open_store
from network.store import ContentStore
from network.transactions import Call
from protocol.cid import Cid
from protocol.codec import model_leaf_bytes
from protocol.merkle import MerkleTree
from protocol.types import Address, Digest, RoundId
from scripts.adversaries.lies import off_by_one
from trainer.report import LineReport, Report


class LyingRun(RunContract):
    """The client of a run whose every proposal is a lie, the same one however often it is sent.

    The driver above it believes its own proposals, as an accomplice would, and so opens the next
    round upon them.
    """

    def __init__(self, rpc: Rpc, address: Address, *, store: ContentStore, report: Report) -> None:
        super().__init__(rpc, address)
        self._store = store
        self._report = report
        self._lies: dict[Digest, tuple[Digest, Cid]] = {}

    def lie(self, model: Cid) -> tuple[Digest, Cid]:
        """A root and an object to propose instead of a right model."""
        raise NotImplementedError

    def propose_merge(self, *, round_id: RoundId, model_root: Digest, model: Cid) -> Call:
        """Propose a lie."""
        if model_root not in self._lies:
            self._lies[model_root] = self.lie(model)
        wrong_root, wrong_model = self._lies[model_root]
        self._report(
            "lie", round=round_id, right_root=model_root.hex(), proposed_root=wrong_root.hex()
        )
        return super().propose_merge(round_id=round_id, model_root=wrong_root, model=wrong_model)


class WrongMergeRun(LyingRun):
    """Proposes a model that is wrong in one element, and publishes it."""

    def lie(self, model: Cid) -> tuple[Digest, Cid]:
        """Off by one."""
        wrong = off_by_one(self._store.get(model, max_bytes=model.size))
        leaf_bytes = model_leaf_bytes(momentum=self.params.momentum)
        return MerkleTree.from_leaves(wrong, leaf_bytes).root, self._store.put(wrong)


class WithheldModelRun(LyingRun):
    """Proposes a root that no tree has, and a content id that no object has."""

    def lie(self, model: Cid) -> tuple[Digest, Cid]:
        """Nothing at all."""
        nothing = Cid(digest=Digest(secrets.token_bytes(32)), size=model.size)
        return Digest(secrets.token_bytes(32)), nothing


def run_aggregator(kind: type[LyingRun], settings: Settings, run: str, rounds: int) -> None:
    """Coordinate as everybody may, and lie in every turn."""
    report = LineReport(as_json=True)
    with open_store(settings) as store:
        coordinate(
            settings,
            Output(as_json=True),
            run=run,
            rounds=rounds,
            wait_final=False,
            settle_every=1,
            register=True,
            no_propose=False,
            relay_host="127.0.0.1",
            relay_port=0,
            unchecked=False,
            no_watch=True,  # it would convict itself
            make_contract=lambda rpc, address: kind(rpc, address, store=store, report=report),
        )
