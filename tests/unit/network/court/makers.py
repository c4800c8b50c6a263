"""A run with one proposed round of two real updates, told in events; who acts is a fake clerk."""

from types import SimpleNamespace

import numpy as np
from unit.trainer.makers import ME, OTHER, Story, digest

from network.abi import Event
from network.content import model_root
from network.court.bench import Bench
from network.court.case import Case, case_of
from network.court.contract import Dispute, DisputeState
from network.court.evidence import Examiner
from network.court.history import CourtFold
from network.court.judge import Judge
from network.court.watch import CourtWatch
from network.desk import Desk
from network.keeper import View
from network.run import OpenRound, Totals
from network.store import LocalStore
from protocol.cid import cid_of
from protocol.codec import encode_update, model_leaves
from protocol.layout import CHUNK
from protocol.merkle import SumTree
from protocol.rounds import InputEntry, Phase, header_hash, inputs_hash

CHUNKS = 5
LIAR = "0x" + "cc" * 20
WATCHER = "0x" + "dd" * 20
STRANGER = "0x" + "ee" * 20
OPENED_S = 1_000
DISPUTE_S = 640
MOVE_S = 60


class Round:
    """One frozen and proposed round; the right merge adds 15 to each element."""

    def __init__(self, folder, *, published=True, missing=(), liars=(), wrong=2) -> None:
        self.store = LocalStore(folder / "store")
        old = np.arange(CHUNKS * CHUNK, dtype=np.int32)
        self.parent = model_leaves(old)
        genesis = self.store.put(self.parent)
        self.story = Story(
            chunks=CHUNKS,
            segment_ends=(CHUNKS,),
            genesis_root=root_of(self.parent),
            genesis_cid=genesis.digest,
            genesis_size=genesis.size,
            dispute_s=DISPUTE_S,
            move_s=MOVE_S,
            commit_s=100,
        )
        self.story.enrolled().tell(
            "RoundOpened",
            round=1,
            attempt=1,
            seed=digest(4),
            parentRoot=root_of(self.parent),
            roster=0b11,
            rosterStakeGwei=20,
            deadline=100,
        )
        self.updates = [
            encode_update(np.full(CHUNKS * CHUNK, 10 * (seat + 1), np.int64)) for seat in (0, 1)
        ]
        for seat, trainer in enumerate((ME, OTHER)):
            self._reveal(seat, trainer, lies=seat in liars, kept=seat not in missing)
        self._freeze()
        self.right = model_leaves(old + np.int32(15))
        self.wrong = bytearray(self.right)
        if wrong is not None:
            self.wrong[wrong * 4 * CHUNK + 3] ^= 1
        self.wrong = bytes(self.wrong)
        if published:
            self.store.put(self.wrong)

    @property
    def fold(self):
        return self.story.fold

    def propose(self, model=None, *, proposer=LIAR) -> Case:
        """Propose a model, the wrong one by default; gives the case."""
        data = self.wrong if model is None else model
        cid = cid_of(data)
        self.story.tell(
            "MergeProposed",
            round=1,
            proposer=proposer,
            modelRoot=root_of(data),
            modelCid=cid.digest,
            modelSize=cid.size,
            finalizableAt=OPENED_S + DISPUTE_S,
        )
        found = self.fold.rounds[1]
        return case_of(self.fold, found, found.proposal)

    def view(self, now_s=OPENED_S, *, phase=Phase.IDLE, round_id=1, deadline_s=0, last_final=0):
        current = OpenRound(
            round_id=round_id,
            attempt=round_id,
            phase=phase,
            deadline_s=deadline_s,
            roster_count=2,
            commits=0,
            dissents=0,
            reveals=2,
            keeper_gwei=0,
        )
        totals = Totals(
            roster_stake_gwei=20,
            enrolled_stake_gwei=20,
            dissent_stake_gwei=0,
            last_final=last_final,
            last_conviction=0,
            halted=False,
            closed=False,
        )
        return View(current=current, totals=totals, fold=self.fold, due=None, now_s=now_s)

    def _reveal(self, seat, trainer, *, lies, kept):
        update = self.updates[seat]
        tree, cid = SumTree.from_leaves(update), cid_of(update)
        if kept:
            self.store.put(update)
        self.story.tell("Committed", round=1, trainer=trainer, seat=seat, commitment=digest(9))
        self.story.tell(
            "Revealed",
            round=1,
            trainer=trainer,
            seat=seat,
            updateRoot=tree.root,
            ssq=1 if lies else tree.ssq,
            traceRoot=digest(1),
            classId=digest(2),
            updateCid=cid.digest,
            updateSize=cid.size,
        )

    def _freeze(self):
        entries = [
            InputEntry(
                trainer=one.trainer,
                seat=seat,
                weight=32768,
                update_root=one.header.update_root,
                header_hash=header_hash(one.header),
            )
            for seat, one in self.fold.rounds[1].reveals.items()
        ]
        self.story.tell(
            "UpdatesFrozen",
            round=1,
            included=0b11,
            available=0b11,
            inputsHashes=[inputs_hash(entries)],
        )


