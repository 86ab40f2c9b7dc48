"""Spike: far from the median of the rows before it, and back again. Hampel's identifier.

Hampel 1974 (J. Am. Stat. Assoc. 69:383); as a filter of time series: Pearson 2002 (IEEE Trans.
Control Syst. Technol. 10:55), here with the rows before only, so that a row is judged at once.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.quality.checks import (
    Breaks,
    Rows,
    Tracks,
    Words,
    aligned,
    runs_beside,
)
from rules.engine.quality.excursion import Excursions
from rules.readings import QC_FAIL, QC_SUSPECT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Runs

MAD_TO_SIGMA = 1.4826  # of a normal distribution: 1 / (its 3/4 quantile)
ROWS_AT_ONCE = 1 << 12  # references sorted at once: they stay in the cache


class Spike:
    """The newest rows of each track, and its open excursion."""

    kind: ClassVar[str] = "spike"

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks
        held = tracks.parameters
        self._window = held["window"].astype(np.int64)
        self._suspect, self._fail, self._floor = held["suspect"], held["fail"], held["floor"]
        self._breaks = Breaks(tracks)
        self._excursions = Excursions(tracks, held["max_width"].astype(np.int64), None)
        self.state: dict[str, NDArray[Any]] = {
            "value": np.zeros((len(tracks), int(self._window.max()))),  # newest last
            "known": np.zeros(len(tracks), np.int64),  # of them since the last break
        }

    def look(self, rows: Rows) -> Words | None:
        """Find excursions from the median of the rows before."""
        runs = runs_beside(self.tracks, rows, rows.usable & np.isfinite(rows.value))
        if runs is None:
            self._breaks.forget(None, rows)
            return None
        breaks = self._breaks.of(runs, rows)
        held, place, known = self._references(runs, breaks)
        far, final = self._beyond(runs, held, place, known)
        self._remember(runs, held, place, known)
        return self._excursions.look(runs, rows, far, final, breaks)

    def _references(
        self, runs: Runs, breaks: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Return carried values and rows in one line, each row's place in it, and its reference.

        A row's reference are the ``known`` values right before its place.
        """
        value = self.state["value"]
        width, window = value.shape[1], self._window[runs.place]
        carried = self.state["known"][runs.place]
        if runs.single:
            line = np.empty((len(runs.own), width + 1))
            line[:, :width], line[:, width] = value[runs.place], runs.value
            place = width + (width + 1) * np.arange(len(runs.own))
            return line.reshape(-1), place, np.where(breaks, 0, carried)
        begin = runs.start + width * np.arange(len(runs.own))
        place = np.repeat(begin + width - runs.start, runs.length) + np.arange(len(runs.t))
        held = np.empty(len(runs.t) + width * len(runs.own))
        held[begin[:, None] + np.arange(width)] = value[runs.own]
        held[place] = runs.value
        # where each row's reference begins: at a break, or carried rows before the run; a run
        # must not be outdone by the run before it, so each counts from a place of its own
        count = np.arange(len(runs.t))
        apart = np.repeat(np.arange(len(runs.own)) * (len(count) + width + 1) + width, runs.length)
        since = np.where(breaks, count + apart, -1)
        first = runs.start
        since[first] = np.where(breaks[first], first, first - carried) + apart[first]
        known = count + apart - np.maximum.accumulate(since)
        return held, place, np.minimum(known, np.repeat(window, runs.length))

    def _beyond(
        self,
        runs: Runs,
        held: NDArray[np.float64],
        place: NDArray[np.int64],
        known: NDArray[np.int64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """Return which rows are beyond, and what each is if that is confirmed."""
        far = np.zeros(len(place), np.bool_)
        final = np.full(len(place), QC_SUSPECT, np.uint8)
        own = runs.own if runs.single else np.repeat(runs.own, runs.length)
        enough = known >= self._window[own] // 2 + 1
        sizes = np.flatnonzero(np.bincount(known[enough])) if enough.any() else known[:0]
        for size in sizes.tolist():
            chosen = np.flatnonzero(enough & (known == size))
            for first in range(0, len(chosen), ROWS_AT_ONCE):
                at = chosen[first : first + ROWS_AT_ONCE]
                where, track = place[at], own[at]
                with np.errstate(over="ignore", invalid="ignore"):
                    median, mad = spread([held[where - back] for back in range(size, 0, -1)])
                    distance = np.abs(held[where] - median)
                    sigma = np.maximum(MAD_TO_SIGMA * mad, self._floor[track])
                    far[at] = distance > self._suspect[track] * sigma
                    final[at[distance > self._fail[track] * sigma]] = QC_FAIL
        return far, final

    def _remember(
        self,
        runs: Runs,
        held: NDArray[np.float64],
        place: NDArray[np.int64],
        known: NDArray[np.int64],
    ) -> None:
        """Keep the newest rows."""
        value, last, to = self.state["value"], runs.last, runs.place
        width = value.shape[1]
        if runs.single:
            value[to] = held.reshape(-1, width + 1)[:, 1:]
        else:
            value[to] = held[place[last][:, None] + np.arange(1 - width, 1)]
        self.state["known"][to] = np.minimum(known[last] + 1, self._window[to])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.state | self._excursions.state | {"last_ns": self._breaks.last_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        if name == "last_ns":
            self._breaks.last_ns = column
            return
        held = self.state if name in self.state else self._excursions.state
        held[name] = aligned(column, held[name])


def spread(
    rows: list[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median of each of n references, and the median distance from it.

    ``rows`` are the first values of all references, the second ones, and so on, each [n].
    """
    median = _middle(_sorted(rows))
    return median, _middle(_sorted([np.abs(row - median) for row in rows]))


def _sorted(rows: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the least of each n-th values, and so on: short lists are sorted side by side."""
    held = list(rows)
    for low, high in _exchanges(len(rows)):
        a, b = held[low], held[high]
        held[low], held[high] = np.minimum(a, b), np.maximum(a, b)
    return held


def _middle(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the median of sorted values; halves are added, since two huge ones have no sum."""
    size = len(rows)
    if size % 2:
        return rows[size // 2]
    return rows[size // 2 - 1] * 0.5 + rows[size // 2] * 0.5


@cache
def _exchanges(size: int) -> list[tuple[int, int]]:
    """Return the comparisons that sort ``size`` values: Batcher's merge exchange.

    Knuth, The Art of Computer Programming 3, section 5.2.2, algorithm M.
    """
    found = []
    top = 1 << max(size - 1, 0).bit_length() >> 1
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            found += [(i, i + d) for i in range(size - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return found
