"""Kind ``rate``: the slope over a window of true time, two-point or Theil–Sen.

Theil–Sen is the median of all pairwise slopes (Sen 1968, J. Am. Stat. Assoc. 63:1379).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rules.engine.kinds.windowed import Windowed, windows
from rules.engine.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks
    from rules.engine.window import View


class RateDifference(Windowed):
    """Newest less oldest row of the window, over the time between them."""

    kernel: ClassVar[str] = "rate_difference"

    def __init__(self, tracks: Tracks) -> None:
        super().__init__(Window(tracks), np.maximum(tracks.own("min_points"), 2))
        self.per_ns = tracks.own("per_ns").astype(np.float64)

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the slope of each row of a view."""
        at = view.find(view.first)
        elapsed = (view.t - view.times[at]).astype(np.float64)
        slope: NDArray[np.float64] = (view.value - view.values[at]) / elapsed
        slope *= view.each(self.per_ns)
        return slope


class RateTheilSen(RateDifference):
    """The median of all pairwise slopes of the window."""

    kernel: ClassVar[str] = "rate_theil_sen"

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the slope of each row of a view."""
        score, per_ns = np.full(len(view.t), np.nan), view.each(self.per_ns)
        for at, t, value in windows(view, view.each(self.least)):
            score[at] = theil_sen(t, value, per_ns[at])
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
