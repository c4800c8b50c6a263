"""Every error of the project, in one tree.

CommonweightError
├── ProtocolError                what a stranger sent does not follow docs/protocol.md
│   ├── InvalidUpdate (WrongNorm)  InvalidModel  NotRepresentable  InvalidMerge  InvalidRound
│   ├── InvalidSpec  InvalidManifest  SpecMismatch  InvalidMessage
│   ├── InvalidCid  CidMismatch  InvalidBlock
│   └── InvalidTree  InvalidProof
├── NetworkError                 the chain, the store or a key
│   ├── ChainError               RpcUnavailable  WrongChain  NotAContract  CodeMismatch  NotARun
│   │                            NotEnrolled  TransactionReverted  TransactionStuck  RpcRejected
│   │                            InsufficientFunds  ClockSkew  NonceConflict  IntentConflict
│   │                            JournalUnavailable  InvalidBlockHeader
│   ├── StoreError               ContentUnavailable  ContentTooLarge  StoreTimeout  StoreFull
│   │                            StoreUnavailable
│   ├── RelayError               RelayUnavailable  RelayRefused
│   ├── InvalidSetting
│   └── KeystoreError            KeyNotFound  WrongPassphrase  KeyUnreadable  PassphraseMissing
├── LearningError                UnknownTask  NonFiniteUpdate  OutOfMemory
├── TrainerError                 WrongParentRoot  JournalCorrupt  AlreadyRunning
└── CoordinatorError             InvalidRunParameter  CheatingPays  WrongMerge

To add one: derive from its branch, annotate its fields, and write `problem` (what happened) and
`advice` (what to do next). Both may name fields in braces. The base class makes a keyword-only
dataclass of it.
"""

# ruff: noqa: N818 - these names say what happened; "Error" is the name of a branch

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, dataclass_transform

from protocol.types import Address, Digest, RoundId, Wei


@dataclass_transform(kw_only_default=True, eq_default=False)
class CommonweightError(Exception):
    """Says what happened and what to do next, from typed fields."""

    problem: ClassVar[str] = "something went wrong"
    advice: ClassVar[str] = "report this as a bug"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the subclass a keyword-only dataclass of its annotated fields."""
        super().__init_subclass__(**kwargs)
        dataclass(kw_only=True, eq=False)(cls)

    @property
    def values(self) -> dict[str, object]:
        """The fields of this error by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @property
    def message(self) -> str:
        """What happened, in one sentence without a full stop."""
        return self.problem.format(**self._shown())

    @property
    def remedy(self) -> str:
        """What to do next, in one sentence without a full stop."""
        return self.advice.format(**self._shown())

    def __str__(self) -> str:
        """Both sentences."""
        return f"{self.message}; {self.remedy}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive a process boundary with the fields intact."""
        return _rebuild, (type(self), self.values)

    def _shown(self) -> dict[str, object]:
        return {
            name: "0x" + bytes(value).hex() if isinstance(value, bytes | bytearray) else value
            for name, value in self.values.items()
        }

    @classmethod
    def _from(cls, values: dict[str, object]) -> Self:
        return cls(**values)


def _rebuild(cls: type[CommonweightError], values: dict[str, object]) -> CommonweightError:
    return cls._from(values)


# -- protocol ---------------------------------------------------------------------------------


class ProtocolError(CommonweightError):
    """What a stranger sent does not follow docs/protocol.md."""


class InvalidUpdate(ProtocolError):
    """An update object is not what its header says."""

    problem = "invalid update: {what} should be {expected} and is {actual}"
    advice = "do not attest this update; if it is your own, encode it again"
    what: str
    expected: int | str
    actual: int | str


class WrongNorm(InvalidUpdate):
    """An update is its root's, and its header lies about its sum of squares."""

    advice = "do not attest this update; the merge court takes stake for it"


class InvalidModel(ProtocolError):
    """A model object or array has the wrong size or kind."""

    problem = "invalid model: {what} should be {expected} and is {actual}"
    advice = "fetch the model again and compare the run's layout with its specification"
    what: str
    expected: int | str
    actual: int | str


