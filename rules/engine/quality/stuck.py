"""Stuck: the value has not moved for so long. A run goes on while its values lie close together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.quality.checks import Breaks, Rows, Tracks, Words, elapsed, runs_beside, spans
from rules.engine.slots import NO_NS
from rules.readings import QC_FAIL, QC_SUSPECT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Runs


class Stuck:
    """Lowest and highest value of each track's run, and when it began."""

    kind: ClassVar[str] = "stuck"

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks
        held = tracks.parameters
        self._tolerance = held["tolerance"]
        self._quiet = held["quiet_lo"], held["quiet_hi"]
        self._suspect = spans(held["suspect_ns"])
        self._fail = spans(held["fail_ns"])
        self._breaks = Breaks(tracks)
        count = len(tracks)
        self.state: dict[str, NDArray[Any]] = {
            "low": np.full(count, np.nan),  # NaN = no run
            "high": np.full(count, np.nan),
            "since_ns": np.full(count, NO_NS),
        }

    def look(self, rows: Rows) -> Words | None:
        """Flag rows whose run has lasted too long."""
        runs = runs_beside(self.tracks, rows, rows.usable & np.isfinite(rows.value))
        if runs is None:
            self._breaks.forget(None, rows)
            return None
        breaks = self._breaks.of(runs, rows)
        own = runs.own[runs.segment]
        low, high = self._quiet
        quiet = (runs.value >= low[own]) & (runs.value <= high[own])
        with np.errstate(over="ignore", invalid="ignore"):
            if runs.single:
                since = self._step(runs, breaks, quiet)
            else:
                since = self._runs(runs, breaks, quiet)
        lasted = elapsed(runs.t, since)
        at = np.flatnonzero((lasted >= np.minimum(self._suspect, self._fail)[own]) & ~quiet)
        if not len(at):
            return None
        flag = np.where(lasted[at] >= self._fail[own[at]], QC_FAIL, QC_SUSPECT).astype(np.uint8)
        return Words(runs.at[at], own[at], flag)

    def _step(
        self, runs: Runs, breaks: NDArray[np.bool_], quiet: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Take one row a track; return when its run began."""
        state, place, x = self.state, runs.place, runs.value
        low, high = np.minimum(state["low"][place], x), np.maximum(state["high"][place], x)
        goes_on = ~breaks & (high - low <= self._tolerance[place])  # never where NaN
        since: NDArray[np.int64] = np.where(goes_on, state["since_ns"][place], runs.t)
        state["low"][place] = np.where(quiet, np.nan, np.where(goes_on, low, x))
        state["high"][place] = np.where(quiet, np.nan, np.where(goes_on, high, x))
        state["since_ns"][place] = since
        return since

    def _runs(
        self, runs: Runs, breaks: NDArray[np.bool_], quiet: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Take runs of any length; return when each row's run began.

        Rows further apart than the tolerance part runs. What lies between is mostly one run: a
        live signal gives runs of one row, a stuck one very long ones. Only a slow drift is walked.
        """
        state, own, first = self.state, runs.own, runs.start + 2 * np.arange(len(runs.own))
        length = runs.length + 2
        place = np.arange(len(runs.t)) + 2 * (runs.segment + 1)
        value = np.empty(len(runs.t) + 2 * len(own))
        t = np.empty(len(value), np.int64)
        value[first], value[first + 1], value[place] = (
            state["low"][own],
            state["high"][own],
            (runs.value),
        )
        t[first] = t[first + 1] = state["since_ns"][own]
        t[place] = runs.t
        tolerance = np.repeat(self._tolerance[own], length)
        alone = np.zeros(len(value), np.bool_)
        alone[place] = quiet
        begins = np.ones(len(value), np.bool_)
        begins[1:] = ~(np.abs(value[1:] - value[:-1]) <= tolerance[1:])  # also where NaN
        begins[1:] |= alone[1:] | alone[:-1]
        begins[first], begins[first + 1] = True, False
        begins[place] |= breaks
        head = np.flatnonzero(begins)
        width = np.maximum.reduceat(value, head) - np.minimum.reduceat(value, head)
        stop = np.append(head[1:], len(value))
        for stretch in np.flatnonzero(width > tolerance[head]).tolist():
            a, b = int(head[stretch]), int(stop[stretch])
            begins[[a + i for i in partings(value[a:b].tolist(), float(tolerance[a]))]] = True
        return self._close(runs, (value, t, begins, alone), first + length - 1, place)

    def _close(
        self,
        runs: Runs,
        told: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]],
        last: NDArray[np.int64],
        place: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Remember the run each track stands in; return when each row's run began."""
        value, t, begins, alone = told
        head = np.flatnonzero(begins)
        of_last = np.searchsorted(head, last, side="right") - 1
        none = alone[last]
        low, high = np.minimum.reduceat(value, head), np.maximum.reduceat(value, head)
        self.state["low"][runs.own] = np.where(none, np.nan, low[of_last])
        self.state["high"][runs.own] = np.where(none, np.nan, high[of_last])
        self.state["since_ns"][runs.own] = t[head[of_last]]
        start = np.maximum.accumulate(np.where(begins, np.arange(len(value)), 0))
        since: NDArray[np.int64] = t[start[place]]
        return since

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.state | {"last_ns": self._breaks.last_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        if name == "last_ns":
            self._breaks.last_ns = column
        else:
            self.state[name] = column


def partings(values: list[float], tolerance: float) -> list[int]:
    """Return where runs begin in values that lie closer to their neighbours than to all."""
    low = high = values[0]
    found = []
    for i, x in enumerate(values):
        if x < low:
            low = x
        elif x > high:
            high = x
        if high - low > tolerance:
            found.append(i)
            low = high = x
    return found
