"""Runs whose updates have traces, and every move of a trial about one of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from network.headers import encode_header
from protocol.audits import auditor_of, draw_block, is_audited
from protocol.messages import finding_typed_data
from protocol.proofs import parse_inputs
from protocol.rounds import InputEntry, UpdateHeader, trace_root
from support.evm import Contract, Receipt
from support.runs import (
    AGGREGATOR,
    ATTACKER,
    GUARDIAN,
    KEEPER,
    SPONSOR,
    TRAINERS,
    WITNESS,
    Person,
    Run,
    Stage,
)

# States of a trial, and findings.
NONE, DEFENCE, REPLY, DRAW, SEAL, OPENING, VERDICT, CONVICTED, ACQUITTED, HUNG, MOOT = range(11)
SAME, CLOSE, DIFFERENT = 1, 2, 3

EVERYBODY = (*TRAINERS, SPONSOR, GUARDIAN, AGGREGATOR, KEEPER, ATTACKER, WITNESS)
ENDS = (CONVICTED, ACQUITTED, HUNG, MOOT)
CLASS = sha256(b"class").digest()


@dataclass
class TrialRun(Run):
    """A run whose trainers commit to traces. `cheats` holds from which digest on a seat made its
    trace up, `classes` who is not of the usual class.
    """

    steps: int = 5
    cheats: dict[int, int] = field(default_factory=dict)
    classes: dict[int, bytes] = field(default_factory=dict)
    headers: dict[int, list[UpdateHeader]] = field(default_factory=dict)
    traces: dict[bytes, list[bytes]] = field(default_factory=dict)
    honest: dict[bytes, tuple[list[bytes], bytes]] = field(default_factory=dict)

    @property
    def court(self) -> Contract:
        assert self.stage.training_court is not None
        return self.stage.training_court

    def header(self, seat: int, round_id: int, attempt: int) -> UpdateHeader:
        made = super().header(seat, round_id, attempt)
        right = [
            sha256(b"state %d " % i + made.update_root).digest() for i in range(self.steps + 1)
        ]
        shown, root = list(right), made.update_root
        if seat in self.cheats:
            root = sha256(b"cheat" + root).digest()
            for i in range(self.cheats[seat], self.steps + 1):
                shown[i] = sha256(b"cheat" + right[i]).digest()
        committed = trace_root(shown, root)
        self.traces[committed] = shown
        self.honest[committed] = (right, made.update_root)
        class_id = self.classes.get(seat, CLASS)
        return replace(made, update_root=root, trace_root=committed, class_id=class_id)

    def remember_inputs(self, frozen: Receipt) -> None:
        super().remember_inputs(frozen)
        for event in frozen.all("UpdatesFrozen"):
            now = self.contract.current()
            self.headers[event.round] = [
                self.header(entry.seat, event.round, now.attempt)
                for entry in self.roll(event.round)
            ]

    def roll(self, round_id: int) -> list[InputEntry]:
        """The included updates, segment by segment."""
        return [e for segment in self.inputs[round_id] for e in parse_inputs(segment)]

    def header_of(self, round_id: int, seat: int) -> UpdateHeader:
        places = [e.seat for e in self.roll(round_id)]
        return self.headers[round_id][places.index(seat)]  # type: ignore[arg-type]

    def header_fields(self, round_id: int) -> list[tuple[Any, ...]]:
        return [fields(header) for header in self.headers[round_id]]

    # --- randomness

    def block_header(self, number: int) -> bytes:
        """What the beacon reads of a block; a fixed one reads nothing."""
        beacon = self.evm.at("FixedBeacon", self.params.beacon)
        if beacon.predictable():
            return b""
        return header_bytes(self, number)

    def mine_past(self, number: int) -> None:
        """A block may be read from the one after it on."""
        while int(self.evm.rpc("eth_blockNumber"), 16) <= number:
            self.evm.rpc("evm_mine")

    def drawn(self, round_id: int, number: int) -> bytes:
        """What the beacon draws by a block."""
        beacon = self.evm.at("FixedBeacon", self.params.beacon)
        self.mine_past(number)
        header = self.block_header(number)
        return bytes(beacon.draw(self.contract.address, round_id, number, header))

    # --- audits

    def audit_block(self, round_id: int) -> int:
        frozen_at = self.contract.getRound(round_id).frozenAt
        newest = int(self.evm.rpc("eth_blockNumber"), 16)
        return draw_block(frozen_at=frozen_at, newest=newest)  # type: ignore[arg-type]

    def auditors(self, round_id: int) -> dict[int, Person]:
        """Who audits whom, of those who are audited."""
        randomness = self.drawn(round_id, self.audit_block(round_id))
        found = {}
        for entry in self.roll(round_id):
            if is_audited(
                randomness=randomness, seat=entry.seat, audit_bps=int(self.params.auditBps)
            ):
                auditor = auditor_of(
                    randomness=randomness, roll=self.roll(round_id), seat=entry.seat
                )
                if auditor is not None:
                    found[int(entry.seat)] = self.seats[auditor.seat]
        return found

    def finding(self, round_id: int, seat: int, finding: int, auditor: Person) -> tuple[Any, ...]:
        data = finding_typed_data(
            chain_id=self.evm.chain_id,
            court=self.court.address,  # type: ignore[arg-type]
            run=self.contract.address,  # type: ignore[arg-type]
            round_id=round_id,  # type: ignore[arg-type]
            seat=seat,  # type: ignore[arg-type]
            update_root=self.header_of(round_id, seat).update_root,
            finding=finding,
        )
        return (seat, finding, *auditor.sign(data))

    def post_findings(
        self, round_id: int, signed: Sequence[tuple[Any, ...]], **changes: Any
    ) -> Receipt:
        inputs = changes["inputs"] if "inputs" in changes else self.inputs[round_id]
        header = changes.get("header")
        if header is None:
            header = self.block_header(self.audit_block(round_id))
        return self.court.postFindings(
            self.contract.address, round_id, header, inputs, signed, sender=KEEPER.address
        )


def fields(header: UpdateHeader) -> tuple[Any, ...]:
    """A Header as the contracts take it."""
    words = (header.ssq, header.trace_root, header.class_id, header.update_cid)
    return (*words, header.update_size)


def header_bytes(run: Run, number: int) -> bytes:
    """The real header of a block of anvil's."""
    return encode_header(run.evm.rpc("eth_getBlockByNumber", hex(number), False))


