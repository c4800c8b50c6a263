"""The real contracts on anvil, people in their roles, and what each of them sends in a round."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from protocol.messages import attestation_typed_data, commitment_typed_data
from protocol.rounds import (
    InputEntry,
    UpdateHeader,
    bitmap_of,
    commitment_hash,
    header_hash,
    rank_of,
    seats_in,
    weights,
)
from support.evm import Contract, Evm, Receipt, artifacts

ETHER = 10**18
GWEI = 10**9
NOBODY = "0x" + "00" * 20
GENESIS_ROOT = sha256(b"genesis").digest()

# The order is that of RunParams.
DEFAULT_PARAMS: dict[str, Any] = {
    "specCid": sha256(b"spec").digest(),
    "genesisRoot": GENESIS_ROOT,
    "genesisCid": sha256(b"genesis cid").digest(),
    "specSize": 1000,
    "genesisSize": 4096,
    "chunks": 4,
    "lr": 256,
    "mu": 0,
    "nesterov": False,
    "momentum": False,
    "segments": 1,
    "normBound": 10**15,
    "maxRounds": 1000,
    "minTrainers": 2,
    "maxTrainers": 256,
    "ringSize": 4,
    "minStakeGwei": 10**8,
    "stakeCapGwei": 4 * 10**9,
    "proposerBondGwei": 10**8,
    "absenceFeeGwei": 10**6,
    "noRevealFeeGwei": 3 * 10**6,
    "absenceGrace": 2,
    "evictAfter": 3,
    "slashBps": 5_000,
    "rewardPerRoundWei": ETHER,
    "commitS": 600,
    "revealS": 600,
    "auditS": 600,
    "mergeTurnS": 60,
    "mergeTimeoutS": 1_200,
    "disputeS": 300,
    "guardian": NOBODY,
    "beacon": NOBODY,
    "moveS": 60,
    "juryS": 120,
    "auditBps": 10_000,
    "auditRewardWei": 10**15,
    "segmentEnds": (4,),
}


def even_ends(chunks: int, segments: int) -> tuple[int, ...]:
    """Chunks dealt to segments as evenly as can be."""
    return tuple(chunks * (segment + 1) // segments for segment in range(segments))


@dataclass(frozen=True)
class Person:
    """Somebody with a key, named after a role."""

    role: str

    @cached_property
    def account(self) -> LocalAccount:
        return Account.from_key(sha256(b"commonweight test key " + self.role.encode()).digest())

    @cached_property
    def address(self) -> str:
        return str(self.account.address)

    def sign(self, typed_data: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Sign EIP-712 typed data; r and vs of EIP-2098."""
        signed = self.account.sign_message(encode_typed_data(full_message=dict(typed_data)))
        vs = signed.s | (signed.v - 27) << 255
        return signed.r.to_bytes(32, "big"), vs.to_bytes(32, "big")


SPONSOR = Person("sponsor")
GUARDIAN = Person("guardian")
AGGREGATOR = Person("aggregator")
KEEPER = Person("keeper")
ATTACKER = Person("attacker")
MERGE_COURT = Person("merge court")
TRAINING_COURT = Person("training court")
WITNESS = Person("witness")
TRAINERS = tuple(Person(f"trainer {i}") for i in range(64))


