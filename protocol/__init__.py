"""What two strangers must compute identically: pure functions over integers and bytes.

Nothing here reads a clock, a network, a file or a random number. docs/protocol.md is the text,
tests/vectors/ decides.
"""