def vote_seal(trial: int, level: int, juror: str, digest: bytes, salt: bytes) -> bytes:
    types = ["uint256", "uint8", "address", "bytes32", "bytes32"]
    return keccak(encode(types, [trial, level, juror, digest, salt]))


@dataclass
class TrialGame:
    """One trial; the accuser knows the honest trace, or makes its own up from a digest on."""

    run: TrialRun
    round_id: int
    seat: int
    accuser: Person = WITNESS
    false_from: int | None = None
    id: int = 0
    jury: dict[Person, int] = field(default_factory=dict)

    @property
    def court(self) -> Contract:
        return self.run.court

    @property
    def trial(self) -> Any:
        return self.court.trials(self.id)

    @property
    def state(self) -> int:
        return int(self.trial.state)

    @property
    def accused(self) -> Person:
        return self.run.seats[self.seat]

    @property
    def header(self) -> UpdateHeader:
        return self.run.header_of(self.round_id, self.seat)

    @property
    def shown(self) -> list[bytes]:
        """The digests that the accused committed to."""
        return self.run.traces[self.header.trace_root]

    @property
    def own(self) -> tuple[list[bytes], bytes]:
        """The accuser's digests and update root."""
        digests, root = self.run.honest[self.header.trace_root]
        if self.false_from is None:
            return digests, root
        made_up = [
            d if i < self.false_from else sha256(b"false" + d).digest()
            for i, d in enumerate(digests)
        ]
        return made_up, sha256(b"false" + root).digest()

    def side_bond(self) -> int:
        return int(self.court.bondsWei().sideWei)

    def place(self) -> tuple[int, int]:
        """Segment, and place in it."""
        for segment, raw in enumerate(self.run.inputs[self.round_id]):
            for place, entry in enumerate(parse_inputs(raw)):
                if entry.seat == self.seat:
                    return segment, place
        raise AssertionError(self.seat)

    def accusation(self, **changes: Any) -> tuple[Any, ...]:
        segment, place = self.place()
        arguments = {
            "run": self.run.contract.address,
            "round": self.round_id,
            "segment": segment,
            "inputs": self.run.inputs[self.round_id][segment],
            "place": place,
            "header": fields(self.header),
            "own_root": trace_root(*self.own),
        } | changes
        return tuple(arguments.values())

    def accuse(self, *, value: int | None = None, **changes: Any) -> Receipt:
        receipt: Receipt = self.court.accuse(
            *self.accusation(**changes),
            sender=self.accuser.address,
            value=self.side_bond() if value is None else value,
        )
        self.id = receipt.only("Accused").id
        return receipt

    def show(
        self,
        digests: Sequence[bytes] | None = None,
        *,
        sender: Person | None = None,
        value: int | None = None,
    ) -> Receipt:
        receipt: Receipt = self.court.showTrace(
            self.id,
            self.shown if digests is None else digests,
            sender=(sender or self.accused).address,
            value=int(self.court.bondsOf(self.id).sideWei) if value is None else value,
        )
        return receipt

    def answer(self, *, sender: Person | None = None, **changes: Any) -> Receipt:
        digests, root = self.own
        arguments = {"shown": self.shown, "own": digests, "root": root} | changes
        receipt: Receipt = self.court.answerTrace(
            self.id, *arguments.values(), sender=(sender or self.accuser).address
        )
        return receipt

    def seat_jury(self, **changes: Any) -> Receipt:
        arguments = {
            "header": None,
            "inputs": self.run.inputs[self.round_id],
            "headers": self.run.header_fields(self.round_id),
        } | changes
        if arguments["header"] is None:
            number = int(self.trial.drawBlock)
            self.run.mine_past(number)
            arguments["header"] = self.run.block_header(number)
        receipt: Receipt = self.court.seatJury(self.id, *arguments.values(), sender=KEEPER.address)
        for event in receipt.all("JurySeated"):
            self.jury = {
                self.person(account): tickets
                for account, tickets in zip(event.jurors, event.tickets, strict=True)
            }
        return receipt

    def person(self, account: str) -> Person:
        return next(p for p in EVERYBODY if p.address == account)

    def salt(self, person: Person) -> bytes:
        return sha256(f"salt {person.role} {self.id}".encode()).digest()

    def seal(self, person: Person, digest: bytes) -> Receipt:
        level = int(self.trial.level)
        sealed = vote_seal(self.id, level, person.address, digest, self.salt(person))
        receipt: Receipt = self.court.sealVote(self.id, sealed, sender=person.address)
        return receipt

    def open(self, person: Person, digest: bytes) -> Receipt:
        receipt: Receipt = self.court.openVote(
            self.id, digest, self.salt(person), sender=person.address
        )
        return receipt

    def vote(self, votes: Mapping[Person, bytes]) -> list[Receipt]:
        """Seal and open; jurors that are left out keep silent."""
        sent = [self.seal(person, digest) for person, digest in votes.items()]
        if self.state == SEAL:
            self.run.evm.sleep_until(self.trial.deadline + 1)
            sent.append(self.advance())
        if self.state == OPENING:
            sent += [self.open(person, digest) for person, digest in votes.items()]
        if self.state == OPENING:
            self.run.evm.sleep_until(self.trial.deadline + 1)
            sent.append(self.advance())
        return sent

    def judge(self, *, guilty: bool, silent: Iterable[Person] = ()) -> list[Receipt]:
        """All jurors but the silent ones find the same."""
        trial = self.trial
        digest = bytes(trial.accuserDigest if guilty else trial.accusedDigest)
        out = tuple(silent)
        return self.vote({person: digest for person in self.jury if person not in out})

    def appeal(self, sender: Person, value: int | None = None) -> Receipt:
        bond = int(self.court.bondsOf(self.id).appealWei)
        receipt: Receipt = self.court.appeal(
            self.id, sender=sender.address, value=bond if value is None else value
        )
        return receipt

    def advance(self, *, sender: Person = KEEPER) -> Receipt:
        receipt: Receipt = self.court.advance(self.id, sender=sender.address)
        return receipt

    def run_out(self) -> Receipt:
        """Let the clock run out, and go on."""
        self.run.evm.sleep_until(self.trial.deadline + 1)
        return self.advance()

    def to_jury(self) -> Receipt:
        """All moves up to the first jury."""
        self.accuse()
        self.show()
        self.answer()
        return self.seat_jury()

    def to_verdict(self, *, guilty: bool) -> None:
        self.to_jury()
        self.judge(guilty=guilty)

    def finish(self) -> Receipt:
        """Let the time to appeal pass."""
        return self.run_out()


def create_trial_run(stage: Stage, *, trainers: int = 6, **overrides: Any) -> TrialRun:
    """A run with trainers of equal stake, one of whose updates can be tried."""
    steps = overrides.pop("steps", 5)
    cheats = overrides.pop("cheats", {})
    classes = overrides.pop("classes", {})
    contract = stage.create_contract(**overrides)
    run = TrialRun(stage=stage, contract=contract, steps=steps, cheats=cheats, classes=classes)
    for person in TRAINERS[:trainers]:
        run.enroll(person)
    run.deposit_bond(AGGREGATOR)
    return run


def check_books(court: Contract, *runs: str) -> None:
    """T1, over everybody that the tests know."""
    trials = [court.trials(i) for i in range(1, court.trialCount() + 1)]
    bonds = sum(
        t.accuserBondWei + t.defenderBondWei + t.appealBondWei
        for t in trials
        if 0 < t.state < CONVICTED
    )
    unpaid = sum(t.jurorsWei for t in trials)
    pools = sum(court.auditPoolWei(run) for run in runs)
    owed = sum(court.creditOf(person.address) for person in EVERYBODY)
    assert court.evm.balance(court.address) == bonds + unpaid + pools + owed
