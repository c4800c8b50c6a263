"""A contract's custom errors as exceptions, each with its own remedy."""

from collections.abc import Mapping

from network.abi import Abi
from protocol.errors import ChainError, RpcRejected, TransactionReverted

_REVERTED = 3  # the JSON-RPC code of a revert, where a node follows the convention


class RevertCatalogue:
    """Maps what a node rejected to what the caller catches.

    `remedies` names the exception of a custom error: a subclass of TransactionReverted whose
    `problem` and `advice` speak of that error. Errors without one are plain TransactionReverted.
    """

    def __init__(
        self, abi: Abi, remedies: Mapping[str, type[TransactionReverted]] | None = None
    ) -> None:
        self._abi = abi
        self._remedies = dict(remedies or {})

    @property
    def without_remedy(self) -> frozenset[str]:
        """The custom errors that no exception speaks of; a test holds this to be empty."""
        return self._abi.error_names - self._remedies.keys() - {"Error", "Panic"}

    def from_data(self, data: bytes) -> TransactionReverted:
        """The exception of revert data; unknown data is shown as it is."""
        revert = self._abi.decode_revert(data)
        kind = self._remedies.get(revert.name, TransactionReverted)
        arguments = tuple(revert.args.values()) or ((data,) if revert.name == "Unknown" else ())
        return kind(error_name=revert.name, error_args=arguments)

    def translate(self, error: RpcRejected) -> ChainError:
        """A TransactionReverted if a contract refused, else the error itself."""
        if error.data or error.code == _REVERTED or "revert" in error.reason.lower():
            return self.from_data(error.data)
        return error
