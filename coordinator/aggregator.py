"""Merges a round from chain and store, and keeps the models it vouches for.

A model is vouched for if its bytes hash to a root that the chain names; a merge by another
aggregator is also computed again before anything is built upon it. Docs/protocol.md 2 to 4.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from network.content import DOWNLOAD_DEADLINE_S, WeightedUpdate, merge_model
from network.history import RoundHistory, RunFold
from network.run import RunParams
from network.store import ContentStore
from protocol.cid import Cid
from protocol.codec import model_leaf_bytes
from protocol.errors import InvalidModel, StoreFull
from protocol.merkle import MerkleTreeBuilder
from protocol.rounds import InputEntry
from protocol.spec import RunSpec
from protocol.types import Digest

_log = structlog.get_logger(__name__)

KEPT_MODELS = 4
_PIECE_BYTES = 1 << 20

Inputs = tuple[tuple[InputEntry, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedModel:
    """A merged model: its root and its object in the store."""

    root: Digest
    model: Cid


class ModelFiles:
    """Model objects in a directory, by root; the newest few are kept. Raises StoreFull."""

    def __init__(self, folder: Path, *, momentum: bool, keep: int = KEPT_MODELS) -> None:
        self._folder = folder
        self._leaf_bytes = model_leaf_bytes(momentum=momentum)
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True)
        for abandoned in folder.glob("*.part"):
            abandoned.unlink(missing_ok=True)

    def has(self, root: Digest) -> bool:
        """Whether a model is here and still hashes to its root; what does not is removed."""
        path = self._path(root)
        if not path.exists():
            return False
        builder = MerkleTreeBuilder(self._leaf_bytes)
        try:
            for piece in self.open(root):
                builder.update(piece)
            if builder.finish().root == root:
                return True
        except (OSError, InvalidModel) as error:
            _log.warning("model_unreadable", path=str(path), reason=type(error).__name__)
        path.unlink(missing_ok=True)
        return False

    def open(self, root: Digest) -> Iterator[bytes]:
        """The model object in pieces."""
        with self._path(root).open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def copy(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the pieces through and write them aside; `settle` names the file."""
        written = 0
        try:
            with self._aside.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                    written += len(piece)
                    yield piece
        except OSError as error:
            raise StoreFull(place=str(self._folder), size=written) from error

    def settle(self, root: Digest) -> None:
        """Name what was written last by its root, and let the oldest models go."""
        self._aside.replace(self._path(root))
        models = sorted(self._folder.glob("*.model"), key=lambda path: path.stat().st_mtime_ns)
        for old in models[: -self._keep]:
            old.unlink(missing_ok=True)

    def fetch(self, store: ContentStore, model: Cid, root: Digest) -> None:
        """Bring a model from the store; raises what the store raises, and InvalidModel."""
        builder = MerkleTreeBuilder(self._leaf_bytes)
        pieces = store.open(model, max_bytes=model.size, deadline_s=DOWNLOAD_DEADLINE_S)
        for piece in self.copy(pieces):
            builder.update(piece)
        actual = builder.finish().root
        if actual != root:
            raise InvalidModel(what="root", expected=root.hex(), actual=actual.hex())
        self.settle(root)

    @property
    def _aside(self) -> Path:
        return self._folder / "next.part"

    def _path(self, root: Digest) -> Path:
        return self._folder / f"{root.hex()}.model"


class Aggregator:
    """Merges rounds of one run, each set of inputs once; safe for several threads."""

    def __init__(
        self, store: ContentStore, files: ModelFiles, spec: RunSpec, params: RunParams
    ) -> None:
        self._store = store
        self._files = files
        self._spec = spec
        self._params = params
        self._lock = threading.Lock()
        self._merged: dict[tuple[Digest, Inputs], MergedModel] = {}

    def parent_of(self, fold: RunFold, found: RoundHistory) -> Cid:
        """The object of a round's parent model, as the chain names it; raises InvalidModel."""
        root = found.parent_root
        for _, earlier in sorted(fold.rounds.items(), reverse=True):
            for proposal in (earlier.proposal, *earlier.rejected):
                if proposal is not None and proposal.model_root == root:
                    return self._checked_size(proposal.model)
        if root == self._params.genesis_root:
            return self._checked_size(self._params.genesis)
        raise InvalidModel(what="root", expected="one of the run's", actual=root.hex())

    def merge(self, found: RoundHistory, inputs: Inputs, *, parent: Cid) -> MergedModel:
        """The model that these inputs make of the round's parent.

        The parent comes from the directory, else from the store; both must hash to the root that
        the chain names. Raises what the store raises, InvalidUpdate and InvalidModel.
        """
        with self._lock:
            key = (found.parent_root, inputs)
            known = self._merged.get(key)
            if known is None:
                if not self._files.has(found.parent_root):
                    self._files.fetch(self._store, parent, found.parent_root)
                known = self._merge(found, inputs)
                while len(self._merged) >= KEPT_MODELS:
                    self._merged.pop(next(iter(self._merged)))
                self._merged[key] = known
            return known

    def _merge(self, found: RoundHistory, inputs: Inputs) -> MergedModel:
        updates = [
            [
                WeightedUpdate(cid=found.reveals[entry.seat].cid, weight=entry.weight)
                for entry in segment
            ]
            for segment in inputs
        ]
        root, model = merge_model(
            self._store,
            parent=lambda: self._files.open(found.parent_root),
            inputs=updates,
            layout=self._spec.layout,
            params=self._spec.merge,
            sink=lambda pieces: self._store.put(self._files.copy(pieces)),
        )
        self._files.settle(root)
        _log.info(
            "round_merged",
            round=found.round_id,
            root=root.hex(),
            model=model.text,
            updates=sum(len(segment) for segment in updates),
        )
        return MergedModel(root=root, model=model)

    def _checked_size(self, model: Cid) -> Cid:
        expected = self._params.chunks * model_leaf_bytes(momentum=self._params.momentum)
        if model.size != expected:
            raise InvalidModel(what="bytes", expected=expected, actual=model.size)
        return model
