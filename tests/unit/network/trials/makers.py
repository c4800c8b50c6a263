"""A frozen round of four updates, told in events; its trials; who acts is a fake clerk."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

from unit.trainer.makers import Story, digest

from network.abi import Event
from network.bench import say_nothing
from network.desk import Desk
from network.keeper import View
from network.run import ZERO_ADDRESS, OpenRound, Totals
from network.trials.bench import Docket, TrialBench
from network.trials.contract import Trial, TrialState
from network.trials.history import TrialFold
from network.trials.watch import TrialWatch
from protocol.rounds import (
    InputEntry,
    Phase,
    UpdateHeader,
    header_hash,
    inputs_hash,
    trace_root,
)

RUN = "0x" + "11" * 20
COURT = "0x" + "99" * 20
TRAINERS = tuple("0x" + f"{40 + seat:02x}" * 20 for seat in range(4))
STRANGER = "0x" + "ee" * 20
SEED, PARENT = digest(4), digest(2)
CLASS, OTHER_CLASS = digest(60), digest(61)
NOW_S = 1_000.0
MOVE_S, JURY_S, DISPUTE_S = 60, 120, 640
FROZEN_BLOCK = 40
STEPS = 4


def honest(seat: int) -> tuple[tuple[bytes, ...], bytes]:
    """The trace and the update root of a seat's work."""
    states = tuple(sha256(b"state %d %d" % (seat, i)).digest() for i in range(STEPS + 1))
    return states, sha256(b"update %d" % seat).digest()


def false(seat: int, since: int = 2) -> tuple[tuple[bytes, ...], bytes]:
    """What somebody made up from a digest on."""
    states, root = honest(seat)
    made_up = tuple(d if i < since else sha256(b"x" + d).digest() for i, d in enumerate(states))
    return made_up, sha256(b"x" + root).digest()


def header(seat: int, *, work=None, class_id=CLASS) -> UpdateHeader:
    states, root = work or honest(seat)
    return UpdateHeader(
        update_root=root,
        ssq=1 + seat,
        trace_root=trace_root(states, root),
        class_id=class_id,
        update_cid=digest(70 + seat),
        update_size=257,
    )


class Round:
    """Round 1 of four trainers; `liars` made their work up, `classes` are of others."""

    def __init__(self, *, liars=(), classes=None, **overrides) -> None:
        values = {"move_s": MOVE_S, "jury_s": JURY_S, "dispute_s": DISPUTE_S, "audit_bps": 10_000}
        self.story = Story(**{**values, **overrides})
        for seat, trainer in enumerate(TRAINERS):
            self.story.tell("Enrolled", trainer=trainer, seat=seat, stakeGwei=10)
        self.headers = [
            header(
                seat,
                work=false(seat) if seat in liars else None,
                class_id=(classes or {}).get(seat, CLASS),
            )
            for seat in range(len(TRAINERS))
        ]
        self.open()

    def open(self, attempt=1, seed=SEED) -> None:
        """Open, reveal and freeze it."""
        tell = self.story.tell
        tell(
            "RoundOpened",
            round=1,
            attempt=attempt,
            seed=seed,
            parentRoot=PARENT,
            roster=0b1111,
            rosterStakeGwei=40,
            deadline=100,
        )
        for seat, h in enumerate(self.headers):
            tell(
                "Revealed",
                round=1,
                trainer=TRAINERS[seat],
                seat=seat,
                updateRoot=h.update_root,
                ssq=h.ssq,
                traceRoot=h.trace_root,
                classId=h.class_id,
                updateCid=h.update_cid,
                updateSize=h.update_size,
            )
        entries = [
            InputEntry(
                trainer=TRAINERS[seat],
                seat=seat,
                weight=16384,
                update_root=h.update_root,
                header_hash=header_hash(h),
            )
            for seat, h in enumerate(self.headers)
        ]
        hashes = [inputs_hash(entries)]
        tell("UpdatesFrozen", round=1, included=15, available=15, inputsHashes=hashes)

    @property
    def fold(self):
        return self.story.fold

    @property
    def found(self):
        return self.fold.rounds[1]

    def propose(self, finalizable_s=NOW_S + DISPUTE_S) -> "Round":
        self.story.tell(
            "MergeProposed",
            round=1,
            proposer=STRANGER,
            modelRoot=digest(77),
            modelCid=digest(78),
            modelSize=1024,
            finalizableAt=int(finalizable_s),
        )
        return self

    def view(self, now_s=NOW_S, *, last_final=0) -> View:
        current = OpenRound(
            round_id=1,
            attempt=1,
            phase=Phase.IDLE,
            deadline_s=0,
            roster_count=4,
            commits=0,
            dissents=0,
            reveals=4,
            keeper_gwei=0,
        )
        totals = Totals(
            roster_stake_gwei=40,
            enrolled_stake_gwei=40,
            dissent_stake_gwei=0,
            last_final=last_final,
            last_conviction=0,
            halted=False,
            closed=False,
        )
        return View(current=current, totals=totals, fold=self.fold, due=None, now_s=now_s)


