"""Does something grow? A common slope over many lives, with its confidence bound.

Each life of a process has a level of its own, and its beginning counts for nothing: until then
what is bounded fills. What is left is averaged by the minute, and one slope is fitted to all lives
(least squares within lives). Minutes that follow each other are no independent news: memory moves
in steps, and a step looks like a slope. So the bound is the wider the more alike neighbours are: a
table that doubled once is told as "open", neither as a leak nor as flat, until there is more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Column = NDArray[np.float64]

WARM_S: Final = 600.0
"""What fills at the soak's load, and when it is full: the page's ring of each channel (8 192
readings) after ten minutes, what the CoAP port remembers after four, SQLite's page caches, Python's
table of names and its pools with them."""
BLOCK_S: Final = 60.0
LEAST_BLOCKS: Final = 3  # of a life, to say anything about a slope
CONFIDENCE: Final = 0.95
MOST_ALIKE: Final = 0.95


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


def slope_of(lives: Iterable[tuple[Column, Column]]) -> Slope:
    """Return the slope over lives, each (seconds since its start, value), in any order."""
    times, values = [], []
    for age_s, value in lives:
        t, y = _blocks(age_s, value)
        if len(t) >= LEAST_BLOCKS:
            times.append((t - t.mean()) / 3_600)
            values.append(y - y.mean())
    blocks, used = sum(map(len, times)), len(times)
    free = blocks - used - 1
    if free < 1:
        return Slope(math.nan, math.nan, math.nan, blocks, used)
    t, y = np.concatenate(times), np.concatenate(values)
    spread = float((t * t).sum())
    slope = float((t * y).sum()) / spread
    rest = [y - slope * t for t, y in zip(times, values, strict=True)]
    alike = _alike(rest)
    news = (1 - alike) / (1 + alike)  # of a minute, beside one that nothing foretells
    error = math.sqrt(_squares(rest) / free / spread / news)
    off = float(student.ppf(0.5 + CONFIDENCE / 2, max(free * news, 1.0))) * error
    return Slope(slope, slope - off, slope + off, blocks, used)


def _squares(rest: Sequence[Column]) -> float:
    return sum(float((each * each).sum()) for each in rest)


def _alike(rest: Sequence[Column]) -> float:
    """Return the correlation of neighbouring minutes, 0 to MOST_ALIKE.

    What a fit leaves is less alike than what there was, the more so the shorter the lives: by
    (2 + 4 r) / n for a line (Marriott and Pope 1954, Kendall 1954), which is put back.
    """
    squares = _squares(rest)
    if squares == 0.0:
        return 0.0
    beside = float(sum((each[1:] * each[:-1]).sum() for each in rest))
    n = sum(map(len, rest)) / len(rest)
    found = (n * beside / squares + 2) / max(n - 4, 1)
    return min(max(found, 0.0), MOST_ALIKE)


def _blocks(age_s: Column, value: Column) -> tuple[Column, Column]:
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
