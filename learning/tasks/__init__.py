"""Tasks by name. They are plug-ins: any installed package may bring more (docs/tasks.md)."""

from __future__ import annotations

from importlib.metadata import entry_points

from learning.tasks.base import ModelParameters, Task
from learning.tasks.classification import ClassificationTask
from learning.tasks.partition import Split
from learning.tasks.rows import Column, Rows, Shard
from protocol.errors import UnknownTask
from protocol.spec import Training

GROUP = "commonweight.tasks"

__all__ = [
    "GROUP",
    "ClassificationTask",
    "Column",
    "ModelParameters",
    "Rows",
    "Shard",
    "Split",
    "Task",
    "Training",
    "installed_tasks",
    "load_task",
]


def installed_tasks() -> list[str]:
    """Return the names of the tasks that installed packages offer, without importing any."""
    return sorted(entry_points(group=GROUP).names)


def load_task(name: str) -> Task:
    """Return the installed task of that name.

    Raises:
        UnknownTask: no installed package offers it; the error lists those that are.

    """
    for entry in entry_points(group=GROUP, name=name):
        task = entry.load()()
        if isinstance(task, Task):
            return task
    raise UnknownTask(task=name, known=tuple(installed_tasks()))
