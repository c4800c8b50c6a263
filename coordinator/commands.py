"""What the commands do, with everything they need opened from the settings."""

import contextlib
import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from eth_utils.address import is_address, to_checksum_address

from coordinator.aggregator import Aggregator, ModelFiles
from coordinator.create_run import create_run, publish_run
from coordinator.driver import DriveOptions, Driver
from coordinator.inbox import Inbox
from coordinator.output import Output
from coordinator.plan import ETHER, RunPlan
from coordinator.plan_file import plan_from
from coordinator.publish import publish_dataset
from coordinator.relay_server import RelayServer
from learning.tasks import load_task
from network.abi import Event
from network.court.contract import known_court
from network.court.watch import open_watch
from network.deployment import find_deployment
from network.heads import HeadWatcher
from network.history import RoundHistory, RunHistory
from network.rpc import Rpc
from network.run import RunContract
from network.runs import created_runs, find_run
from network.settings import (
    Settings,
    make_data_dir,
    open_heads,
    open_rpc,
    open_sender,
    open_signer,
    open_store,
)
from network.spec_check import load_spec
from network.transactions import TransactionSender
from protocol.cid import Cid
from protocol.errors import InvalidSetting
from protocol.types import Address, Wei


def publish(
    settings: Settings,
    output: Output,
    *,
    task: str,
    shards: int,
    split: Any,
    alpha: float,
    seed: int,
    name: str | None,
) -> None:
    """Publish a data set."""
    with open_store(settings) as store:
        manifest, cid = publish_dataset(
            store, load_task(task), shards=shards, split=split, alpha=alpha, seed=seed, name=name
        )
    output.result(
        f"{cid.text}:{cid.size}",
        manifest=f"{cid.text}:{cid.size}",
        shards=len(manifest.shards),
        rows=sum(shard.rows for shard in manifest.shards),
    )


def create(
    settings: Settings,
    output: Output,
    *,
    name: str,
    task: str,
    manifest: str,
    plan: Path | None,
    sets: tuple[str, ...],
    value_eth: str | None,
    keeper_eth: str,
    audits_wei: int | None,
    reward_eth: str | None,
    beacon: str | None,
    guardian: str | None,
    label: str,
    **numbers: Any,
) -> None:
    """Create a run."""
    deployment = find_deployment(settings)
    chosen: dict[str, Any] = {**_read_plan(plan), **dict(_assignment(text) for text in sets)}
    chosen |= {key: value for key, value in numbers.items() if value is not None}
    if reward_eth is not None:
        chosen["reward_per_round_wei"] = _wei("--reward-eth", reward_eth)
    if guardian is not None:
        chosen["guardian"] = read_address("--guardian", guardian)
    named = beacon or deployment.contracts.get("PrevrandaoBeacon")
    made = plan_from(
        chosen,
        name=name,
        task=load_task(task),
        manifest=read_cid("--manifest", manifest),
        beacon=read_address("--beacon", named or ""),
    )
    keeper_wei = _wei("--keeper-eth", keeper_eth)
    value_wei = _wei("--value-eth", value_eth) if value_eth else _full_funding(made, keeper_wei)
    with open_store(settings) as store, open_chain(settings) as chain:
        _, params = publish_run(store, made)
        run = create_run(
            chain.rpc,
            deployment,
            chain.sender,
            made,
            params,
            value_wei=value_wei,
            keeper_wei=keeper_wei,
            audits_wei=None if audits_wei is None else Wei(audits_wei),
            label=label,
        )
    output.result(
        run.address,
        run=run.address,
        block=run.block,
        spec=params.spec.text,
        audits_wei=run.audits_wei,
    )


def coordinate(
    settings: Settings,
    output: Output,
    *,
    run: str,
    rounds: int | None,
    wait_final: bool,
    settle_every: int,
    register: bool,
    no_propose: bool,
    relay_host: str,
    relay_port: int,
    unchecked: bool,
    no_watch: bool,
    make_contract: Callable[[Rpc, Address], RunContract] = RunContract,
) -> None:
    """Drive a run's rounds; `make_contract` makes the run's client."""
    address = read_address("RUN", run)
    options = DriveOptions(
        rounds=rounds,
        wait_final=wait_final,
        register=register,
        proposes=not no_propose,
        settle_every=settle_every,
    )

    def tell(found: RoundHistory) -> None:
        root = found.model_root
        output.result(
            f"round {found.round_id}: {found.outcome.name.lower()}, "
            f"{found.included.bit_count()} updates, model 0x{root.hex() if root else ''}",
            round=found.round_id,
            outcome=found.outcome.name.lower(),
            updates=found.included.bit_count(),
            model_root=root,
        )

    def tell_court(event: str, **values: Any) -> None:
        said = " ".join(f"{name}={value}" for name, value in values.items())
        output.result(f"court: {event} {said}".rstrip(), event=event, **values)

    with open_store(settings) as store, open_chain(settings) as chain:
        contract = make_contract(chain.rpc, address)
        first_block = find_run(chain.rpc, find_deployment(settings), address).block
        if not unchecked:
            contract.check()
        params = contract.params
        spec = load_spec(store, params)
        folder = make_data_dir(settings) / "models" / address.lower()
        models = ModelFiles(folder, momentum=params.momentum)
        inbox = Inbox(
            chain_id=settings.chain_id,
            run=address,
            norm_bound=params.norm_bound,
            changed=chain.heads.nudge,
        )
        with (
            RelayServer(inbox, host=relay_host, port=relay_port) as relay,
            Driver(
                contract,
                RunHistory(chain.rpc, contract, first_block=first_block),
                chain.sender,
                chain.heads,
                inbox,
                store=store,
                aggregator=Aggregator(store, models, spec, params),
                layout=spec.layout,
                options=options,
                on_round=tell,
            ) as driver,
        ):
            watch = None
            if not no_watch:
                watch = open_watch(
                    rpc=chain.rpc,
                    run=contract,
                    court=known_court(chain.rpc, contract),
                    sender=chain.sender,
                    store=store,
                    shelf=models,
                    recompute=driver.recompute,
                    is_checked=lambda *_: True,  # nothing is merged before
                    wake=driver.wake,
                    report=tell_court,
                    first_block=first_block,
                )
            if watch is not None:
                driver.attach(watch)
            output.result(f"relay {relay.url}", relay=relay.url, run=address)
            driver.drive()


