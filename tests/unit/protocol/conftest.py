import json
from pathlib import Path
from typing import Any

import pytest


class Vectors:
    """The vector files by name, read when asked for."""

    def __getitem__(self, name: str) -> Any:
        path = Path(__file__).resolve().parents[2] / "vectors" / f"{name}.json"
        return json.loads(path.read_text())


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    return Vectors()


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


@pytest.fixture(scope="session", name="unhex")
def unhex_fixture():
    return unhex