class NotRepresentable(ProtocolError):
    """A number does not fit the integer vector that the model is."""

    problem = "element {index} is {value}, not representable with {fraction_bits} fraction bits"
    advice = "rescale the model or lower fraction_bits; values are refused, never clipped"
    index: int
    value: float
    fraction_bits: int


class InvalidMerge(ProtocolError):
    """A merge was asked for with operands that the rule does not cover."""

    problem = "invalid merge: {reason}"
    advice = "take weights, updates and parameters from the frozen round"
    reason: str


class InvalidRound(ProtocolError):
    """A value of the round's state lies outside its domain."""

    problem = "invalid {field}: {reason}"
    advice = "read the round's state from the chain again"
    field: str
    reason: str


class InvalidSpec(ProtocolError):
    """A run specification breaks the schema."""

    problem = "invalid run specification at {field!r}: {reason}"
    advice = "correct the field and publish the specification again; do not join this run"
    field: str
    reason: str


class InvalidManifest(ProtocolError):
    """A data set manifest breaks the schema."""

    problem = "invalid data set manifest at {field!r}: {reason}"
    advice = "correct the field and publish the data set again; do not train on it"
    field: str
    reason: str


class SpecMismatch(ProtocolError):
    """The chain and the specification that it names say different things of a run."""

    problem = "the chain says {field} is {on_chain}, the run's specification says {specified}"
    advice = "do not join this run; its sponsor must create another"
    field: str
    on_chain: str
    specified: str


class InvalidMessage(ProtocolError):
    """A message between a trainer and a relay breaks the schema."""

    problem = "invalid message at {field!r}: {reason}"
    advice = "use the same release at both ends of the relay"
    field: str
    reason: str


class InvalidCid(ProtocolError):
    """A text or digest is no content id of the profile."""

    problem = "invalid content id {text!r}: {reason}"
    advice = "publish the object with the profile unixfs-v1-2025"
    text: str
    reason: str


class CidMismatch(ProtocolError):
    """Bytes do not hash to the content id they were served for."""

    problem = "content hashes to {actual}, asked for {expected}"
    advice = "discard it and fetch from another peer"
    expected: Digest
    actual: Digest


class InvalidBlock(ProtocolError):
    """A block has the right hash but is no part of an object of the profile and size."""

    problem = "block {digest} is malformed: {reason}"
    advice = "treat the object as unavailable; its publisher did not follow the profile"
    digest: Digest
    reason: str


class InvalidTree(ProtocolError):
    """A Merkle tree was asked for over bytes that are not whole leaves."""

    problem = "no tree over {size} bytes in leaves of {leaf_size}: {reason}"
    advice = "check the object's size before building its tree"
    size: int
    leaf_size: int
    reason: str


class InvalidProof(ProtocolError):
    """A Merkle proof does not lead to the root."""

    problem = "the proof of leaf {index} does not lead to root {root}"
    advice = "ask for the opening again; if the root is on chain, challenge its author"
    index: int
    root: Digest


# -- network ----------------------------------------------------------------------------------


class NetworkError(CommonweightError):
    """The chain, the store or a key did not do what was asked."""


class ChainError(NetworkError):
    """The chain did not do what was asked."""


class RpcUnavailable(ChainError):
    """The chain's RPC end point does not answer."""

    problem = "the Ethereum node at {url} does not answer: {reason}"
    advice = "start the node or name another with --rpc"
    url: str
    reason: str


class WrongChain(ChainError):
    """The RPC end point serves another chain."""

    problem = "the node serves chain {actual}, expected chain {expected}"
    advice = "name a node of chain {expected} with --rpc"
    expected: int
    actual: int


class NotAContract(ChainError):
    """There is no code at an address."""

    problem = "there is no contract at {address}"
    advice = "check the address and the chain"
    address: Address


class CodeMismatch(ChainError):
    """The code at an address is not the code this version knows."""

    problem = "the contract at {address} has code {actual}, expected {expected}"
    advice = "use the release that the run was made with; do not stake in unknown code"
    address: Address
    expected: Digest
    actual: Digest


