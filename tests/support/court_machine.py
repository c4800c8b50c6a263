# ruff: noqa: PT017 (a call may be refused or not; what it says is checked either way)
"""The machine of a run, with the real merge court: docs/invariants.md, C1 to C7.

Every model and every update is bytes, so that the machine knows which merge is right. It follows
each proposal and each dispute by the events of all transactions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from protocol.merkle import SumTree
from protocol.proofs import child_siblings as siblings_of
from protocol.proofs import children_below as children_of
from protocol.proofs import (
    chunk_place,
    chunk_proof,
    first_difference,
    long_opening,
    open_update,
    padding_proof,
    parse_inputs,
    update_leaf,
)
from protocol.rounds import Phase, UpdateHeader, header_hash, seats_in
from support.evm import Receipt, Reverted
from support.judged import JudgedRun, Model, genesis_model
from support.run_invariants import AGGREGATORS, CREW, EVERYBODY, PROPOSED, SEEN, refusals
from support.run_machine import RunMachine
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GWEI,
    KEEPER,
    NOBODY,
    TRAINING_COURT,
    WITNESS,
    Person,
)

CHALLENGERS = (WITNESS, ATTACKER, AGGREGATOR)
LONGEST_MOVES = 16
PARENT_REJECTED = 4  # a FailureReason
picks = st.integers(0, 11)
rights = st.sampled_from([True, True, True, False])


class State(IntEnum):
    """DisputeState."""

    NONE = 0
    CHILDREN = 1
    CHOICE = 2
    CHUNK = 3
    LEAF = 4
    UPHELD = 5
    REJECTED = 6
    MOOT = 7


@dataclass(eq=False, kw_only=True)
class Proposal:
    """One proposed merge. `truth` is the right one, if anybody can know it."""

    id: bytes
    round: int
    made_at: int
    inputs: list[bytes]
    parent: Model | None
    truth: Model | None
    model: Model | None
    is_right: bool | None
    rejected: bool = False
    convictions: int = 0

    def wrong_chunks(self) -> list[int]:
        assert self.model is not None
        assert self.truth is not None
        mine, theirs = self.truth.tree.levels[0], self.model.tree.levels[0]
        return [i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b]


@dataclass(eq=False, kw_only=True)
class Game:
    """One dispute. `chosen` is the chunk that the challenger called wrong, once it has."""

    id: int
    about: Proposal
    challenger: Person
    began: int
    seen: Any
    trainer: str = NOBODY
    chunk: int = 0
    place: int = 0
    chosen: int | None = None

    @property
    def state(self) -> State:
        return State(self.seen.state)

    @property
    def is_open(self) -> bool:
        return self.state < State.UPHELD

    @property
    def is_tree(self) -> bool:
        return self.trainer == NOBODY


class CourtMachine(RunMachine):
    """A run of five trainers, some of whom lie about their sums, with a court that computes."""

    run: JudgedRun

    def __init__(self) -> None:
        super().__init__()
        assert self.stage.court is not None
        self.court = self.stage.court
        self.models: dict[bytes, Model] = {}
        self.live: dict[int, Proposal] = {}
        self.live_before: dict[int, Proposal] = {}
        self.games: list[Game] = []
        self.proposals: list[Proposal] = []
        self.steps = 0
        self.transact = self.evm.transact
        self.evm.transact = self.watched  # type: ignore[method-assign]

    def teardown(self) -> None:
        self.evm.transact = self.transact  # type: ignore[method-assign]
        try:
            if hasattr(self, "run"):
                super().r4_there_is_an_exit()
        finally:
            super().teardown()

    # --- the start

    @initialize(
        chunks=st.sampled_from([1, 5, 5, 260]),
        segments=st.sampled_from([1, 3]),
        momentum=st.booleans(),
        ring=st.sampled_from([3, 5]),
        liar=st.sampled_from([None, {(0, 0): 7}, {(1, 0): 0}, "header"]),
    )
    def make(self, chunks: int, segments: int, momentum: bool, ring: int, liar: Any) -> None:
        genesis = genesis_model(chunks, momentum=momentum)
        self.models[genesis.tree.root] = genesis
        contract = self.stage.create_contract(
            reward_wei=40 * ETHER,
            chunks=chunks,
            segments=min(chunks, segments),
            momentum=momentum,
            mu=200 if momentum else 0,
            lr=300,
            genesisRoot=genesis.tree.root,
            normBound=2**96 - 1,
            ringSize=ring,
            maxTrainers=4,
            absenceGrace=2,
        )
        self.run = JudgedRun(stage=self.stage, contract=contract, models={0: genesis})
        self.contract = self.run.contract
        if liar == "header":
            self.run.header_ssq[1] = 1
        elif liar:
            self.run.lies[1] = liar
        for i, person in enumerate(CREW[:3]):
            self.run.enroll(person, (i + 1) * 5 * 10**8)
        for person in AGGREGATORS:
            self.evm.fund(person.address)
            self.run.deposit_bond(person, 12)

    # --- what happened

    def watched(self, **transaction: Any) -> tuple[Receipt, str | None]:
        """Every transaction, and what it did to proposals and disputes."""
        receipt, address = self.transact(**transaction)
        handlers: dict[str, Callable[[Any, Receipt], None]] = {
            "MergeConvicted": self.on_conviction,
            "RejectedConvicted": self.on_conviction,
            "UpdateConvicted": self.on_update_convicted,
            "DisputeEnded": self.on_end,
            "RoundFinalized": self.on_final,
            "MergeReopened": self.on_gone,
            "RoundVoided": self.on_gone,
            "RoundFailed": self.on_gone,
        }
        # A conviction is told after the reopening that comes of it.
        self.live_before = dict(self.live)
        for event in receipt.events:
            if event.name in handlers:
                handlers[event.name](event, receipt)
        return receipt, address

    def on_conviction(self, event: Any, receipt: Receipt) -> None:
        SEEN[event.name] += 1
        if event.name == "MergeConvicted":
            proposal = self.live_before[event.round]
        else:
            (proposal,) = (p for p in self.proposals if p.id == event.proposal)
        proposal.convictions += 1
        assert proposal.convictions == 1, "C2"
        bond = self.run.params.proposerBondGwei * GWEI
        assert event.paidWei + event.burnedWei == bond, "C2"
        if receipt.all("WrongMergeProven"):
            assert proposal.is_right is False, "C3"
        else:
            # Nobody answered in time.
            game = self.game_of(receipt)
            assert game.is_tree, "C3"

    def on_update_convicted(self, event: Any, receipt: Receipt) -> None:
        proven, ended = receipt.all("WrongNormProven"), receipt.all("DisputeEnded")
        SEEN["norm convicted"] += len(proven)
        for proof in proven:
            assert proof.seat in {*self.run.lies, *self.run.header_ssq}, "C3"
        if ended and not proven:
            game = self.game_of(receipt)
            assert game.trainer == event.trainer, "C3"
            assert self.evm.now() > game.seen.deadline, "C7"

    def on_end(self, event: Any, receipt: Receipt) -> None:
        game = next(g for g in self.games if g.id == event.id)
        state = State(event.state)
        SEEN[f"{'tree' if game.is_tree else 'leaf'} {state.name.lower()}"] += 1
        assert game.is_open, "C7"
        late = self.evm.now() > game.seen.deadline
        computed = game.state == State.CHUNK and not late
        if state == State.UPHELD:
            assert computed or late or receipt.all("WrongNormProven"), "C7"
            assert game.state != State.CHOICE, "C7"
        if state == State.REJECTED and game.is_tree:
            assert computed or (late and game.state == State.CHOICE), "C7"
        if computed and state != State.MOOT:
            assert game.about.truth is not None
            # A root of no known model is one wrong chunk where the tree is but that.
            model = game.about.model
            right = model is not None and game.chosen not in game.about.wrong_chunks()
            assert state == (State.REJECTED if right else State.UPHELD), "C4"
        if state == State.MOOT:
            gone = self.contract.proposalId(game.about.round) != game.about.id
            rejected = self.contract.rejected(game.about.id).proposer != NOBODY
            assert gone, "C4"
            assert not (game.is_tree and rejected), "C4"
        game.seen = self.court.disputes(game.id)
        assert event.bondsWei == game.seen.bondWei, "C1"

    def on_final(self, event: Any, _: Receipt) -> None:
        proposal = self.live.pop(event.round, None)
        if proposal is not None:
            assert not any(g.is_open and g.about is proposal for g in self.games), "C4"
            SEEN["right merge final" if proposal.is_right else "wrong merge final"] += 1

    def on_gone(self, event: Any, _: Receipt) -> None:
        proposal = self.live.pop(event.round, None)
        if proposal is not None and event.name == "MergeReopened":
            proposal.rejected = event.reason == PARENT_REJECTED

    def game_of(self, receipt: Receipt) -> Game:
        number = receipt.only("DisputeEnded").id
        return next(g for g in self.games if g.id == number)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """What happens in here is undone."""
        self.evm.transact = self.transact  # type: ignore[method-assign]
        try:
            yield
        finally:
            self.evm.transact = self.watched  # type: ignore[method-assign]

    # --- proposals

    def make_proposal(self, who: Person = AGGREGATOR, how: str = "right", at: int = 0) -> None:
        number = self.now.round
        parent = self.models.get(self.run.parent_root())
        truth = None if parent is None else self.run.merged(number, parent=parent)
        model = None if parent is None or truth is None else self.forged(how, at, parent, truth)
        root = sha256(f"{how} {at}".encode()).digest() if model is None else model.tree.root
        self.run.propose(who, root)
        if model is not None:
            self.models[root] = model
        proposal = Proposal(
            id=self.contract.proposalId(number),
            round=number,
            made_at=self.evm.now(),
            inputs=list(self.run.inputs[number]),
            parent=parent,
            truth=truth,
            model=model,
            is_right=None if truth is None else root == truth.tree.root,
        )
        SEEN[f"proposed {proposal.is_right}"] += 1
        assert proposal.id not in [p.id for p in self.proposals], "C2"
        self.live[number] = proposal
        self.proposals.append(proposal)

    def forged(self, how: str, at: int, parent: Model, truth: Model) -> Model | None:
        chunk = at % truth.chunks
        if how == "unknown":
            return None
        if how == "element":
            return truth.off_by(at % (len(truth.data) // 4))
        if how == "rule":
            rule = replace(self.run.rule, lr=self.run.rule.lr + 1)
            return self.run.merged(self.now.round, parent=parent, rule=rule)
        if how == "stale":
            return parent
        if how == "swapped":
            return truth.with_leaf(chunk, truth.leaf((chunk + 1) % truth.chunks))
        return truth

    hows = st.sampled_from(
        ["right", "right", "right", "element", "rule", "stale", "swapped", "unknown"]
    )

    @precondition(lambda self: self.in_phase(Phase.MERGE))
    @rule(
        who=st.sampled_from(AGGREGATORS),
        turns=st.integers(0, 3),
        how=hows,
        at=st.integers(0, 2**20),
    )
    def propose(self, who: Person, turns: int, how: str, at: int) -> None:
        self.evm.sleep(turns * 60)
        with refusals():
            self.make_proposal(who, how, at)

    @rule(how=hows, at=st.integers(0, 2**20), then=st.integers(0, 5))
    def next_merge(self, how: str, at: int, then: int) -> None:
        """The shortest way to the next proposal, and often to a proof or a dispute about it."""
        self.propose_soon(how, at)
        newest = self.live.get(self.now.round)
        if newest is None:
            return
        pick = list(self.live.values()).index(newest)
        if then == 1:
            self.prove_merge(pick=pick, good=True, chunk=at, who=WITNESS)
        elif then == 2:
            self.litigate(pick=pick, who=ATTACKER, tree=True, at=at % 12)
        elif then == 3:
            self.challenge_tree(pick=pick, who=WITNESS, extra=0)
        elif then == 4:
            self.challenge_tree(pick=pick, who=WITNESS, extra=0)
            self.reject()

    def propose_soon(self, how: str, at: int) -> None:
        for _ in range(6):
            phase, roster = self.now.phase, self.contract.roster()
            with refusals():
                if phase == Phase.IDLE:
                    if self.now.round - self.contract.totals().lastFinal + 2 > self.ring:
                        # No room for another round before the oldest is settled.
                        while self.open_games():
                            self.end(pick=0, silent=True)
                        self.finalize(early=False)
                    self.run.open()
                elif phase == Phase.COMMIT:
                    self.run.commit_batch(self.silent())
                elif phase == Phase.REVEAL:
                    self.run.freeze_with_reveals(self.did(1), attesters=seats_in(roster))
                elif phase == Phase.AUDIT:
                    self.freeze(available=set(), late=False, everything=True)
                else:
                    self.evm.sleep(120)
                    self.make_proposal(how=how, at=at)
                    return

    @property
    def ring(self) -> int:
        return int(self.run.params.ringSize)

    @precondition(lambda self: self.in_phase(Phase.IDLE) and self.now.round in self.live)
    @rule()
    def reject(self) -> None:
        """The trainers say that the last merge is wrong, whether it is or not."""
        if not self.in_phase(Phase.IDLE):
            return
        with refusals():
            self.run.open()
            self.dissent_together()

    # --- proofs of one transaction

    def pick_live(self, pick: int) -> Proposal | None:
        found = list(self.live.values())
        return found[pick % len(found)] if found else None

    @precondition(lambda self: self.live)
    @rule(pick=picks, good=rights, chunk=st.integers(0, 511), who=st.sampled_from(CHALLENGERS))
    def prove_merge(self, pick: int, good: bool, chunk: int, who: Person) -> None:
        proposal = self.pick_live(pick)
        if proposal is None or proposal.model is None or proposal.truth is None:
            return
        tree = proposal.model.tree
        chunk %= 1 << tree.depth
        wrong = proposal.wrong_chunks()
        if good and wrong:
            chunk = wrong[0]
        siblings = [tree.node(height, chunk >> height ^ 1) for height in range(tree.depth)]
        fields = self.proof_of(proposal, chunk).fields
        arguments = (self.contract.address, proposal.round, fields, tree.node(0, chunk), siblings)
        try:
            self.court.proveMerge(*arguments, sender=who.address)
        except Reverted as error:
            assert error.name == "ChunkIsRight", error
            assert chunk not in wrong, "C4"
        else:
            SEEN["wrong merge proven"] += 1
            assert chunk in wrong, "C3"

    def proof_of(self, proposal: Proposal, chunk: int) -> Any:
        assert proposal.parent is not None
        if chunk >= proposal.parent.chunks:
            return padding_proof(chunk)
        place = chunk_place(chunk, self.run.ends)
        inputs = proposal.inputs[place.segment]
        return chunk_proof(
            chunk=chunk,
            inputs=inputs,
            openings=[
                open_update(*self.update_of(entry.update_root)[1], place.index)
                for entry in parse_inputs(inputs)
            ],
            parent=proposal.parent.data,
            parent_tree=proposal.parent.tree,
            momentum=proposal.parent.momentum,
        )

    def update_of(self, root: bytes) -> tuple[tuple[int, int, int], tuple[bytes, SumTree]]:
        """Seat, round and attempt, and the update with its tree."""
        updates = self.run._updates.items()
        return next((key, made) for key, made in updates if made[1].root == root)

    @precondition(lambda self: self.live)
    @rule(pick=picks, segment=picks, place=picks, index=st.integers(0, 300), liar=rights)
    def prove_frozen_norm(
        self, pick: int, segment: int, place: int, index: int, liar: bool
    ) -> None:
        proposal = self.pick_live(pick)
        assert proposal is not None
        segment %= len(proposal.inputs)
        entries = parse_inputs(proposal.inputs[segment])
        if not entries:
            return
        entry = entries[place % len(entries)]
        if liar:
            entry = next((e for e in entries if self.lies(e.seat)), entry)
            index = 0
        key, made = self.update_of(entry.update_root)
        header = self.run.header(*key)
        if header_hash(header) != entry.header_hash:
            return  # the seat has changed hands
        inputs = proposal.inputs[segment]
        self.bring_norm(proposal.round, segment, inputs, entry.seat, header, made, index)

    @precondition(lambda self: self.in_phase(Phase.REVEAL, Phase.AUDIT) and self.did(2))
    @rule(place=picks, index=st.integers(0, 300))
    def prove_revealed_norm(self, place: int, index: int) -> None:
        revealed, now = self.did(2), self.now
        seat = next((s for s in revealed if self.lies(s)), revealed[place % len(revealed)])
        header = self.run.header(seat, now.round, now.attempt)
        made = self.run.update(seat, now.round, now.attempt)
        self.bring_norm(now.round, 0, b"", seat, header, made, index if place else 0)

    def lies(self, seat: int) -> bool:
        return seat in self.run.lies or seat in self.run.header_ssq

    def bring_norm(
        self,
        number: int,
        segment: int,
        inputs: bytes,
        seat: int,
        header: UpdateHeader,
        made: tuple[bytes, SumTree],
        index: int,
    ) -> None:
        update, tree = made
        index %= tree.leaf_count
        leaf, claims = update_leaf(update, index), tree.claims(index)
        running, honest = SumTree.from_leaves(leaf).ssq, True
        for _, sibling, named in claims:
            honest = honest and named == running
            running = named + sibling
        true = honest and running == header.ssq
        known = self.contract.convicted(number) >> seat & 1
        words = (header.ssq, header.trace_root, header.class_id)
        words = (*words, header.update_cid, header.update_size)
        proof = (
            segment,
            inputs,
            seat,
            header.update_root,
            words,
            index,
            long_opening(leaf, claims),
        )
        try:
            self.court.proveNorm(self.contract.address, number, proof, sender=WITNESS.address)
        except Reverted as error:
            assert error.name == ("NormIsRight" if true else "AlreadyConvicted"), error
            assert true or known, "C3"
        else:
            assert not true, "C3"
            assert not known, "C2"

    # --- disputes

    def open_games(self) -> list[Game]:
        return [game for game in self.games if game.is_open]

    @precondition(lambda self: self.live)
    @rule(pick=picks, who=st.sampled_from(CHALLENGERS), extra=st.integers(0, ETHER))
    def challenge_tree(self, pick: int, who: Person, extra: int) -> None:
        proposal = self.pick_live(pick)
        assert proposal is not None
        answer = State.CHILDREN if self.run.params.chunks > 1 else State.CHUNK
        bond = self.court.bondWei(answer, self.now.rosterCount) + extra
        with refusals():
            begun = self.court.challengeTree(
                self.contract.address, proposal.round, sender=who.address, value=bond
            )
            game = self.begin(begun.only("TreeChallenged").id, proposal, who)
            if answer == State.CHUNK:
                game.chosen = 0

    @precondition(lambda self: self.live)
    @rule(pick=picks, chunk=st.integers(0, 300), place=picks, who=st.sampled_from(CHALLENGERS))
    def challenge_leaf(self, pick: int, chunk: int, place: int, who: Person) -> None:
        proposal = self.pick_live(pick)
        assert proposal is not None
        chunk %= self.run.params.chunks
        inputs = proposal.inputs[chunk_place(chunk, self.run.ends).segment]
        entries = parse_inputs(inputs)
        if not entries:
            return
        place %= len(entries)
        with refusals():
            begun = self.court.challengeLeaf(
                self.contract.address,
                proposal.round,
                chunk,
                inputs,
                place,
                sender=who.address,
                value=self.court.bondWei(State.LEAF, 0),
            )
            game = self.begin(begun.only("LeafChallenged").id, proposal, who)
            (game.trainer, game.chunk, game.place) = (game.seen.proposer, chunk, place)

    def begin(self, number: int, proposal: Proposal, who: Person) -> Game:
        game = Game(
            id=number,
            about=proposal,
            challenger=who,
            began=self.evm.now(),
            seen=self.court.disputes(number),
        )
        self.games.append(game)
        return game

    @precondition(lambda self: self.open_games())
    @rule(pick=picks, good=rights, wait=st.sampled_from([0, 0, 0, 50, 100]), at=st.integers(0, 255))
    def move(self, pick: int, good: bool, wait: int, at: int) -> None:
        """The move that is due, right or wrong, after some of the time that is left for it."""
        games = self.open_games()
        game = games[pick % len(games)]
        left = game.seen.deadline - self.evm.now()
        if wait and left > 0:
            self.evm.sleep(left * wait // 100)
        steps = {
            State.CHILDREN: self.show_children,
            State.CHOICE: self.choose_child,
            State.CHUNK: self.open_chunk,
            State.LEAF: self.answer_leaf,
        }
        before = game.state
        try:
            steps[before](game, good, at)
        except Reverted as error:
            if error.name == "ClockRanOut":
                assert self.evm.now() > game.seen.deadline, "C7"
                return
            expected = {"WrongChildren", "WrongNode", "NotChallenger", "WrongUpdateOpening"}
            known = game.about.model is not None and game.about.truth is not None
            assert not (good and known), error
            assert error.name in expected, error
        else:
            SEEN[f"move {before.name.lower()}"] += 1
        if game.is_open:
            game.seen = self.court.disputes(game.id)

    @precondition(lambda self: self.open_games())
    @rule(pick=picks)
    def play_on(self, pick: int) -> None:
        """Both sides do their best, in time."""
        games = self.open_games()
        game = games[pick % len(games)]
        for _ in range(6):
            known = game.about.model is not None or not game.is_tree
            if not game.is_open or not known or self.evm.now() >= game.seen.deadline:
                return
            self.move(pick=self.open_games().index(game), good=True, wait=0, at=0)

    @precondition(lambda self: self.live)
    @rule(pick=picks, who=st.sampled_from(CHALLENGERS), tree=rights, at=picks)
    def litigate(self, pick: int, who: Person, tree: bool, at: int) -> None:
        """A dispute from its beginning to its end, if both sides know what they need."""
        if tree:
            self.challenge_tree(pick=pick, who=who, extra=0)
        else:
            self.challenge_leaf(pick=pick, chunk=at, place=pick, who=who)
        if self.open_games():
            self.play_on(pick=len(self.open_games()) - 1)

    def show_children(self, game: Game, good: bool, at: int) -> None:
        if good and game.about.model is not None:
            children = self.children(game, game.about.model)
        else:
            children = [sha256(bytes([at, i % 256])).digest() for i in range(1 << min(8, at % 10))]
        self.court.showChildren(game.id, children, sender=KEEPER.address)

    @staticmethod
    def children(game: Game, model: Model) -> list[bytes]:
        return children_of(model.tree, game.seen.level, game.seen.index)

    def choose_child(self, game: Game, good: bool, at: int) -> None:
        assert game.about.model is not None
        assert game.about.truth is not None
        shown = self.children(game, game.about.model)
        child = first_difference(self.children(game, game.about.truth), shown) or 0
        if not good:
            child = at % len(shown)
        level = max(0, game.seen.level - 8)
        bond = self.court.bondWei(State.CHILDREN if level else State.CHUNK, self.now.rosterCount)
        index = (game.seen.index << min(8, game.seen.level)) | child
        chosen = self.court.chooseChild(
            game.id,
            child,
            shown[child],
            siblings_of(shown, child),
            sender=(game.challenger if good or at % 4 else KEEPER).address,
            value=bond,
        )
        if not level and chosen.all("ChildChosen"):
            game.chosen = index

    def open_chunk(self, game: Game, good: bool, at: int) -> None:
        proposal = game.about
        if proposal.parent is None or game.chosen is None:
            return
        chunk = game.chosen if good else (game.chosen + 1 + at) % (1 << proposal.parent.tree.depth)
        hashes = [sha256(preimage).digest() for preimage in proposal.inputs]
        fields = self.proof_of(proposal, chunk).fields
        root = proposal.parent.tree.root
        self.court.openChunk(game.id, root, hashes, fields, sender=KEEPER.address)

    def answer_leaf(self, game: Game, good: bool, at: int) -> None:
        place = chunk_place(game.chunk, self.run.ends)
        entry = parse_inputs(game.about.inputs[place.segment])[game.place]
        _, (update, tree) = self.update_of(entry.update_root)
        opening = open_update(update, tree, place.index)
        if not good:
            opening = opening[:at] + bytes([opening[at] ^ 1 << at % 8]) + opening[at + 1 :]
        self.court.answerLeaf(game.id, opening, sender=KEEPER.address)

    @precondition(lambda self: self.open_games())
    @rule(pick=picks, silent=st.booleans())
    def end(self, pick: int, silent: bool) -> None:
        """Anybody ends a dispute whose mover stays silent, or tries to."""
        games = self.open_games()
        game = games[pick % len(games)]
        if silent:
            self.evm.sleep_until(game.seen.deadline + 1)
        before = self.evm.now()
        try:
            self.court.endDispute(game.id, sender=KEEPER.address)
        except Reverted as error:
            assert error.name == "ClockStillRuns", error
            assert before <= game.seen.deadline, "C7"
        else:
            assert not game.is_open

    # --- what else people do, which the machine without a court plays for its own sake

    @rule(what=picks, who=st.sampled_from(CREW), seat=st.integers(0, 3))
    def other(self, what: int, who: Person, seat: int) -> None:
        actions: list[Callable[[], None]] = [
            lambda: RunMachine.enroll(self, person=who, gwei=10**9),
            lambda: RunMachine.leave(self, person=who),
            lambda: RunMachine.release(self, seat=seat),
            lambda: RunMachine.unbond(self, person=who),
            lambda: RunMachine.claim(self, who=EVERYBODY[seat * 4]),
            lambda: RunMachine.advance(self),
            lambda: self.claim_credit(CHALLENGERS[seat % 3]),
        ]
        if self.in_phase(Phase.COMMIT) and self.silent():
            actions.append(lambda: RunMachine.dissent(self, seat=seat))
        if seat in self.taken() and self.now.round:
            actions.append(lambda: self.convict_by_other_court(seat))
        if self.contract.totals().lastConviction:
            actions.append(lambda: RunMachine.rollback(self, back=1 + seat))
        actions[what % len(actions)]()

    def claim_credit(self, who: Person) -> None:
        credit = self.court.creditOf(who.address)
        try:
            self.court.claim(sender=who.address)
        except Reverted as error:
            assert (error.name, credit) == ("NothingToClaim", 0)

    def convict_by_other_court(self, seat: int) -> None:
        trainer = self.contract.seats(seat).trainer
        with refusals():
            self.contract.convictUpdate(
                self.now.round, seat, trainer, WITNESS.address, sender=TRAINING_COURT.address
            )

    @rule(early=rights)
    def finalize(self, early: bool) -> None:
        number = self.contract.totals().lastFinal + 1
        if number > self.now.round:
            return
        if not early:
            self.run.pass_dispute(number)
        with refusals():
            self.check_payment(number, self.run.finalize(number))

    @rule(seconds=st.sampled_from([1, 60, 301]))
    def wait(self, seconds: int) -> None:
        self.evm.sleep(seconds)

    def freeze(self, **how: Any) -> None:
        super().freeze(**how)

    def dissent_together(self) -> None:
        super().dissent_together()

    enroll = leave = release = unbond = claim = list_aggregator = fund = None
    begin_trial = end_trial = fine = None
    open = commit = dissent = reveal = freeze_with_reveals = post = advance = None
    convict_update = convict_merge = rollback = halt = go_on_to_the_end_of_the_round = None

    # --- what must stay true

    @invariant()
    def c1_the_court_is_solvent(self) -> None:
        bonds = sum(self.court.disputes(game.id).bondWei for game in self.open_games())
        credits_ = sum(self.court.creditOf(person.address) for person in EVERYBODY)
        assert self.evm.balance(self.court.address) == bonds + credits_, "C1"

    @invariant()
    def c5_disputes_hold_what_they_are_about(self) -> None:
        for proposal in self.proposals:
            open_ones = sum(g.is_open and g.about is proposal for g in self.games)
            if self.live.get(proposal.round) is proposal:
                record = self.contract.getRound(proposal.round)
                assert record.status == PROPOSED, "C5"
                assert self.contract.proposalId(proposal.round) == proposal.id, "C5"
                assert record.openDisputes == open_ones, "C5"
            elif proposal.rejected:
                left = self.contract.rejected(proposal.id)
                held = 0 if proposal.convictions else open_ones
                assert left.disputes == held, "C5"
                assert (left.proposer != NOBODY) == (held != 0), "C5"

    @invariant()
    def c6_stake_outlasts_disputes(self) -> None:
        """Nobody whose leaf is asked for has begun to unbond, whenever it left."""
        for game in self.open_games():
            if game.is_tree or self.live.get(game.about.round) is not game.about:
                continue
            assert self.contract.seatPlusOneOf(game.trainer) != 0, "C6"

    @invariant()
    def c7_clocks_are_bounded(self) -> None:
        longest = LONGEST_MOVES * self.run.params.moveS if hasattr(self, "run") else 0
        for game in self.open_games():
            assert game.seen.deadline - game.began <= longest, "C7"

    @invariant()
    def r3_bonds(self) -> None:
        """R3, with rejected proposals that the court holds."""
        if not hasattr(self, "run"):
            return
        held = sum(self.contract.rejected(p.id).proposer != NOBODY for p in self.proposals)
        bonds = len(self.live) + held + len(self.contract.aggregators())
        locked = sum(self.contract.accounts(p.address).lockedWei for p in EVERYBODY)
        assert locked == bonds * self.run.params.proposerBondGwei * GWEI, "R3"

    @invariant()
    def r4_there_is_an_exit(self) -> None:
        self.steps += 1
        if self.steps % 4 == 0 and hasattr(self, "run"):
            with self.unwatched():
                super().r4_there_is_an_exit()

    def leave_phase(self) -> None:
        """R4, when anybody ends the disputes first."""
        for game in self.open_games():
            seen = self.court.disputes(game.id)
            self.evm.sleep_until(seen.deadline + 1)
            self.court.endDispute(game.id, sender=ATTACKER.address)
            assert self.court.disputes(game.id).state >= State.UPHELD, "C7"
        super().leave_phase()
