"""A tiny training that every machine can do, to see whether a machine repeats itself."""

from __future__ import annotations

import hashlib

import numpy as np

from learning import determinism
from learning.genesis import genesis
from learning.local_update import train
from learning.loop import Work
from learning.tasks import load_task
from learning.tasks.rows import pack_rows
from protocol.spec import Training
from protocol.types import Digest

_ROWS = 64
_SEED = b"commonweight doctor self-test 01"


def probe(device: determinism.Device = "auto") -> tuple[Digest, ...]:
    """Train the digits' network for four steps and return the trace digests and the update's hash.

    The rows are noise, so nothing is downloaded. Raises DeviceUnavailable and OutOfMemory.
    """
    task = load_task("digits")
    generator = np.random.Generator(np.random.Philox(1))
    shard = pack_rows(
        {
            "x": generator.integers(0, 17, (_ROWS, 8, 8), dtype=np.uint8),
            "y": generator.integers(0, 10, _ROWS, dtype=np.uint8),
        }
    ).data
    layout, theta = genesis(task, 1)
    done = train(
        Work(
            task=task,
            theta=theta,
            layout=layout,
            shards=[shard],
            hyper=Training(epochs=1, batch_size=16, lr=0.05, momentum=0.9),
            seed=_SEED,
            round_no=1,
            seat=0,
            device=device,
        )
    )
    update = Digest(hashlib.sha256(done.update_bytes).digest())
    return (*(Digest(digest) for digest in done.trace_digests), update)
