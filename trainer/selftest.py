"""A tiny training, done twice: a machine that repeats itself gives the same digests."""

import numpy as np

from learning.genesis import genesis
from learning.local_update import LocalUpdate, local_update
from learning.tasks import load_task
from learning.tasks.rows import pack_rows
from protocol.spec import Training

_ROWS = 64
_SEED = b"commonweight doctor self-test 01"


def train_twice(device: str = "auto") -> bool:
    """Whether two trainings from the same inputs agree in every bit."""
    task = load_task("digits")
    generator = np.random.Generator(np.random.Philox(1))
    shard = pack_rows(
        {
            "x": generator.integers(0, 17, (_ROWS, 8, 8), dtype=np.uint8),
            "y": generator.integers(0, 10, _ROWS, dtype=np.uint8),
        }
    ).data
    layout, theta = genesis(task, 1)

    def train() -> LocalUpdate:
        return local_update(
            task=task,
            theta=theta,
            layout=layout,
            shards=[shard],
            hyper=Training(epochs=1, batch_size=16, lr=0.05, momentum=0.9),
            seed=_SEED,
            round_no=1,
            seat=0,
            device=device,  # type: ignore[arg-type] # it refuses unknown names
        )

    first, second = train(), train()
    return first.trace_digests == second.trace_digests and first.update_bytes == second.update_bytes