def root_of(model):
    return model_root(model, momentum=False)


def event(name, *, block=1, **values):
    return Event(
        name=name,
        args=SimpleNamespace(**values),
        address=STRANGER,
        block_number=block,
        block_hash=f"0x{block}",
        transaction_hash="0x00",
        log_index=0,
    )


def dispute(case=None, **changes) -> Dispute:
    """A dispute that began at OPENED_S, about a case's tree by default."""
    values = {
        "run": STRANGER,
        "round_id": 1,
        "state": DisputeState.CHILDREN,
        "level": 3,
        "deadline_s": OPENED_S + 4 * MOVE_S,
        "seat": 0,
        "challenger": STRANGER,
        "bond_wei": 1,
        "proposer": LIAR,
        "answer_bank_s": 3 * MOVE_S,
        "choice_bank_s": 3 * MOVE_S,
        "index": 0,
        "move_s": MOVE_S,
        "node": digest(1) if case is None else case.proposal.model_root,
        "proposal": digest(2) if case is None else case.id,
        "inputs": digest(3),
    }
    return Dispute(**{**values, **changes})


class Shelf:
    """Models in memory."""

    def __init__(self, *models) -> None:
        self.models = {root_of(model): model for model in models}

    def has(self, root):
        return root in self.models

    def open(self, root):
        return iter([self.models[root]])


class Clerk:
    """Writes down what it is told to send; `refuses` maps an act to an error."""

    def __init__(self, params) -> None:
        self.run = SimpleNamespace(params=params)
        self.sender = SimpleNamespace(address=WATCHER)
        self.sent = []
        self.refuses = {}
        self.locked = True

    def is_locked(self, _dispute):
        return self.locked

    def claim(self):
        return 0

    def __getattr__(self, act):
        def send(*arguments):
            if act in self.refuses:
                raise self.refuses[act]
            self.sent.append((act, *arguments))
            return SimpleNamespace(gas_used=1)

        return send

    @property
    def acts(self):
        return [one[0] for one in self.sent]


class Court:
    """The court's storage and its events, as far as a watch reads them."""

    def __init__(self) -> None:
        self.fold = CourtFold(run=STRANGER)
        self.stored = {}
        self.reads = 0

    def update(self):
        return self.fold

    def dispute(self, number):
        self.reads += 1
        return self.stored[number]

    def begins(self, number, stored, *, seat=None, block=1):
        """A dispute is opened."""
        self.stored[number] = stored
        name = "TreeChallenged" if seat is None else "LeafChallenged"
        self.fold.apply(
            event(
                name,
                id=number,
                run=STRANGER,
                round=stored.round_id,
                challenger=stored.challenger,
                modelRoot=b"",
                seat=seat,
                chunk=0,
                block=block,
            )
        )

    def goes_on(self, number, name, stored, *, block, **values):
        """Something happened in it."""
        self.stored[number] = stored
        self.fold.apply(event(name, id=number, block=block, **values))


class Watched:
    """A watch of one round, with its own merge `own`, and all that it does written down."""

    def __init__(self, made: Round, *, own=None, rank=0, court=None, checked=True) -> None:
        self.made, self.court = made, court or Court()
        self.clerk = Clerk(made.fold.params)
        self.own = made.right if own is None else own
        self.shelf = Shelf(made.parent, *(() if isinstance(self.own, Exception) else (self.own,)))
        self.merges, self.wakes, self.told = [], [], []
        self.clock = [0.0]
        bench = Bench(
            clerk=self.clerk,
            examiner=Examiner(
                made.store, self.shelf, segment_ends=(CHUNKS,), momentum=False, deadline_s=5.0
            ),
            desk=Desk(done=lambda: None, clock=lambda: self.clock[0]),
            rank=rank,
            report=lambda name, **values: self.told.append((name, values)),
            wake=lambda: self.wakes.append(1),
            clock=lambda: self.clock[0],
        )
        self.bench = bench
        judge = Judge(bench, self._recompute, lambda *_: checked)
        self.watch = CourtWatch(bench, self.court, self.court, judge)

    def _recompute(self, _fold, found):
        self.merges.append(found.round_id)
        if isinstance(self.own, Exception):
            raise self.own
        return root_of(self.own)

    def look(self, view):
        """Look until nothing runs any more and nothing new is begun."""
        begun = None
        for _ in range(20):
            self.watch.look(view)
            jobs = dict(self.bench.desk._jobs)
            for job in jobs.values():
                job.future.exception(timeout=10)
            if begun == jobs.keys():
                return
            begun = jobs.keys()
        raise AssertionError("never quiet")

    @property
    def acts(self):
        return self.clerk.acts

    @property
    def said(self):
        return [name for name, _ in self.told]
