# ruff: noqa: PT017 (a call may be refused or not; what it says is checked either way)
"""Random roles, calls and times against the real contracts; docs/invariants.md has the numbers."""

import os
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from protocol.rounds import Opinion, Phase, bitmap_of, seats_in
from protocol.types import Seat
from support.evm import Reverted
from support.run_invariants import (
    AGGREGATORS,
    CREW,
    EVERYBODY,
    FAILED,
    SEEN,
    RunInvariants,
    refusals,
)
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    ETHER,
    GUARDIAN,
    KEEPER,
    MERGE_COURT,
    SPONSOR,
    TRAINING_COURT,
    WITNESS,
    Person,
)

MOST_TRIALS = 3
THOROUGH = bool(os.environ.get("COMMONWEIGHT_THOROUGH"))

people = st.sampled_from(CREW)
subsets = st.sets(st.integers(0, 4), max_size=5)
# What each attester in turn calls harmful: nobody anything, all the same, each its own.
harms = st.one_of(
    st.just(()),
    st.integers(1, 15).map(lambda bits: (bits,) * 4),
    st.lists(st.sampled_from([0, 1, 3, 7, 31]), max_size=4).map(tuple),
)


class RunMachine(RunInvariants):
    """A run of five trainers and two aggregators, and what must stay true of it."""

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
    @rule(available=subsets, late=st.booleans(), everything=st.booleans(), harm=harms)
    def freeze(
        self,
        available: set[int],
        late: bool,
        everything: bool,
        harm: tuple[int, ...] = (),
    ) -> None:
        revealed = self.did(2)
        attesters = list(seats_in(self.contract.roster()))
        seen = revealed if everything else sorted(available)
        if late:
            self.run.pass_deadline()
        opinions = self.opinions(attesters, bitmap_of(seen), harm)
        with refusals():
            groups = self.groups(opinions)
            self.on_frozen(self.run.freeze(revealed, groups=groups), opinions)

    @precondition(lambda self: self.in_phase(Phase.REVEAL))
    @rule(attesters=subsets, harm=harms)
    def freeze_with_reveals(self, attesters: set[int], harm: tuple[int, ...]) -> None:
        roster = seats_in(self.contract.roster())
        who = [seat for seat in roster if seat in attesters] or list(roster)
        opinions = self.opinions(who, bitmap_of(self.did(1)), harm)
        with refusals():
            groups = self.groups(opinions)
            self.on_frozen(self.run.freeze_with_reveals(self.did(1), groups=groups), opinions)
            SEEN["frozen at once"] += 1

    @precondition(lambda self: self.in_phase(Phase.AUDIT))
    @rule(attesters=subsets, available=subsets, harm=harms)
    def post(self, attesters: set[int], available: set[int], harm: tuple[int, ...]) -> None:
        roster = seats_in(self.contract.roster())
        who = [seat for seat in roster if seat in attesters] or list(roster)
        opinions = self.opinions(who, bitmap_of(available), harm)
        before, told = self.contract.posted(self.now.attempt), self.tally(opinions)
        with refusals():
            groups = self.groups(opinions)
            self.contract.postAttestations(self.now.attempt, groups, sender=KEEPER.address)
            after = self.contract.posted(self.now.attempt)
            assert after.available == before.available | told.available, "R11"
            assert after.harmful == before.harmful | told.harmful, "R11"
            SEEN["posted"] += 1

    def opinions(
        self, attesters: Sequence[int], available: int, harm: tuple[int, ...]
    ) -> dict[Seat, Opinion]:
        """The same of what is available; of harm each attester has its own."""
        own = (*harm, *[0] * len(attesters))
        return {
            Seat(seat): Opinion(available=available, harmful=bits)
            for seat, bits in zip(attesters, own, strict=False)
        }

    def groups(self, opinions: dict[Seat, Opinion]) -> list[Any]:
        """Signed, and grouped by what they say."""
        return [
            self.run.attestation_group(
                [seat for seat, said in opinions.items() if said == one],
                one.available,
                one.harmful,
            )
            for one in dict.fromkeys(opinions.values())
        ]

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
            receipt = self.run.finalize(number)
            is_failed = self.contract.getRound(number).status == FAILED
            assert is_failed or number not in self.trials, "R12"
            self.check_payment(number, receipt)

    @rule(seconds=st.sampled_from([1, 100, 601, 1_300, 10_001]))
    def wait(self, seconds: int) -> None:
        self.evm.sleep(seconds)

    @rule(steps=st.integers(1, 5), harm=harms)
    def go_on(self, steps: int, harm: tuple[int, ...] = ()) -> None:
        """The honest way, several times: whatever comes next; the oldest round has no trials."""
        for _ in range(steps):
            phase = self.now.phase
            SEEN[Phase(phase).name] += 1
            with refusals():
                if phase == Phase.IDLE:
                    self.end_trials_of(self.contract.totals().lastFinal + 1)
                    self.finalize(early=False)
                    self.run.open()
                elif phase == Phase.COMMIT:
                    self.run.commit_batch(self.silent())
                elif phase == Phase.REVEAL:
                    self.run.reveal(self.did(1))
                elif phase == Phase.AUDIT:
                    self.freeze(available=set(), late=False, everything=True, harm=harm)
                elif phase == Phase.MERGE:
                    self.evm.sleep(120)
                    self.make_proposal()

    @rule(harm=harms)
    def go_on_to_the_end_of_the_round(self, harm: tuple[int, ...]) -> None:
        self.go_on(5, harm)

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
    def begin_trial(self, pick: int) -> None:
        pending = self.proposed()
        if self.in_phase(Phase.MERGE):
            pending.append(self.now.round)
        if pending and len(self.trials) < MOST_TRIALS:
            number = pending[pick % len(pending)]
            self.contract.beginTrial(number, sender=TRAINING_COURT.address)
            self.trials.append(number)
            SEEN["trial"] += 1

    @precondition(lambda self: self.trials)
    @rule(pick=st.integers(0, MOST_TRIALS - 1))
    def end_trial(self, pick: int) -> None:
        number = self.trials.pop(pick % len(self.trials))
        self.contract.endTrial(number, sender=TRAINING_COURT.address)

    def end_trials_of(self, number: int) -> None:
        while number in self.trials:
            self.trials.remove(number)
            self.contract.endTrial(number, sender=TRAINING_COURT.address)

    @precondition(lambda self: self.taken())
    @rule(seat=st.integers(0, 3))
    def fine(self, seat: int) -> None:
        trainer = self.contract.seats(seat).trainer
        with refusals():
            self.contract.fine(seat, trainer, sender=TRAINING_COURT.address)
            SEEN["fined"] += 1

    @rule(pick=st.integers(0, 3))
    def convict_merge(self, pick: int) -> None:
        proposed = self.proposed()
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
