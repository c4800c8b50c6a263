"""Trainers that lie about what they publish: `lying-norm` and `withheld-update`."""

from functools import cached_property

from network.history import RoundHistory
from network.run import RunParams
from network.settings import open_store
from network.store import Content, ContentStore
from network.store.base import pieces_of
from protocol.cid import Cid, CidBuilder, Codec
from protocol.spec import RunSpec
from protocol.types import Digest, Seat
from scripts.adversaries.lies import understated
from scripts.adversaries.sessions import LyingSession
from trainer.training import Learner, ShardCache, Trained, Trainer


class WithholdingStore(ContentStore):
    """Says that it keeps what it is given, and forgets it. Reads come from another store."""

    def __init__(self, inner: ContentStore) -> None:
        self._inner = inner
        self.place = inner.place
        self.read_ahead = inner.read_ahead

    def put(self, content: Content) -> Cid:
        """The content id of an object that is kept nowhere."""
        builder = CidBuilder()
        for piece in pieces_of(content):
            builder.update(piece)
        return builder.finish()

    def get_block(self, digest: Digest, codec: Codec, *, timeout_s: float) -> bytes:
        """One block of the other store."""
        return self._inner.get_block(digest, codec, timeout_s=timeout_s)

    def has(self, cid: Cid) -> bool:
        """Whether the other store has it."""
        return self._inner.has(cid)

    def pin(self, cid: Cid) -> None:
        """Pin in the other store."""
        self._inner.pin(cid)

    def forget(self, cid: Cid) -> None:
        """Forget in the other store."""
        self._inner.forget(cid)


class PoisoningTrainer(Trainer):
    """Trains honestly, so that its work looks real, and commits to the opposite."""

    def train(self, *, model: bytes, found: RoundHistory, seat: Seat) -> Trained:
        """The opposite of a real update, beyond the norm bound, under a header that hides it."""
        trained = super().train(model=model, found=found, seat=seat)
        return understated(trained, norm_bound=self._params.norm_bound)


class LyingNormSession(LyingSession):
    """Trains with `PoisoningTrainer`."""

    def make_trainer(
        self, *, spec: RunSpec, params: RunParams, shards: ShardCache, learner: Learner
    ) -> Trainer:
        """A trainer that commits to the opposite."""
        return PoisoningTrainer(spec=spec, params=params, shards=shards, learner=learner)


class WithheldUpdateSession(LyingSession):
    """Publishes nothing."""

    @cached_property
    def store(self) -> ContentStore:
        """A store that takes everything and keeps nothing."""
        return WithholdingStore(self._stack.enter_context(open_store(self.settings)))
