"""Kind ``rate``: the slope over a window of true time, two-point or Theil–Sen.

Theil–Sen is the median of all pairwise slopes (Sen 1968, J. Am. Stat. Assoc. 63:1379).
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

PAIR_CHUNK = 1 << 20  # pairs of a Theil–Sen pass held at once: bounds memory


class RateDifference:
    """Newest less oldest row of the window, over the time between them."""

    kernel: ClassVar[str] = "rate_difference"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        self.window = Window(tracks)
        self.min_points = np.maximum(tracks.own("min_points"), 2)
        self.per_ns = tracks.own("per_ns").astype(np.float64)
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the slope at each row (NaN: too few points), and roll the windows on."""
        score = np.empty(len(runs.t))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for view in self.window.views(runs):
                few = view.row - view.first + 1 < view.each(self.min_points)
                slope = self._slopes(view, few)
                if few.any():
                    slope[few] = np.nan
                score[view.at] = slope
        score += 0.0  # a zero is never -0.0: which of the two a median picks depends on the sort
        return score

    def _slopes(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ARG002
        at = view.find(view.first)
        elapsed = (view.t - view.times[at]).astype(np.float64)
        slope: NDArray[np.float64] = (view.value - view.values[at]) / elapsed
        slope *= view.each(self.per_ns)
        return slope

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty the windows of tracks whose clock began a new epoch."""
        self.window.forget(own)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.window.columns()

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.window.restore(name, column)


class RateTheilSen(RateDifference):
    """The median of all pairwise slopes of the window."""

    kernel: ClassVar[str] = "rate_theil_sen"

    def _slopes(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:
        score = np.full(len(view.t), np.nan)
        points, per_ns = view.row - view.first + 1, view.each(self.per_ns)
        at = np.flatnonzero(~few)
        for size in np.unique(points[at]).tolist():
            step = max(1, PAIR_CHUNK // (size * (size - 1) // 2))
            windows = at[points[at] == size]
            for chunk in range(0, len(windows), step):
                w = windows[chunk : chunk + step]
                rows = view.find(view.first[w, None] + np.arange(size), w)
                score[w] = theil_sen(view.times[rows], view.values[rows], per_ns[w])
        return score


def theil_sen(
    t: NDArray[np.int64], v: NDArray[np.float64], per_ns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the median pairwise slope of windows of rows, [n] of t and v [n, size].

    Of an even number of slopes it is the mean of the two in the middle.
    """
    first, second = np.triu_indices(t.shape[1], 1)
    slope = (v[:, second] - v[:, first]) / (t[:, second] - t[:, first]).astype(np.float64)
    slope *= per_ns[:, None]
    slope.sort(axis=1)
    pairs = slope.shape[1]
    middle: NDArray[np.float64] = slope[:, pairs // 2]
    if pairs % 2 == 0:
        middle = (slope[:, pairs // 2 - 1] + middle) * 0.5
    return middle
