"""Gas of the training court's calls: 65 digests of each side, juries of 15 and 63 tickets.

Gas is what the receipts say: base cost and the calldata floor of EIP-7623 included. Every juror has
its own account; the beacon reads real block headers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from scripts.court_gas import undone

TRAINERS = (16, 64)
STEPS = 64
CHEAT, FROM = 1, 37
PRICE_WEI = 10**9
"""What gas costs where there is no base fee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """What a call costs, by the number of included updates."""

    call: str
    gas: dict[int, int]


def measure(stage: Any, trainers: Sequence[int] = TRAINERS) -> list[MoveRow]:
    """Play the dearest trial and the audits of a round for each number of trainers."""
    found: dict[str, dict[int, int]] = {}
    for count in trainers:
        with undone(stage.evm):
            run = make_run(stage, count)
            for call, gas in [*trial_moves(run), *audit_moves(run)]:
                found.setdefault(call, {})[count] = gas
    return [MoveRow(call=call, gas=gas) for call, gas in found.items()]


def make_run(stage: Any, count: int) -> Any:
    """A run with one cheat, whose round is proposed."""
    from support.runs import SPONSOR  # noqa: PLC0415 - below tests/
    from support.trials import create_trial_run  # noqa: PLC0415

    beacon = stage.evm.deploy("PrevrandaoBeacon", sender=SPONSOR.address)
    cheats = {CHEAT: FROM}
    run = create_trial_run(stage, trainers=count, steps=STEPS, cheats=cheats, beacon=beacon.address)
    run.play()
    return run


def trial_moves(run: Any) -> list[tuple[str, int]]:
    """From the accusation through both juries to the last payment."""
    from support.runs import KEEPER, WITNESS  # noqa: PLC0415
    from support.trials import TrialGame  # noqa: PLC0415

    game = TrialGame(run, 1, CHEAT)
    rows = [("accuse", game.accuse().gas)]
    with undone(run.evm):
        rows.append(("advance, no defence: convicted", game.run_out().gas))
    rows.append(("showTrace, 65 digests", game.show().gas))
    rows.append(("answerTrace, 65 and 65 digests", game.answer().gas))
    with undone(run.evm):
        rows.append(("advance, nobody seated: hung", game.run_out().gas))
    rows.append(("seatJury, 15 tickets", game.seat_jury().gas))
    fewest = min(game.jury, key=lambda person: game.jury[person])
    rows += vote(game, fewest, "first")
    with undone(run.evm):
        rows.append(("advance, verdict: convicted", game.finish().gas))
    rows.append(("appeal", game.appeal(KEEPER).gas))
    rows.append(("seatJury, 63 tickets", game.seat_jury().gas))
    silent = min(game.jury, key=lambda person: game.jury[person])
    fewest = next(person for person in game.jury if person != silent)
    rows += vote(game, fewest, "second", silent=silent)
    paid = run.court.payJuror(1, 1, fewest.address, sender=KEEPER.address)
    rows.append(("payJuror", paid.gas))
    fined = run.court.fineJuror(1, 1, silent.address, sender=KEEPER.address)
    rows.append(("fineJuror", fined.gas))
    claimed = run.court.claim(sender=WITNESS.address)
    return [*rows, ("claim", claimed.gas)]


def vote(game: Any, shown: Any, which: str, silent: Any = None) -> list[tuple[str, int]]:
    """All vote for the accuser but the silent one; the rows are those of one juror and the ends."""
    digest, jurors = bytes(game.trial.accuserDigest), [p for p in game.jury if p != silent]
    jurors.sort(key=lambda person: person != shown)
    sealed = {person: game.seal(person, digest).gas for person in jurors}
    if silent is not None:
        game.run_out()
    opened = {person: game.open(person, digest).gas for person in jurors}
    if which == "first":
        return [
            ("sealVote", sealed[shown]),
            ("sealVote, the last of all", sealed[jurors[-1]]),
            ("openVote", opened[shown]),
            ("openVote, the last: counted", opened[jurors[-1]]),
        ]
    return [("openVote, the last of an appeal: convicted", opened[jurors[-1]])]


def audit_moves(run: Any) -> list[tuple[str, int]]:
    """A batch of findings, and what one more costs."""
    from support.runs import SPONSOR  # noqa: PLC0415
    from support.trials import SAME  # noqa: PLC0415

    run.play()
    number = run.contract.current().round
    run.court.fundAudits(run.contract.address, sender=SPONSOR.address, value=10**18)
    signed = [
        run.finding(number, seat, SAME, auditor) for seat, auditor in run.auditors(number).items()
    ]
    one = run.post_findings(number, signed[:1]).gas
    more = run.post_findings(number, signed[1:9]).gas
    return [("postFindings, 1", one), ("postFindings, 8", more)]


def table(rows: Sequence[MoveRow], bond_gas: tuple[int, int]) -> Table:
    """The calls as a table of rich."""
    out = Table(title="Training court: 65 digests, juries of 15 and 63 tickets")
    out.add_column("call")
    counts = sorted({count for row in rows for count in row.gas})
    for count in counts:
        out.add_column(f"gas, {count} updates", justify="right")
    for row in rows:
        out.add_row(row.call, *(f"{row.gas[count]:,}" for count in counts))
    side, ticket = bond_gas
    out.caption = f"bonds in gas: a side {side:,}, an appeal {63 * ticket:,}; a ticket {ticket:,}"
    return out


def tables(harness: Callable[[], Any]) -> list[Table]:
    """The table, measured on a deployment of its own."""
    with harness() as stage:
        rows = measure(stage)
        bonds = stage.training_court.bondsWei()
        side, ticket = bonds.sideWei // PRICE_WEI, bonds.appealWei // 63 // PRICE_WEI
        return [table(rows, (int(side), int(ticket)))]
