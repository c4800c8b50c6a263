"""The models that this node computed or checked itself: a file each, named by its root.

Docs/protocol.md sections 2 and 3. A node believes a root for one of three reasons: it is the
genesis root, it came of the node's own merge, or the node came late and the chain names it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from network.content import (
    DOWNLOAD_DEADLINE_S,
    WeightedUpdate,
    check_model,
    merge_model,
    model_root,
)
from network.history import Outcome, RoundHistory, RunFold
from network.run import RunParams
from network.store import ContentStore
from protocol.cid import Cid, CidBuilder, cid_of
from protocol.errors import (
    ContentUnavailable,
    InvalidMerge,
    ProtocolError,
    StoreError,
    StoreFull,
)
from protocol.spec import RunSpec
from protocol.types import Digest

_log = structlog.get_logger(__name__)

_PIECE_BYTES = 1 << 20
KEPT = 6
"""Models kept on disk: enough to merge again after a rejected merge."""
KEPT_NAMES = 64
"""Own merges remembered by what they were made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A model this node stands for. `merged` tells its own merge from one taken from the chain."""

    root: Digest
    model: Cid
    merged: bool


class ModelCache:
    """Model objects by root; a file is written aside, synced and renamed, and checked when read."""

    def __init__(self, folder: Path, *, momentum: bool, keep: int = KEPT) -> None:
        self._folder = folder
        self._momentum = momentum
        self._keep = keep
        self._checked: set[Digest] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob("*.part"):
            left_over.unlink(missing_ok=True)

    def has(self, root: Digest) -> bool:
        """Whether the model is here and hashes to its root; a damaged file is removed."""
        path = self._path(root)
        if root in self._checked and path.exists():
            return True
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return False
        try:
            good = model_root(data, momentum=self._momentum) == root
        except ProtocolError:
            good = False
        if not good:
            _log.warning("model_file_damaged", path=str(path))
            path.unlink(missing_ok=True)
            return False
        self._checked.add(root)
        return True

    def read(self, root: Digest) -> bytes:
        """The whole model object; only after `has`."""
        return self._path(root).read_bytes()

    def open(self, root: Digest) -> Iterator[bytes]:
        """The model object in pieces; only after `has`."""
        with self._path(root).open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def keep(self, root: Digest, pieces: Iterator[bytes]) -> None:
        """Write a model whose root is known."""
        self.stage(pieces)
        self.settle(root)

    def stage(self, pieces: Iterator[bytes]) -> Cid:
        """Write a model aside; `settle` gives it its name once its root is known."""
        builder = CidBuilder()
        try:
            with self._aside.open("wb") as file:
                for piece in pieces:
                    builder.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._aside.unlink(missing_ok=True)
            raise StoreFull(size=0, place=str(self._folder)) from error
        return builder.finish()

    def settle(self, root: Digest) -> None:
        """Name the staged model, and let go of the oldest ones."""
        self._aside.replace(self._path(root))
        self._checked.add(root)
        files = sorted(self._folder.glob("*.model"), key=lambda path: path.stat().st_mtime_ns)
        for old in files[: -self._keep]:
            old.unlink(missing_ok=True)

    @property
    def _aside(self) -> Path:
        return self._folder / "incoming.part"

    def _path(self, root: Digest) -> Path:
        return self._folder / f"{root.hex()}.model"


class Models:
    """Gives the model that a round left, by this node's own reckoning.

    Use from one thread. `obtain` raises what the store raises, InvalidModel and InvalidUpdate.
    """

    def __init__(
        self, store: ContentStore, cache: ModelCache, spec: RunSpec, params: RunParams
    ) -> None:
        self._store = store
        self.cache = cache
        self._spec = spec
        self._params = params
        self._own: dict[tuple[object, ...], OwnModel] = {}
        self._merges: dict[tuple[object, ...], OwnModel] = {}

    def obtain(self, fold: RunFold, round_id: int) -> OwnModel:
        """The model after `round_id`, which must be frozen, proposed, final or failed.

        Its own merge where it has the parent; else the proposed object, if it hashes to the root
        on chain; else an older model and the updates since.
        """
        known = self._known(fold, round_id)
        if known is not None and self.cache.has(known.root):
            return known
        if round_id == 0:
            return self._remember(fold, 0, self._fetch_genesis())
        found = fold.rounds[round_id]
        if found.outcome is Outcome.FAILED:
            return self._remember(fold, round_id, self.obtain(fold, round_id - 1))
        parent = self._known(fold, round_id - 1)
        if found.inputs and parent is not None and self.cache.has(parent.root):
            return self._remember(fold, round_id, self._merge(found, parent.root))
        if found.proposal is None:
            return self._remember(
                fold, round_id, self._merge(found, self.obtain(fold, round_id - 1).root)
            )
        try:
            own = self._fetch(found.proposal.model_root, found.proposal.model)
        except (StoreError, ProtocolError) as error:
            if not found.inputs:
                raise
            _log.warning("model_recomputed", round=round_id, problem=error.message)
            own = self._merge(found, self.obtain(fold, round_id - 1).root)
        return self._remember(fold, round_id, own)

    def recompute(self, fold: RunFold, found: RoundHistory) -> OwnModel:
        """The merge of a frozen round upon the parent that the chain names, made by this process.

        Costs nothing if it was made before and is still on disk. For whoever judges a proposal:
        `obtain` may give what another proposed.
        """
        known = self._merges.get((found.parent_root, found.inputs_hashes))
        if known is not None and self.cache.has(known.root):
            return known
        if not self.cache.has(found.parent_root):
            model = fold.object_of(found.parent_root)
            if model is None:
                reason = "the chain names no object of it"
                raise ContentUnavailable(cid=found.parent_root.hex(), reason=reason)
            self._fetch(found.parent_root, model)
        return self._merge(found, found.parent_root)

    def find(self, fold: RunFold, round_id: int) -> OwnModel | None:
        """What `obtain` gave before, in this process, for the same inputs."""
        return self._own.get(_name(fold, round_id))

    def _known(self, fold: RunFold, round_id: int) -> OwnModel | None:
        """What this process knows, or what an earlier one left on disk under the chain's root."""
        own = self.find(fold, round_id)
        if own is not None:
            return own
        root = chain_root(fold, round_id)
        if root is None or not self.cache.has(root):
            return None
        cid = cid_of(self.cache.read(root))
        return self._remember(fold, round_id, OwnModel(root=root, model=cid, merged=True))

    def _remember(self, fold: RunFold, round_id: int, own: OwnModel) -> OwnModel:
        self._own[_name(fold, round_id)] = own
        return own

    def _fetch_genesis(self) -> OwnModel:
        return self._fetch(self._params.genesis_root, self._params.genesis)

    def _fetch(self, root: Digest, model: Cid) -> OwnModel:
        if not self.cache.has(root):
            data = check_model(
                self._store,
                model,
                root,
                layout=self._spec.layout,
                momentum=self._params.momentum,
            )
            self.cache.keep(root, iter((data,)))
        return OwnModel(root=root, model=model, merged=False)

    def _merge(self, found: RoundHistory, parent_root: Digest) -> OwnModel:
        if not found.inputs:
            raise InvalidMerge(reason=f"the inputs of round {found.round_id} are not known")
        inputs = [
            [
                WeightedUpdate(cid=found.reveals[entry.seat].cid, weight=entry.weight)
                for entry in segment
            ]
            for segment in found.inputs
        ]
        root, cid = merge_model(
            self._store,
            parent=lambda: self.cache.open(parent_root),
            inputs=inputs,
            layout=self._spec.layout,
            params=self._spec.merge,
            sink=self.cache.stage,
            deadline_s=DOWNLOAD_DEADLINE_S,
        )
        self.cache.settle(root)
        own = OwnModel(root=root, model=cid, merged=True)
        while len(self._merges) >= KEPT_NAMES:
            self._merges.pop(next(iter(self._merges)))
        self._merges[(parent_root, found.inputs_hashes)] = own
        return own


def chain_root(fold: RunFold, round_id: int) -> Digest | None:
    """The root that the chain names after a round; None while it names none."""
    if round_id == 0:
        return fold.params.genesis_root
    found = fold.rounds.get(round_id)
    return None if found is None else found.model_root


def _name(fold: RunFold, round_id: int) -> tuple[object, ...]:
    """What decides a round's own model: the round, its attempt and its frozen inputs."""
    found = fold.rounds.get(round_id)
    if found is None:
        return (round_id,)
    failed = found.outcome is Outcome.FAILED
    return (found.round_id, found.attempt, found.seed, found.inputs_hashes, failed)
