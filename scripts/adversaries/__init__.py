"""Participants that break the protocol: the real roles with one part replaced by a lying one."""
