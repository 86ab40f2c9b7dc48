"""Kind ``neighbour``: distance from the median of the channels around, in units or robust sigmas.

docs/kinds/composites.md. The scale of the median absolute deviation: Hampel 1974.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.asof import fresh_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

MAD_TO_SIGMA = 1.4826  # for normal values


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
        near = (self.neighbours, self.max_age_ns, self.accept)
        for rows, value in fresh_near(runs, part, *near):
            value.sort(axis=1)  # NaN last
            members = np.count_nonzero(~np.isnan(value), axis=1)
            track = runs.own[runs.segment[rows]]
            enough = members >= self.min_members[track]
            if enough.any():
                at, members, floor = rows[enough], members[enough], self.floor[track[enough]]
                middle = middle_of(value[enough], members)
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    found = runs.value[at] - middle
                    found = self._scaled(found, value[enough], middle, (members, floor))
                score[at] = found + 0.0  # a zero is never -0.0
                self.aux[at, 0], self.aux[at, 1] = middle + 0.0, members
        return score

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
        sigma = np.maximum(MAD_TO_SIGMA * middle_of(away, count), floor)
        score = deviation / sigma
        score[(sigma == 0) & (deviation == 0)] = 0.0
        return score


def middle_of(sorted_rows: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of the first ``count`` of each sorted row; no sum can overflow."""
    row, half = np.arange(len(count)), count >> 1
    upper: NDArray[np.float64] = sorted_rows[row, half]
    even = (count & 1) == 0
    if even.any():
        lower = sorted_rows[row[even], half[even] - 1]
        upper[even] = lower * 0.5 + upper[even] * 0.5
    return upper
