"""Another seat's work done again: all of it by an auditor, one stretch of it by a juror.

torch is imported by the first call, in the thread that trains. Docs/protocol.md sections 5 and 7.
"""

import time
from dataclasses import dataclass

from network.history import Revealed, RoundHistory
from network.run import RunParams
from protocol.rounds import UpdateHeader, trace_root
from protocol.spec import RunSpec
from protocol.types import Digest, Seat
from trainer.training import Learner, ShardCache, assign, describe_update, segment_slice

NO_UPDATE = Digest(bytes(32))
"""Stands for the update root where training diverges, so that no update exists. Section 7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a seat's work gives here, and whether that is what was revealed.

    `trace_digests` are s_0 .. s_H. If the training diverges there is no update: no header, no bytes
    and NO_UPDATE as root; whoever revealed one did other work.
    """

    same: bool
    same_class: bool
    """Only then does a difference prove anything."""

    header: UpdateHeader | None
    trace_digests: tuple[Digest, ...]
    update_bytes: bytes
    update_root: Digest
    trace_root: Digest
    train_s: float


class Replayer:
    """Repeats one piece of work at a time; its methods may run in any one thread.

    All take the parent model's bytes, checked against the round's parent root, and raise what the
    store raises, InvalidShard, InvalidModel and OutOfMemory.
    """

    def __init__(
        self, *, spec: RunSpec, params: RunParams, shards: ShardCache, learner: Learner
    ) -> None:
        self._spec = spec
        self._params = params
        self._shards = shards
        self._learner = learner

    @property
    def class_id(self) -> Digest:
        """This machine's determinism class."""
        return self._learner.class_id

    def replay(
        self, *, model: bytes, found: RoundHistory, seat: Seat, revealed: Revealed
    ) -> Replay:
        """Do all the work of a seat, and compare it with what its trainer revealed."""
        started_s = time.monotonic()
        assigned = assign(self._spec, self._params, self._shards, found, seat)
        digests, whole = self._learner.retrain(model=model, **assigned.inputs(found, seat))
        header, update, root = None, b"", NO_UPDATE
        if whole:
            update = segment_slice(self._spec.layout, assigned.segment, whole)
            header = describe_update(update, digests, self.class_id)
            root = header.update_root
        trace = trace_root(digests, root)
        theirs = revealed.header
        return Replay(
            same=(root, trace) == (theirs.update_root, theirs.trace_root),
            same_class=theirs.class_id == self.class_id,
            header=header,
            trace_digests=digests,
            update_bytes=update,
            update_root=root,
            trace_root=trace,
            train_s=time.monotonic() - started_s,
        )

    def step(
        self, *, model: bytes, found: RoundHistory, seat: Seat, index: int, state: bytes | None
    ) -> Digest:
        """What a juror votes: the digest at trace index 0 .. H (s_0 .. s_H) or H + 1 (the update).

        `state` is that of the index before, whose digest the caller has compared with the agreed
        one; without it (None), where the index needs it, the work is done from the start. Raises
        InvalidRound for an index that the work does not have, and InvalidState.
        """
        assigned = assign(self._spec, self._params, self._shards, found, seat)
        inputs = {"model": model, **assigned.inputs(found, seat)}
        if state is None and index > 1:
            state = self._learner.state_at(index=index - 1, **inputs)
        return self._learner.reexecute(index=index, state=state, segment=assigned.segment, **inputs)

    def state(self, *, model: bytes, found: RoundHistory, seat: Seat, index: int) -> bytes:
        """The state s_index, for a party to publish; raises InvalidRound if there is none."""
        assigned = assign(self._spec, self._params, self._shards, found, seat)
        return self._learner.state_at(index=index, model=model, **assigned.inputs(found, seat))
