"""Vehicles on a bridge: the heaviest of a minute, drawn without drawing the vehicles.

If N vehicles arrive in a minute, N Poisson of mean m, and weights have the distribution F, the
heaviest is at most w with probability exp(-m (1 - F(w))); one uniform number per minute inverts
that. F is a mix of cars, vans, and trucks empty or loaded, cut at the legal 49 t: a heavier vehicle
is an incident, not the quiet city.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from simulators.noise import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEGAL_T = 49.0
_GRID_T = np.linspace(0.5, LEGAL_T, 400)


def _mixture() -> NDArray[np.float64]:
    """Return F on the grid: 87 % car, 8 % van, 5 % truck (48 % empty, the rest loaded)."""
    car = ndtr((_GRID_T - 1.6) / 0.4)
    van = ndtr(np.log(_GRID_T / 6.0) / 0.35)
    truck = 0.48 * ndtr((_GRID_T - 15) / 3) + 0.52 * ndtr((_GRID_T - 40) / 4)
    whole = 0.87 * car + 0.08 * van + 0.05 * truck
    cumulated: NDArray[np.float64] = whole / whole[-1]
    return cumulated


_F = _mixture()


def heaviest(
    key: NDArray[np.int64], minute: NDArray[np.int64], per_minute: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the heaviest vehicle of each minute, t; 0 where none came. Shapes broadcast."""
    u = uniform(key, minute)
    quantile = 1 + np.log(u) / np.maximum(per_minute, 1e-9)
    return np.where(quantile <= 0, 0.0, np.interp(quantile, _F, _GRID_T))
