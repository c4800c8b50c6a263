"""Whether this machine repeats itself: the same tiny training, twice here and once elsewhere.

A trainer whose machine does not is convicted by the first auditor, although it cheated nobody; so a
node takes no seat before its class has passed. Docs/protocol.md section 7.

    python -m trainer.selftest DEVICE       # what the second process runs
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import structlog

from protocol.errors import InvalidSetting
from protocol.types import Digest
from trainer.errors import UnstableClass

_log = structlog.get_logger(__name__)

SelfTestMode = Literal["once", "always", "skip"]
MODES: tuple[SelfTestMode, ...] = ("once", "always", "skip")
FOLDER_VARIABLE = "COMMONWEIGHT_SELFTEST_DIR"
DEADLINE_S = 180.0
_RETRY_S = 0.1
_MAX_ANSWER_BYTES = 1 << 16

# The second process gets none of this one's secrets, but all that may choose another kernel.
_KEPT = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"}
_KEPT_PREFIXES = (
    *("ATEN_", "CUBLAS_", "CUDA_", "DNNL_", "KMP_", "LD_", "MKL_", "NVIDIA_", "OMP_", "ONEDNN_"),
    *("OPENBLAS_", "PYTORCH_", "TORCH_", "COMMONWEIGHT_THREADS"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one process found: its class, and the digests of one or more equal trainings."""

    class_id: Digest
    runs: tuple[tuple[Digest, ...], ...]


def ensure_stable(*, device: str, mode: SelfTestMode, folder: Path) -> Digest | None:
    """Promise that the class of this machine and device repeats itself, and give the class.

    With "once" a class that has passed is remembered in `folder`, which several nodes may share;
    one of them tests and the others wait. "skip" tests nothing and gives None. Raises
    UnstableClass, DeviceUnavailable, and InvalidSetting if the folder can not be made.
    """
    if mode == "skip":
        _log.warning("selftest_skipped")
        return None
    with contextlib.ExitStack() as stack:
        # Who comes first and finds nothing starts the second process before torch is loaded here.
        first = stack.enter_context(_locked(folder, wait_s=0.0))
        second = None
        if mode == "always" or (first and not any(folder.glob("*.json"))):
            second = stack.enter_context(_Second(device))
        class_id = _class_id(device)
        if not first:
            stack.enter_context(_locked(folder, wait_s=DEADLINE_S))
        if mode == "once" and is_remembered(folder, class_id):
            return class_id
        if second is None:
            second = stack.enter_context(_Second(device))
        compare(device, run_probe(device, times=2), second.answer)
        _remember(folder, class_id)
        return class_id


def compare(device: str, here: Probe, elsewhere: Callable[[], Probe]) -> None:
    """Raise UnstableClass unless every training gave the same digests in the same class."""

    def refuse(reason: str) -> UnstableClass:
        return UnstableClass(device=device, class_id=here.class_id, reason=reason)

    first, *others = here.runs
    for other in others:
        if other != first:
            raise refuse(f"two trainings in one process differ at digest {_where(first, other)}")
    try:
        there = elsewhere()
    except _SecondFailedError as error:
        raise refuse(str(error)) from None
    if there.class_id != here.class_id:
        raise refuse("a second process on this machine is of another class")
    if there.runs[0] != first:
        at = _where(first, there.runs[0])
        raise refuse(f"a second process's training differs at digest {at}")


def run_probe(device: str, *, times: int) -> Probe:
    """Train in this process; raises DeviceUnavailable."""
    from learning.probe import probe  # noqa: PLC0415 - torch takes seconds

    class_id = _class_id(device)
    runs = tuple(probe(device) for _ in range(times))  # type: ignore[arg-type] # it refuses unknown names
    return Probe(class_id=class_id, runs=runs)


def is_remembered(folder: Path, class_id: Digest) -> bool:
    """Whether the class has passed here before."""
    try:
        said = json.loads(_file(folder, class_id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("class_id") == class_id.hex()


def _remember(folder: Path, class_id: Digest) -> None:
    aside = folder / f"{class_id.hex()}.{os.getpid()}.part"
    try:
        aside.write_text(json.dumps({"class_id": class_id.hex()}), encoding="utf-8")
        aside.replace(_file(folder, class_id))
    except OSError as error:
        # The class is good; a full disk costs only the next start's time.
        _log.warning("selftest_not_remembered", folder=str(folder), reason=str(error))


def _file(folder: Path, class_id: Digest) -> Path:
    return folder / f"{class_id.hex()}.json"


def _class_id(device: str) -> Digest:
    from learning import determinism  # noqa: PLC0415 - torch takes seconds

    determinism.pin()
    where = determinism.pick_device(device)  # type: ignore[arg-type] # it refuses unknown names
    return Digest(determinism.class_id(where))


def _where(first: tuple[Digest, ...], other: tuple[Digest, ...]) -> int:
    pairs = zip(first, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(other)))


@contextlib.contextmanager
def _locked(folder: Path, *, wait_s: float) -> Iterator[bool]:
    """Hold the folder's lock, and say whether it could be had in time; what is tested is harmless.

    Two nodes that test at once only waste time, so nobody waits for ever.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"{folder} can not be made ({type(error).__name__})"
        raise InvalidSetting(name=FOLDER_VARIABLE, reason=reason) from None
    with (folder / "lock").open("w", encoding="utf-8") as file:
        deadline_s = time.monotonic() + wait_s
        while not (held := _try_lock(file.fileno())) and time.monotonic() < deadline_s:
            time.sleep(_RETRY_S)
        yield held


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class _SecondFailedError(Exception):
    """The second process gave no answer."""


class _Second:
    """The probe in a process of its own; it ends with the block."""

    def __init__(self, device: str) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_PREFIXES)
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, device],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes the pipe and waits
            self._process.kill()

    def answer(self) -> Probe:
        """What it found; raises _SecondFailedError."""
        try:
            out, _ = self._process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise _SecondFailedError(f"a second process took over {DEADLINE_S:.0f} s") from None
        if self._process.returncode:
            raise _SecondFailedError(
                f"a second process ended with status {self._process.returncode}"
            )
        try:
            said = json.loads(out[:_MAX_ANSWER_BYTES])
            run = tuple(Digest(bytes.fromhex(digest)) for digest in said["digests"])
            return Probe(class_id=Digest(bytes.fromhex(said["class_id"])), runs=(run,))
        except (ValueError, KeyError, TypeError):
            raise _SecondFailedError("a second process gave no answer") from None


def main() -> None:
    """Train once and print class and digests as JSON."""
    found = run_probe(sys.argv[1], times=1)
    digests = [digest.hex() for digest in found.runs[0]]
    print(json.dumps({"class_id": found.class_id.hex(), "digests": digests}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
