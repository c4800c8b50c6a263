# ruff: noqa: PT017 (a call may be refused or not; what it says is checked either way)
"""Random roles, calls and times against the real contracts; docs/invariants.md has the numbers."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from protocol.rounds import Phase, bitmap_of, seats_in
from support.evm import Reverted
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GUARDIAN,
    GWEI,
    KEEPER,
    MERGE_COURT,
    SPONSOR,
    TRAINERS,
    TRAINING_COURT,
    WITNESS,
    Person,
    Stage,
)

CREW = TRAINERS[:5]
AGGREGATORS = (AGGREGATOR, Person("second aggregator"))
EVERYBODY = (
    *CREW, *AGGREGATORS, SPONSOR, GUARDIAN, ATTACKER, KEEPER, MERGE_COURT, TRAINING_COURT, WITNESS
)  # fmt: skip
PROPOSED, FINAL = 2, 3
THOROUGH = bool(os.environ.get("COMMONWEIGHT_THOROUGH"))

people = st.sampled_from(CREW)
subsets = st.sets(st.integers(0, 4), max_size=5)
STAGE: list[Stage] = []
SEEN: Counter[str] = Counter()


@contextmanager
def refusals() -> Iterator[None]:
    """A contract may refuse, with a reason of its own; arithmetic or an empty revert is a bug."""
    try:
        yield
    except Reverted as error:
        assert error.name not in ("Panic", ""), error
        SEEN[error.name] += 1


class RunMachine(RuleBasedStateMachine):
    """A run of five trainers and two aggregators, and what must stay true of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = STAGE[0]
        self.evm = self.stage.evm
        self.before = self.evm.snapshot()
        self.stakes: dict[tuple[int, str], int] = {}
        self.credited: dict[tuple[int, int], int] = {}
        self.convictions: set[tuple[int, int]] = set()
        self.headers: dict[int, int] = {}

    def teardown(self) -> None:
        self.evm.revert(self.before)

    # --- the start

    @initialize(
        segments=st.sampled_from([1, 3]),
        slash=st.sampled_from([1_000, 10_000]),
        ring=st.sampled_from([3, 5]),
        keeper=st.sampled_from([0, 10**15, ETHER]),
    )
    def make(self, segments: int, slash: int, ring: int, keeper: int) -> None:
        self.run = self.stage.create_run(
            reward_wei=30 * ETHER,
            keeper_wei=keeper,
            segments=segments,
            slashBps=slash,
            ringSize=ring,
            maxRounds=40,
            maxTrainers=4,
            absenceGrace=1,
            noRevealFeeGwei=4 * 10**8,
        )
        self.contract = self.run.contract
        for i, person in enumerate(CREW[:3]):
            self.run.enroll(person, (i + 1) * 5 * 10**8)
        for person in AGGREGATORS:
            self.evm.fund(person.address)
            self.run.deposit_bond(person, 5)

    # --- small helpers

    @property
    def now(self) -> Any:
        return self.contract.current()

    def taken(self) -> list[int]:
        return list(seats_in(self.contract.seatsUsed()))

    def did(self, progress: int) -> list[int]:
        """Seats of the roster that got this far in the open attempt."""
        attempt = self.now.attempt
        roster = seats_in(self.contract.roster())
        found = [(seat, self.contract.submissions(seat)) for seat in roster]
        return [seat for seat, s in found if s.attempt == attempt and s.progress == progress]

    def silent(self) -> list[int]:
        attempt = self.now.attempt
        roster = seats_in(self.contract.roster())
        return [s for s in roster if self.contract.submissions(s).attempt != attempt]

    def in_phase(self, *phases: Phase) -> bool:
        return self.now.phase in phases

    # --- people

    @rule(person=people, gwei=st.sampled_from([10**8, 10**9, 6 * 10**9]))
    def enroll(self, person: Person, gwei: int) -> None:
        with refusals():
            seat = self.run.enroll(person, gwei)
            self.stakes[seat, person.address] = gwei

    @rule(person=people)
    def leave(self, person: Person) -> None:
        with refusals():
            self.contract.leaveRoster(sender=person.address)

    @rule(seat=st.integers(0, 4))
    def release(self, seat: int) -> None:
        with refusals():
            released = self.contract.release(seat, sender=ATTACKER.address).only("Released")
            self.stakes.pop((seat, released.trainer), None)

    @rule(person=people)
    def unbond(self, person: Person) -> None:
        _, release_at = self.run.vault.unbondingOf(self.contract.address, person.address)
        try:
            self.run.vault.release(self.contract.address, person.address, sender=ATTACKER.address)
        except Reverted as error:
            assert error.name in ("StillUnbonding", "NothingToMove")
        else:
            assert self.evm.now() >= release_at, "V3"

    @rule(who=st.sampled_from(EVERYBODY))
    def claim(self, who: Person) -> None:
        free = self.contract.accounts(who.address).freeWei
        try:
            self.contract.claim(sender=who.address)
        except Reverted as error:
            assert (error.name, free) == ("NothingToClaim", 0)

    @rule(who=st.sampled_from(AGGREGATORS), join=st.booleans())
    def list_aggregator(self, who: Person, join: bool) -> None:
        method = "registerAggregator" if join else "leaveAggregators"
        with refusals():
            self.contract.send(method, sender=who.address)

    @rule(wei=st.integers(0, ETHER))
    def fund(self, wei: int) -> None:
        self.contract.fund(wei // 2, sender=SPONSOR.address, value=wei)

    # --- a round

    @precondition(lambda self: self.in_phase(Phase.IDLE))
    @rule()
    def open(self) -> None:
        with refusals():
            self.run.open()

    @precondition(lambda self: self.in_phase(Phase.COMMIT) and self.silent())
    @rule(which=subsets, relayed=st.booleans())
    def commit(self, which: set[int], relayed: bool) -> None:
        chosen = [s for s in self.silent() if s in which] or self.silent()
        with refusals():
            if relayed:
                self.run.commit_batch(chosen)
            else:
                self.run.commit(chosen[0])

    @precondition(lambda self: self.in_phase(Phase.COMMIT) and self.silent())
    @rule(seat=st.integers(0, 4))
    def dissent(self, seat: int) -> None:
        with refusals():
            self.run.dissent(self.silent()[seat % len(self.silent())])

    @precondition(lambda self: self.in_phase(Phase.REVEAL) and self.did(1))
    @rule(which=subsets)
    def reveal(self, which: set[int]) -> None:
        committed = self.did(1)
        with refusals():
            self.run.reveal([s for s in committed if s in which] or committed)

    @precondition(lambda self: self.in_phase(Phase.AUDIT))
    @rule(available=subsets, late=st.booleans(), everything=st.booleans())
    def freeze(self, available: set[int], late: bool, everything: bool) -> None:
        revealed = self.did(2)
        attesters = list(seats_in(self.contract.roster()))
        seen = revealed if everything else sorted(available)
        if late:
            self.run.pass_deadline()
        with refusals():
            self.run.freeze(revealed, attesters=attesters, available=seen)

    @precondition(lambda self: self.in_phase(Phase.REVEAL))
    @rule(attesters=subsets)
    def freeze_with_reveals(self, attesters: set[int]) -> None:
        roster = seats_in(self.contract.roster())
        who = [seat for seat in roster if seat in attesters] or list(roster)
        with refusals():
            self.run.freeze_with_reveals(self.did(1), attesters=who)
            SEEN["frozen at once"] += 1

    @precondition(lambda self: self.in_phase(Phase.AUDIT))
    @rule(available=subsets)
    def post(self, available: set[int]) -> None:
        roster = list(seats_in(self.contract.roster()))
        group = self.run.attestation_group(roster, bitmap_of(available))  # type: ignore[arg-type]
        with refusals():
            self.contract.postAttestations(self.now.attempt, [group], sender=KEEPER.address)

    @precondition(lambda self: self.in_phase(Phase.MERGE))
    @rule(who=st.sampled_from(AGGREGATORS), turns=st.integers(0, 3))
    def propose(self, who: Person, turns: int) -> None:
        self.evm.sleep(turns * 60)
        with refusals():
            self.make_proposal(who)

    def make_proposal(self, who: Person = AGGREGATOR) -> None:
        self.run.propose(who)

    @rule()
    def advance(self) -> None:
        with refusals():
            self.contract.advance(sender=KEEPER.address)

    @rule(early=st.booleans())
    def finalize(self, early: bool) -> None:
        number = self.contract.totals().lastFinal + 1
        if number > self.now.round:
            return
        if not early:
            self.run.pass_dispute(number)
        with refusals():
            self.check_payment(number, self.run.finalize(number))

    def check_payment(self, number: int, receipt: Any) -> None:
        """R5."""
        paid = receipt.only("RoundFinalized").paidWei
        rewards = receipt.all("RewardCredited")
        assert paid == sum(e.amountWei for e in rewards) <= self.run.params.rewardPerRoundWei, "R5"
        SEEN["paid"] += bool(rewards)
        if rewards:
            assert self.contract.getRound(number).status == FINAL
        entries = b"".join(self.run.inputs.get(number, []))
        guilty = self.contract.convicted(number)
        honest = [
            "0x" + entries[i : i + 20].hex()
            for i in range(0, len(entries), 88)
            if not guilty >> entries[i + 20] & 1
        ]
        if rewards:
            assert [e.trainer.lower() for e in rewards] == honest, "R5"

    @rule(seconds=st.sampled_from([1, 100, 601, 1_300, 10_001]))
    def wait(self, seconds: int) -> None:
        self.evm.sleep(seconds)

    @rule(steps=st.integers(1, 5))
    def go_on(self, steps: int) -> None:
        """The honest way: whatever comes next, several times."""
        for _ in range(steps):
            phase = self.now.phase
            SEEN[Phase(phase).name] += 1
            with refusals():
                if phase == Phase.IDLE:
                    self.finalize(early=False)
                    self.run.open()
                elif phase == Phase.COMMIT:
                    self.run.commit_batch(self.silent())
                elif phase == Phase.REVEAL:
                    self.run.reveal(self.did(1))
                elif phase == Phase.AUDIT:
                    self.freeze(available=set(), late=False, everything=True)
                elif phase == Phase.MERGE:
                    self.evm.sleep(120)
                    self.make_proposal()

    @rule()
    def go_on_to_the_end_of_the_round(self) -> None:
        self.go_on(5)

    # --- control

    @rule(back=st.integers(0, 3), seat=st.integers(0, 3))
    def convict_update(self, back: int, seat: int) -> None:
        number = self.now.round - back
        if number < 0 or seat not in self.taken():
            return
        trainer = self.contract.seats(seat).trainer
        known = self.contract.convicted(number) >> seat & 1
        try:
            self.contract.convictUpdate(
                number, seat, trainer, WITNESS.address, sender=TRAINING_COURT.address
            )
        except Reverted as error:
            assert error.name in ("AlreadyConvicted", "WrongRound"), error
        else:
            SEEN["convicted update"] += 1
            assert not known, "R9"

    @rule(pick=st.integers(0, 3))
    def convict_merge(self, pick: int) -> None:
        final, newest = self.contract.totals().lastFinal, self.now.round
        proposed = [
            n for n in range(final + 1, newest + 1) if self.contract.getRound(n).status == PROPOSED
        ]
        if proposed:
            number = proposed[pick % len(proposed)]
            self.contract.convictMerge(number, WITNESS.address, sender=MERGE_COURT.address)
            SEEN["convicted merge"] += 1

    @precondition(lambda self: self.in_phase(Phase.COMMIT) and self.silent())
    @rule()
    def dissent_together(self) -> None:
        with refusals():
            for seat in self.silent():
                reopened = self.run.dissent(seat).all("MergeReopened")
                SEEN["merge rejected"] += len(reopened)

    @precondition(lambda self: self.contract.totals().lastConviction != 0)
    @rule(back=st.integers(1, 3))
    def rollback(self, back: int) -> None:
        number = self.now.round - back
        if number >= 0:
            with refusals():
                self.contract.rollback(number, sender=GUARDIAN.address)
                SEEN["rollback"] += 1

    @rule(halted=st.sampled_from([False, False, False, True]))
    def halt(self, halted: bool) -> None:
        self.contract.halt(halted, sender=GUARDIAN.address)

    # --- what must stay true

    @invariant()
    def v1_the_vault_is_solvent(self) -> None:
        vault, run = self.run.vault, self.contract.address
        owed = vault.burnedWei()
        for person in EVERYBODY:
            owed += vault.freeOf(person.address)
            owed += vault.lockedOf(run, person.address)
            owed += vault.unbondingOf(run, person.address)[0]
        assert self.evm.balance(vault.address) == owed, "V1"

    @invariant()
    def r1_the_run_is_solvent(self) -> None:
        accounts = [self.contract.accounts(p.address) for p in EVERYBODY]
        owed = (
            self.contract.rewardPoolWei()
            + self.now.keeperGwei * GWEI
            + self.contract.burnedWei()
            + sum(a.freeWei + a.lockedWei for a in accounts)
        )
        assert self.evm.balance(self.contract.address) == owed, "R1"

    @invariant()
    def r2_r6_r7_seats_are_backed(self) -> None:
        leaving, enrolled = self.contract.leaving(), 0
        for seat in self.taken():
            trainer, stake, *_ = self.contract.seats(seat)
            locked = self.run.vault.lockedOf(self.contract.address, trainer)
            assert stake * GWEI <= locked, "R2"
            assert stake <= self.stakes.get((seat, trainer), stake), "R6"
            self.stakes[seat, trainer] = stake
            if not leaving >> seat & 1:
                enrolled += stake
        assert self.contract.totals().enrolledStakeGwei == enrolled, "R7"
        if self.now.phase != Phase.IDLE:
            assert self.contract.roster() & ~self.contract.seatsUsed() == 0, "R7"

    @invariant()
    def r3_bonds(self) -> None:
        totals, current = self.contract.totals(), self.now
        bond = self.run.params.proposerBondGwei * GWEI
        oldest = max(0, current.round - self.run.params.ringSize + 1)
        proposed = sum(
            self.contract.getRound(n).status == PROPOSED for n in range(oldest, current.round + 1)
        )
        bonds = (proposed + len(self.contract.aggregators())) * bond
        assert bonds == sum(self.contract.accounts(p.address).lockedWei for p in EVERYBODY), "R3"
        assert totals.lastFinal <= current.round, "R8"
        assert current.round - totals.lastFinal < self.run.params.ringSize, "R8"

    @invariant()
    def r4_there_is_an_exit(self) -> None:
        if not hasattr(self, "run"):
            return
        before = self.evm.snapshot()
        kept = dict(self.run.inputs)
        try:
            self.leave_phase()
        finally:
            self.evm.revert(before)
            self.run.inputs = kept

    def leave_phase(self) -> None:
        """R4: with time, and nobody's help but the evidence that is public, the phase ends."""
        phase = self.now.phase
        if phase == Phase.IDLE:
            return self.settle_and_open()
        self.run.pass_deadline()
        if phase == Phase.AUDIT:
            self.run.freeze(self.did(2), groups=[])
        else:
            self.contract.advance(sender=ATTACKER.address)
        assert self.now.phase != phase, "R4"
        return None

    def settle_and_open(self) -> None:
        while self.contract.totals().lastFinal < self.now.round:
            number = self.contract.totals().lastFinal + 1
            self.run.pass_dispute(number)
            self.run.finalize(number)
        try:
            self.run.open()
        except Reverted as error:
            waits = ("RunStopped", "RunComplete", "TooFewTrainers", "InsufficientFunds")
            assert error.name in waits, "R4"


def play(machine: type[RunMachine], *, examples: int, steps: int) -> None:
    """Run a machine; with COMMONWEIGHT_THOROUGH 16 times as many examples, twice as long."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=16 * examples if THOROUGH else examples,
            stateful_step_count=2 * steps if THOROUGH else steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Shrinking takes minutes; the blob that a failure prints replays it.
            phases=list(HypothesisPhase)
            if THOROUGH
            else [HypothesisPhase.explicit, HypothesisPhase.generate],
            print_blob=True,
        ),
    )
    print(sorted(SEEN.items()))
