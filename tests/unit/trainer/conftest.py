"""A run on a real anvil with a real specification, and what a node of it needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.anvil import Anvil, run_anvil

STAKE_GWEI = 10**9
PASSPHRASE = "correct horse"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRun:
    """A funded run without people, its chain, and the folder its objects are in."""

    anvil: Anvil
    address: str
    folder: Path

    def flags(self, name: str) -> list[str]:
        """The command's flags of one trainer; its key is made and funded the first time."""
        from network.keys import create_keystore
        from network.rpc import Rpc

        keystore, passphrase = self.folder / f"{name}.json", self.folder / "passphrase"
        if not keystore.exists():
            passphrase.write_text(PASSPHRASE)
            signer = create_keystore(keystore, PASSPHRASE, iterations=1024)
            rpc = Rpc([self.anvil.url], chain_id=self.anvil.chain_id)
            rpc.call("anvil_setBalance", signer.address, hex(10**20))
            rpc.close()
        return [
            *("--rpc", self.anvil.url, "--ws", self.anvil.websocket_url),
            *("--keystore", str(keystore), "--passphrase-file", str(passphrase)),
            *("--data-dir", str(self.folder / name), "--store", f"local:{self.folder / 'blocks'}"),
            "--json",
        ]


def build_real_run(anvil: Anvil, folder: Path, **overrides) -> RealRun:
    """Publish digits in four shards with a genesis model, and create a run of them."""
    from support.evm import Evm
    from support.runs import Stage

    from learning.genesis import genesis
    from learning.tasks import load_task
    from network.content import model_root
    from network.store import LocalStore
    from protocol.codec import model_leaves
    from protocol.manifest import Manifest, Shard
    from protocol.merge import MergeParams
    from protocol.spec import Assignment, RunSpec, Training

    store = LocalStore(folder / "blocks")
    task = load_task("digits")
    shards = [
        Shard(cid=store.put(shard.data), rows=shard.rows)
        for shard in task.make_shards(4, split="iid", alpha=0.3, seed=0)
    ]
    manifest = Manifest(
        name="digits",
        task="digits",
        source="scikit-learn",
        licence="BSD-3-Clause",
        shards=tuple(shards),
        test=Shard(cid=store.put(task.test_set()), rows=360),
    )
    layout, theta = genesis(task, 1)
    model = model_leaves(theta)
    spec = RunSpec(
        name="test",
        task="digits",
        task_params={},
        layout=layout,
        merge=MergeParams(),
        assignment=Assignment(),
        training=Training(epochs=1, batch_size=32, lr=0.05, momentum=0.9),
        manifest=store.put(manifest.canonical_bytes()),
        ssq_bound=10**20,
    )
    spec_cid, genesis_cid = store.put(spec.canonical_bytes()), store.put(model)
    chosen = {
        "specCid": spec_cid.digest,
        "specSize": spec_cid.size,
        "genesisCid": genesis_cid.digest,
        "genesisSize": genesis_cid.size,
        "genesisRoot": model_root(model, momentum=False),
        "chunks": layout.chunk_count,
        "normBound": spec.ssq_bound,
        "minTrainers": 2,
        "maxRounds": 3,
        "disputeS": 1,
        "commitS": 60,
        "revealS": 30,
        "auditS": 30,
        "mergeTurnS": 5,
        "mergeTimeoutS": 120,
        **overrides,
    }
    evm = Evm(anvil.url)
    run = Stage(evm).create_run(**chosen)
    evm._connection.close()
    return RealRun(anvil=anvil, address=run.contract.address, folder=folder)


@pytest.fixture
def real_run(tmp_path: Path) -> Iterator[RealRun]:
    """A run of real contracts; nobody coordinates it."""
    with run_anvil() as anvil:
        yield build_real_run(anvil, tmp_path)
