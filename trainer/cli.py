"""The command `commonweight-trainer`: parse, build, call."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from network.logs import configure_logs
from network.settings import load_settings
from protocol.errors import CommonweightError, InvalidSetting
from trainer.report import LineReport
from trainer.selftest import MODES, SelfTestMode
from trainer.setup import Session, StartOptions, opened

RUN_VARIABLE = "COMMONWEIGHT_RUN"
RELAY_VARIABLE = "COMMONWEIGHT_RELAY"
_CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the flags before the command say."""

    flags: dict[str, Any]
    config: Path | None
    as_json: bool


@click.group(
    context_settings=_CONTEXT,
    epilog="""\b
Examples:
  commonweight-trainer --keystore my-key doctor --run 0x...
  commonweight-trainer --keystore my-key start --run 0x... --stake 1000000000
  commonweight-trainer --keystore my-key why 12 --run 0x...
""",
)
@click.option("--rpc", multiple=True, help="Ethereum node, http://...; may be repeated")
@click.option("--ws", multiple=True, help="the same by WebSocket, for new blocks")
@click.option("--chain-id", type=int, default=None, help="the chain [default: 31337]")
@click.option("--store", multiple=True, help="local:DIRECTORY or kubo:URL; may be repeated")
@click.option("--keystore", default=None, help="name of ape's or path of a keystore")
@click.option("--passphrase-file", type=click.Path(path_type=Path), default=None)
@click.option("--data-dir", type=click.Path(path_type=Path), default=None)
@click.option("--factory", default=None, help="refuse runs that another factory made")
@click.option("--config", type=click.Path(path_type=Path), default=None, help="a TOML file")
@click.option("--json", "as_json", is_flag=True, help="write JSON")
@click.option("--verbose", is_flag=True, help="log more")
@click.pass_context
def main(
    context: click.Context, /, config: Path | None, as_json: bool, verbose: bool, **flags: Any
) -> None:
    """Train one model together with strangers: stake, train, get paid.

    Settings come from flags, else COMMONWEIGHT_* variables, else a TOML file. Exit status: 0 done,
    1 failed with a reason and a remedy, 2 wrong usage, 128 + N ended by signal N.
    """
    configure_logs(as_json=as_json, verbose=verbose)
    context.obj = Shared(flags=flags, config=config, as_json=as_json)