@dataclass
class Stage:
    """One deployment: beacon, office, factory and its vault. The courts are plain accounts; with
    `real_court` the merge court is the contract, with `real_training_court` the other one.
    """

    evm: Evm
    unbonding_s: int = 10_000
    real_court: bool = False
    real_training_court: bool = False
    court: Contract | None = field(init=False, default=None)
    training_court: Contract | None = field(init=False, default=None)
    beacon: Contract = field(init=False)
    office: Contract = field(init=False)
    factory: Contract = field(init=False)
    vault: Contract = field(init=False)

    def __post_init__(self) -> None:
        people = (SPONSOR, GUARDIAN, AGGREGATOR, KEEPER, ATTACKER, WITNESS)
        people = (*people, MERGE_COURT, TRAINING_COURT)
        for person in (*people, *TRAINERS):
            self.evm.fund(person.address)
        self.beacon = self.evm.deploy("FixedBeacon", b"\x07" * 32, sender=SPONSOR.address)
        self.office = self.evm.deploy("RunOffice", sender=SPONSOR.address)
        if self.real_court:
            self.court = self.evm.deploy("MergeCourt", sender=SPONSOR.address)
        if self.real_training_court:
            self.training_court = self.evm.deploy("TrainingCourt", sender=SPONSOR.address)
        self.factory = self.deploy_factory()
        self.vault = self.evm.at("StakeVault", self.factory.vault())

    def deploy_factory(self, **overrides: Any) -> Contract:
        arguments = {
            "runCode": artifacts()["TrainingRun"].code,
            "office": self.office.address,
            "unbonding_s": self.unbonding_s,
            "merge_court": MERGE_COURT.address if self.court is None else self.court.address,
            "training_court": TRAINING_COURT.address
            if self.training_court is None
            else self.training_court.address,
        } | overrides
        return self.evm.deploy("RunFactory", *arguments.values(), sender=SPONSOR.address)

    def params(self, **overrides: Any) -> tuple[Any, ...]:
        """RunParams by name, in order."""
        own = {"guardian": GUARDIAN.address, "beacon": self.beacon.address}
        chosen = DEFAULT_PARAMS | own | overrides
        assert chosen.keys() == DEFAULT_PARAMS.keys(), overrides
        if "segmentEnds" not in overrides:
            chosen["segmentEnds"] = even_ends(chosen["chunks"], chosen["segments"])
        return tuple(chosen.values())

    def create_contract(
        self, *, reward_wei: int = 100 * ETHER, keeper_wei: int = ETHER, **overrides: Any
    ) -> Contract:
        receipt = self.factory.createRun(
            self.params(**overrides),
            keeper_wei,
            sender=SPONSOR.address,
            value=reward_wei + keeper_wei,
        )
        return self.evm.at("TrainingRun", receipt.only("RunCreated").run)

    def create_run(self, **overrides: Any) -> "Run":
        return Run(stage=self, contract=self.create_contract(**overrides))


