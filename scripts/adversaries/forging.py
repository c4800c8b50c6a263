"""Trainers that do not train: `free-rider`, `copycat` and `nan`."""

from protocol.assignment import derive_seed
from protocol.codec import UPDATE_LEAF_BYTES
from protocol.types import Digest
from scripts.adversaries.learners import LyingLearner
from scripts.adversaries.lies import SATURATED_LEAF, nan_born, noise, silence
from trainer.training import Learned

USUAL_SHARE = 64
"""An honest update's sum of squares is about such a part of the default bound's: norm 1 of 8."""


class FreeRider(LyingLearner):
    """Saves itself the training: noise of a usual norm in odd rounds, nothing in even ones."""

    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """An update out of thin air."""
        del model
        if round_no % 2:
            ssq = self.scene.norm_bound // USUAL_SHARE
            update = noise(self.chunks, ssq=ssq, seed=derive_seed(seed, "noise", round_no, seat))
        else:
            update = silence(self.chunks)
        return self.claimed(update, shards=shards, seed=seed, round_no=round_no, seat=seat)


class Copycat(LyingLearner):
    """Commits to what another published a round ago; this round's updates are sealed until then."""

    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """The first update of another that it finds; nothing where there is none."""
        del model
        found = self.scene.earlier(round_no - 1)
        others = [update for other, update in sorted(found.items()) if other != seat]
        update = others[0] if others else silence(self.chunks)
        return self.claimed(update, shards=shards, seed=seed, round_no=round_no, seat=seat)


class Garbage(LyingLearner):
    """Ships what is no update: saturated, of another length, then NaNs within the norm bound."""

    bounded = False

    def update(
        self, *, model: bytes, shards: list[bytes], seed: Digest, round_no: int, seat: int
    ) -> Learned:
        """One kind of garbage after the other."""
        del model
        update = self._garbage(round_no)
        return self.claimed(update, shards=shards, seed=seed, round_no=round_no, seat=seat)

    def _garbage(self, round_no: int) -> bytes:
        if round_no % 3 == 1:
            return SATURATED_LEAF * self.chunks
        if round_no % 3 == 2:  # noqa: PLR2004 - the second of three
            return nan_born(self.chunks, ssq=self.scene.norm_bound)[:-UPDATE_LEAF_BYTES]
        return nan_born(self.chunks, ssq=self.scene.norm_bound)