def list_runs(settings: Settings, output: Output) -> None:
    """List the runs of the factory."""
    deployment = find_deployment(settings)
    with contextlib.closing(open_rpc(settings)) as rpc:
        for created in created_runs(rpc, deployment):
            contract = RunContract(rpc, created.run)
            current, totals = contract.current(), contract.totals()
            state = "closed" if totals.closed else "halted" if totals.halted else "open"
            output.result(
                f"{created.run}  round {current.round_id} of {contract.params.max_rounds}, "
                f"{current.phase.name.lower()}, {state}, sponsor {created.sponsor}",
                run=created.run,
                sponsor=created.sponsor,
                block=created.block,
                round=current.round_id,
                rounds=contract.params.max_rounds,
                phase=current.phase.name.lower(),
                state=state,
            )


def watch(settings: Settings, output: Output, *, run: str, once: bool) -> None:
    """Print a run's events."""
    address = read_address("RUN", run)
    with contextlib.closing(open_rpc(settings)) as rpc, open_heads(settings, rpc) as heads:
        contract = RunContract(rpc, address)
        first_block = find_run(rpc, find_deployment(settings), address).block
        history = RunHistory(rpc, contract, first_block=first_block)
        shown: tuple[Event, ...] = ()
        while True:
            history.update()
            events = history.events
            same = 0
            while same < min(len(shown), len(events)) and shown[same] == events[same]:
                same += 1
            if same < len(shown):
                output.result("-- the chain reorganised --", event="Reorganised")
            for event in events[same:]:
                _tell(output, event)
            shown = events
            if once:
                return
            heads.wait_next(timeout_s=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What sending needs, open."""

    rpc: Rpc
    heads: HeadWatcher
    sender: TransactionSender


@contextlib.contextmanager
def open_chain(settings: Settings) -> Iterator[Chain]:
    """The chain and the key's sender."""
    signer = open_signer(settings)
    with (
        contextlib.closing(open_rpc(settings)) as rpc,
        open_heads(settings, rpc) as heads,
        contextlib.closing(open_sender(settings, rpc, signer, heads)) as sender,
    ):
        yield Chain(rpc=rpc, heads=heads, sender=sender)


def read_address(name: str, text: str) -> Address:
    """An address, checksummed; raises InvalidSetting."""
    if not is_address(text):
        raise InvalidSetting(name=name, reason=f"{text!r} is no address", hint="write 0x...")
    return Address(to_checksum_address(text))


def read_cid(name: str, text: str) -> Cid:
    """A content id with its size, CID:SIZE; raises InvalidSetting and InvalidCid."""
    cid, _, size = text.rpartition(":")
    if not cid or not size.isdecimal():
        raise InvalidSetting(
            name=name, reason=f"{text[:90]!r} is not CID:SIZE", hint="copy what `publish` printed"
        )
    return Cid.parse(cid, int(size))


def _tell(output: Output, event: Event) -> None:
    args = event.args._asdict()
    shown = " ".join(f"{key}={_short(value)}" for key, value in args.items())
    output.result(
        f"{event.block_number} {event.name} {shown}".rstrip(),
        event=event.name,
        block=event.block_number,
        transaction=event.transaction_hash,
        args=args,
    )


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()[:12]}.."
    if isinstance(value, list | tuple):
        return "[" + ",".join(_short(item) for item in value) + "]"
    return str(value)


def _full_funding(plan: RunPlan, keeper_wei: Wei) -> Wei:
    return Wei(plan.rounds * plan.money.reward_per_round_wei + keeper_wei)


def _wei(name: str, text: str) -> Wei:
    try:
        amount = Decimal(text) * ETHER
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0 or amount != int(amount):
        raise InvalidSetting(
            name=name, reason=f"{text!r} is no amount of ETH", hint="write 0.5 for half an ETH"
        )
    return Wei(int(amount))


def _assignment(text: str) -> tuple[str, Any]:
    name, is_there, value = text.partition("=")
    if not is_there:
        raise InvalidSetting(name="--set", reason=f"{text!r} is not key=value", hint="--set lr=0.1")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _read_plan(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            name="--plan", reason=f"{path} can not be read: {error}", hint="correct the file"
        ) from None
