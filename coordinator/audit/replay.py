"""Replays every merge of a run and compares the roots bit for bit (docs/protocol.md 2 to 4)."""

from collections.abc import Iterator
from dataclasses import dataclass

from network.content import WeightedUpdate, check_model, check_update, merge_model, model_root
from network.history import Outcome, RoundHistory, RunFold
from network.store.base import ContentStore
from protocol.cid import Cid, CidBuilder
from protocol.errors import CommonweightError, WrongNorm
from protocol.layout import Layout
from protocol.merge import MergeParams
from protocol.rounds import seats_in
from protocol.spec import RunSpec
from protocol.types import Digest, RoundId, SegmentId


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReplay:
    """What a replay found of one round; `problems` is empty if everything holds."""

    round_id: RoundId
    outcome: Outcome
    included: tuple[int, ...]
    claimed_root: Digest | None
    replayed_root: Digest | None
    problems: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether the chain says what the replay computed."""
        return not self.problems


def replay_run(*, fold: RunFold, spec: RunSpec, store: ContentStore) -> Iterator[RoundReplay]:
    """Replay the rounds that were decided, in order; a problem is reported, never raised.

    The model of each round comes from the replay of the one before, so that a wrong root anywhere
    shows from there on. Memory: one model.
    """
    params = fold.params
    momentum = spec.merge.momentum
    model = check_model(
        store, params.genesis, params.genesis_root, layout=spec.layout, momentum=momentum
    )
    root = params.genesis_root
    for _, found in sorted(fold.rounds.items()):
        if found.outcome is Outcome.OPEN:
            return
        problems = []
        if found.parent_root != root:
            problems.append(f"opened on {found.parent_root.hex()}, replayed {root.hex()}")
        if found.outcome is not Outcome.FAILED:
            try:
                model = _replay_round(found, model, spec.layout, spec.merge, store)
                root = model_root(model, momentum=momentum)
            except CommonweightError as error:
                problems.append(error.message)
            problems += _compare(found, root, model)
        yield RoundReplay(
            round_id=found.round_id,
            outcome=found.outcome,
            included=seats_in(found.included),
            claimed_root=found.model_root,
            replayed_root=root,
            problems=tuple(problems),
        )


def _compare(found: RoundHistory, root: Digest, model: bytes) -> list[str]:
    proposal = found.proposal
    if proposal is None:
        return ["no proposal stands"]
    problems = []
    if proposal.model_root != root:
        problems.append(f"proposed {proposal.model_root.hex()}, replayed {root.hex()}")
    builder = CidBuilder()
    builder.update(model)
    if builder.finish() != proposal.model:
        problems.append(f"the model object {proposal.model.text} is not the replayed one")
    return problems


def _replay_round(
    found: RoundHistory, parent: bytes, layout: Layout, merge: MergeParams, store: ContentStore
) -> bytes:
    """The merged model object, after every included update was checked against its header.

    One whose norm is a lie is merged as it is; its author was convicted, or that is a problem.
    """
    segments = []
    for segment, entries in enumerate(found.inputs):
        chunks = len(layout.segment_chunks(SegmentId(segment)))
        updates = []
        for entry in entries:
            revealed = found.reveals[entry.seat]
            try:
                check_update(store, revealed.header, chunks=chunks)
            except WrongNorm:
                if not found.convicted >> entry.seat & 1:
                    raise
            updates.append(WeightedUpdate(cid=revealed.cid, weight=entry.weight))
        segments.append(updates)
    kept = bytearray()

    def keep(pieces: Iterator[bytes]) -> Cid:
        builder = CidBuilder()
        for piece in pieces:
            kept.extend(piece)
            builder.update(piece)
        return builder.finish()

    merge_model(
        store,
        parent=lambda: iter([parent]),
        inputs=segments,
        layout=layout,
        params=merge,
        sink=keep,
    )
    return bytes(kept)
