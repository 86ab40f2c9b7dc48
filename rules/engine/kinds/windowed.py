"""What kinds have in common that score a row by the rows of a window of true time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.window import View, Window

CELLS = 1 << 20  # values, or pairs of them, held at once: bounds memory


class Windowed(ABC):
    """Rolls a window on and scores view by view; ``least`` rows are needed, [T]."""

    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, window: Window, least: NDArray[np.int64]) -> None:
        self.window, self.least = window, least
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the score of each row (NaN: too few rows), and roll the windows on."""
        score = np.empty(len(runs.t))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for view in self.views(runs, part):
                few = view.row - view.first + 1 < view.each(self.least)
                found = self.of(view, few)
                if few.any():
                    found[few] = np.nan
                score[view.at] = found
        score += 0.0  # a zero is never -0.0: which of the two a median picks depends on the sort
        return score

    def views(self, runs: Runs, part: Part) -> Iterator[View]:  # noqa: ARG002 - for who looks around
        """Yield the rows with their windows; the windows roll on."""
        return self.window.views(runs)

    @abstractmethod
    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the score of each row of a view; anything where its window has ``few`` rows."""

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty the windows of tracks whose clock began a new epoch."""
        self.window.forget(own)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.window.columns()

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.window.restore(name, column)


def windows(
    view: View, least: NDArray[np.int64] | int, *, pairs: bool = True
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Yield places of rows [k] with times and values of their windows [k, n], n the same for all.

    Windows of fewer rows than ``least`` are left out. As many go together as memory should hold of
    their rows, or of the ``pairs`` of those.
    """
    size = view.row - view.first + 1
    enough = np.flatnonzero(size >= least)
    for n in np.unique(size[enough]).tolist():
        alike = enough[size[enough] == n]
        step = max(1, CELLS // (n * n if pairs else n))
        for begin in range(0, len(alike), step):
            at = alike[begin : begin + step]
            rows = view.find(view.first[at, None] + np.arange(n), at)
            yield at, view.times[rows], view.values[rows]
