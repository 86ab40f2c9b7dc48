"""Kind ``stat``: a statistic of a window of true time; what conditions of ``all`` and others are.

docs/kinds/composites.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks
    from rules.engine.window import View

CELLS = 1 << 20  # values of windows held at once: bounds memory


class StatLast:
    """The value itself."""

    kernel: ClassVar[str] = "stat_last"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:  # noqa: ARG002 - of the protocol
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return each row's value."""
        return runs.value + 0.0

    def forget(self, own: NDArray[np.int64]) -> None:
        """Forget nothing: there is no window."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return nothing."""
        return {}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place: there is none."""


class _Windowed:
    """What the statistics of a window have in common: its rows, as ``View`` tells them."""

    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()
    least: ClassVar[int] = 1  # rows without which there is no score

    def __init__(self, tracks: Tracks) -> None:
        self.window = Window(tracks, gaps=False)
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the statistic at each row (NaN: too few rows), and roll the windows on."""
        score = np.empty(len(runs.t))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for view in self.window.views(runs):
                few = view.row - view.first + 1 < self.least
                found = self.of(view)
                if few.any():
                    found[few] = np.nan
                score[view.at] = found
        score += 0.0  # a zero is never -0.0
        return score

    def of(self, view: View) -> NDArray[np.float64]:
        """Return the statistic of each row's window, anything where it has too few rows."""
        raise NotImplementedError

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty the windows of tracks whose clock began a new epoch."""
        self.window.forget(own)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.window.columns()

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.window.restore(name, column)


class StatRise(_Windowed):
    """Newest less oldest row of the window."""

    kernel: ClassVar[str] = "stat_rise"
    least: ClassVar[int] = 2
    sign: ClassVar[float] = 1.0
    share: ClassVar[bool] = False

    def of(self, view: View) -> NDArray[np.float64]:
        """Return the rise (or drop, or its share of the oldest row)."""
        reference = view.values[view.find(view.first)]
        change: NDArray[np.float64] = (view.value - reference) * self.sign
        if self.share:
            part = change / np.abs(reference) * 100.0
            part[change == 0] = 0.0
            return part
        return change


class StatDrop(StatRise):
    """Oldest less newest row of the window."""

    kernel: ClassVar[str] = "stat_drop"
    sign: ClassVar[float] = -1.0


class StatRiseShare(StatRise):
    """The rise in per cent of the oldest row."""

    kernel: ClassVar[str] = "stat_rise_share"
    share: ClassVar[bool] = True


class StatDropShare(StatDrop):
    """The drop in per cent of the oldest row."""

    kernel: ClassVar[str] = "stat_drop_share"
    share: ClassVar[bool] = True


class _Whole(_Windowed):
    """Statistics that look at every row of a window: windows of one length go together."""

    def of(self, view: View) -> NDArray[np.float64]:
        """Return the statistic of each window."""
        out = np.empty(len(view.t))
        rows = view.row - view.first + 1
        for size in np.unique(rows).tolist():
            alike = np.flatnonzero(rows == size)
            step = max(1, CELLS // size)
            for begin in range(0, len(alike), step):
                at = alike[begin : begin + step]
                number = view.first[at, None] + np.arange(size)
                out[at] = self.over(view.values[view.find(number, at)])
        return out

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the statistic of each row of [n, size]."""
        raise NotImplementedError


class StatMin(_Whole):
    """The least value of the window."""

    kernel: ClassVar[str] = "stat_min"

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least of each row."""
        least: NDArray[np.float64] = held.min(axis=1)
        return least


class StatMax(_Whole):
    """The greatest value of the window."""

    kernel: ClassVar[str] = "stat_max"

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the greatest of each row."""
        greatest: NDArray[np.float64] = held.max(axis=1)
        return greatest


class StatRange(_Whole):
    """Greatest less least value of the window."""

    kernel: ClassVar[str] = "stat_range"
    least: ClassVar[int] = 2

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the span of each row."""
        span: NDArray[np.float64] = held.max(axis=1) - held.min(axis=1)
        return span


class StatMedian(_Whole):
    """The median of the window."""

    kernel: ClassVar[str] = "stat_median"

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the median of each row; halved first, so never infinite."""
        ordered = np.sort(held, axis=1)
        half = ordered.shape[1] >> 1
        upper: NDArray[np.float64] = ordered[:, half]
        if ordered.shape[1] & 1:
            return upper
        return ordered[:, half - 1] * 0.5 + upper * 0.5


STATS = (
    *(StatLast, StatRise, StatDrop, StatRiseShare, StatDropShare),
    *(StatMin, StatMax, StatRange, StatMedian),
)
