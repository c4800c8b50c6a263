"""Whether this machine is fit to train: each check says what it found and what to do about it."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from network.ethereum import check_clock, read_balance
from network.store import ContentStore
from protocol.errors import (
    CommonweightError,
    ContentUnavailable,
    InsufficientFunds,
    StoreFull,
)
from protocol.types import Wei
from trainer.selftest import ensure_stable
from trainer.setup import CLOCK_TOLERANCE_S, Session

LEAST_BALANCE_WEI = 10**16
"""A few hundred transactions at a few gwei."""

LEAST_DISK_BYTES = 2 << 30
_STORE_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check. `remedy` is empty where all is well."""

    check: str
    good: bool
    finding: str
    remedy: str = ""
    took_s: float = 0.0


def examine(session: Session, *, device: str = "auto") -> Iterator[Finding]:
    """Run every check, the cheap ones first; one that fails stops none of the others."""
    yield _run("key", lambda: f"{session.signer.address}")
    yield _run("rpc", lambda: _answering(session))
    yield _run("clock", lambda: _clock(session))
    yield _run("balance", lambda: _balance(session))
    known = False
    if session.names_a_run:
        code = _run("run code", lambda: f"{session.run.address} is of this release")
        known = code.good
        yield code
    if known:
        yield _run("seat", lambda: _seat(session))
    yield _run("disk", lambda: _disk(session))
    yield _run("store", lambda: _store(session.store))
    if known:
        yield _run("specification", lambda: _specification(session))
    yield _run("determinism", lambda: _determinism(device, session.selftest_folder))


def _run(check: str, look: Callable[[], str]) -> Finding:
    started_s = time.monotonic()
    try:
        finding, good, remedy = look(), True, ""
    except CommonweightError as error:
        finding, good, remedy = error.message, False, error.remedy
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever is wrong, and goes on
        finding, good, remedy = f"{type(error).__name__}: {error}", False, "report this as a bug"
    took_s = round(time.monotonic() - started_s, 3)
    return Finding(check=check, good=good, finding=finding, remedy=remedy, took_s=took_s)


def _answering(session: Session) -> str:
    number = int(session.rpc.call("eth_blockNumber"), 16)
    return f"chain {session.rpc.chain_id} at block {number}"


def _clock(session: Session) -> str:
    check_clock(session.rpc, tolerance_s=CLOCK_TOLERANCE_S)
    return f"within {CLOCK_TOLERANCE_S:.0f} s of the chain's"


def _balance(session: Session) -> str:
    balance_wei = read_balance(session.rpc, session.signer.address)
    if balance_wei < LEAST_BALANCE_WEI:
        raise InsufficientFunds(
            account=session.signer.address,
            balance_wei=balance_wei,
            needed_wei=Wei(LEAST_BALANCE_WEI),
        )
    return f"{balance_wei / 10**18:.4f} ETH"


def _seat(session: Session) -> str:
    seat = session.run.seat_of(session.signer.address)
    if seat is None:
        least = session.run.params.min_stake_gwei
        return f"no seat yet; `start --stake {least}` takes one with the least stake"
    state = session.run.seat(seat)
    return f"seat {seat} with {state.stake_gwei} gwei, {state.absences} absences in a row"


def _disk(session: Session) -> str:
    folder = session.settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < LEAST_DISK_BYTES:
        raise StoreFull(size=LEAST_DISK_BYTES, place=str(folder))
    return f"{free >> 20} MiB free at {folder}"


def _store(store: ContentStore) -> str:
    probe = f"commonweight doctor {time.time_ns()}".encode()
    cid = store.put(probe)
    try:
        read = store.get(cid, max_bytes=len(probe), deadline_s=_STORE_DEADLINE_S)
    finally:
        store.forget(cid)
    if read != probe:
        raise ContentUnavailable(cid=cid.text, reason="it came back changed")
    return f"{store.place} keeps and gives back"


def _specification(session: Session) -> str:
    from network.spec_check import load_spec  # noqa: PLC0415 - only where a run is named

    spec = load_spec(session.store, session.run.params)
    return f"{spec.name}: task {spec.task}, {spec.layout.element_count} parameters"


def _determinism(device: str, folder: Path) -> str:
    """The machine's class, after a tiny training that is done twice here and once elsewhere."""
    class_id = ensure_stable(device=device, mode="always", folder=folder)
    assert class_id is not None, "nothing was skipped"
    return f"class {class_id.hex()[:16]}, the same work in two processes is equal"
