"""Events of a run told in order, each in a transaction and a block of its own unless said so."""

from collections import namedtuple

from network.abi import Event

LIAR = "0x" + "aA" * 20
PROVER = "0x" + "bB" * 20
OTHER = "0x" + "cC" * 20
ETH = 10**18


def transaction(number: int) -> str:
    return f"0x{number:064x}"


class Story:
    """`tell` gives the event's transaction; the next one is told in the same with `together`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._number = 0

    def tell(self, name: str, *, together: bool = False, **values) -> str:
        self._number += 0 if together else 1
        args = namedtuple(name, values)(**values)  # noqa: PYI024 - as the ABI's decoder makes them
        self.events.append(
            Event(
                name=name,
                args=args,
                address="0x" + "11" * 20,
                block_number=self._number,
                block_hash="0x00",
                transaction_hash=transaction(self._number),
                log_index=len(self.events),
            )
        )
        return transaction(self._number)

    def opened(self, number: int) -> str:
        return self.tell("RoundOpened", round=number, seed=bytes([number]) * 32)

    def proposed(self, number: int, proposer: str, root: int = 1) -> str:
        return self.tell(
            "MergeProposed",
            round=number,
            proposer=proposer,
            modelRoot=bytes([root]) * 32,
            modelCid=bytes([root]) * 32,
            modelSize=1024,
            finalizableAt=1_000 + self._number,
        )

    def convicted(self, number: int) -> str:
        """As the run tells it: the merge is reopened, then its proposer convicted."""
        transaction = self.tell("MergeReopened", round=number, proposer=LIAR, reason=5)
        self.tell(
            "MergeConvicted",
            together=True,
            round=number,
            proposer=LIAR,
            beneficiary=PROVER,
            paidWei=ETH // 40,
            burnedWei=ETH // 40,
        )
        return transaction

    def revealed(self, number: int, trainer: str = LIAR, seat: int = 4) -> str:
        return self.tell("Revealed", round=number, trainer=trainer, seat=seat)

    def frozen(self, number: int, included: int) -> str:
        return self.tell("UpdatesFrozen", round=number, included=included)

    def update_convicted(self, number: int, slashed_wei: int = ETH // 2) -> str:
        transaction = self.tell(
            "UpdateConvicted",
            round=number,
            trainer=LIAR,
            beneficiary=PROVER,
            slashedWei=slashed_wei,
        )
        self.tell(
            "Slashed",
            together=True,
            trainer=LIAR,
            beneficiary=PROVER,
            paidWei=slashed_wei // 2,
            burnedWei=slashed_wei - slashed_wei // 2,
        )
        return transaction

    # -- trials

    def accused(self, number: int, round_id: int, *, accuser: str, accused: str) -> str:
        return self.tell(
            "Accused", id=number, round=round_id, seat=4, accuser=accuser, accused=accused
        )

    def seated(self, number: int, *jurors: str, level: int = 0) -> str:
        return self.tell("JurySeated", id=number, level=level, jurors=list(jurors))

    def trial_ended(self, number: int, state: int, winner: str) -> str:
        return self.tell("TrialEnded", id=number, state=state, winner=winner)

    def juror_paid(self, number: int, juror: str, amount_wei: int, level: int = 0) -> str:
        return self.tell("JurorPaid", id=number, level=level, juror=juror, amountWei=amount_wei)

    def juror_fined(self, number: int, juror: str, level: int = 0) -> str:
        transaction = self.tell("JurorFined", id=number, level=level, juror=juror)
        self.tell(
            "FeeCharged", together=True, round=9, trainer=juror, feeGwei=2_000_000, absent=False
        )
        return transaction
