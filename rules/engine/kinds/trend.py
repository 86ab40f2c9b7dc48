"""Kind ``trend``: the Theil–Sen slope where the Mann–Kendall test finds one; docs/kinds/trends.md.

Mann 1945, Econometrica 13:245; Kendall 1975, Rank Correlation Methods; Sen 1968, J. Am. Stat.
Assoc. 63:1379.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.rate import theil_sen
from rules.engine.kinds.windowed import windows
from rules.engine.resample import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks
    from rules.engine.window import View


class Trend:
    """The open bucket and the points of each track; nothing of the test is remembered."""

    kernel: ClassVar[str] = "trend"
    finite: ClassVar[bool] = True
    takes_late: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ("mann_kendall_z", "points")

    def __init__(self, tracks: Tracks) -> None:
        self.resampler = Resampler(tracks, tracks.own("window_ns").astype(np.int64))
        self.least = np.maximum(tracks.own("min_points"), 2)
        self.least_ns = tracks.own("min_duration_ns").astype(np.int64)
        self.per_ns = tracks.own("per_ns").astype(np.float64)
        self.critical = quantiles(1.0 - tracks.own("p_value") / 2.0)
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the slope at rows that close a bucket, 0 where it is none; NaN at all others."""
        score = np.full(len(runs.t), np.nan)
        self.aux = np.full((len(score), len(self.aux_names)), np.nan)
        closed = self.resampler.take(runs, part)
        if closed is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                for row, own, view in closed.views():
                    score[row], self.aux[row] = self._test(own, view)
        return score

    def _test(
        self, own: NDArray[np.int64], view: View
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Test the windows of new points, [c]: scores and evidence."""
        score, aux = np.full(len(own), np.nan), np.full((len(own), 2), np.nan)
        for at, t, value in windows(view, self.least[own]):
            long = t[:, -1] - t[:, 0] >= self.least_ns[own[at]]
            at, t, value = at[long], t[long], value[long]  # noqa: PLW2901
            if len(at):
                score[at], aux[at] = self.judged(own[at], t, value)
        return score, aux

    def judged(
        self, own: NDArray[np.int64], t: NDArray[np.int64], value: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return slope [k] and evidence [k, 2] of windows of n points, [k, n]."""
        z = mann_kendall(value)
        rises = np.abs(z) > self.critical[own]
        slope = np.zeros(len(own))
        if rises.any():
            slope[rises] = theil_sen(t[rises], value[rises], self.per_ns[own[rises]])
        return slope + 0.0, np.stack([z, np.full(len(z), float(t.shape[1]))], axis=1)

    def forget(self, own: NDArray[np.int64]) -> None:
        """Keep everything: a row of an earlier bucket tells how far the clock went back."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.resampler.columns()

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.resampler.restore(name, column)


def quantiles(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard normal quantile of each share in 0 … 1; made once, when rules load."""
    normal = NormalDist()
    known = {p: normal.inv_cdf(p) for p in set(share.tolist())}
    return np.array([known[p] for p in share.tolist()], np.float64)


def kendall(value: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return Mann and Kendall's S of rows of values in time's order, and 18 times its variance.

    S is the pairs that rise less those that fall; ties lessen its variance (Kendall 1975).
    """
    n = value.shape[1]
    above = value[:, None, :] > value[:, :, None]  # [k, i, j]: value j above value i
    later = np.triu(np.ones((n, n), np.bool_), 1)
    s = np.count_nonzero(above & later, axis=(1, 2)) - np.count_nonzero(above & ~later, axis=(1, 2))
    variance = np.full(len(value), n * (n - 1) * (2 * n + 5), np.int64)
    ordered = np.sort(value, axis=1)
    tied = ordered[:, 1:] == ordered[:, :-1]
    some = np.flatnonzero(tied.any(axis=1))
    if len(some):
        place = np.arange(1, n)
        begins = np.maximum.accumulate(np.where(tied[some], 0, place), axis=1)
        m = np.where(tied[some], place - begins + 1, 1)  # how many are equal so far
        # summed over a group of ties it is m(m-1)(2m+5)
        step = m * (m - 1) * (2 * m + 5) - (m - 1) * (m - 2) * (2 * m + 3)
        variance[some] -= step.sum(axis=1)
    return s, variance


def mann_kendall(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the test's Z of rows of values in time's order, [k] of [k, n]; 0 if all are tied."""
    s, variance = kendall(value)
    sigma = np.sqrt(np.maximum(variance, 1).astype(np.float64) / 18.0)
    return (s - np.sign(s)) / sigma
