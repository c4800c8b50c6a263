# ruff: noqa: N818 - as in protocol/errors.py, a name says what is wrong
"""Errors of this room; the tree they hang in is drawn in protocol/errors.py.

TrainerError   NotReproducible
"""

from protocol.errors import TrainerError


class NotReproducible(TrainerError):
    """The same training gave two results on this machine."""

    problem = "the same tiny training on {device} gave two different results"
    advice = "use --device cpu; an update that can not be repeated may cost the stake"
    device: str
