"""Kind ``neighbour``: distance from the median of the channels around, in units or robust sigmas.

docs/kinds/composites.md. The scale of the median absolute deviation: Hampel 1974.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.asof import View
    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

MAD_TO_SIGMA = 1.4826  # for normal values
CHUNK = 1 << 18  # values of neighbours held at once: bounds memory


class NeighbourDifference:
    """Nothing but parameters: the last values of channels are the engine's."""

    kernel: ClassVar[str] = "neighbour_difference"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ("median", "members")

    def __init__(self, tracks: Tracks) -> None:
        self.neighbours = tracks.own("neighbours", fill=-1).astype(np.int64)  # [T, k]
        self.max_age_ns = tracks.own("max_age_ns").astype(np.int64)
        self.min_members = np.maximum(tracks.own("min_members"), 1)
        self.floor = tracks.own("floor")
        self.accept = tracks.accept
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return each row's distance from its neighbours as of its position."""
        n = len(runs.t)
        score = np.full(n, np.nan)
        self.aux = np.full((n, len(self.aux_names)), np.nan)
        asof = part.asof
        if asof is None:
            raise ValueError("a part for neighbours needs the last values of channels")
        classes = self.accept[runs.own]
        wide = max(1, CHUNK // max(1, self.neighbours.shape[1]))
        for accept in np.unique(classes).tolist():
            rows = np.flatnonzero((classes == accept)[runs.segment])
            view = asof.view(part, accept)
            for begin in range(0, len(rows), wide):
                self._score(runs, view, rows[begin : begin + wide], score)
        return score

    def _score(
        self,
        runs: Runs,
        view: View,
        rows: NDArray[np.int64],
        score: NDArray[np.float64],
    ) -> None:
        """Score some rows of one acceptance class; write score and aux."""
        track = runs.own[runs.segment[rows]]
        value, t_ns = view.last(self.neighbours[track], runs.at[rows][:, None])
        # compared so that an absent NO_NS cannot overflow
        t, max_age_ns = runs.t[rows][:, None], self.max_age_ns[track][:, None]
        fresh = (t_ns >= t - max_age_ns) & (t_ns <= t + max_age_ns) & np.isfinite(value)
        value[~fresh] = np.nan
        value.sort(axis=1)  # NaN last
        members = np.count_nonzero(fresh, axis=1)
        enough = members >= self.min_members[track]
        at, chosen = rows[enough], value[enough]
        members, track = members[enough], track[enough]
        if not len(at):
            return
        middle = _medians(chosen, members)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = runs.value[at] - middle
            found = self._scaled(found, chosen, middle, (members, self.floor[track]))
        score[at] = found + 0.0  # a zero is never -0.0
        assert self.aux is not None  # noqa: S101 - set by score
        self.aux[at, 0], self.aux[at, 1] = middle + 0.0, members

    def _scaled(
        self,
        deviation: NDArray[np.float64],
        members: NDArray[np.float64],  # noqa: ARG002
        middle: NDArray[np.float64],  # noqa: ARG002
        more: tuple[NDArray[np.int64], NDArray[np.float64]],  # noqa: ARG002
    ) -> NDArray[np.float64]:
        return deviation

    def forget(self, own: NDArray[np.int64]) -> None:
        """Forget nothing: no track keeps anything of its own channel."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return nothing: the last values of channels are the engine's."""
        return {}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place: there is none."""


class NeighbourSigma(NeighbourDifference):
    """The distance over the spread of the neighbours."""

    kernel: ClassVar[str] = "neighbour_sigma"

    def _scaled(
        self,
        deviation: NDArray[np.float64],
        members: NDArray[np.float64],
        middle: NDArray[np.float64],
        more: tuple[NDArray[np.int64], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        count, floor = more
        away = np.abs(members - middle[:, None])
        away.sort(axis=1)
        sigma = np.maximum(MAD_TO_SIGMA * _medians(away, count), floor)
        score = deviation / sigma
        score[(sigma == 0) & (deviation == 0)] = 0.0
        return score


def _medians(sorted_rows: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of the first ``count`` of each sorted row; no sum can overflow."""
    row, half = np.arange(len(count)), count >> 1
    upper: NDArray[np.float64] = sorted_rows[row, half]
    even = (count & 1) == 0
    if even.any():
        lower = sorted_rows[row[even], half[even] - 1]
        upper[even] = lower * 0.5 + upper[even] * 0.5
    return upper
