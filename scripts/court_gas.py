"""Gas of the merge court's calls for a model of 124 million parameters (trees of depth 19).

Only the path to one chunk exists; its leaves are real, the other nodes are dice. Gas is what the
receipts say: base cost and the calldata floor of EIP-7623 included.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.table import Table

UPDATES = (4, 16, 64, 128)
PART_BYTES = 100_000
"""Openings of one transaction: nodes do not relay transactions of more than 128 KiB."""

ETHER = 10**18
CHILDREN, CHUNK_DUE, LEAF_DUE = 1, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRow:
    """What convicting by one chunk costs at a number of included updates."""

    updates: int
    long: bool
    transactions: int
    calldata: int
    gas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """What another call costs; `bond` is what its asker bonds, in the gas of the answer."""

    call: str
    gas: int
    bond: int | None = None


@contextmanager
def undone(evm: Any) -> Iterator[None]:
    """Take back what the block does to the chain."""
    before = evm.snapshot()
    yield
    evm.revert(before)


def measure_proofs(stage: Any, updates: Sequence[int] = UPDATES) -> list[ProofRow]:
    """Convict the same wrong chunk with openings of both forms."""
    from support.sparse import create_sparse_run  # noqa: PLC0415 - below tests/

    rows = []
    for count in updates:
        with undone(stage.evm):
            run = create_sparse_run(stage, trainers=count)
            for long in (False, True):
                with undone(stage.evm):
                    rows.append(convict(run, long=long))
    return rows


def convict(run: Any, *, long: bool) -> ProofRow:
    """Send the proof, in parts where it is too long, and add up what it costs."""
    from support.runs import WITNESS  # noqa: PLC0415
    from support.sparse import digests  # noqa: PLC0415

    from protocol.proofs import split_proof  # noqa: PLC0415

    *parts, last = split_proof(run.proof(long=long), PART_BYTES)
    node, siblings = run.proposed.nodes[0][0], list(digests(run.proposed.siblings))
    calls = [("feed", run.contract.address, 1, part.fields) for part in parts]
    calls.append(("proveMerge", run.contract.address, 1, last.fields, node, siblings))  # type: ignore[arg-type]
    gas = sum(run.court.send(*call, sender=WITNESS.address).gas for call in calls)
    return ProofRow(
        updates=len(run.seats),
        long=long,
        transactions=len(calls),
        calldata=sum(len(run.court.encode(*call)) for call in calls),
        gas=gas,
    )


def measure_moves(stage: Any, updates: int = 16) -> list[MoveRow]:
    """Every other call, once, with the answers at their dearest."""
    with undone(stage.evm):
        return [*tree_moves(stage, updates), *leaf_moves(stage, updates)]


def tree_moves(stage: Any, updates: int) -> list[MoveRow]:
    """A whole tree game, and its ends."""
    from support.runs import AGGREGATOR, KEEPER, WITNESS  # noqa: PLC0415
    from support.sparse import create_sparse_run  # noqa: PLC0415

    from protocol.proofs import child_siblings  # noqa: PLC0415

    run = create_sparse_run(stage, trainers=updates)
    court, evm, rows = run.court, run.evm, []
    bond = {state: in_gas(court, state, updates) for state in (CHILDREN, CHUNK_DUE)}
    asked = court.challengeTree(run.contract.address, 1, sender=WITNESS.address, value=ETHER)
    rows.append(MoveRow(call="challengeTree", gas=asked.gas))
    left = run.depth
    for number, children in enumerate(run.shown):
        label = f"{len(children)} children"
        shown = court.showChildren(1, children, sender=AGGREGATOR.address)
        due = bond[CHILDREN] if number == 0 else None
        rows.append(MoveRow(call=f"showChildren, {label}", gas=shown.gas, bond=due))
        if number == 0:
            rows.append(ended(evm, court, "endDispute, no choice"))
        left -= (len(children) - 1).bit_length()
        child = run.chunk >> left & len(children) - 1
        choice = (1, child, children[child], list(child_siblings(children, child)))
        chosen = court.chooseChild(*choice, sender=WITNESS.address, value=ETHER)
        rows.append(MoveRow(call=f"chooseChild among {len(children)}", gas=chosen.gas))
    rows.append(ended(evm, court, "endDispute, no chunk: convicted"))
    opening = (1, run.parent.root, [run.frozen_hash()], run.proof(long=True).fields)
    opened = court.openChunk(*opening, sender=KEEPER.address)
    call = f"openChunk, {updates} updates in the long form: convicted"
    rows.append(MoveRow(call=call, gas=opened.gas, bond=bond[CHUNK_DUE]))
    claimed = court.claim(sender=WITNESS.address)
    return [*rows, MoveRow(call="claim", gas=claimed.gas)]


def leaf_moves(stage: Any, updates: int) -> list[MoveRow]:
    """A leaf that is asked for, and a norm."""
    from support.runs import KEEPER, WITNESS  # noqa: PLC0415
    from support.sparse import create_sparse_run  # noqa: PLC0415

    run = create_sparse_run(stage, trainers=updates)
    court, path = run.court, run.path(1, 1)
    address, inputs = run.contract.address, run.inputs[1][0]
    bond = in_gas(court, LEAF_DUE, 0)
    ask = (address, 1, run.chunk, inputs, 1)
    number = court.disputeCount() + 1
    asked = court.challengeLeaf(*ask, sender=WITNESS.address, value=ETHER)
    rows = [MoveRow(call=f"challengeLeaf, {updates} updates", gas=asked.gas)]
    rows.append(ended(run.evm, court, "endDispute, no leaf: round failed", number))
    from protocol.proofs import long_opening  # noqa: PLC0415

    opening = long_opening(path.leaf, path.claims)
    answered = court.answerLeaf(number, opening, sender=KEEPER.address)
    rows.append(MoveRow(call="answerLeaf, long form", gas=answered.gas, bond=bond))
    proof = run.norm_proof(2)
    proven = court.proveNorm(address, 1, proof, sender=WITNESS.address)
    return [*rows, MoveRow(call=f"proveNorm, frozen, {updates} updates", gas=proven.gas)]


def in_gas(court: Any, state: int, updates: int) -> int:
    """A bond in units of gas; where there is no base fee it counts a gwei for each."""
    return int(court.bondWei(state, updates)) // 10**9


def ended(evm: Any, court: Any, call: str, number: int = 1) -> MoveRow:
    """End a dispute by its clock, and take that back."""
    from support.runs import KEEPER  # noqa: PLC0415

    with undone(evm):
        evm.sleep_until(court.disputes(number).deadline + 1)
        gas = court.endDispute(number, sender=KEEPER.address).gas
    return MoveRow(call=call, gas=gas)


def proof_table(rows: Sequence[ProofRow]) -> Table:
    """The proofs as a table of rich."""
    out = Table(title="Merge court: convicting by one chunk, 124M parameters, C = 256, depth 19")
    for heading in ("updates", "openings", "transactions", "calldata, bytes", "gas", "an update"):
        out.add_column(heading, justify="right")
    for row in rows:
        form = "long" if row.long else "short"
        counts = (row.transactions, row.calldata, row.gas, row.gas // row.updates)
        out.add_row(str(row.updates), form, *(f"{count:,}" for count in counts))
    return out


def move_table(rows: Sequence[MoveRow]) -> Table:
    """The other calls as a table of rich."""
    out = Table(title="Merge court: every other call")
    for heading in ("call", "gas", "bond asked for it, in gas"):
        out.add_column(heading, justify="left" if heading == "call" else "right")
    for row in rows:
        out.add_row(row.call, f"{row.gas:,}", "" if row.bond is None else f"{row.bond:,}")
    return out


def tables(harness: Callable[[], Any]) -> list[Table]:
    """Both tables, measured on a deployment of their own."""
    with harness() as stage:
        return [proof_table(measure_proofs(stage)), move_table(measure_moves(stage))]
