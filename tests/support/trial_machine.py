# ruff: noqa: PT017 (a call may be refused or not; what it says is checked either way)
"""The machine of a run, with the real training court: docs/invariants.md, T1 to T7.

Seat 1 makes its training up, everybody else trains as assigned, so that the machine knows which
accusation is right. It follows each trial by the events of all transactions.
"""

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from protocol.rounds import Phase
from support.evm import Receipt, Reverted
from support.run_invariants import AGGREGATORS, CREW, FINAL, SEEN, refusals
from support.run_machine import RunMachine
from support.runs import ATTACKER, ETHER, KEEPER, MERGE_COURT, SPONSOR, WITNESS, Person
from support.trials import (
    ACQUITTED,
    CONVICTED,
    DEFENCE,
    DIFFERENT,
    DRAW,
    ENDS,
    HUNG,
    MOOT,
    REPLY,
    SAME,
    SEAL,
    VERDICT,
    TrialGame,
    TrialRun,
    check_books,
)

CHEAT, FROM = 1, 3
picks = st.integers(0, 11)
# What a jury does: all honest, a minority that lies or keeps silent, all bought, nobody there.
manners = st.sampled_from(
    ["honest", "honest", "honest", "few lie", "few silent", "bought", "silent"]
)


@dataclass(eq=False, kw_only=True)
class Case:
    """One trial: what is true of it, and what the machine saw last."""

    game: TrialGame
    began: int
    is_right: bool
    seen: Any
    honest: bool = True
    by_clock: bool = False

    @property
    def is_open(self) -> bool:
        return int(self.seen.state) < CONVICTED

    @property
    def truth(self) -> bytes:
        """The digest that an honest juror finds."""
        trial = self.game.trial
        return bytes(trial.accuserDigest if self.is_right else trial.accusedDigest)

    @property
    def lie(self) -> bytes:
        trial = self.game.trial
        return bytes(trial.accusedDigest if self.is_right else trial.accuserDigest)


