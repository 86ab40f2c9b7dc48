"""Raw values to canonical units, rounded once: what equals a limit on the device equals it here.

``raw * float(scale)`` rounds twice: 3 %LEL would be 0.15000000000000002 %vol, and other values end
a last digit below the limit they reached. So the factor is carried as two doubles and the product
is taken with its error (Dekker 1971), without extended precision or fused operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.quantities import exact

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

Factors = tuple[float, float, float, float]
"""Scale and offset, each as a double and the rest it leaves."""

IDENTITY: Factors = (1.0, 0.0, 0.0, 0.0)
_SPLITTER = 2.0**27 + 1


def factors(quantity: str, unit: str, *, lel_basis: float) -> Factors:
    """Return the factors of ``unit``; raises UnknownUnit and UnknownQuantity as quantities do."""
    scale, offset = exact(quantity, unit, lel_basis=lel_basis)
    return (*_pair(scale), *_pair(offset))


def convert(raw: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``raw[n] * scale + offset`` by ``by[n, 4]`` (Factors); NaN and infinities pass."""
    scale, scale_rest, offset, offset_rest = by.T
    with np.errstate(over="ignore", invalid="ignore"):
        product = raw * scale
        raw_high, raw_low = _split(raw)
        scale_high, scale_low = _split(scale)
        error = raw_high * scale_high - product
        error = error + raw_high * scale_low + raw_low * scale_high + raw_low * scale_low
        total = product + offset
        carried = total - product
        sum_error = (product - (total - carried)) + (offset - carried)
        exactly = total + (sum_error + (error + (raw * scale_rest + offset_rest)))
        # huge values overflow in the splitting: their plain product is as good
        result: NDArray[np.float64] = np.where(np.isfinite(exactly), exactly, total)
    return result


def _split(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the upper and lower halves of each double's digits (Veltkamp)."""
    wide = numbers * _SPLITTER
    high = wide - (wide - numbers)
    return high, numbers - high


def _pair(number: Fraction) -> tuple[float, float]:
    nearest = float(number)
    return nearest, float(number - type(number)(nearest))
