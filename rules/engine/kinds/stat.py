"""Kind ``stat``: a statistic of a window of true time; what conditions of ``all`` and others are.

docs/kinds/composites.md.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.windowed import Windowed, windows
from rules.engine.resample import medians
from rules.engine.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks
    from rules.engine.window import View


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


class _Stat(Windowed):
    """A window that no gap ends."""

    rows_needed: ClassVar[int] = 1

    def __init__(self, tracks: Tracks) -> None:
        super().__init__(Window(tracks, gaps=False), np.full(len(tracks), self.rows_needed))


class StatRise(_Stat):
    """Newest less oldest row of the window."""

    kernel: ClassVar[str] = "stat_rise"
    rows_needed: ClassVar[int] = 2
    sign: ClassVar[float] = 1.0
    share: ClassVar[bool] = False

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ARG002
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


class _Whole(_Stat):
    """Statistics that look at every row of a window: windows of one length go together."""

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the statistic of each window."""
        out = np.empty(len(view.t))
        for at, _, value in windows(view, 1, pairs=False):
            out[at] = self.over(value)
        return out

    @abstractmethod
    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the statistic of each row of [n, size]."""


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
    rows_needed: ClassVar[int] = 2

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the span of each row."""
        span: NDArray[np.float64] = held.max(axis=1) - held.min(axis=1)
        return span


class StatMedian(_Whole):
    """The median of the window."""

    kernel: ClassVar[str] = "stat_median"

    def over(self, held: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the median of each row; halved first, so never infinite."""
        return medians(held, np.full(len(held), held.shape[1]))


STATS = (
    *(StatLast, StatRise, StatDrop, StatRiseShare, StatDropShare),
    *(StatMin, StatMax, StatRange, StatMedian),
)
