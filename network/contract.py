"""A deployed contract: typed reads and prepared calls. A contract's own client is thin above it."""

from collections.abc import Mapping
from typing import Any

from network.abi import Abi
from network.reverts import RevertCatalogue
from network.rpc import Rpc
from network.transactions import Call
from protocol.errors import NotAContract, RpcRejected
from protocol.types import Address, Wei


class Contract:
    """Reads from, and prepares calls to, the contract at `address`."""

    def __init__(self, rpc: Rpc, address: Address, abi: Abi, reverts: RevertCatalogue) -> None:
        self.address = address
        self.abi = abi
        self._rpc = rpc
        self._reverts = reverts

    def read(
        self,
        function: str,
        *args: Any,
        block: int | str = "latest",
        options: Mapping[str, str] | None = None,
    ) -> Any:
        """What a view function returns: nothing, one value, or a tuple.

        `options` join the request, a sender and a fee say. Raises NotAContract,
        TransactionReverted, and what `Rpc` raises.
        """
        data = "0x" + self.abi.encode(function, *args).hex()
        request = {**(options or {}), "to": self.address, "data": data}
        tag = hex(block) if isinstance(block, int) else block
        try:
            answer = bytes.fromhex(self._rpc.call("eth_call", request, tag)[2:])
        except RpcRejected as error:
            raise self._reverts.translate(error) from None
        if not answer and self.abi.returns_something(function):
            raise NotAContract(address=self.address)
        return self.abi.decode(function, answer)

    def prepare(self, function: str, *args: Any, value_wei: int = 0) -> Call:
        """The call for a TransactionSender."""
        return Call(
            recipient=self.address,
            data=self.abi.encode(function, *args),
            value_wei=Wei(value_wei),
        )
