"""Tasks are found by name, and asking is cheap."""

import subprocess
import sys

import pytest

from learning.errors import InvalidTask
from learning.tasks import installed_tasks, load_task
from protocol.errors import UnknownTask


def test_digits_is_installed_and_loads():
    assert "digits" in installed_tasks()
    assert load_task("digits").name == "digits"


def test_an_unknown_task_lists_what_is_installed():
    with pytest.raises(UnknownTask) as refused:
        load_task("telepathy")

    assert refused.value.known == tuple(installed_tasks())
    assert "digits" in str(refused.value)


def test_the_network_has_101_626_parameters(digits):
    assert sum(p.numel() for p in digits.model({}).parameters()) == 101_626


def test_digits_refuses_model_parameters(digits):
    with pytest.raises(InvalidTask):
        digits.model({"hidden": 10**9})


def test_importing_tasks_imports_neither_torch_nor_sklearn():
    """Publishing and listing must not wait for seconds of imports."""
    program = (
        "import sys, learning.tasks, learning.tasks.digits\n"
        "sys.exit(bool({'torch', 'sklearn', 'scipy'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
