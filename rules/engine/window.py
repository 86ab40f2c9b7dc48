"""A sliding window of true time over each track's rows: a ring, and where the window begins.

Rows of a track are counted from 0 as they come; row i lies at ring place ``i mod width``. A window
holds the rows with ``t > now - window``, at most the newest ``ROWS``, and never reaches over a gap.
Rings stand place by place, all tracks side by side: channels that report in step, as those of a
city mostly do, are then read and written in one piece.

Rows are taken in *views*. Short runs go wave by wave, one row a track, which the ring takes up
before anything is read: all of a window then lies in the ring. Long runs are laid out whole, behind
what the ring holds of them. Both name a row by its number, so that a kernel is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.waves import Waves
from rules.plan import NEVER_NS
from rules.segments import consecutive, ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.engine.part import Runs
    from rules.engine.tracks import Tracks

ROWS = 64  # the newest rows a window holds, this one included, unless it is told otherwise
LONG = 128
"""A run this long is laid out whole: that costs as much as so many waves of one row."""


class View:
    """Some rows of runs with their windows: rows ``first`` … ``row`` of their tracks.

    ``at`` places the rows among those of the runs; ``own`` and ``length`` are of the view's tracks.
    """

    __slots__ = (
        *("at", "first", "further", "length", "own", "place", "row", "shift"),
        *("step", "t", "times", "value", "values", "wrap"),
    )

    def __init__(
        self,
        at: NDArray[np.int64] | slice,
        own: NDArray[np.int64],
        length: NDArray[np.int64] | None,
        columns: tuple[NDArray[np.int64], NDArray[np.float64]],
    ) -> None:
        self.at, self.own, self.length = at, own, length
        self.t, self.value = columns
        self.place = consecutive(own)
        self.row: NDArray[np.int64]
        self.first: NDArray[np.int64]
        self.times: NDArray[np.int64]  # flat; look up by `find`
        self.values: NDArray[np.float64]
        self.further: NDArray[np.float64]  # [flat, k], k = 0 where a window has no further columns
        self.shift: NDArray[np.int64]  # [r]
        self.wrap, self.step = -1, 1

    @property
    def single(self) -> bool:
        """Tell whether every track has one row."""
        return self.length is None

    def each(self, column: NDArray[Any]) -> NDArray[Any]:
        """Spread a column of all tracks over the view's rows."""
        mine: NDArray[Any] = column[self.place]
        return mine if self.length is None else np.repeat(mine, self.length)

    def find(
        self, number: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return where rows of the given numbers lie in ``times`` and ``values``.

        ``number`` is [r], of every row's track, or of the given ``rows``: [n], or [n, k].
        """
        shift = self.shift if rows is None else self.shift[rows]
        if number.ndim > 1:
            shift = shift[..., None]
        return (number & self.wrap) * self.step + shift


class Window:
    """Rings of T tracks, as wide as any track has needed so far.

    ``window_ns`` is the rules' own unless given, the gap theirs unless ``gaps`` says that none is.
    ``further`` columns stand beside each row's value.
    """

    def __init__(
        self,
        tracks: Tracks,
        *,
        window_ns: NDArray[np.int64] | None = None,
        gaps: bool = True,
        rows: int = ROWS,
        further: int = 0,
    ) -> None:
        count = len(tracks)
        own = tracks.own("window_ns").astype(np.int64) if window_ns is None else window_ns
        self.window_ns = own
        self.max_gap_ns = tracks.max_gap_ns if gaps else np.full(count, NEVER_NS)
        self.rows = rows
        self.state: dict[str, NDArray[Any]] = {
            "count": np.zeros(count, np.int64),  # rows taken
            "first": np.zeros(count, np.int64),  # where the window of the last row began
            "last_ns": np.zeros(count, np.int64),
            "ring_ns": np.zeros((2, count), np.int64),  # [width, T]
            "ring_value": np.zeros((2, count)),
        }
        if further:
            self.state["ring_further"] = np.zeros((2, count, further))  # [width, T, k]
        self.rings = tuple(name for name in self.state if name.startswith("ring_"))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state by name, the tracks first."""
        return {name: _turned(column) for name, column in self.state.items()}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array of ``columns`` in place."""
        self.state[name] = np.ascontiguousarray(_turned(column))

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty the windows: a clock epoch."""
        self.state["first"][own] = self.state["count"][own]

    def forget_from(self, own: NDArray[np.int64], t: NDArray[np.int64]) -> None:
        """Forget the rows at or after a time, one a track: its clock went back."""
        state = self.state
        ring, first = state["ring_ns"], state["first"][own]
        count = state["count"][own]
        while len(at := np.flatnonzero(count > first)):
            newest = ring[(count[at] - 1) & (len(ring) - 1), own[at]]
            at = at[newest >= t[at]]
            count[at] -= 1
            if not len(at):
                break
        state["count"][own] = count

    def views(self, runs: Runs, further: NDArray[np.float64] | None = None) -> Iterator[View]:
        """Yield all rows of the runs, each track's in order; a view is remembered when yielded.

        ``further`` is what stands beside each row, [r, k].
        """
        if runs.single:
            view = View(slice(None), runs.own, None, (runs.t, runs.value))
            self._take_one(view, further)
            yield view
            return
        long = runs.length >= LONG
        if long.any():
            yield self._whole(runs, np.flatnonzero(long), further)
            if long.all():
                return
        short = np.flatnonzero(~long)
        waves = Waves(runs.start[short], runs.length[short])
        own = runs.own[short][waves.order]
        for active, at in waves.each():
            view = View(at, own[:active], None, (runs.t[at], runs.value[at]))
            self._take_one(view, further)
            yield view

    def _take_one(self, view: View, further: NDArray[np.float64] | None) -> None:
        """Find the window of one row a track, and take the rows up."""
        state, place, t = self.state, view.place, view.t
        row: NDArray[np.int64] = state["count"][place].copy()
        first: NDArray[np.int64] = state["first"][place].copy()
        broken = t - state["last_ns"][place] > self.max_gap_ns[place]
        broken |= row == 0
        if broken.any():
            first[broken] = row[broken]
        np.maximum(first, row - (self.rows - 1), out=first)
        edge = t - self.window_ns[place]
        width, tracks = state["ring_ns"].shape
        flat, own = state["ring_ns"].reshape(-1), view.own
        # a window that is full moves on by one row a row: ask all once, and few again
        first += (flat[(first & (width - 1)) * tracks + own] <= edge) & (first < row)
        old = (flat[(first & (width - 1)) * tracks + own] <= edge) & (first < row)
        at = np.flatnonzero(old)
        while len(at):
            first[at] += 1
            at = at[first[at] < row[at]]
            at = at[flat[(first[at] & (width - 1)) * tracks + own[at]] <= edge[at]]
        longest = int((row - first).max())
        if longest >= width:
            self._widen(longest + 1)
            width = state["ring_ns"].shape[0]
        view.times = state["ring_ns"].reshape(-1)
        view.values = state["ring_value"].reshape(-1)
        here = (row & (width - 1)) * tracks + own
        view.times[here] = t
        view.values[here] = view.value
        if further is not None:
            view.further = state["ring_further"].reshape(width * tracks, -1)
            view.further[here] = further[view.at]
        state["count"][place] = row + 1
        state["first"][place] = first
        state["last_ns"][place] = t
        view.row, view.first, view.shift = row, first, own
        view.wrap, view.step = width - 1, tracks

    def _whole(
        self, runs: Runs, chosen: NDArray[np.int64], further: NDArray[np.float64] | None
    ) -> View:
        """Lay long runs out behind the rows the ring still holds of them, and take them up."""
        state, own, length = self.state, runs.own[chosen], runs.length[chosen]
        at = ranges(runs.start[chosen], length)
        view = View(at, own, length, (runs.t[at], runs.value[at]))
        count, before = state["count"][own], state["first"][own]
        carried = np.minimum(count - before, self.rows - 1)
        total = carried + length
        start = np.cumsum(total) - total
        times, values = np.empty(int(total.sum()), np.int64), np.empty(int(total.sum()))
        old, new = ranges(start, carried), ranges(start + carried, length)
        width = state["ring_ns"].shape[0]
        ring = (ranges(count - carried, carried) & (width - 1), np.repeat(own, carried))
        times[old], values[old] = state["ring_ns"][ring], state["ring_value"][ring]
        times[new], values[new] = view.t, view.value
        view.times, view.values = times, values
        if further is not None:
            view.further = np.empty((len(times), further.shape[1]))
            view.further[old], view.further[new] = state["ring_further"][ring], further[at]
        view.shift = np.repeat(start + carried - count, length)
        view.row = new - view.shift
        view.first = self._begins(view, new, (start, total, own)) - view.shift
        self._keep(view, count + length)
        return view

    def _begins(
        self,
        view: View,
        new: NDArray[np.int64],
        laid: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    ) -> NDArray[np.int64]:
        """Return where the windows of the rows at ``new`` begin, by bisection."""
        start, total, own = laid
        t = view.times
        gap = np.zeros(len(t), np.bool_)
        gap[1:] = t[1:] - t[:-1] > np.repeat(self.max_gap_ns[own], total)[1:]
        gap[start] = True
        low = np.maximum.accumulate(np.where(gap, np.arange(len(t)), 0))[new]
        low = np.maximum(low, new - (self.rows - 1))
        high = new.copy()
        edge = t[new] - view.each(self.window_ns)
        for _ in range(int(np.max(high - low, initial=0)).bit_length()):
            middle = (low + high) >> 1
            inside = t[middle] > edge
            high = np.where(inside, middle, high)
            low = np.where(inside, low, np.minimum(middle + 1, high))
        return high

    def _keep(self, view: View, count: NDArray[np.int64]) -> None:
        """Take up the end of long runs."""
        state, length = self.state, view.length
        assert length is not None  # noqa: S101 - only of long runs
        last = np.cumsum(length) - 1
        self._widen(min(int((view.row[last] - view.first[last]).max()) + 1, self.rows))
        width = state["ring_ns"].shape[0]
        kept = np.minimum(length, width)
        source = ranges(last - kept + 1, kept)
        target = (view.row[source] & (width - 1), np.repeat(view.own, kept))
        state["ring_ns"][target] = view.t[source]
        state["ring_value"][target] = view.value[source]
        if "ring_further" in state:
            state["ring_further"][target] = view.further[view.find(view.row[source], source)]
        state["count"][view.own] = count
        state["first"][view.own] = view.first[last]
        state["last_ns"][view.own] = view.t[last]

    def _widen(self, rows: int) -> None:
        """Make every ring at least so wide; rows keep their number."""
        width = self.state["ring_ns"].shape[0]
        if rows <= width:
            return
        wide = 1 << (rows - 1).bit_length()
        count = self.state["count"]
        number = np.maximum(count - width, 0) + np.arange(width)[:, None]
        held = number < count
        own = np.broadcast_to(np.arange(len(count)), number.shape)[held]
        number = number[held]
        for name in self.rings:
            old = self.state[name]
            new = np.zeros((wide, *old.shape[1:]), old.dtype)
            new[number & (wide - 1), own] = old[number & (width - 1), own]
            self.state[name] = new


def _turned(column: NDArray[Any]) -> NDArray[Any]:
    """Change places and tracks of a ring, [width, T, …]; what is no ring stays."""
    return np.swapaxes(column, 0, 1) if column.ndim > 1 else column
