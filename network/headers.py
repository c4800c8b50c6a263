"""Block headers as the chain hashes them."""

from network.rpc import Rpc
from protocol.types import BlockNumber


def encode_header(rpc: Rpc, block: BlockNumber) -> bytes:
    """The RLP of a block's header."""
    raise NotImplementedError(f"{rpc} {block}")