def trial(made: Round, *, seat=1, accuser=TRAINERS[0], own=None, **changes) -> Trial:
    """A trial about a seat's update, in which its trainer owes the trace."""
    h, (states, root) = made.headers[seat], own or honest(seat)
    values = {
        "run": RUN,
        "round_id": 1,
        "state": TrialState.DEFENCE,
        "seat": seat,
        "segment": 0,
        "level": 0,
        "index": 0,
        "verdict": TrialState.NONE,
        "accuser": accuser,
        "deadline_s": int(NOW_S) + 4 * MOVE_S,
        "draw_block": 0,
        "accused": TRAINERS[seat],
        "accuser_bond_wei": 1,
        "defender": ZERO_ADDRESS,
        "defender_bond_wei": 0,
        "appellant": ZERO_ADDRESS,
        "appeal_bond_wei": 0,
        "ticket_wei": 1,
        "jurors_wei": 0,
        "move_s": MOVE_S,
        "jury_s": JURY_S,
        "seed": SEED,
        "inputs_hash": made.found.inputs_hashes[0],
        "class_id": h.class_id,
        "update_root": h.update_root,
        "trace_root": h.trace_root,
        "own_root": trace_root(states, root),
        "shown": bytes(32),
        "before": bytes(32),
        "accused_digest": bytes(32),
        "accuser_digest": bytes(32),
    }
    return Trial(**{**values, **changes})


class Court:
    """The court's storage and its events, as far as a watch reads them."""

    def __init__(self) -> None:
        self.address = COURT
        self.fold = TrialFold(run=RUN)
        self.stored = {}
        self.reads = 0
        self._block = 0

    def update(self):
        return self.fold

    def trial(self, number):
        self.reads += 1
        return self.stored[number]

    def tell(self, name, **values) -> None:
        self._block += 1
        self.fold.apply(
            Event(
                name=name,
                args=SimpleNamespace(**values),
                address=COURT,
                block_number=self._block,
                block_hash=f"0x{self._block}",
                transaction_hash="0x00",
                log_index=0,
            )
        )

    def begins(self, stored: Trial, number=1) -> Trial:
        """Somebody is accused."""
        self.stored[number] = stored
        self.tell(
            "Accused",
            id=number,
            run=stored.run,
            round=stored.round_id,
            seat=stored.seat,
            accused=stored.accused,
            accuser=stored.accuser,
            classId=stored.class_id,
            ownRoot=stored.own_root,
        )
        return stored

    def goes_on(self, name, number=1, *, changes=None, **values) -> Trial:
        """Something happened in a trial."""
        self.stored[number] = replace(self.stored[number], **(changes or {}))
        self.tell(name, id=number, **values)
        return self.stored[number]

    def shows(self, digests, number=1) -> Trial:
        return self.goes_on(
            "TraceShown",
            number,
            changes={"state": TrialState.REPLY},
            defender=self.stored[number].accused,
            digests=list(digests),
        )

    def parts(self, index, before, accused, accuser, number=1, *, block=50) -> Trial:
        changes = {
            "state": TrialState.DRAW,
            "index": index,
            "before": before,
            "accused_digest": accused,
            "accuser_digest": accuser,
            "draw_block": block,
        }
        return self.goes_on(
            "Diverged",
            number,
            changes=changes,
            index=index,
            before=before,
            accusedDigest=accused,
            accuserDigest=accuser,
            drawBlock=block,
        )

    def seats(self, tickets: dict[str, int], number=1, *, level=0) -> Trial:
        return self.goes_on(
            "JurySeated",
            number,
            changes={"state": TrialState.SEAL, "level": level},
            level=level,
            jurors=list(tickets),
            tickets=list(tickets.values()),
            deadline=0,
        )

    def counts(self, verdict, number=1, *, level=0) -> Trial:
        return self.goes_on(
            "VotesCounted",
            number,
            changes={"state": TrialState.VERDICT, "verdict": verdict},
            level=level,
            verdict=verdict,
            appealUntil=0,
        )

    def ends(self, state, number=1, *, winner=ZERO_ADDRESS) -> Trial:
        return self.goes_on(
            "TrialEnded", number, changes={"state": state}, state=state, winner=winner
        )