def _command(example: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of a run; it gets the session and whether to write JSON."""

    def decorate(function: Callable[..., None]) -> click.Command:
        def call(shared: Shared, /, run: str | None, own_json: bool, **options: Any) -> None:
            as_json = shared.as_json or own_json
            with _failing_loudly(as_json=as_json):
                settings = load_settings(shared.flags, config=shared.config)
                with opened(settings, run=run) as session:
                    function(session, as_json, **options)

        functools.update_wrapper(call, function)
        named = click.option("--run", default=None, envvar=RUN_VARIABLE, help="the run's address")
        as_json = click.option("--json", "own_json", is_flag=True, help="write JSON")
        command = main.command(epilog=f"\b\nExample:\n  commonweight-trainer {example}")
        return command(named(as_json(click.pass_obj(call))))

    return decorate


@_command("--keystore my-key doctor --run 0x...")
@click.option("--device", default="auto", help="auto, cpu or cuda")
def doctor(session: Session, as_json: bool, device: str) -> None:
    """Check key, chain, clock, money, run, disk, store and device; each with a remedy."""
    from trainer.doctor import examine  # noqa: PLC0415 - `--help` needs none of it

    findings = []
    for one in examine(session, device=device):
        findings.append(one)
        if not as_json:
            click.echo(f"{'ok  ' if one.good else 'FAIL'}  {one.check:<14} {one.finding}")
            if one.remedy:
                click.echo(f"{'':<21} -> {one.remedy}")
    good = all(one.good for one in findings)
    if as_json:
        click.echo(json.dumps({"good": good, "checks": [asdict(one) for one in findings]}))
    if not good:
        sys.exit(1)


@_command("--keystore my-key stake 1000000000 --run 0x...")
@click.argument("gwei", type=click.IntRange(min=1))
def stake(session: Session, as_json: bool, gwei: int) -> None:
    """Put GWEI into the vault; `start --stake` puts it behind a run."""
    receipt = session.account.deposit(gwei)
    _show(as_json, "deposited", gwei=gwei, tx=receipt.hash if receipt else None)


@_command("--keystore my-key start --run 0x... --stake 1000000000 --relay http://127.0.0.1:8600")
@click.option("--relay", default=None, envvar=RELAY_VARIABLE, help="saves your transactions' gas")
@click.option("--stake", "gwei", type=click.IntRange(min=1), help="enroll with so many gwei")
@click.option("--rounds", type=click.IntRange(min=1), help="end after so many finished rounds")
@click.option("--bond", is_flag=True, help="deposit a bond, to propose merges when others fail")
@click.option("--no-backup", is_flag=True, help="make no overdue transitions")
@click.option("--no-watch", is_flag=True, help="bring nothing to the merge court")
@click.option("--no-audit", is_flag=True, help="replay no updates, though drawn for them")
@click.option(
    "--no-jury", is_flag=True, help="judge nothing, though drawn as juror: it costs fines"
)
@click.option("--device", default="auto", help="auto, cpu or cuda")
@click.option(
    "--selftest",
    type=click.Choice(MODES),
    default="once",
    envvar="COMMONWEIGHT_SELFTEST",
    help="whether to test that this machine repeats itself: the first time, at every start, never",
)
def start(
    session: Session,
    as_json: bool,
    *,
    relay: str | None,
    gwei: int | None,
    rounds: int | None,
    bond: bool,
    no_backup: bool,
    no_watch: bool,
    no_audit: bool,
    no_jury: bool,
    device: str,
    selftest: SelfTestMode,
) -> None:
    """Train until the run is over; kill it at any time, it goes on where it was."""
    report = LineReport(as_json=as_json or not sys.stdout.isatty())
    options = StartOptions(
        relay=relay,
        stake_gwei=gwei,
        rounds=rounds,
        bond=bond,
        backup=not no_backup,
        watch=not no_watch,
        audit=not no_audit,
        jury=not no_jury,
        device=device,
        selftest=selftest,
    )
    with session.node(options, report) as node:
        caught = _stop_at_signals(node.stop)
        node.follow()
        report("stopped", signal=caught[0] if caught else None)
    if caught:
        _end_now(128 + caught[0])


@_command("--keystore my-key audit --run 0x... --follow --rate 0.2 --accuse")
@click.option("--round", "round_id", type=click.IntRange(min=1), help="one round [default: all]")
@click.option("--follow", is_flag=True, help="go on with new rounds until the run is over")
@click.option("--rate", type=click.FloatRange(0.0, 1.0), default=1.0, help="share of the updates")
@click.option("--all", "everything", is_flag=True, help="the same as --rate 1")
@click.option("--accuse", is_flag=True, help="accuse, with a bond, what this class proves wrong")
@click.option("--device", default="auto", help="auto, cpu or cuda")
def audit(
    session: Session,
    as_json: bool,
    *,
    round_id: int | None,
    follow: bool,
    rate: float,
    everything: bool,
    accuse: bool,
    device: str,
) -> None:
    """Do trainers' work again, without a seat; exit status 1 if an update is other work."""
    from trainer.auditing import AuditPlan, AuditTable  # noqa: PLC0415 - `--help` needs none of it

    plan = AuditPlan(
        round_id=round_id, follow=follow, rate=1.0 if everything else rate, accuse=accuse
    )
    report = LineReport(as_json=True) if as_json else AuditTable(click.echo)
    with session.audit(plan, report, device=device) as loop:
        caught = _stop_at_signals(loop.stop)
        good = loop.run()
        report("audit_finished", updates=len(loop.auditor.findings), differs=not good)
    if caught:
        _end_now(128 + caught[0])
    if not good:
        sys.exit(1)


@_command("--keystore my-key status --run 0x...")
def status(session: Session, as_json: bool) -> None:
    """Say where the run stands, and where the account's seat and money are."""
    current, totals = session.run.current(), session.run.totals()
    court = session.training_court
    trials = [] if court is None else session.trials_history.update().open
    holdings = asdict(session.account.holdings())
    _show(
        as_json,
        "status",
        run=session.run.address,
        trainer=session.signer.address,
        round=current.round_id,
        attempt=current.attempt,
        phase=current.phase.name.lower(),
        deadline_s=current.deadline_s,
        roster=current.roster_count,
        last_final=totals.last_final,
        halted=totals.halted,
        closed=totals.closed,
        audit_pool_wei="0" if court is None else str(court.audit_pool_wei(session.run.address)),
        open_trials=[
            {"trial": one.number, "round": one.round_id, "seat": one.seat, "accuser": one.accuser}
            for one in trials
        ],
        **{name: str(v) if name.endswith("_wei") else v for name, v in holdings.items()},
    )


@_command("--keystore my-key why 12 --run 0x...")
@click.argument("round_id", metavar="ROUND", type=click.IntRange(min=1))
@click.option("--account", default=None, help="another account than your own")
def why(session: Session, as_json: bool, round_id: int, account: str | None) -> None:
    """Say what the account earned in ROUND, and why."""
    from eth_utils.address import to_checksum_address  # noqa: PLC0415 - only here

    from network.trials.history import TrialFold  # noqa: PLC0415 - as above
    from protocol.types import Address  # noqa: PLC0415 - as above
    from trainer.why import explain  # noqa: PLC0415 - `--help` needs none of it
    from trainer.why_trials import tell_trials  # noqa: PLC0415 - as above

    who = session.signer.address if account is None else Address(to_checksum_address(account))
    said = explain(session.history.update(), round_id, who)
    court = session.training_court
    trials = (
        TrialFold(run=session.run.address) if court is None else session.trials_history.update()
    )
    facts = tell_trials(trials, round_id, who, said.seat)
    if as_json:
        values = {**asdict(said), "court": [asdict(fact) for fact in facts]}
        money = {"earned_wei": str(said.earned_wei), "expected_wei": str(said.expected_wei)}
        click.echo(json.dumps({**values, **money}))
        return
    click.echo(f"round {said.round_id}: {said.reason.value}: {said.explanation}")
    click.echo(f"earned {said.earned_wei} wei, fees {said.fees_gwei} gwei")
    if said.expected_wei and not said.earned_wei:
        click.echo(f"due once the round is final: {said.expected_wei} wei")
    for fact in facts:
        click.echo(fact.text)
    click.echo(f"-> {said.advice}")


@_command("--keystore my-key leave --run 0x...")
def leave(session: Session, as_json: bool) -> None:
    """Give up the seat from the next round on."""
    _show(as_json, "leaving", seat=session.account.leave())


@_command("--keystore my-key unstake --run 0x...")
def unstake(session: Session, as_json: bool) -> None:
    """Release the seat that was left: its stake begins to unbond."""
    session.account.unstake()
    holdings = session.account.holdings()
    _show(
        as_json,
        "unbonding",
        amount_wei=str(holdings.unbonding_wei),
        until_s=holdings.unbonding_until_s,
    )


@_command("--keystore my-key withdraw --run 0x...")
@click.option("--wei", type=click.IntRange(min=1), help="less than everything free")
def withdraw(session: Session, as_json: bool, wei: int | None) -> None:
    """Send free and unbonded stake home."""
    _show(as_json, "withdrawn", amount_wei=str(session.account.withdraw(wei)))


@_command("--keystore my-key claim --run 0x...")
def claim(session: Session, as_json: bool) -> None:
    """Send home what the run and its courts owe: rewards, bonds that came back, jurors' pay."""
    _show(as_json, "claimed", amount_wei=str(session.account.claim()))


@main.command(
    epilog="\b\nExample:\n  commonweight-trainer calibrate --against threads-2 --against cuda"
)
@click.option("--task", default="digits", help="the task whose training is compared")
@click.option("--device", default="cpu", help="of the reference: auto, cpu or cuda")
@click.option(
    "--against", multiple=True, help="threads-2, avx2, sse4 or cuda [default: all on CPU]"
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("docs/calibration.md"),
    help="the page to write",
)
@click.option("--json", "own_json", is_flag=True, help="write JSON")
@click.pass_obj
def calibrate(
    shared: Shared, task: str, device: str, against: tuple[str, ...], output: Path, own_json: bool
) -> None:
    """Measure how far honest and dishonest work are apart across classes; takes minutes."""
    from trainer.calibrate import DEFAULT, calibrate, choose_tolerance, find_gaps  # noqa: PLC0415
    from trainer.calibration_report import write_report  # noqa: PLC0415 - `--help` needs neither

    as_json = shared.as_json or own_json
    with _failing_loudly(as_json=as_json):
        chosen = against or DEFAULT
        rows = calibrate(task=task, device=device, against=chosen)
        tolerance = choose_tolerance(find_gaps(rows))
        try:
            output.write_text(write_report(rows, task=task, against=chosen), encoding="utf-8")
        except OSError as error:
            reason = f"{output} can not be written ({type(error).__name__})"
            raise InvalidSetting(name="output", reason=reason) from None
        said = asdict(tolerance) if tolerance else {"steps": 0}
        _show(as_json, "calibrated", output=str(output), **said)


def _show(as_json: bool, event: str, **values: Any) -> None:
    if as_json:
        click.echo(json.dumps({"event": event, **values}))
        return
    for name, value in values.items():
        click.echo(f"{name.replace('_', ' '):<18} {value}")


@contextmanager
def _failing_loudly(*, as_json: bool) -> Iterator[None]:
    """Turn an error of ours into words, a remedy and exit status 1."""
    try:
        yield
    except CommonweightError as error:
        if as_json:
            name = type(error).__name__
            said = {"error": name, "message": error.message, "remedy": error.remedy}
            click.echo(json.dumps(said))
        else:
            click.echo(f"error: {error.message}\n-> {error.remedy}", err=True)
        sys.exit(1)


def _stop_at_signals(stop: Callable[[], None]) -> list[int]:
    """Stop at SIGINT and SIGTERM; the list holds those that came."""
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        caught.append(number)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return caught


def _end_now(status: int) -> NoReturn:
    """End without waiting for a training that was interrupted; everything else is closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
