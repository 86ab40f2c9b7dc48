"""Checks of a row by itself: range, clock; and gap, which knows only the time of the row before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.quality.checks import (
    Breaks,
    Rows,
    Tracks,
    Words,
    beside,
    elapsed,
    runs_beside,
    spans,
)
from rules.readings import QC_FAIL, QC_SUSPECT

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Range:
    """Value outside a span, or a fault code of the device."""

    kind: ClassVar[str] = "range"

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks
        held = tracks.parameters
        self._suspect = held["suspect_lo"], held["suspect_hi"]
        self._fail = held["fail_lo"], held["fail_hi"]
        self._corrupt = held["corrupt"]

    def look(self, rows: Rows) -> Words | None:
        """Flag rows by their value alone."""
        row, own = beside(self.tracks, rows)
        value = rows.value[row]
        (low, high), (worst_low, worst_high) = self._suspect, self._fail
        suspect = (value < low[own]) | (value > high[own])
        fail = (value < worst_low[own]) | (value > worst_high[own])
        code = np.zeros(len(row), np.bool_)
        for column in self._corrupt.T:
            code |= value == column[own]
        fail |= code
        at = np.flatnonzero(suspect | fail)
        if not len(at):
            return None
        flag = np.where(fail[at], QC_FAIL, QC_SUSPECT).astype(np.uint8)
        return Words(row[at], own[at], flag, unusable=row[code] if code.any() else None)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return nothing: there is no state."""
        return {}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Take nothing up."""


class Clock:
    """A stamp of the device too far from the time its message was received."""

    kind: ClassVar[str] = "clock"

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks
        self._future = spans(tracks.parameters["future_ns"])
        self._past = spans(tracks.parameters["past_ns"])

    def look(self, rows: Rows) -> Words | None:
        """Flag rows by their two times alone."""
        row, own = beside(self.tracks, rows)
        stamped, received = rows.event_ns[row], rows.receive_ns[row]
        ahead = (stamped > received) & (elapsed(stamped, received) > self._future[own])
        behind = (stamped < received) & (elapsed(received, stamped) > self._past[own])
        at = np.flatnonzero(ahead | behind)
        if not len(at):
            return None
        return Words(row[at], own[at], np.full(len(at), QC_SUSPECT, np.uint8))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return nothing: there is no state."""
        return {}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Take nothing up."""


class Gap:
    """A judged row that comes too long after the one before it."""

    kind: ClassVar[str] = "gap"

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks
        self._breaks = Breaks(tracks)

    def look(self, rows: Rows) -> Words | None:
        """Flag rows after a silence; here the longest gap is what the rule asks for."""
        runs = runs_beside(self.tracks, rows, None)
        if runs is None:
            return None
        late = self._breaks.silences(runs, rows)
        at = np.flatnonzero(late)
        if not len(at):
            return None
        flag = np.full(len(at), QC_SUSPECT, np.uint8)
        return Words(runs.at[at], runs.own[runs.segment[at]], flag)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"last_ns": self._breaks.last_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        setattr(self._breaks, name, column)
