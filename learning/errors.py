# ruff: noqa: N818 - as in protocol/errors.py, a name says what is wrong
"""Errors of this room; the tree they hang in is drawn in protocol/errors.py.

ProtocolError   InvalidShard  InvalidState
LearningError   InvalidSplit  InvalidTask  DeviceUnavailable
"""

from __future__ import annotations

from protocol.errors import LearningError, ProtocolError


class InvalidShard(ProtocolError):
    """A shard's bytes are not what the task allows."""

    problem = "invalid shard: {reason}"
    advice = "do not train on it; compare its content id with the data set's manifest"
    reason: str


class InvalidState(ProtocolError):
    """Bytes are no training state of a task's model and optimizer."""

    problem = "invalid training state: {reason}"
    advice = "fetch it from somebody else, or train up to it yourself"
    reason: str


class InvalidSplit(LearningError):
    """Rows can not be dealt into shards as asked."""

    problem = "can not split the data: {reason}"
    advice = "choose another number of shards, split or alpha"
    reason: str


class InvalidTask(LearningError):
    """A task plug-in breaks a promise that the protocol needs."""

    problem = "task {task!r} can not be used: {reason}"
    advice = "correct the plug-in; docs/tasks.md shows a complete one"
    task: str
    reason: str


class DeviceUnavailable(LearningError):
    """The device that was asked for is not there."""

    problem = "no device {device!r}: {reason}"
    advice = "use 'auto' or 'cpu', or check the driver"
    device: str
    reason: str
