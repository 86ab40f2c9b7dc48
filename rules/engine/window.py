"""A sliding window of true time over each track's rows: a ring, and where the window begins.

Rows of a track are counted from 0 as they come; row i lies at ring place ``i mod width``. A window
holds the rows with ``t > now - window``, at most the newest ``ROWS``, and never reaches over a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.segments import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Runs
    from rules.engine.tracks import Tracks

ROWS = 64  # the newest rows a window holds, this one included


class Window:
    """Rings of T tracks, as wide as any track has needed so far."""

    def __init__(self, tracks: Tracks) -> None:
        count = len(tracks)
        self.window_ns = tracks.own("window_ns").astype(np.int64)
        self.max_gap_ns = tracks.max_gap_ns
        self.state: dict[str, NDArray[Any]] = {
            "count": np.zeros(count, np.int64),  # rows taken
            "first": np.zeros(count, np.int64),  # where the window of the last row began
            "ring_ns": np.zeros((count, 2), np.int64),
            "ring_value": np.zeros((count, 2)),
        }

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty the windows: a clock epoch."""
        self.state["first"][own] = self.state["count"][own]

    def take(self, runs: Runs) -> Seen:
        """Find each row's window; nothing is remembered before ``roll``."""
        state, place = self.state, runs.place
        count = state["count"][place]
        if runs.single:
            row = count
            base, before = count, state["first"][place]
            seen = Seen(self, runs, row, base, before)
            seen.first = self._first_single(seen, place)
            return seen
        base = np.repeat(count, runs.length)
        row = base + np.arange(len(runs.t)) - np.repeat(runs.start, runs.length)
        seen = Seen(self, runs, row, base, state["first"][place])
        seen.first = self._first_many(seen, place, count)
        return seen

    def _first_single(self, seen: Seen, place: slice | NDArray[np.int64]) -> NDArray[np.int64]:
        """Move the window's beginning on to where it must be, a step at a time."""
        runs, row = seen.runs, seen.row
        first = seen.before.copy()
        last_t = seen.times(np.maximum(row - 1, 0))
        empty = first >= row
        broken = empty | (runs.t - last_t > self.max_gap_ns[place])
        first[broken] = row[broken]
        np.maximum(first, row - (ROWS - 1), out=first)
        edge = runs.t - self.window_ns[place]
        at = np.flatnonzero(first < row)
        while len(at):
            ring = self.state["ring_ns"]
            t = ring[runs.own[at], first[at] & (ring.shape[1] - 1)]
            old = t <= edge[at]
            if not old.any():
                break
            at = at[old]
            first[at] += 1
            at = at[first[at] < row[at]]
        return first

    def _first_many(
        self, seen: Seen, place: slice | NDArray[np.int64], count: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Guess that each window is as long as the last one was; bisect where that is wrong."""
        runs, row = seen.runs, seen.row
        t = runs.t
        begins = runs.start
        gap = np.zeros(len(t), np.bool_)
        np.greater(t[1:] - t[:-1], np.repeat(self.max_gap_ns[place], runs.length)[1:], out=gap[1:])
        last_t = seen.of_run(np.maximum(count - 1, 0))
        empty = seen.before >= count
        gap[begins] = empty | (t[begins] - last_t > self.max_gap_ns[place])
        low = np.repeat(seen.before, runs.length)
        broken = np.flatnonzero(gap)
        if len(broken):
            # rows of a run from a gap on reach back to it at most
            since = np.zeros(len(t), np.int64)
            since[broken] = broken
            since[begins] = np.maximum(since[begins], begins)
            np.maximum.accumulate(since, out=since)
            after = gap[since]
            low[after] = row[since[after]]
        np.maximum(low, row - (ROWS - 1), out=low)
        edge = t - np.repeat(self.window_ns[place], runs.length)
        lag = np.repeat(count - 1 - seen.before, runs.length)
        guess = np.clip(row - lag, low, row)
        inside = seen.times(guess) > edge
        longer = (guess > low) & (seen.times(np.maximum(guess - 1, low)) > edge)
        wrong = np.flatnonzero(~inside | longer)
        if len(wrong):
            guess[wrong] = self._bisect(seen, low, edge, wrong)
        return guess

    @staticmethod
    def _bisect(
        seen: Seen, low: NDArray[np.int64], edge: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the first row of the windows of the given rows."""
        a, b = low[rows], seen.row[rows].copy()
        for _ in range(int(np.max(b - a, initial=0)).bit_length()):
            middle = (a + b) >> 1
            inside = seen.times(middle, rows) > edge[rows]
            b = np.where(inside, middle, b)
            a = np.where(inside, a, np.minimum(middle + 1, b))
        return b

    def roll(self, seen: Seen) -> None:
        """Remember the rows the next window may still hold."""
        runs, state = seen.runs, self.state
        last = runs.last
        place = runs.place
        needed = int((seen.row[last] - seen.first[last]).max()) + 1
        self._widen(min(needed, ROWS))
        mask = state["ring_ns"].shape[1] - 1
        if runs.single:
            row = seen.row & mask
            state["ring_ns"][runs.own, row] = runs.t
            state["ring_value"][runs.own, row] = runs.value
            state["count"][place] = seen.row + 1
            state["first"][place] = seen.first
            return
        kept = np.minimum(runs.length, mask + 1)
        source = ranges(last - kept + 1, kept)
        target = (np.repeat(runs.own, kept), seen.row[source] & mask)
        state["ring_ns"][target] = runs.t[source]
        state["ring_value"][target] = runs.value[source]
        state["count"][place] = seen.row[last] + 1
        state["first"][place] = seen.first[last]

    def _widen(self, rows: int) -> None:
        """Make every ring at least so wide; rows keep their number."""
        width = self.state["ring_ns"].shape[1]
        if rows <= width:
            return
        wide = 1 << (rows - 1).bit_length()
        count = self.state["count"]
        number = np.maximum(count - width, 0)[:, None] + np.arange(width)
        held = number < count[:, None]
        own = np.broadcast_to(np.arange(len(count))[:, None], number.shape)[held]
        number = number[held]
        for name in ("ring_ns", "ring_value"):
            old = self.state[name]
            new = np.zeros((len(count), wide), old.dtype)
            new[own, number & (wide - 1)] = old[own, number & (width - 1)]
            self.state[name] = new


@dataclass(slots=True)
class Seen:
    """The rows of some runs with their windows: rows ``first`` … ``row`` of their tracks."""

    window: Window
    runs: Runs
    row: NDArray[np.int64]  # [r]
    base: NDArray[np.int64]  # [r] number of the run's first new row
    before: NDArray[np.int64]  # [s] where the window began at the row before
    first: NDArray[np.int64] = None  # type: ignore[assignment]  # [r]

    def times(
        self, number: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the judged times of rows by their number; of all rows' tracks, or of some."""
        picked: NDArray[np.int64] = self._pick("ring_ns", self.runs.t, number, rows)
        return picked

    def values(
        self, number: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return the values of rows by their number."""
        picked: NDArray[np.float64] = self._pick("ring_value", self.runs.value, number, rows)
        return picked

    def of_run(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the judged times of carried rows, one a run."""
        ring = self.window.state["ring_ns"]
        times: NDArray[np.int64] = ring[self.runs.own, number & (ring.shape[1] - 1)]
        return times

    def _pick(
        self,
        name: str,
        new: NDArray[Any],
        number: NDArray[np.int64],
        rows: NDArray[np.int64] | None,
    ) -> NDArray[Any]:
        """Take rows from the ring or from this part; ``number`` may be [r] or [r, k]."""
        ring, runs = self.window.state[name], self.runs
        at = np.arange(len(runs.t)) if rows is None else rows
        wide = number.ndim > 1
        base = self.base[at][:, None] if wide else self.base[at]
        own = runs.own[runs.segment[at]]
        own = own[:, None] if wide else own
        fresh = number >= base
        if not fresh.any():
            carried: NDArray[Any] = ring[own, number & (ring.shape[1] - 1)]
            return carried
        here = runs.start[runs.segment[at]]
        here = here[:, None] if wide else here
        if fresh.all():
            came: NDArray[Any] = new[here + number - base]
            return came
        old = ring[own, number & (ring.shape[1] - 1)]
        return np.where(fresh, new[np.where(fresh, here + number - base, 0)], old)
