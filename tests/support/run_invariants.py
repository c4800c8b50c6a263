# ruff: noqa: PT017 (a call may be refused or not; what it says is checked either way)
"""What must stay true of a run, whatever people do; docs/invariants.md has the numbers."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from protocol.rounds import Opinion, Phase, Tally, seats_in, tally
from protocol.types import Seat
from support.evm import Reverted
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    GUARDIAN,
    GWEI,
    KEEPER,
    MERGE_COURT,
    SPONSOR,
    TRAINERS,
    TRAINING_COURT,
    WITNESS,
    Person,
    Run,
    Stage,
)

CREW = TRAINERS[:5]
AGGREGATORS = (AGGREGATOR, Person("second aggregator"))
EVERYBODY = (
    *CREW, *AGGREGATORS, SPONSOR, GUARDIAN, ATTACKER, KEEPER, MERGE_COURT, TRAINING_COURT, WITNESS
)  # fmt: skip
PROPOSED, FINAL, FAILED = 2, 3, 4

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


class RunInvariants(RuleBasedStateMachine):
    """A run, what is known of it beside the chain, and what must stay true; `make` sets the run."""

    run: Run
    contract: Any

    def __init__(self) -> None:
        super().__init__()
        self.stage = STAGE[0]
        self.evm = self.stage.evm
        self.before = self.evm.snapshot()
        self.stakes: dict[tuple[int, str], int] = {}
        self.credited: dict[tuple[int, int], int] = {}
        self.convictions: set[tuple[int, int]] = set()
        self.headers: dict[int, int] = {}
        self.unpaid: dict[int, int] = {}
        self.trials: list[int] = []

    def teardown(self) -> None:
        self.evm.revert(self.before)

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

    def proposed(self) -> list[int]:
        final, newest = self.contract.totals().lastFinal, self.now.round
        found = range(final + 1, newest + 1)
        return [n for n in found if self.contract.getRound(n).status == PROPOSED]

    def in_phase(self, *phases: Phase) -> bool:
        return self.now.phase in phases

    def tally(self, opinions: dict[Seat, Opinion]) -> Tally:
        roster = self.contract.roster()
        told = tally(
            opinions=opinions,
            stakes_gwei={seat: self.contract.seats(seat).stakeGwei for seat in opinions},
            total_gwei=self.contract.totals().rosterStakeGwei,
        )
        return Tally(
            available=told.available & roster,
            harmful=told.harmful & roster,
            contested=told.contested & roster,
        )

    def on_frozen(self, receipt: Any, opinions: dict[Seat, Opinion]) -> None:
        """R11: what two thirds called harmful is merged like the rest."""
        for event in receipt.all("UpdatesFrozen"):
            harmful = self.tally(opinions).harmful | self.contract.posted(self.now.attempt).harmful
            self.unpaid[event.round] = harmful & event.included
            assert self.contract.unpaid(event.round) == harmful & event.included, "R11"
            said = [one.seats for one in receipt.all("UpdatesUnpaid")]
            assert said == ([harmful & event.included] if harmful & event.included else []), "R11"
            SEEN["harmful"] += harmful & event.included != 0

    def check_payment(self, number: int, receipt: Any) -> None:
        """R5."""
        paid = receipt.only("RoundFinalized").paidWei
        rewards = receipt.all("RewardCredited")
        assert paid == sum(e.amountWei for e in rewards) <= self.run.params.rewardPerRoundWei, "R5"
        SEEN["paid"] += bool(rewards)
        if rewards:
            assert self.contract.getRound(number).status == FINAL
        entries = b"".join(self.run.inputs.get(number, []))
        without = self.contract.convicted(number) | self.unpaid.get(number, 0)
        honest = [
            "0x" + entries[i : i + 20].hex()
            for i in range(0, len(entries), 88)
            if not without >> entries[i + 20] & 1
        ]
        if self.contract.getRound(number).status == FINAL:
            assert [e.trainer.lower() for e in rewards] == honest, "R5"

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
    def r12_trials_are_counted(self) -> None:
        for number in {*self.trials, self.now.round}:
            assert self.contract.openTrials(number) == self.trials.count(number), "R12"

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
            for _ in range(self.trials.count(number)):  # the court ends each at its deadline
                self.contract.endTrial(number, sender=TRAINING_COURT.address)
            self.run.finalize(number)
        try:
            self.run.open()
        except Reverted as error:
            waits = ("RunStopped", "RunComplete", "TooFewTrainers", "InsufficientFunds")
            assert error.name in waits, "R4"
