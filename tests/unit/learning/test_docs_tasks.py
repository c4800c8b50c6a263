"""docs/tasks.md is a program: its package installs and its example runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(120)
def test_the_plug_in_of_the_documentation_installs_and_learns(tmp_path):
    text = (ROOT / "docs/tasks.md").read_text()
    files = dict(re.findall(r"^`([\w.]+)`\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    assert set(files) == {"pyproject.toml", "commonweight_wine.py", "try_wine.py"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    pip += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(installed)]
    subprocess.run([*pip, str(tmp_path)], check=True)
    environment = os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}

    shown = subprocess.run(
        [sys.executable, str(tmp_path / "try_wine.py")],
        check=True,
        capture_output=True,
        text=True,
        cwd=installed,
        env=environment,
    ).stdout

    assert float(shown.removeprefix("accuracy ")) > 0.9
