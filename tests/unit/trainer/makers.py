"""Values that the tests of the trainer need."""

from types import SimpleNamespace

from network.abi import Event
from network.history import RunFold
from network.run import ZERO_ADDRESS, RunParams
from protocol.rounds import UpdateHeader
from protocol.types import Attempt, RoundId, Seat
from trainer.journal import Entry, Key

RUN = "0x" + "11" * 20
ME = "0x" + "aa" * 20
OTHER = "0x" + "bb" * 20


def digest(tag: int) -> bytes:
    return bytes([tag]) * 32


def header(tag: int = 1, *, size: int = 257) -> UpdateHeader:
    return UpdateHeader(
        update_root=digest(tag),
        ssq=tag,
        trace_root=digest(tag + 1),
        class_id=digest(tag + 2),
        update_cid=digest(tag + 3),
        update_size=size,
    )


def key(round_id: int = 1, attempt: int = 1, opening: int = 7) -> Key:
    return Key(
        run=RUN, round_id=RoundId(round_id), attempt=Attempt(attempt), opening=digest(opening)
    )


def entry(round_id: int = 1, *, tag: int = 1, opening: int = 7) -> Entry:
    return Entry(
        key=key(round_id, round_id, opening),
        seat=Seat(3),
        parent_root=digest(9),
        commitment=digest(100 + tag),
        header=header(tag),
        salt=digest(200 + tag),
    )


def params(**overrides) -> RunParams:
    values = {
        "spec_cid": digest(1),
        "genesis_root": digest(2),
        "genesis_cid": digest(3),
        "spec_size": 10,
        "genesis_size": 1024,
        "chunks": 1,
        "lr": 256,
        "mu": 0,
        "nesterov": False,
        "momentum": False,
        "segments": 1,
        "norm_bound": 10**12,
        "max_rounds": 10,
        "min_trainers": 1,
        "max_trainers": 4,
        "ring_size": 4,
        "min_stake_gwei": 1,
        "stake_cap_gwei": 10**9,
        "proposer_bond_gwei": 1,
        "absence_fee_gwei": 5,
        "no_reveal_fee_gwei": 7,
        "absence_grace": 1,
        "evict_after": 3,
        "slash_bps": 5000,
        "reward_per_round_wei": 65536,
        "commit_s": 100,
        "reveal_s": 100,
        "audit_s": 100,
        "merge_turn_s": 5,
        "merge_timeout_s": 100,
        "dispute_s": 10,
        "guardian": ZERO_ADDRESS,
        "beacon": ZERO_ADDRESS,
        "move_s": 5,
        "jury_s": 5,
        "audit_bps": 0,
        "audit_reward_wei": 0,
        "segment_ends": (1,),
    } | overrides
    return RunParams(**values)


class Story:
    """Events of a run, told in order."""

    def __init__(self, **overrides) -> None:
        self.fold = RunFold(params=params(**overrides))
        self._number = 0

    def tell(self, name: str, **values) -> "Story":
        self._number += 1
        self.fold.apply(
            Event(
                name=name,
                args=SimpleNamespace(**values),
                address=RUN,
                block_number=self._number,
                block_hash="0x00",
                transaction_hash="0x00",
                log_index=0,
            )
        )
        return self

    def enrolled(self) -> "Story":
        self.tell("Enrolled", trainer=ME, seat=0, stakeGwei=10)
        return self.tell("Enrolled", trainer=OTHER, seat=1, stakeGwei=10)

    def opened(self, *, roster: int = 0b11) -> "Story":
        return self.tell(
            "RoundOpened",
            round=1,
            attempt=1,
            seed=digest(4),
            parentRoot=digest(2),
            roster=roster,
            rosterStakeGwei=20,
            deadline=100,
        )

    def committed(self, trainer: str, seat: int) -> "Story":
        return self.tell(
            "Committed", round=1, trainer=trainer, seat=seat, commitment=digest(50 + seat)
        )

    def phase(self, number: int) -> "Story":
        return self.tell("PhaseStarted", round=1, phase=number, deadline=200)

    def revealed(self, trainer: str, seat: int) -> "Story":
        h = header(10 + seat)
        return self.tell(
            "Revealed",
            round=1,
            trainer=trainer,
            seat=seat,
            updateRoot=h.update_root,
            ssq=h.ssq,
            traceRoot=h.trace_root,
            classId=h.class_id,
            updateCid=h.update_cid,
            updateSize=h.update_size,
        )

    def frozen(self, *, included: int, available: int) -> "Story":
        from protocol.rounds import InputEntry, header_hash, inputs_hash, seats_in, weights

        seats = seats_in(included)
        shares = weights([10] * len(seats), 10**9)
        entries = [
            InputEntry(
                trainer=(ME, OTHER)[seat],
                seat=seat,
                weight=share,
                update_root=header(10 + seat).update_root,
                header_hash=header_hash(header(10 + seat)),
            )
            for seat, share in zip(seats, shares, strict=True)
        ]
        return self.tell(
            "UpdatesFrozen",
            round=1,
            included=included,
            available=available,
            inputsHashes=[inputs_hash(entries)],
        )

    def proposed(self) -> "Story":
        return self.tell(
            "MergeProposed",
            round=1,
            proposer=OTHER,
            modelRoot=digest(77),
            modelCid=digest(78),
            modelSize=1024,
            finalizableAt=10,
        )
