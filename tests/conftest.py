"""Settings for every test: what runs in random order, and what needs which tool."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is not a failure; a failing example prints what reproduces it.
settings.register_profile("commonweight", deadline=None, print_blob=True)
settings.load_profile("commonweight")

PURE = ("unit", "property")  # these run first, in random order
HERE = Path(__file__).parent


def folder_of(item: pytest.Item) -> str:
    """Name the folder directly below tests/ that holds a test."""
    parts = item.path.relative_to(HERE).parts if item.path.is_relative_to(HERE) else ()
    return parts[0] if len(parts) > 1 else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Let pytest-randomly shuffle the pure tests only; the others keep the order of their file."""
    del config
    written = {item.nodeid: place for place, item in enumerate(items)}
    result = yield
    pure = [item for item in items if folder_of(item) in PURE]
    others = [item for item in items if folder_of(item) not in PURE]
    others.sort(key=lambda item: written[item.nodeid])
    items[:] = pure + others
    return result


@pytest.fixture(scope="session", autouse=True)
def shared_selftest(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """Let all nodes of a session test once, together, that this machine repeats itself."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.getbasetemp() / "selftest"
        patch.setenv("COMMONWEIGHT_SELFTEST_DIR", str(folder))
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine has no tool for."""
    if item.get_closest_marker("kubo") and shutil.which("ipfs") is None:
        pytest.skip("no `ipfs` on PATH: run `make kubo`, which needs Go 1.26 or newer")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
