"""Which machines compute the same bits, and the switches that make one machine repeat itself.

Two machines are in one determinism class if their descriptions are equal: then re-executing an
update gives identical bytes, and a difference proves that somebody did other work. Across classes
float results differ in a few last bits, and audits compare with a tolerance.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Literal

import torch

from learning.errors import DeviceUnavailable
from protocol.errors import InvalidSetting

Device = Literal["auto", "cpu", "cuda"]

THREADS_VARIABLE = "COMMONWEIGHT_THREADS"
# Sums are split by threads, so another number is another class; one is the class of most stakes.
MAX_THREADS = 256
CUBLAS_WORKSPACE = ":4096:8"
# Raise it with every change to the loop or its seeds that changes a bit of an update.
LOOP_VERSION = 1

# cuBLAS reads its workspace setting once, when CUDA starts in this process.
os.environ["CUBLAS_WORKSPACE_CONFIG"] = CUBLAS_WORKSPACE


def thread_count() -> int:
    """Return how many threads train: COMMONWEIGHT_THREADS, or one.

    Raises:
        InvalidSetting: the variable is no number in 1..256.

    """
    text = os.environ.get(THREADS_VARIABLE, "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_THREADS:
        raise InvalidSetting(name=THREADS_VARIABLE, reason=f"{text[:20]!r} is not in 1..256")
    return int(text)


def pick_device(wish: Device = "auto") -> torch.device:
    """Return the device to train on: "auto" is CUDA where there is one.

    Raises:
        DeviceUnavailable: CUDA is wished for and there is none, or the wish is unknown.

    """
    if wish not in ("auto", "cpu", "cuda"):
        raise DeviceUnavailable(device=wish, reason="unknown")
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise DeviceUnavailable(device=wish, reason="torch finds no CUDA device")
    return torch.device("cuda", 0) if available and wish != "cpu" else torch.device("cpu")


def pin() -> None:
    """Make this process repeat itself: fixed threads, deterministic kernels, no reduced precision.

    The switches stay set for the process; calling it again changes nothing.
    """
    torch.set_num_threads(thread_count())
    # Does what use_deterministic_algorithms(True) does, without importing torch's compiler.
    torch.set_deterministic_debug_mode("error")
    torch.set_default_dtype(torch.float32)
    torch.set_flush_denormal(False)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.mkldnn.enabled = True  # type: ignore[assignment] # a property of a module


def describe(device: torch.device) -> dict[str, str | int]:
    """Return all that decides an update's bits on this machine, for class_id and for people."""
    description: dict[str, str | int] = {
        "device": device.type,
        "loop": LOOP_VERSION,
        "threads": thread_count(),
        "torch": torch.__version__,
        "torch_files": _digest_package("torch"),
        "flags": "deterministic,no-tf32,no-benchmark,no-denormal-flush",
    }
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        description |= {
            "architecture": f"sm_{major}{minor}",
            "processor": torch.cuda.get_device_name(device),
            "cuda": str(torch.version.cuda),
            "cudnn": int(torch.backends.cudnn.version() or 0),  # type: ignore[no-untyped-call] # torch: untyped
            "cublas_workspace": CUBLAS_WORKSPACE,
        }
        return description
    description |= {
        "architecture": platform.machine(),
        # torch, oneDNN and MKL choose kernels by instruction set, and block them by the processor.
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor_model(),
        "caps": _environment_caps(),
    }
    return description


def class_id(device: torch.device) -> bytes:
    """Return the determinism class, 32 bytes: SHA-256 over the description as canonical JSON."""
    text = json.dumps(describe(device), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


@cache
def _digest_package(name: str) -> str:
    """SHA-256 over the recorded hashes of a package's files; the same wherever it is unpacked."""
    try:
        recorded = files(name) or []
    except PackageNotFoundError:
        return "unknown"
    # Only the wheel's files: installers add scripts and notes that hold local paths.
    lines = sorted(
        f"{file.as_posix()} {file.hash.value}"
        for file in recorded
        if file.hash is not None and file.parts[0] == name
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _processor_model() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model")
    pairs = [line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines()]
    found = {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == len(wanted) - 1}
    return " ".join(found.get(key, "?") for key in wanted)


def _environment_caps() -> str:
    """Settings with which a user may cap the instruction set below what the processor has."""
    names = (
        *("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"),
        "MKL_ENABLE_INSTRUCTIONS",
    )
    return ",".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
