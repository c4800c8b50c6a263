"""Floats to the model's integers and back (docs/protocol.md section 2)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.errors import NotRepresentable

FRACTION_BITS = 22
MAX_FRACTION_BITS = 30
_BLOCK = 1 << 20


def quantize(
    values: NDArray[np.floating[Any]], fraction_bits: int = FRACTION_BITS
) -> NDArray[np.int32]:
    """Round each value to the nearest multiple of 2^-fraction_bits, half to even, or refuse it.

    Shape is kept. Raises NotRepresentable for NaN, infinity and what rounding takes out of int32;
    nothing is ever clipped. Section 2.
    """
    flat = np.asarray(values).reshape(-1)
    theta = np.empty(flat.shape, np.int32)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.rint(np.ldexp(block, fraction_bits))
            fits = (rounded >= -(2.0**31)) & (rounded < 2.0**31)  # false for NaN too
        if not fits.all():
            at = int(np.argmin(fits))
            raise NotRepresentable(
                index=start + at, value=float(block[at]), fraction_bits=fraction_bits
            )
        theta[start : start + _BLOCK] = rounded
    return theta.reshape(np.shape(values))


def dequantize(theta: NDArray[np.int32], fraction_bits: int = FRACTION_BITS) -> NDArray[np.float32]:
    """Give theta * 2^-fraction_bits, rounded once, half to even, to float32. Section 2."""
    values = theta.astype(np.float32)
    values *= np.float32(2.0**-fraction_bits)  # a power of two: exact
    return values
