"""Kind ``step``: the median of the newest window less that of the one before it.

The level shift of ADTK's LevelShiftAD, on windows of true time; docs/kinds/trends.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.windowed import Windowed
from rules.engine.resample import Resampler, medians
from rules.engine.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks
    from rules.engine.window import View

CELLS = 1 << 20  # values of a pass held at once: bounds memory


class _Shift:
    """What both methods tell of a window: its newer part and its older, compared."""

    def __init__(self, tracks: Tracks) -> None:
        self.newer_ns = tracks.own("window_ns").astype(np.int64)
        self.both_ns = self.newer_ns + tracks.own("before_ns").astype(np.int64)
        self.least = np.maximum(tracks.own("min_points"), 1)
        self.relative = tracks.own("relative") > 0

    def of(self, view: View) -> NDArray[np.float64]:
        """Return the shift at each row of the view, NaN where a part has too few rows."""
        score = np.full(len(view.t), np.nan)
        least = view.each(self.least)
        at = np.flatnonzero(view.row - view.first + 1 >= 2 * least)
        begin, end, least = view.first[at], view.row[at] + 1, least[at]
        middle = _after(view, at, (view.t - view.each(self.newer_ns))[at])
        enough = (middle - begin >= least) & (end - middle >= least)
        at, begin, middle, end = at[enough], begin[enough], middle[enough], end[enough]
        before = _medians(view, at, begin, middle)
        shift = _medians(view, at, middle, end) - before
        relative = view.each(self.relative)[at]
        if relative.any():
            part = shift / np.abs(before) * 100.0
            part[shift == 0] = 0.0
            shift = np.where(relative, part, shift)
        score[at] = shift + 0.0
        return score


def _after(view: View, rows: NDArray[np.int64], edge_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the first row after ``edge_ns`` in the windows of ``rows``."""
    a, b = view.first[rows], view.row[rows].copy()
    for _ in range(int(np.max(b - a, initial=0)).bit_length()):
        middle = (a + b) >> 1
        inside = view.times[view.find(middle, rows)] > edge_ns
        b = np.where(inside, middle, b)
        a = np.where(inside, a, np.minimum(middle + 1, b))
    return b


def _medians(
    view: View, rows: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the medians of rows ``begin`` … ``end - 1`` of the tracks of ``rows``, [n].

    Spans of one length go together.
    """
    out = np.empty(len(rows))
    length = end - begin
    for width in np.unique(length).tolist():
        alike = np.flatnonzero(length == width)
        step = max(1, CELLS // width)
        for first in range(0, len(alike), step):
            at = alike[first : first + step]
            number = begin[at, None] + np.arange(width)
            out[at] = medians(view.values[view.find(number, rows[at])], length[at])
    return out


class StepRows(Windowed):
    """A step between rows as they come."""

    kernel: ClassVar[str] = "step_rows"

    def __init__(self, tracks: Tracks) -> None:
        self.shift = _Shift(tracks)
        window = Window(tracks, window_ns=self.shift.both_ns, gaps=False)
        super().__init__(window, np.ones(len(tracks), np.int64))

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the shift at each row of a view; NaN where a part has too few rows."""
        return self.shift.of(view)


class StepResampled:
    """A step between medians of buckets, told by the row that closes one."""

    kernel: ClassVar[str] = "step_resampled"
    finite: ClassVar[bool] = True
    takes_late: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        self.shift = _Shift(tracks)
        self.resampler = Resampler(tracks, self.shift.both_ns)
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the shift at rows that close a bucket, NaN at all others."""
        score = np.full(len(runs.t), np.nan)
        closed = self.resampler.take(runs, part)
        if closed is not None:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                for row, _, view in closed.views():
                    score[row] = self.shift.of(view)
        return score

    def forget(self, own: NDArray[np.int64]) -> None:
        """Keep everything: a row of an earlier bucket tells how far the clock went back."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.resampler.columns()

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.resampler.restore(name, column)