@dataclass
class Run:
    """One run and what its people know of it."""

    stage: Stage
    contract: Contract
    seats: dict[int, Person] = field(default_factory=dict)
    inputs: dict[int, list[bytes]] = field(default_factory=dict)

    @property
    def evm(self) -> Evm:
        return self.stage.evm

    @property
    def vault(self) -> Contract:
        return self.stage.vault

    @cached_property
    def params(self) -> Any:
        return self.contract.params()

    # --- roster

    def deposit(self, person: Person, stake_gwei: int) -> None:
        self.vault.deposit(sender=person.address, value=stake_gwei * GWEI)

    def enroll(self, person: Person, stake_gwei: int = 10**9) -> int:
        """Deposit and take a seat."""
        self.deposit(person, stake_gwei)
        receipt = self.contract.enroll(stake_gwei, sender=person.address)
        seat = int(receipt.only("Enrolled").seat)
        self.seats[seat] = person
        return seat

    def enroll_all(self, count: int, stake_gwei: int = 10**9) -> None:
        for person in TRAINERS[:count]:
            self.enroll(person, stake_gwei)

    def deposit_bond(self, person: Person, bonds: int = 10) -> None:
        wei = bonds * self.params.proposerBondGwei * GWEI
        self.contract.depositBond(sender=person.address, value=wei)

    # --- what people know

    def header(self, seat: int, round_id: int, attempt: int) -> UpdateHeader:
        """A trainer's update of a round, from nothing but its place."""
        tag = f"{self.seats[seat].role} {round_id} {attempt}".encode()

        def digest(label: bytes) -> bytes:
            return sha256(label + tag).digest()

        return UpdateHeader(
            update_root=digest(b"root"),
            ssq=10**9 + seat,
            trace_root=digest(b"trace"),
            class_id=sha256(b"class").digest(),
            update_cid=digest(b"cid"),
            update_size=1_000_000,
        )

    @staticmethod
    def salt(seat: int, attempt: int) -> bytes:
        return sha256(f"salt {seat} {attempt}".encode()).digest()

    def commitment(self, seat: int) -> bytes:
        now = self.contract.current()
        return commitment_hash(
            header=self.header(seat, now.round, now.attempt),
            chain_id=self.evm.chain_id,
            run=self.contract.address,
            round_id=now.round,
            attempt=now.attempt,
            trainer=self.seats[seat].address,
            salt=self.salt(seat, now.attempt),
        )

    def parent_root(self) -> bytes:
        return bytes(self.contract.getRound(self.contract.current().round - 1).modelRoot)

    def signed_commitments(self, seats: Iterable[int]) -> list[tuple[Any, ...]]:
        now, parent = self.contract.current(), self.parent_root()
        batch = []
        for seat in seats:
            commitment = self.commitment(seat)
            data = commitment_typed_data(
                chain_id=self.evm.chain_id,
                run=self.contract.address,
                round_id=now.round,
                attempt=now.attempt,
                parent_root=parent,
                commitment=commitment,
            )
            batch.append((seat, commitment, *self.seats[seat].sign(data)))
        return batch

    def reveals(self, seats: Iterable[int]) -> list[tuple[Any, ...]]:
        now = self.contract.current()
        return [
            (
                seat,
                (h := self.header(seat, now.round, now.attempt)).update_root,
                h.ssq,
                h.trace_root,
                h.class_id,
                h.update_cid,
                h.update_size,
                self.salt(seat, now.attempt),
            )
            for seat in seats
        ]

    def attestation_group(self, seats: Iterable[int], available: int) -> tuple[Any, ...]:
        """All of `seats` sign one bitmap."""
        now = self.contract.current()
        data = attestation_typed_data(
            chain_id=self.evm.chain_id,
            run=self.contract.address,
            round_id=now.round,
            attempt=now.attempt,
            available=available,
        )
        return (available, [(seat, *self.seats[seat].sign(data)) for seat in seats])

    def revealed_updates(self, seats: Iterable[int]) -> list[tuple[Any, ...]]:
        now = self.contract.current()
        updates = []
        for seat in sorted(seats):
            header = self.header(seat, now.round, now.attempt)
            updates.append((seat, header.update_root, header_hash(header)))
        return updates

    def segment_of(self, seat: int, seed: bytes, roster: int) -> int:
        count = self.params.segments
        if count == 1:
            return 0
        turn = int.from_bytes(sha256(seed + b"segment").digest(), "big")
        return (rank_of(seat, roster) + turn) % count

    def entries(self, included: Sequence[int]) -> list[list[InputEntry]]:
        """What is merged, by segment, if `included` are: docs/protocol.md section 4."""
        now = self.contract.current()
        seed, roster = bytes(self.contract.getRound(now.round).seed), self.contract.roster()
        segments: list[list[InputEntry]] = []
        for segment in range(self.params.segments):
            members = [s for s in sorted(included) if self.segment_of(s, seed, roster) == segment]
            stakes = [self.contract.seats(seat).stakeGwei for seat in members]
            headers = [self.header(seat, now.round, now.attempt) for seat in members]
            segments.append(
                [
                    InputEntry(
                        trainer=self.seats[seat].address,
                        seat=seat,
                        weight=weight,
                        update_root=header.update_root,
                        header_hash=header_hash(header),
                    )
                    for seat, weight, header in zip(
                        members, weights(stakes, self.params.stakeCapGwei), headers, strict=True
                    )
                ]
            )
        return segments

    # --- a round, step by step

    def open(self) -> Receipt:
        return self.contract.openRound(sender=KEEPER.address)

    def commit(self, seat: int) -> Receipt:
        now = self.contract.current()
        return self.contract.commit(
            now.attempt,
            seat,
            self.parent_root(),
            self.commitment(seat),
            sender=self.seats[seat].address,
        )

    def commit_batch(self, seats: Iterable[int]) -> Receipt:
        now = self.contract.current()
        batch = self.signed_commitments(seats)
        return self.contract.commitBatch(
            now.attempt, self.parent_root(), batch, sender=KEEPER.address
        )

    def dissent(self, seat: int, own_root: bytes = b"\x0d" * 32) -> Receipt:
        attempt = self.contract.current().attempt
        return self.contract.dissent(attempt, seat, own_root, sender=self.seats[seat].address)

    def reveal(self, seats: Iterable[int]) -> Receipt:
        attempt = self.contract.current().attempt
        return self.contract.revealBatch(attempt, self.reveals(seats), sender=KEEPER.address)

    def freeze(
        self,
        revealed: Iterable[int],
        *,
        groups: Sequence[Any] | None = None,
        attesters: Iterable[int] | None = None,
        available: Iterable[int] | None = None,
    ) -> Receipt:
        """Freeze; by default all who revealed attest that all is available."""
        revealed = sorted(revealed)
        attempt = self.contract.current().attempt
        if groups is None:
            who = revealed if attesters is None else attesters
            what = revealed if available is None else available
            groups = [self.attestation_group(who, bitmap_of(what))]  # type: ignore[arg-type]
        updates = self.revealed_updates(revealed)
        included_entries = self.contract.freeze(attempt, groups, updates, sender=KEEPER.address)
        self.remember_inputs(included_entries)
        return included_entries

    def freeze_with_reveals(
        self, seats: Iterable[int], *, attesters: Iterable[int] | None = None
    ) -> Receipt:
        """Reveal and freeze in one call; by default the same seats attest."""
        seats = sorted(seats)
        who = seats if attesters is None else attesters
        group = self.attestation_group(who, bitmap_of(seats))  # type: ignore[arg-type]
        attempt = self.contract.current().attempt
        frozen = self.contract.freezeWithReveals(
            attempt, [group], self.reveals(seats), sender=KEEPER.address
        )
        self.remember_inputs(frozen)
        return frozen

    def remember_inputs(self, frozen: Receipt) -> None:
        """Keep the preimages that `finalize` will want."""
        for event in frozen.all("UpdatesFrozen"):
            entries = self.entries(seats_in(event.included))
            self.inputs[event.round] = [preimage(segment) for segment in entries]

    def propose(self, person: Person = AGGREGATOR, root: bytes | None = None) -> Receipt:
        now = self.contract.current()
        root = (
            sha256(f"model {now.round} {now.attempt}".encode()).digest() if root is None else root
        )
        # At no price there is no refund, so that bonds compare to the wei.
        return self.contract.proposeMerge(
            now.round, root, sha256(root).digest(), 4096, sender=person.address, gas_price=0
        )

    def finalize(self, round_id: int) -> Receipt:
        inputs = self.inputs.get(round_id, [])
        return self.contract.finalize(round_id, inputs, sender=KEEPER.address)

    def pass_deadline(self) -> None:
        self.evm.sleep_until(self.contract.current().deadline + 1)

    def pass_dispute(self, round_id: int) -> None:
        """Wait until the round can be settled, also if nobody opens the next one."""
        until = self.contract.getRound(round_id).finalizableAt
        is_last = round_id == self.contract.current().round
        self.evm.sleep_until(until + (self.params.mergeTimeoutS if is_last else 0))

    def play(self, until: str = "idle", seats: Iterable[int] | None = None) -> int:
        """Open a round and play it honestly until the named phase has begun; gives its number."""
        self.open()
        who = sorted(self.seats if seats is None else seats)
        steps = {
            "commit": lambda: None,
            "reveal": lambda: self.commit_batch(who),
            "audit": lambda: self.reveal(who),
            "merge": lambda: self.freeze(who),
            "idle": self.propose,
        }
        for phase, step in steps.items():
            step()
            if phase == until:
                break
        else:
            raise AssertionError(until)
        return int(self.contract.current().round)


def preimage(entries: Sequence[InputEntry]) -> bytes:
    """Bytes whose SHA-256 is the inputs hash."""
    return b"".join(
        bytes.fromhex(e.trainer[2:])
        + bytes((e.seat,))
        + e.weight.to_bytes(3, "big")
        + e.update_root
        + e.header_hash
        for e in entries
    )
