"""A straight line through points that a few bad ones do not move: Theil 1950, Sen 1968."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS = 1 << 20  # held at once: bounds memory
FAR = 0.25  # of the range: pairs nearer to each other say nothing about the slope


def fitted(
    value: NDArray[np.float64], beside: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (level at 0, slope) of lines ``value = level + slope * beside``, rows of [m, n].

    The slope is the median over pairs at least a quarter of the range of ``beside`` apart; 0 where
    that range is below ``spread`` [m] or 0. A level that is not finite is NaN.
    """
    m, n = value.shape
    slope = np.zeros(m)
    reach = beside.max(axis=1) - beside.min(axis=1)
    i, j = np.triu_indices(n, 1)
    sloped = np.flatnonzero((reach >= spread) & (reach > 0))
    step = max(1, PAIRS // max(1, len(i)))
    for begin in range(0, len(sloped), step):
        at = sloped[begin : begin + step]
        run = beside[at][:, j] - beside[at][:, i]
        far = np.abs(run) >= FAR * reach[at][:, None]
        far &= run != 0
        rise = value[at][:, j] - value[at][:, i]
        slopes = np.where(far, rise / np.where(far, run, 1.0), np.inf)
        slopes.sort(axis=1)
        slope[at] = middle(slopes, far.sum(axis=1))
    rest = np.sort(value - slope[:, None] * beside, axis=1)
    level = middle(rest, np.full(m, n))
    level[~np.isfinite(rest).all(axis=1)] = np.nan
    return level + 0.0, slope + 0.0


def middle(ranked: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of the first ``count`` of each sorted row; no sum can overflow."""
    row, half = np.arange(len(count)), count >> 1
    upper = ranked[row, half]
    lower = ranked[row, np.maximum(half - 1, 0)]
    even: NDArray[np.float64] = np.where(count % 2 == 0, lower * 0.5 + upper * 0.5, upper)
    return even
