"""The vocabulary: names for numbers that must not be mixed up (docs/protocol.md section 1)."""

from typing import NewType

RoundId = NewType("RoundId", int)
"""Number of a round in its run, from 1; 0 is the genesis model."""

Attempt = NewType("Attempt", int)
"""Counter that grows each time a round is opened."""

Seat = NewType("Seat", int)
"""A trainer's place in a run, 0..255."""

ShardId = NewType("ShardId", int)
"""Position of a shard in the data set's manifest."""

SegmentId = NewType("SegmentId", int)
"""Position of a segment in the model's layout."""

BlockNumber = NewType("BlockNumber", int)
"""Number of a block of the chain."""

Wei = NewType("Wei", int)
"""Money in wei."""

Gwei = NewType("Gwei", int)
"""Money in gwei, the unit of stakes and fees."""

Address = NewType("Address", str)
"""An Ethereum address: 0x and 40 hexadecimal digits, as given."""

Digest = bytes
"""A SHA-256 digest, 32 bytes."""

DIGEST_BYTES = 32
"""Length of a digest."""

MAX_SEATS = 256
"""Seats of a run."""
