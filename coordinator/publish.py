"""A data set becomes shards and a manifest in the content store."""

from collections.abc import Callable

import structlog

from learning.tasks import Split, Task
from network.store import ContentStore
from protocol.cid import Cid
from protocol.manifest import Manifest, Shard

_log = structlog.get_logger(__name__)


def publish_dataset(
    store: ContentStore,
    task: Task,
    *,
    shards: int,
    split: Split = "iid",
    alpha: float = 0.3,
    seed: int = 0,
    name: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> tuple[Manifest, Cid]:
    """Publish a task's rows as so many shards, its test rows, and the manifest that names them.

    Equal arguments give equal content ids. Raises InvalidSplit, and what `ContentStore.put` raises.
    """
    made = task.make_shards(shards, split=split, alpha=alpha, seed=seed)
    published = []
    for done, shard in enumerate(made, start=1):
        published.append(Shard(cid=store.put(shard.data), rows=shard.rows))
        progress(done, len(made))
    test = task.test_set()
    manifest = Manifest(
        name=name or f"{task.name}-{split}-{shards}",
        task=task.name,
        source=task.source,
        licence=task.licence,
        shards=tuple(published),
        test=Shard(cid=store.put(test), rows=_row_count(task, test)),
    )
    data = manifest.canonical_bytes()
    Manifest.parse(data)  # what is published can be read
    cid = store.put(data)
    _log.info("dataset_published", manifest=cid.text, shards=len(made))
    return manifest, cid


def _row_count(task: Task, data: bytes) -> int:
    rows = task.parse_shard(data)
    return min(len(values) for values in rows.values())
