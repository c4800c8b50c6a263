"""Say which error a call must end with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.evm import Reverted


@contextmanager
def refused(name: str, *values: Any) -> Iterator[None]:
    """The block must revert with the error `name`, and with `values` where they are given."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.name == name, caught.value
    if values:
        assert caught.value.values == values
