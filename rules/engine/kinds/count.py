"""Kind ``count``: how many rows of a window of true time reached a value; docs/kinds/trends.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.segments import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

EVENTS = 64  # the newest events a window holds


class Count:
    """Rings of the times of events. Events of a track are numbered from 0 as they come.

    Event i lies at ring place ``i mod width``; rings are as wide as any track has needed so far.
    """

    kernel: ClassVar[str] = "count"
    finite: ClassVar[bool] = False
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        self.window_ns = tracks.own("window_ns").astype(np.int64)
        self.direction = tracks.own("direction").astype(np.float64)
        self.at = tracks.own("at") * self.direction
        count = len(tracks)
        self.state: dict[str, NDArray[Any]] = {
            "taken": np.zeros(count, np.int64),  # events ever
            "first": np.zeros(count, np.int64),  # of the window at the last row
            "ring_ns": np.zeros((count, 2), np.int64),
        }
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the number of events in the window of each row, itself included."""
        place, state = runs.place, self.state
        direction, at, taken = self.direction[place], self.at[place], state["taken"][place]
        if not runs.single:
            direction, at = np.repeat(direction, runs.length), np.repeat(at, runs.length)
        hit = runs.value * direction >= at
        before = state["first"][place]
        if not hit.any() and not (taken > before).any():
            return np.zeros(len(runs.t))
        came = np.cumsum(hit)
        come: NDArray[np.int64] = (
            came[runs.start] - hit[runs.start]
        )  # events of this part before each run
        number = came + (taken - come)[runs.segment]  # events so far
        first = self._firsts(runs, hit, number, np.maximum(before[runs.segment], number - EVENTS))
        self._roll(runs, hit, number, first)
        score: NDArray[np.float64] = (number - first).astype(np.float64)
        return score

    def _firsts(
        self,
        runs: Runs,
        hit: NDArray[np.bool_],
        number: NDArray[np.int64],
        low: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return the number of the first event in each row's window: bisect where there is any."""
        first = number.copy()
        rows = np.flatnonzero(low < number)
        a, b = low[rows], number[rows]
        segment, ring = runs.segment[rows], self.state["ring_ns"]
        own = runs.own[segment]
        edge = runs.t[rows] - self.window_ns[own]
        came = runs.t[hit]
        new = self.state["taken"][own]  # the first that came in this part
        shift = (np.cumsum(hit)[runs.start] - hit[runs.start])[segment] - new
        for _ in range(int(np.max(b - a, initial=0)).bit_length()):
            middle = (a + b) >> 1
            fresh = middle >= new
            t = ring[own, middle & (ring.shape[1] - 1)]
            if len(came):
                place = np.where(fresh, middle + shift, 0)
                t = np.where(fresh, came[np.minimum(place, len(came) - 1)], t)
            inside = t > edge
            a = np.where(inside | (a >= b), a, middle + 1)
            b = np.where(inside, middle, b)
        first[rows] = a
        return first

    def _roll(
        self,
        runs: Runs,
        hit: NDArray[np.bool_],
        number: NDArray[np.int64],
        first: NDArray[np.int64],
    ) -> None:
        """Remember the events the next window may still hold."""
        state, last, place = self.state, runs.last, runs.place
        taken, since = number[last], first[last]
        self._widen(int((taken - since).max()))
        mask = state["ring_ns"].shape[1] - 1
        kept = np.minimum(taken - state["taken"][place], taken - since)
        if kept.any():
            of_run = np.cumsum(hit)[last]  # events of this part up to each run's end
            source = ranges(of_run - kept, kept)
            event = ranges(taken - kept, kept)
            state["ring_ns"][np.repeat(runs.own, kept), event & mask] = runs.t[hit][source]
        state["taken"][place] = taken
        state["first"][place] = since

    def _widen(self, events: int) -> None:
        """Make every ring at least so wide; events keep their number."""
        old = self.state["ring_ns"]
        width = old.shape[1]
        if events <= width:
            return
        wide = 1 << (events - 1).bit_length()
        taken = self.state["taken"]
        number = np.maximum(taken - width, 0)[:, None] + np.arange(width)
        held = number < taken[:, None]
        own = np.broadcast_to(np.arange(len(taken))[:, None], number.shape)[held]
        number = number[held]
        new = np.zeros((len(taken), wide), np.int64)
        new[own, number & (wide - 1)] = old[own, number & (width - 1)]
        self.state["ring_ns"] = new

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty the windows: a clock epoch."""
        self.state["first"][own] = self.state["taken"][own]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.state

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.state[name] = column
