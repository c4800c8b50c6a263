"""A trainer's money and seat: stake, enroll, leave, unstake, withdraw, claim."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from network.court.clerk import Clerk
from network.court.contract import MergeCourtContract
from network.ethereum import read_balance, read_nonce
from network.keeper import GWEI
from network.rpc import Rpc
from network.run import RunContract
from network.transactions import Call, Receipt, TransactionSender
from network.trials.clerk import TrialClerk
from network.trials.contract import TrainingCourtContract
from protocol.errors import NotEnrolled
from protocol.types import Address, Seat


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Where an account's money is. All amounts are wei but the stake, which is gwei."""

    balance_wei: int
    vault_free_wei: int
    vault_locked_wei: int
    unbonding_wei: int
    unbonding_until_s: int
    run_free_wei: int
    run_bonds_wei: int
    court_wei: int
    training_court_wei: int
    seat: Seat | None
    stake_gwei: int
    leaving: bool
    absences: int


class TrainerAccount:
    """One account in one run. Methods raise what TransactionSender.send raises.

    Each transaction is named by the account's nonce, so that whoever repeats a command that was
    killed before its transaction got in repeats that transaction, and not the deed.
    """

    def __init__(
        self,
        *,
        rpc: Rpc,
        run: RunContract,
        sender: TransactionSender,
        court: MergeCourtContract | None = None,
        training_court: TrainingCourtContract | None = None,
    ) -> None:
        self._rpc = rpc
        self._run = run
        self._sender = sender
        self._court = court
        self._training_court = training_court
        self.address = sender.address

    def holdings(self) -> Holdings:
        """Where the money is."""
        vault, seat = self._run.vault, self._run.seat_of(self.address)
        unbonding_wei, until_s = vault.read("unbondingOf", self._run.address, self.address)
        owed = self._run.account(self.address)
        state = None if seat is None else self._run.seat(seat)
        return Holdings(
            balance_wei=read_balance(self._rpc, self.address),
            vault_free_wei=vault.read("freeOf", self.address),
            vault_locked_wei=vault.read("lockedOf", self._run.address, self.address),
            unbonding_wei=unbonding_wei,
            unbonding_until_s=until_s,
            run_free_wei=owed.free_wei,
            run_bonds_wei=owed.locked_wei,
            court_wei=_credit_wei(self._court, self.address),
            training_court_wei=_credit_wei(self._training_court, self.address),
            seat=seat,
            stake_gwei=0 if state is None else state.stake_gwei,
            leaving=seat is not None and self._run.is_leaving(seat),
            absences=0 if state is None else state.absences,
        )

    def deposit(self, stake_gwei: int) -> Receipt | None:
        """Put stake into the vault, free until a run locks it."""
        return self._send("deposit", self._vault("deposit", value_wei=stake_gwei * GWEI))

    def enroll(self, stake_gwei: int) -> Seat:
        """Take a seat, with what is missing deposited first; a seat that is held is kept."""
        seat = self._run.seat_of(self.address)
        if seat is not None:
            return seat
        missing_wei = stake_gwei * GWEI - self._run.vault.read("freeOf", self.address)
        if missing_wei > 0:
            self._send("deposit", self._vault("deposit", value_wei=missing_wei))
        self._send(
            "enroll",
            self._run.prepare("enroll", stake_gwei),
            already_done=lambda: self._run.seat_of(self.address) is not None,
        )
        return self._seat()

    def bond(self) -> int:
        """Deposit what one proposal's bond still lacks; gives the wei that were sent."""
        needed_wei = self._run.params.proposer_bond_gwei * GWEI
        missing_wei = needed_wei - self._run.account(self.address).free_wei
        if missing_wei <= 0:
            return 0
        self._send("bond", self._run.prepare("depositBond", value_wei=missing_wei))
        return missing_wei

    def leave(self) -> Seat:
        """Give up the seat from the next round on."""
        seat = self._seat()
        self._send(
            "leave",
            self._run.prepare("leaveRoster"),
            already_done=lambda: self._run.is_leaving(seat),
        )
        return seat

    def unstake(self) -> Receipt | None:
        """Release the seat that was left; its stake begins to unbond."""
        seat = self._seat()
        return self._send(
            "release",
            self._run.prepare("release", seat),
            already_done=lambda: self._run.seat_of(self.address) is None,
        )

    def withdraw(self, amount_wei: int | None = None) -> int:
        """Send free stake home, what has unbonded with it; gives the wei that were sent."""
        vault = self._run.vault
        unbonding_wei, until_s = vault.read("unbondingOf", self._run.address, self.address)
        head_s = int(self._rpc.call("eth_getBlockByNumber", "pending", False)["timestamp"], 16)  # noqa: FBT003 - the method's own flag
        if unbonding_wei and head_s >= until_s:
            self._send("unbond", self._vault("release", self._run.address, self.address))
        chosen_wei = int(vault.read("freeOf", self.address)) if amount_wei is None else amount_wei
        self._send("withdraw", self._vault("withdraw", chosen_wei))
        return chosen_wei

    def claim(self) -> int:
        """Send home what run and courts owe: rewards, refunds, bonds that came free; gives the wei.

        Raises NothingToClaim if all owe nothing.
        """
        from_courts_wei = self._claim_from_courts()
        if from_courts_wei and not self._run.account(self.address).free_wei:
            return from_courts_wei
        return from_courts_wei + self._claim_from_run()

    def _claim_from_courts(self) -> int:
        rpc, run, sender = self._rpc, self._run, self._sender
        claimed_wei = 0
        if self._court is not None:
            clerk = Clerk(rpc=rpc, run=run, court=self._court, sender=sender)
            claimed_wei += clerk.claim()
        if self._training_court is not None:
            trials = TrialClerk(rpc=rpc, run=run, court=self._training_court, sender=sender)
            claimed_wei += trials.claim()
        return claimed_wei

    def _claim_from_run(self) -> int:
        owed_wei = self._run.account(self.address).free_wei
        receipt = self._send("claim", self._run.prepare("claim"))
        paid = [] if receipt is None else [e for e in receipt.events if e.name == "Claimed"]
        return int(paid[0].args.amountWei) if paid else owed_wei

    def _seat(self) -> Seat:
        seat = self._run.seat_of(self.address)
        if seat is None:
            raise NotEnrolled(account=self.address, run=self._run.address)
        return seat

    def _vault(self, function: str, *args: Any, value_wei: int = 0) -> Call:
        return self._run.vault.prepare(function, *args, value_wei=value_wei)

    def _send(
        self, what: str, call: Call, already_done: Callable[[], bool] | None = None
    ) -> Receipt | None:
        name = f"{what}/{self._run.address.lower()}/{read_nonce(self._rpc, self.address)}"
        return self._sender.send(name, call, already_done=already_done)


def _credit_wei(court: MergeCourtContract | TrainingCourtContract | None, account: Address) -> int:
    return 0 if court is None else court.credit_of(account)