class TrialMachine(RunMachine):
    """A run of five trainers, one of whom cheats, with a court that asks juries."""

    run: TrialRun

    def __init__(self) -> None:
        super().__init__()
        assert self.stage.training_court is not None
        self.court = self.stage.training_court
        self.cases: list[Case] = []
        self.counted: Counter[tuple[Any, ...]] = Counter()
        self.transact = self.evm.transact
        self.evm.transact = self.watched  # type: ignore[method-assign]

    def teardown(self) -> None:
        self.evm.transact = self.transact  # type: ignore[method-assign]
        super().teardown()

    @initialize(
        segments=st.sampled_from([1, 2]),
        slash=st.sampled_from([1_000, 10_000]),
        ring=st.sampled_from([3, 5]),
    )
    def make(self, segments: int, slash: int, ring: int) -> None:  # type: ignore[override]
        contract = self.stage.create_contract(
            reward_wei=30 * ETHER,
            segments=segments,
            slashBps=slash,
            ringSize=ring,
            maxRounds=40,
            absenceGrace=2,
            noRevealFeeGwei=10**8,
        )
        self.run = TrialRun(stage=self.stage, contract=contract, cheats={CHEAT: FROM})
        self.contract = contract
        for i, person in enumerate(CREW):
            self.run.enroll(person, (i + 1) * 5 * 10**8)
        for person in AGGREGATORS:
            self.evm.fund(person.address)
            self.run.deposit_bond(person, 8)
        self.court.fundAudits(contract.address, sender=SPONSOR.address, value=10**16)

    # --- what happened

    def watched(self, **transaction: Any) -> tuple[Receipt, str | None]:
        """Every transaction, and what it did to trials."""
        receipt, address = self.transact(**transaction)
        ended = {e.id for e in receipt.all("TrialEnded")}
        for event in receipt.events:
            if event.name == "TrialEnded":
                self.on_end(event)
            elif event.name == "RoundFinalized":
                self.on_final(event)
            elif event.name in ("JurorPaid", "JurorFined"):
                self.once(event.name, event.id, event.level, event.juror)
            elif event.name == "FindingPosted":
                self.once(
                    "found",
                    event.round,
                    event.seat,
                    self.contract.frozenSeed(event.round),
                    self.contract.inputsHash(event.round, 0),
                )
            elif event.name == "UpdateConvicted" and ended:
                self.on_conviction(event)
        return receipt, address

    def once(self, *what: Any) -> None:
        self.counted[what] += 1
        assert self.counted[what] == 1, "T5"
        SEEN[str(what[0])] += 1

    def on_end(self, event: Any) -> None:
        case = next(c for c in self.cases if c.game.id == event.id)
        before, state = case.seen, int(event.state)
        assert case.is_open, "T4"
        case.seen = case.game.trial
        SEEN[f"trial {('convicted', 'acquitted', 'hung', 'moot')[ENDS.index(state)]}"] += 1
        late = self.evm.now() > before.deadline
        if state == MOOT:
            assert not self.stands(case), "T7"
        elif not self.court.tallies(event.id, 0).seated:
            # Nobody could judge, or a side was silent.
            assert late or state == HUNG, "T7"
        elif case.honest and state != HUNG:
            assert state == (CONVICTED if case.is_right else ACQUITTED), "T2"

    def on_conviction(self, event: Any) -> None:
        SEEN["convicted by trial"] += 1
        assert event.trainer in {p.address for p in CREW}

    def on_final(self, event: Any) -> None:
        if self.contract.getRound(event.round).status == FINAL:
            open_ = [c for c in self.cases if c.is_open and c.game.round_id == event.round]
            assert not any(self.stands(c) for c in open_), "T6"

    def stands(self, case: Case) -> bool:
        """Whether the run still has the updates that the trial is about."""
        trial = case.seen
        seed = self.contract.frozenSeed(trial.round)
        if bytes(seed) == bytes(32) or seed != trial.seed:
            return False
        same = self.contract.inputsHash(trial.round, trial.segment) == trial.inputsHash
        return bool(same)

    def open_cases(self) -> list[Case]:
        return [case for case in self.cases if case.is_open]

    def pick(self, number: int) -> Case | None:
        found = self.open_cases()
        return found[number % len(found)] if found else None

    # --- trials

    def rounds(self) -> list[int]:
        """Rounds whose updates the machine can show."""
        newest = self.now.round
        return [
            n
            for n in range(max(1, newest - 2), newest + 1)
            if n in self.run.headers
            and bytes(self.contract.frozenSeed(n)) != bytes(32)
            and self.stands_by(n)
        ]

    def stands_by(self, number: int) -> bool:
        hashes = [sha256(raw).digest() for raw in self.run.inputs[number]]
        return all(
            self.contract.inputsHash(number, segment) == digest
            for segment, digest in enumerate(hashes)
        )

    @precondition(lambda self: self.rounds())
    @rule(
        back=picks,
        seat=st.sampled_from([0, 1, 1, 1, 2]),
        who=st.sampled_from([WITNESS, ATTACKER, CREW[3]]),
    )
    def accuse(self, back: int, seat: int, who: Person) -> None:
        """A cheat by who knows the truth, or an honest trainer by who made something up."""
        rounds = self.rounds()
        if not rounds:
            return
        number = rounds[-1 - back % len(rounds)]
        if all(entry.seat != seat for entry in self.run.roll(number)):
            return
        right = seat == CHEAT
        game = TrialGame(self.run, number, seat, accuser=who, false_from=None if right else 2)
        with refusals():
            game.accuse()
            case = Case(game=game, began=self.evm.now(), is_right=right, seen=game.trial)
            self.cases.append(case)
            SEEN["accused"] += 1

    @precondition(lambda self: self.open_cases())
    @rule(pick=picks, moves=st.integers(1, 6), manner=manners)
    def go_on_with_trial(self, pick: int, moves: int, manner: str) -> None:
        case = self.pick(pick)
        for _ in range(moves):
            if case is not None and case.is_open:
                self.move(case, manner)

    def move(self, case: Case, manner: str = "honest") -> None:
        """Whatever comes next in a trial."""
        game = case.game
        try:
            if not self.stands(case):
                game.advance()
                return
            state = game.state
            if state == DEFENCE:
                game.show(sender=self.holder(case))
            elif state == REPLY:
                game.answer()
            elif state == DRAW:
                game.seat_jury()
            elif state == SEAL:
                self.judge(case, manner)
            else:
                game.run_out()
        except Reverted as error:
            assert error.name in ("ClockRanOut", "BondTooSmall"), error
            game.advance()
        finally:
            case.seen = game.trial

    def holder(self, case: Case) -> Person:
        """Who defends: the accused, or a friend where its key is gone."""
        return KEEPER if case.game.id % 3 == 0 else case.game.accused

    def judge(self, case: Case, manner: str) -> None:
        game = case.game
        jury = sorted(game.jury, key=lambda person: game.jury[person])
        few: list[Person] = []
        for person in jury:
            if 2 * sum(game.jury[p] for p in [*few, person]) < sum(game.jury.values()):
                few.append(person)
        votes = dict.fromkeys(jury, case.truth)
        if manner == "few lie":
            votes |= dict.fromkeys(few, case.lie)
        elif manner == "few silent":
            votes = {p: v for p, v in votes.items() if p not in few}
        elif manner == "bought":
            votes = dict.fromkeys(jury, case.lie)
        elif manner == "silent":
            votes = {}
        case.honest = manner in ("honest", "few lie", "few silent")
        SEEN[f"jury {manner}"] += 1
        if not votes:
            game.run_out()
            return
        for receipt in game.vote(votes):
            case.seen = game.trial if case.is_open and not receipt.all("TrialEnded") else case.seen

    @rule(
        seat=st.sampled_from([CHEAT, 0]),
        who=st.sampled_from([WITNESS, ATTACKER]),
        manner=manners,
        again=st.sampled_from([None, None, "honest", "bought", "silent"]),
        proposed=st.booleans(),
    )
    def litigate(
        self, seat: int, who: Person, manner: str, again: str | None, proposed: bool
    ) -> None:
        """The shortest way to a round, a trial in it, and its end."""
        wanted = (Phase.IDLE, Phase.MERGE) if proposed else (Phase.MERGE,)
        for _ in range(6):
            if self.now.phase in wanted and self.rounds():
                break
            self.go_on(1)
        count = len(self.cases)
        self.accuse(back=0, seat=seat, who=who)
        if len(self.cases) == count:
            return
        case = self.cases[-1]
        for _ in range(4):
            if case.is_open:
                self.move(case, manner)
        if again is not None and case.is_open:
            self.appeal(pick=self.open_cases().index(case), who=KEEPER, manner=again)
        while case.is_open:
            self.move(case, manner)
        self.settle_jurors(pick=count)
        self.fine_auditor(pick=count)

    @precondition(lambda self: self.open_cases())
    @rule(pick=picks, who=st.sampled_from([KEEPER, WITNESS, ATTACKER]), manner=manners)
    def appeal(self, pick: int, who: Person, manner: str) -> None:
        case = self.pick(pick)
        if case is None or case.game.state != VERDICT:
            return
        with refusals():
            case.game.appeal(who)
            SEEN["appealed"] += 1
        case.seen = case.game.trial
        for _ in range(2):
            if case.is_open:
                self.move(case, manner)

    @precondition(lambda self: self.open_cases())
    @rule(pick=picks)
    def run_out(self, pick: int) -> None:
        """A side, or a jury, is late."""
        case = self.pick(pick)
        if case is not None:
            case.game.run_out()
            case.seen = case.game.trial

    @precondition(lambda self: self.open_cases())
    @rule(pick=picks)
    def advance_early(self, pick: int) -> None:
        case = self.pick(pick)
        if case is None:
            return
        try:
            case.game.advance()
        except Reverted as error:
            assert error.name == "ClockStillRuns", "T7"
        else:
            case.seen = case.game.trial

    @precondition(lambda self: self.cases)
    @rule(pick=picks)
    def settle_jurors(self, pick: int) -> None:
        """Pay and fine whom one can, twice."""
        case = self.cases[pick % len(self.cases)]
        wrong = []
        for level in (0, 1):
            for person in CREW:
                for _ in range(2):
                    with refusals():
                        self.court.payJuror(
                            case.game.id, level, person.address, sender=KEEPER.address
                        )
                    with refusals():
                        self.court.fineJuror(
                            case.game.id, level, person.address, sender=KEEPER.address
                        )
                        wrong.append(self.court.jurors(case.game.id, level, person.address))
        for juror in wrong:
            right = (
                case.seen.accuserDigest if case.seen.state == CONVICTED else case.seen.accusedDigest
            )
            assert not (juror.opened and juror.vote == right), "T2"
        if not case.is_open:
            assert case.game.trial.jurorsWei == 0, "T1"

    @precondition(lambda self: self.rounds())
    @rule(honest=st.booleans())
    def post_findings(self, honest: bool) -> None:
        number = self.rounds()[-1]
        for seat, auditor in self.run.auditors(number).items():
            finding = DIFFERENT if honest and seat == CHEAT else SAME
            with refusals():
                self.run.post_findings(number, [self.run.finding(number, seat, finding, auditor)])

    @precondition(lambda self: self.cases)
    @rule(pick=picks)
    def fine_auditor(self, pick: int) -> None:
        case = self.cases[pick % len(self.cases)]
        with refusals():
            said = self.court.fineAuditor(case.game.id, sender=KEEPER.address).only("AuditorFined")
            self.once("auditor fined", said.round, said.seat, case.seen.seed, case.seen.inputsHash)

    @rule(who=st.sampled_from([*CREW, WITNESS, ATTACKER, KEEPER]))
    def claim_of_court(self, who: Person) -> None:
        with refusals():
            self.court.claim(sender=who.address)

    # Rules that would only take time here: the plain machine has them.
    begin_trial = end_trial = fine = None  # type: ignore[assignment]
    # T4 counts the trials of the real court.
    r12_trials_are_counted = None  # type: ignore[assignment]
    convict_update = list_aggregator = fund = halt = unbond = post = freeze_with_reveals = None  # type: ignore[assignment]

    @rule(back=st.integers(0, 3), seat=st.integers(0, 3))
    def convict_norm(self, back: int, seat: int) -> None:
        """The merge court convicts an update for another reason."""
        number = self.now.round - back
        if number < 1 or seat not in self.taken():
            return
        trainer = self.contract.seats(seat).trainer
        with refusals():
            self.contract.convictUpdate(
                number, seat, trainer, WITNESS.address, sender=MERGE_COURT.address
            )

    # --- what must stay true

    @invariant()
    def t1_the_court_is_solvent(self) -> None:
        check_books(self.court, self.contract.address)

    @invariant()
    def t4_the_run_counts_what_goes_on(self) -> None:
        counts = Counter(case.game.round_id for case in self.open_cases())
        for number in {case.game.round_id for case in self.cases}:
            assert self.contract.openTrials(number) == counts[number], "T4"

    def end_all(self) -> None:
        """Anybody, by the clock alone."""
        for _ in range(8):
            for case in self.open_cases():
                case.began = self.evm.now()
                case.game.run_out()
                if case.is_open:
                    case.seen = case.game.trial

    def r4_there_is_an_exit(self) -> None:  # type: ignore[override]
        """R4, T3: with time, anybody ends every trial, and the run goes on."""
        if not hasattr(self, "run"):
            return
        before = self.evm.snapshot()
        kept = dict(self.run.inputs), dict(self.run.headers)
        cases = [(case, case.seen, case.began) for case in self.cases]
        counted, seen = Counter(self.counted), Counter(SEEN)
        try:
            self.end_all()
            assert not self.open_cases(), "T3"
            self.leave_phase()
        finally:
            self.evm.revert(before)
            self.run.inputs, self.run.headers = kept
            for case, trial, began in cases:
                case.seen, case.began = trial, began
            self.counted = counted
            SEEN.clear()
            SEEN.update(seen)