class NotARun(ChainError):
    """A contract looks like a run, but its factory did not make it."""

    problem = "{address} was not made by the factory {factory}"
    advice = "do not stake; ask the sponsor for the address that RunCreated names"
    address: Address
    factory: Address


class InvalidBlockHeader(ChainError):
    """A node told a block whose fields do not give its hash."""

    problem = "the header of block {number} can not be built: {reason}"
    advice = "ask another RPC endpoint; on a chain with other header fields, update this program"
    number: object
    reason: str


class TransactionReverted(ChainError):
    """A contract refused a call."""

    problem = "the contract refused: {error_name}{error_args}"
    advice = "look {error_name} up in docs/operating.md"
    error_name: str
    error_args: tuple[object, ...] = ()


class TransactionStuck(ChainError):
    """A transaction was not included in time."""

    problem = "transaction {tx_hash} was not included within {waited_s} s"
    advice = "raise the fee limit; the node sends it again with the same nonce"
    tx_hash: str
    waited_s: float


class InsufficientFunds(ChainError):
    """An account can not pay."""

    problem = "{account} has {balance_wei} wei and needs {needed_wei}"
    advice = "send ether to {account}"
    account: Address
    balance_wei: Wei
    needed_wei: Wei


class RpcRejected(ChainError):
    """The RPC end point answered with an error that is no revert."""

    problem = "the Ethereum node refused {method}: {reason} (code {code})"
    advice = "check the call, or name another node with --rpc"
    method: str
    code: int
    reason: str
    data: bytes = b""


class NonceConflict(ChainError):
    """Somebody else sends transactions with the same key."""

    problem = "another process used nonce {nonce} of {account}"
    advice = "stop the other process that uses this key, then start this one again"
    account: Address
    nonce: int


class IntentConflict(ChainError):
    """A journalled intention was asked for again with other content."""

    problem = "{key!r} was already planned with another call"
    advice = "let the planned call finish, or name the new one differently"
    key: str


class JournalUnavailable(ChainError):
    """The journal of transactions can not be read or written; nothing was sent."""

    problem = "the transaction journal {path} can not be used: {reason}"
    advice = "free disk space or check its permissions; never delete it while a call is pending"
    path: str
    reason: str


class NotEnrolled(ChainError):
    """An account has no seat in a run."""

    problem = "{account} has no seat in run {run}"
    advice = "stake and enroll first"
    account: Address
    run: Address


class ClockSkew(ChainError):
    """The clocks of the machine and of the chain disagree."""

    problem = "this clock is {skew_s} s away from the chain's"
    advice = "synchronise the clock; deadlines are in block time"
    skew_s: float


class StoreError(NetworkError):
    """The content store did not do what was asked."""


class ContentUnavailable(StoreError):
    """Nobody served an object in time."""

    problem = "nobody serves {cid}: {reason}"
    advice = "check the store's peers, or wait for its publisher"
    cid: str
    reason: str = "not found"


class ContentTooLarge(StoreError):
    """An object is larger than what this node accepts."""

    problem = "{cid} has {size} bytes, the limit is {limit}"
    advice = "refuse the object, or raise the limit if the run needs it"
    cid: str
    size: int
    limit: int


class StoreTimeout(StoreError):
    """The store did not answer in time."""

    problem = "the store did not finish {operation} within {waited_s} s"
    advice = "check that the store runs, then try again"
    operation: str
    waited_s: float


class StoreUnavailable(StoreError):
    """The store does not answer, or answers with what is no answer."""

    problem = "the store at {place} does not answer: {reason}"
    advice = "start it, or name another with --store"
    place: str
    reason: str


class StoreFull(StoreError):
    """There is no room for an object."""

    problem = "no room for {size} bytes in {place}"
    advice = "free space or move the store"
    place: str
    size: int


class RelayError(NetworkError):
    """A coordinator's relay did not take a message; the chain still does."""


