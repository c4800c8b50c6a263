# ruff: noqa: N818 - as in protocol/errors.py, a name says what is wrong
"""Errors of this room; the tree they hang in is drawn in protocol/errors.py.

TrainerError   UnstableClass  CalibrationFailed
"""

from protocol.errors import TrainerError
from protocol.types import Digest


class UnstableClass(TrainerError):
    """The same training gave two results on this machine."""

    problem = "{device}, class {class_id}, does not repeat itself: {reason}"
    advice = (
        "use --device cpu or another machine: an auditor would convict honest work; "
        "check memory, overclocking and the driver, then run `doctor`"
    )
    device: str
    class_id: Digest
    reason: str


class CalibrationFailed(TrainerError):
    """A configuration could not do the work that is to be compared."""

    problem = "configuration {configuration!r} did not do the work: {reason}"
    advice = "leave it out, or correct what it says"
    configuration: str
    reason: str
