"""The clients' file of contracts is the one that compiles here."""

import pytest

from scripts.export_contracts import TARGET, render

pytestmark = pytest.mark.contracts


def test_the_exported_contracts_are_those_of_the_sources():
    """Whoever changes a contract runs `make abi`; else clients would refuse the real code."""
    assert TARGET.read_text(encoding="utf-8") == render()