class RelayUnavailable(RelayError):
    """The relay does not answer, or answers with what is no answer."""

    problem = "the relay at {url} does not answer: {reason}"
    advice = "nothing is lost: the trainer sends its own transaction"
    url: str
    reason: str


class RelayRefused(RelayError):
    """The relay did not accept a message."""

    problem = "the relay refused with {error_name}: {reason}"
    advice = "{hint}"
    error_name: str
    reason: str
    hint: str


class InvalidSetting(NetworkError):
    """A setting is missing, unknown, or not what it must be."""

    problem = "setting {name!r}: {reason}"
    advice = "{hint}"
    name: str
    reason: str
    hint: str = "see --help; flags go before the environment, that before the file"


class KeystoreError(NetworkError):
    """A key can not be used."""


class KeyNotFound(KeystoreError):
    """There is no key of that name."""

    problem = "there is no key {name!r}"
    advice = "make it, or name another"
    name: str


class WrongPassphrase(KeystoreError):
    """A key file does not open."""

    problem = "the passphrase does not open key {name!r}"
    advice = "try again; a lost passphrase can not be recovered"
    name: str


class KeyUnreadable(KeystoreError):
    """A key file is no keystore, or may not be read."""

    problem = "key {name!r} can not be read: {reason}"
    advice = "check the file and its permissions, or restore it from a backup"
    name: str
    reason: str


class PassphraseMissing(KeystoreError):
    """A key needs a passphrase and nobody can be asked."""

    problem = "no passphrase for key {name!r}"
    advice = "name a file with it in COMMONWEIGHT_PASSWORD_FILE, or start in a terminal"
    name: str


# -- roles ------------------------------------------------------------------------------------


class LearningError(CommonweightError):
    """Training or prediction could not be done."""


class UnknownTask(LearningError):
    """A run names a task this version does not have."""

    problem = "unknown task {task!r}; known are {known}"
    advice = "update, or do not join this run"
    task: str
    known: tuple[str, ...]


class NonFiniteUpdate(LearningError):
    """Training diverged."""

    problem = "tensor {tensor!r} is not finite after step {step}"
    advice = "sit this round out; the run's learning rate may be too high"
    tensor: str
    step: int


class OutOfMemory(LearningError):
    """The device has too little memory."""

    problem = "device {device} has too little memory: {reason}"
    advice = "close other programs or use another device"
    device: str
    reason: str


class TrainerError(CommonweightError):
    """A trainer's node can not go on as it is."""


class WrongParentRoot(TrainerError):
    """The proposed model is not the merge of its updates."""

    problem = "round {round_id}: the chain says {on_chain}, the merge gives {computed}"
    advice = "dissent and prove the merge wrong"
    round_id: RoundId
    on_chain: Digest
    computed: Digest


class JournalCorrupt(TrainerError):
    """The node's journal can not be read."""

    problem = "journal {path} is corrupt at line {line}"
    advice = "move it away; the node rebuilds it from the chain, unrevealed salts are lost"
    path: str
    line: int


class AlreadyRunning(TrainerError):
    """Another node uses the same key and run."""

    problem = "another node (process {pid}) holds {path}"
    advice = "stop it first; two nodes with one key hurt each other"
    path: str
    pid: int


class CoordinatorError(CommonweightError):
    """A coordinator's job can not go on as it is."""


class InvalidRunParameter(CoordinatorError):
    """A run can not be created with such a parameter."""

    problem = "{name} = {value}: {reason}"
    advice = "{hint}"
    name: str
    value: str
    reason: str
    hint: str


class CheatingPays(CoordinatorError):
    """A run can not be created in which cheating is worth more than honest training."""

    problem = "cheating pays in such a run: {inequality}"
    advice = "{hint}"
    inequality: str
    hint: str


class WrongMerge(CoordinatorError):
    """A model proposed by another aggregator is not the merge of its updates."""

    problem = "round {round_id}: the chain says {on_chain}, the merge gives {computed}"
    advice = "do not build upon it; a proof to the merge court reopens the round"
    round_id: RoundId
    on_chain: Digest
    computed: Digest
