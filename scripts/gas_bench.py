"""Gas per trainer and round in the steady state, everything counted.

A run is played until every slot of its ring has been written once, then a settlement period is
measured. Relayed: one transaction posts the signed commitments; one multicall reveals and freezes
with the attestations of two thirds of the stake, proposes, opens the next round and, every
`SETTLE_EVERY` rounds, finalizes those before. Direct: every trainer commits and reveals in
transactions of its own. Each trainer claims once in `CLAIM_EVERY` rounds. Gas is what the receipts
say: base cost and calldata included.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
TRAINERS = (4, 16, 64)
RING = 16
SETTLE_EVERY = 8
WARM_UP_ROUNDS = RING + SETTLE_EVERY
MEASURED_ROUNDS = SETTLE_EVERY
CLAIM_EVERY = 32
STEPS = ("commit", "reveal", "merge and open", "claim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Gas per trainer and round at a number of trainers, by step."""

    way: str
    trainers: int
    gas: dict[str, float]

    @property
    def total(self) -> float:
        """All steps together."""
        return sum(self.gas.values())


@contextmanager
def harness(*, real_court: bool = False, real_training_court: bool = False) -> Iterator[Any]:
    """The tests' deployment on an anvil of its own."""
    for folder in (ROOT, ROOT / "tests"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from support.anvil import run_anvil  # noqa: PLC0415
    from support.evm import Evm  # noqa: PLC0415
    from support.runs import Stage  # noqa: PLC0415

    # Without a base fee a proposal at no price, which the courts' harness makes, is mined.
    flags = ("--base-fee", "0") if real_court or real_training_court else ()
    with run_anvil("--hardfork", "prague", *flags) as anvil:
        evm = Evm(anvil.url)
        yield Stage(evm, real_court=real_court, real_training_court=real_training_court)


def measure(trainers: Sequence[int] = TRAINERS) -> list[Row]:
    """Play the rounds and give a row for each way and number of trainers."""
    with harness() as stage:
        return [
            measure_way(stage, way, count) for count in trainers for way in ("relayed", "direct")
        ]


def measure_way(stage: Any, way: str, count: int) -> Row:
    from support.runs import AGGREGATOR  # noqa: PLC0415

    evm = stage.evm
    before = evm.snapshot()
    run = stage.create_run(ringSize=RING, disputeS=1, mergeTurnS=1)
    run.enroll_all(count)
    run.deposit_bond(AGGREGATOR)
    run.open()
    gas: Counter[str] = Counter()
    for number in range(1, WARM_UP_ROUNDS + MEASURED_ROUNDS + 1):
        if number == WARM_UP_ROUNDS + 1:
            gas.clear()
        play(run, way, gas)
    gas["claim"] = sum(
        run.contract.claim(sender=person.address).gas for person in run.seats.values()
    )
    evm.revert(before)
    shares = {step: gas[step] / MEASURED_ROUNDS / count for step in STEPS}
    shares["claim"] = gas["claim"] / count / CLAIM_EVERY
    return Row(way=way, trainers=count, gas=shares)


def play(run: Any, way: str, gas: "Counter[str]") -> None:
    """Play one open round to its merge, and open the next; adds up what each step used."""
    from support.runs import AGGREGATOR  # noqa: PLC0415

    seats = sorted(run.seats)
    current = run.contract.current()
    encode = run.contract.encode
    everything = sum(1 << seat for seat in seats)
    # Two thirds of the stake are enough; stakes are equal here.
    voters = seats[: -(-2 * len(seats) // 3)]
    if way == "relayed":
        gas["commit"] += run.commit_batch(seats).gas
        group = run.attestation_group(voters, everything)
        calls = [encode("freezeWithReveals", current.attempt, [group], run.reveals(seats))]
        entries = run.entries(seats)
    else:
        gas["commit"] += sum(run.commit(seat).gas for seat in seats)
        gas["reveal"] += sum(run.reveal([seat]).gas for seat in seats)
        group = run.attestation_group(voters, everything)
        calls = [encode("freeze", current.attempt, [group], run.revealed_updates(seats))]
        entries = run.entries(seats)
    calls.append(encode("proposeMerge", current.round, b"\x05" * 32, b"\x06" * 32, 4096))
    if current.round % SETTLE_EVERY == 0:
        for settled in range(max(1, current.round - SETTLE_EVERY), current.round):
            calls.append(encode("finalize", settled, run.inputs[settled]))
    calls.append(encode("openRound"))
    run.evm.sleep(2)  # past the dispute window of the round before
    gas["merge and open"] += run.contract.multicall(calls, sender=AGGREGATOR.address).gas
    run.inputs[current.round] = [preimage_of(segment) for segment in entries]


def preimage_of(entries: Sequence[Any]) -> bytes:
    from support.runs import preimage  # noqa: PLC0415

    return bytes(preimage(entries))


def table(rows: Sequence[Row]) -> Table:
    """Rows as a table of rich."""
    out = Table(title=f"Gas per trainer and round; one claim in {CLAIM_EVERY} rounds")
    out.add_column("way")
    out.add_column("trainers", justify="right")
    for step in (*STEPS, "total"):
        out.add_column(step, justify="right")
    for row in rows:
        cells = [f"{row.gas[step]:,.0f}" for step in STEPS]
        out.add_row(row.way, str(row.trainers), *cells, f"{row.total:,.0f}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trainers", type=int, nargs="+", default=list(TRAINERS))
    Console().print(table(measure(parser.parse_args().trainers)))


if __name__ == "__main__":
    main()
