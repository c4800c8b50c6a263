"""Every leaf of trees/*.tree has its test, every test its leaf, and every error is reached once.

A tree is read as: function, `when` something holds, what it then should do. The test of a leaf is
called after the first two and its docstring is the third.
"""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREES = sorted(HERE.glob("trees/*.tree"))


def leaves(tree: Path) -> dict[str, str]:
    """Name of the test and promise of each leaf."""
    found: dict[str, str] = {}
    function = condition = ""
    for line in tree.read_text(encoding="utf-8").splitlines():
        text = line.strip("│├└─ ")
        if not text:
            continue
        if text.startswith("it should "):
            found[f"test_{function}_{condition}".replace(" ", "_")] = text
        elif text.startswith("when "):
            condition = text
        else:
            function = text
    return found


def written_tests(tree: Path) -> dict[str, str]:
    """Name and docstring of each test that belongs to a tree."""
    module = ast.parse((HERE / f"test_{tree.stem}.py").read_text(encoding="utf-8"))
    return {
        node.name: " ".join((ast.get_docstring(node) or "").split())
        for node in module.body
        if isinstance(node, ast.FunctionDef) and "_when_" in node.name
    }


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.stem)
def test_each_leaf_has_its_test(tree: Path) -> None:
    assert leaves(tree) == written_tests(tree)


def test_each_error_is_reached() -> None:
    texts = [path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py")]
    reached = {name for text in texts for name in re.findall(r'refused\(\s*"(\w+)"', text)}
    interfaces = [
        path.read_text(encoding="utf-8")
        for path in (HERE.parents[1] / "contracts/interfaces").glob("I*.sol")
        if path.stem
        in ("ICourt", "IMergeCourt", "IRunBase", "IRunFactory", "IStakeVault", "ITrainingCourt")
    ]
    declared = {name for text in interfaces for name in re.findall(r"error (\w+)\(", text)}
    assert len(declared) > 30
    assert declared - reached == set()