class Clerk:
    """Writes down what it is told to send; `refuses` maps an act to an error."""

    def __init__(self, params, me=TRAINERS[0], court=None) -> None:
        self.run = SimpleNamespace(params=params, address=RUN)
        self.sender = SimpleNamespace(address=me)
        self.court = court or SimpleNamespace(address=COURT)
        self.sent = []
        self.refuses = {}
        self.gone = False

    def is_gone(self, _trial):
        return self.gone

    def claim(self):
        return 0

    def __getattr__(self, act):
        def send(*arguments, **named):
            if act in self.refuses:
                raise self.refuses[act]
            self.sent.append((act, *arguments, *named.items()))
            return SimpleNamespace(gas_used=1)

        return send

    @property
    def acts(self):
        return [one[0] for one in self.sent]


class Beacon:
    """A beacon that says one thing."""

    def __init__(self, *, predictable=False, head=100, said=None) -> None:
        self.is_predictable = predictable
        self.head = head
        self.said = said or digest(33)
        self.asked = Counter()

    def head_number(self):
        return self.head

    def header_of(self, block):
        return b"" if self.is_predictable else b"header %d" % block

    def draw(self, round_id, block):
        self.asked[(round_id, block)] += 1
        return self.said if self.is_predictable or self.head >= block else None


def bench_of(clerk, *, rank=0, told=None, clock=None) -> TrialBench:
    """A bench whose desk's threads are real and whose clock is a list's first element."""
    clock = clock if clock is not None else [0.0]
    report = say_nothing
    if told is not None:

        def report(name, **values):
            told.append((name, values))

    return TrialBench(
        clerk=clerk,
        desk=Desk(done=lambda: None, clock=lambda: clock[0]),
        rank=rank,
        report=report,
        wake=lambda: None,
        clock=lambda: clock[0],
    )


class Watched:
    """A watch with some roles, and all that it does written down."""

    def __init__(self, made: Round, court: Court, *, me=TRAINERS[0], rank=0) -> None:
        self.made, self.court = made, court
        self.clerk = Clerk(made.fold.params, me, court)
        self.told, self.clock, self.roles = [], [0.0], []
        self.bench = bench_of(self.clerk, rank=rank, told=self.told, clock=self.clock)
        self._watch = None

    @property
    def watch(self) -> TrialWatch:
        if self._watch is None:
            self._watch = TrialWatch(self.bench, self.court, self.court, self.roles)
        return self._watch

    def look(self, view=None) -> None:
        """Look until nothing runs any more and nothing new is begun."""
        view = view or self.made.view()
        begun = None
        for _ in range(30):
            self.watch.look(view)
            jobs = dict(self.bench.desk._jobs)
            for job in jobs.values():
                job.future.exception(timeout=10)
            if begun == jobs.keys():
                return
            begun = jobs.keys()
        raise AssertionError("never quiet")

    @property
    def docket(self) -> Docket:
        return Docket(fold=self.court.fold, pending=self.watch._open_trials(self.court.fold))

    @property
    def acts(self):
        return self.clerk.acts

    @property
    def said(self):
        return [name for name, _ in self.told]

    def close(self) -> None:
        self.watch.close()
