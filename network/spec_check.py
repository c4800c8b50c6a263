"""A run's specification, fetched and compared with what the chain says of the run."""

from network.run import RunParams
from network.store.base import ContentStore
from protocol.codec import model_leaf_bytes
from protocol.errors import SpecMismatch
from protocol.manifest import MAX_MANIFEST_BYTES, Manifest
from protocol.spec import MAX_SPEC_BYTES, RunSpec

_DEADLINE_S = 60.0


def check_spec(params: RunParams, spec: RunSpec) -> None:
    """Promise that chain and specification agree wherever both speak; raises SpecMismatch."""
    merge = spec.merge
    genesis_size = spec.layout.chunk_count * model_leaf_bytes(momentum=merge.momentum)
    pairs: tuple[tuple[str, object, object], ...] = (
        ("chunks", params.chunks, spec.layout.chunk_count),
        ("segments", params.segments, spec.segments),
        ("segment_ends", params.segment_ends, spec.layout.segment_ends),
        ("lr", params.lr, merge.lr),
        ("mu", params.mu, merge.mu),
        ("nesterov", params.nesterov, merge.nesterov),
        ("momentum", params.momentum, merge.momentum),
        ("norm_bound", params.norm_bound, spec.ssq_bound),
        ("genesis_size", params.genesis_size, genesis_size),
    )
    for field, on_chain, specified in pairs:
        if on_chain != specified:
            raise SpecMismatch(field=field, on_chain=str(on_chain), specified=str(specified))


def load_spec(
    store: ContentStore, params: RunParams, *, deadline_s: float = _DEADLINE_S
) -> RunSpec:
    """The run's specification, checked against the chain.

    Raises what `ContentStore.get` raises, InvalidSpec, and SpecMismatch.
    """
    data = store.get(params.spec, max_bytes=MAX_SPEC_BYTES, deadline_s=deadline_s)
    spec = RunSpec.parse(data)
    check_spec(params, spec)
    return spec


def load_manifest(
    store: ContentStore, spec: RunSpec, *, deadline_s: float = _DEADLINE_S
) -> Manifest:
    """The data set's manifest that a specification names.

    Raises what `ContentStore.get` raises, InvalidManifest, and SpecMismatch for another task's.
    """
    data = store.get(spec.manifest, max_bytes=MAX_MANIFEST_BYTES, deadline_s=deadline_s)
    manifest = Manifest.parse(data)
    if manifest.task != spec.task:
        raise SpecMismatch(field="task", on_chain=spec.task, specified=manifest.task)
    return manifest
