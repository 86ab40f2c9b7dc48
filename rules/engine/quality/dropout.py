"""Dropout: a value falls to what a broken line reads, and comes back."""

from __future__ import annotations

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
from rules.readings import QC_FAIL

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS = 32  # of a dropout; a longer one counts as real


class Dropout:
    """The open dropout of each track."""

    kind: ClassVar[str] = "dropout"

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks
        held = tracks.parameters
        self._low, self._high = held["low"], held["high"]
        self._breaks = Breaks(tracks)
        most = np.full(len(tracks), MOST_ROWS, np.int64)
        self._excursions = Excursions(tracks, most, held["max_width_ns"].astype(np.int64))

    def look(self, rows: Rows) -> Words | None:
        """Find excursions into the span."""
        runs = runs_beside(self.tracks, rows, rows.usable & np.isfinite(rows.value))
        if runs is None:
            self._breaks.forget(None, rows)
            return None
        breaks = self._breaks.of(runs, rows)
        own = runs.own[runs.segment]
        inside = (runs.value >= self._low[own]) & (runs.value <= self._high[own])
        final = np.full(len(inside), QC_FAIL, np.uint8)
        return self._excursions.look(runs, rows, inside, final, breaks)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self._excursions.state | {"last_ns": self._breaks.last_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        if name == "last_ns":
            self._breaks.last_ns = column
        else:
            held = self._excursions.state
            held[name] = aligned(column, held[name])
