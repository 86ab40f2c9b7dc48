"""Does something grow? A common slope over many lives, with its confidence bound.

Each life of a process has a level of its own, and its beginning counts for nothing: caches fill.
What is left is averaged by the minute, since samples close in time are no news, and one slope is
fitted to all lives (least squares within lives).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

WARM_S: Final = 120.0
BLOCK_S: Final = 60.0
LEAST_BLOCKS: Final = 3  # of a life, to say anything about a slope
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Slope:
    """Per hour: the slope and its two-sided bounds; NaN where too little is known."""

    per_hour: float
    low: float
    high: float
    blocks: int
    lives: int

    def verdict(self, most_per_hour: float) -> str:
        """Return "flat" (surely less), "grows" (surely more) or "open" (not told yet)."""
        if self.high <= most_per_hour:
            return "flat"
        return "grows" if self.low > most_per_hour else "open"


def slope_of(lives: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Slope:
    """Return the slope over lives, each (seconds since its start, value), in any order."""
    times, values, used = [], [], 0
    for age_s, value in lives:
        t, y = _blocks(age_s, value)
        if len(t) < LEAST_BLOCKS:
            continue
        used += 1
        times.append((t - t.mean()) / 3_600)
        values.append(y - y.mean())
    free = sum(map(len, times)) - used - 1
    if free < 1:
        return Slope(math.nan, math.nan, math.nan, free + used + 1 if used else 0, used)
    t, y = np.concatenate(times), np.concatenate(values)
    spread = float((t * t).sum())
    slope = float((t * y).sum()) / spread
    error = math.sqrt(float(((y - slope * t) ** 2).sum()) / free / spread)
    off = float(student.ppf(0.5 + CONFIDENCE / 2, free)) * error
    return Slope(slope, slope - off, slope + off, len(t), used)


def _blocks(
    age_s: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of whole minutes behind the warming up."""
    warm = age_s >= WARM_S
    block = (age_s[warm] // BLOCK_S).astype(int)
    if not len(block):
        return np.empty(0), np.empty(0)
    _, inverse, count = np.unique(block, return_inverse=True, return_counts=True)
    return (
        np.bincount(inverse, age_s[warm]) / count,
        np.bincount(inverse, value[warm]) / count,
    )
