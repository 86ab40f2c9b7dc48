"""Kind ``step``, beyond: a step that the channels around do not make.

docs/kinds/trends.md. The step of the ratio (or difference) to each neighbour, and the median of
those: a difference in differences, in which what all of them do cancels, with no weight on any one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rules.engine.asof import fresh_near
from rules.engine.kinds.neighbour import middle_of
from rules.engine.kinds.windowed import CELLS, Windowed
from rules.engine.window import ROWS, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks
    from rules.engine.window import View

NEAR = 16  # neighbours of a track that are kept beside each row


class StepBeyond(Windowed):
    """Two windows of rows, each with what its neighbours said when it came."""

    kernel: ClassVar[str] = "step_beyond"
    aux_names: ClassVar[tuple[str, ...]] = ("members",)

    def __init__(self, tracks: Tracks) -> None:
        near = tracks.own("neighbours", fill=-1).astype(np.int64).reshape(len(tracks), -1)
        self.neighbours = np.full((len(tracks), NEAR), -1)  # [T, NEAR]
        self.neighbours[:, : near.shape[1]] = near[:, :NEAR]
        self.max_age_ns = tracks.own("max_age_ns").astype(np.int64)
        self.min_members = np.maximum(tracks.own("min_members"), 1)
        self.min_points = np.maximum(tracks.own("min_points"), 1)
        self.relative = tracks.own("relative") > 0
        self.newer_ns = tracks.own("window_ns").astype(np.int64)
        both_ns = self.newer_ns + tracks.own("before_ns").astype(np.int64)
        window = Window(tracks, window_ns=both_ns, gaps=False, further=NEAR)
        super().__init__(window, 2 * self.min_points)
        self.accept = tracks.accept

    def views(self, runs: Runs, part: Part) -> Iterator[View]:
        """Yield the rows with their windows, and beside each row what its neighbours had said."""
        self.aux = np.full((len(runs.t), 1), np.nan)
        beside = np.full((len(runs.t), NEAR), np.nan)
        for rows, value in fresh_near(runs, part, self.neighbours, self.max_age_ns, self.accept):
            beside[rows] = value
        return self.window.views(runs, beside)

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return how far each row's step goes beyond its neighbours'."""
        score, members = np.full(len(view.t), np.nan), np.full(len(view.t), np.nan)
        at = np.flatnonzero(~few)
        for begin in range(0, len(at), CELLS // (ROWS * NEAR)):
            rows = at[begin : begin + CELLS // (ROWS * NEAR)]
            score[rows], members[rows] = self._beyond(view, rows)
        assert self.aux is not None  # noqa: S101 - set by views
        self.aux[view.at, 0] = members
        return score

    def _beyond(
        self, view: View, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return score and members of some rows of a view, [n], NaN where too little is known."""
        size = view.row[rows] - view.first[rows] + 1
        longest = int(size.max())
        behind = np.arange(longest)
        held = behind < size[:, None]
        number = view.row[rows, None] - np.where(held, behind, 0)
        place = view.find(number, rows)  # [n, longest], the newest first
        relative = view.each(self.relative)[rows]
        apart = self._apart(view, place, relative)
        apart[~held] = np.nan
        newer = view.times[place] > (view.t - view.each(self.newer_ns))[rows][:, None]
        least = view.each(self.min_points)[rows][:, None]
        now, known = _middles(apart, newer, least)
        before, known_before = _middles(apart, ~newer, least)
        step = now - before
        with_sign = np.where(step == 0, 0.0, step / np.abs(before) * 100.0)
        step = np.where(relative[:, None], with_sign, step)
        step[~(known & known_before & np.isfinite(step))] = np.nan
        step.sort(axis=1)  # NaN last
        members = np.count_nonzero(~np.isnan(step), axis=1)
        enough = members >= view.each(self.min_members)[rows]
        score, said = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        score[enough] = middle_of(step[enough], members[enough])
        said[enough] = members[enough]
        return score, said

    def _apart(
        self, view: View, place: NDArray[np.int64], relative: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return each row against each of its neighbours, [n, rows, NEAR]; NaN where unknown."""
        own, beside = view.values[place][:, :, None], view.further[place]
        apart = np.where(relative[:, None, None], own / beside, own - beside)
        apart[~np.isfinite(apart)] = np.nan
        return apart


def _middles(
    apart: NDArray[np.float64], wanted: NDArray[np.bool_], least: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the medians over the wanted rows, [n, NEAR], and whether ``least`` are known."""
    n, rows, near = apart.shape
    chosen = np.where(wanted[:, :, None], apart, np.nan).transpose(0, 2, 1).reshape(-1, rows)
    chosen.sort(axis=1)  # NaN last
    count = np.count_nonzero(~np.isnan(chosen), axis=1)
    middle = np.full(len(chosen), np.nan)
    some = np.flatnonzero(count)
    middle[some] = middle_of(chosen[some], count[some])
    return middle.reshape(n, near), count.reshape(n, near) >= least
