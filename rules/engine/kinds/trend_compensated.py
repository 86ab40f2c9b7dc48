"""Kind ``trend``, compensated: the trend of what another channel does not explain.

docs/kinds/trends.md. Least squares on two regressors, Draper and Smith 1998, Applied Regression
Analysis, chapter 6; outlying points clipped to the median ± 3 robust sigmas, Huber 1981, Robust
Statistics, chapter 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.asof import fresh_beside
from rules.engine.kinds.neighbour import MAD_TO_SIGMA
from rules.engine.kinds.trend import Trend
from rules.engine.kinds.windowed import windows
from rules.engine.part import Runs
from rules.engine.resample import Resampler, medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part
    from rules.engine.tracks import Tracks
    from rules.engine.window import View

CLIP_SIGMA = 3.0
INDEPENDENT = 1e-9  # of the companion's variance must be left when time has explained its part
_BESIDE = "companion_"


@dataclass(frozen=True, slots=True)
class _Points:
    """Points with their companion's, k windows of n points."""

    own: NDArray[np.int64]  # [k] tracks
    t: NDArray[np.int64]  # [k, n]
    value: NDArray[np.float64]  # [k, n]
    companion: NDArray[np.float64]  # [k, n], of L lags [k, n, L]; inf where there is none

    def chosen(self, rows: NDArray[np.int64], points: NDArray[np.bool_]) -> _Points:
        """Return some windows [j], with those points of them [j, n] that are as many in each."""
        shape = (len(rows), int(np.count_nonzero(points[0])))
        return _Points(
            self.own[rows],
            self.t[rows][points].reshape(shape),
            self.value[rows][points].reshape(shape),
            self.companion[rows][points].reshape(*shape, self.companion.shape[2]),
        )


class TrendCompensated(Trend):
    """A second resampler beside the first: what the companion said as of each row."""

    kernel: ClassVar[str] = "trend_compensated"
    aux_names: ClassVar[tuple[str, ...]] = ("mann_kendall_z", "points", "coefficient", "lag_s")

    def __init__(self, tracks: Tracks) -> None:
        super().__init__(tracks)
        self.beside = Resampler(tracks, tracks.own("window_ns").astype(np.int64))
        self.companion = tracks.own("companion", fill=-1).astype(np.int64)
        self.max_age_ns = tracks.own("max_age_ns").astype(np.int64)
        self.lags = np.stack([tracks.own("lag_first"), tracks.own("lag_last")], 1).astype(np.int64)
        self.accept = tracks.accept

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the slope at rows that close a bucket, as ``Trend.score``."""
        score = np.full(len(runs.t), np.nan)
        self.aux = np.full((len(score), len(self.aux_names)), np.nan)
        said = fresh_beside(runs, part, self.companion, self.max_age_ns, self.accept)
        rows = (runs.at, runs.t, np.where(np.isnan(said), np.inf, said))
        closed = self.resampler.take(runs, part)
        # the same tracks and times, so the same buckets: both close together
        beside = self.beside.take(Runs(runs.own, runs.start, runs.length, rows), part)
        if closed is None or beside is None:
            return score
        with np.errstate(over="ignore", invalid="ignore"):
            for mine, other in zip(closed.views(), beside.views(), strict=True):
                row, own, view = mine
                score[row], self.aux[row] = self._both(own, view, other[2])
        return score

    def _both(
        self, own: NDArray[np.int64], view: View, other: View
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Test the windows of new points, [c]: scores and evidence."""
        score, aux = np.full(len(own), np.nan), np.full((len(own), 4), np.nan)
        least = self.least[own]
        pairs = zip(windows(view, least), windows(other, least), strict=True)
        for (at, t, value), (_, _, companion) in pairs:
            first, width = np.unique(self.lags[own[at]], axis=0, return_inverse=True)
            for number, (begin, end) in enumerate(first.tolist()):
                k = np.flatnonzero(width.ravel() == number)
                lags = np.arange(begin, end + 1)
                beside = self._lagged(own[at[k]], t[k], companion[k], lags)
                points = _Points(own[at[k]], t[k], value[k], beside)
                score[at[k]], aux[at[k]] = self._compensated(points, lags)
        return score, aux

    def _lagged(
        self,
        own: NDArray[np.int64],
        t: NDArray[np.int64],
        companion: NDArray[np.float64],
        lags: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Return the companion's point so many buckets before each point, [k, n, L], else inf."""
        bucket = t // self.resampler.resample_ns[own][:, None]
        back = bucket[:, -1:] - bucket  # [k, n], 0 = the newest
        width = int(back.max()) + int(lags[-1]) + 1
        table = np.full((len(own), width), np.inf)
        row = np.arange(len(own))[:, None]
        table[row, back] = companion
        return table[row[:, :, None], back[:, :, None] + lags]

    def _compensated(
        self, points: _Points, lags: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Test windows [k], compensated where enough of their points have companions."""
        k = len(points.own)
        score, aux = np.full(k, np.nan), np.full((k, 4), np.nan)
        usable: NDArray[np.bool_] = np.all(np.isfinite(points.companion), axis=2)
        count = np.count_nonzero(usable, axis=1)
        place = np.arange(points.t.shape[1])
        last = points.t.max(initial=0)
        oldest = np.where(usable, points.t, last).min(axis=1)
        newest = points.t[np.arange(k), np.where(usable, place, 0).max(axis=1)]
        enough: NDArray[np.bool_] = (count >= self.least[points.own]) & (
            newest - oldest >= self.least_ns[points.own]
        )
        whole = points.t[:, -1] - points.t[:, 0] >= self.least_ns[points.own]
        plain = np.flatnonzero(~enough & whole)
        if len(plain):
            t, value, own = points.t[plain], points.value[plain], points.own[plain]
            score[plain], aux[plain, :2] = self.judged(own, t, value)
        for n in np.unique(count[enough]).tolist():
            rows = np.flatnonzero(np.where(enough, count, -1) == n)
            some = points.chosen(rows, usable[rows])
            value, coefficient, best = explained(some.t, some.value, some.companion)
            score[rows], aux[rows, :2] = self.judged(some.own, some.t, value)
            aux[rows, 2] = coefficient
            aux[rows, 3] = lags[best] * (self.resampler.resample_ns[some.own] * 1e-9)
        aux[np.isnan(score)] = np.nan
        return score, aux

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        beside = {_BESIDE + name: column for name, column in self.beside.columns().items()}
        return super().columns() | beside

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        if name.startswith(_BESIDE):
            self.beside.restore(name.removeprefix(_BESIDE), column)
        else:
            super().restore(name, column)


def explained(
    t: NDArray[np.int64], value: NDArray[np.float64], companion: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return values less what the companion explains, the coefficient, and which lag fits best.

    ``t`` and ``value`` [k, n], ``companion`` [k, n, L]. The values are fitted on time and the
    companion together: else a companion that drifts would take a true trend for its own. All sums
    run from the oldest point on: their bytes do not depend on how many windows stand together.
    """
    k, n, count = companion.shape
    x = (t - t[:, -1:]).astype(np.float64)
    y = clipped(value)
    x, y = x - _sum(x) / n, y - _sum(y) / n
    xx, xy = _sum(x * x), _sum(x * y)
    best = np.zeros(k, np.int64)
    least, coefficient, mean = np.full(k, np.inf), np.zeros(k), np.zeros(k)
    for lag in range(count):
        z = clipped(companion[:, :, lag])
        middle = _sum(z) / n
        z = z - middle
        zz, xz, zy = _sum(z * z), _sum(x * z), _sum(z * y)
        rest = zz * xx - xz * xz
        known = (rest > INDEPENDENT * (zz * xx))[:, 0]
        b = np.divide(zy * xx - xz * xy, rest, out=np.zeros_like(rest), where=known[:, None])
        left = _sum((y - b * z - (xy - b * xz) / xx * x) ** 2)[:, 0]
        better = known & (left < least)
        best[better], least[better] = lag, left[better]
        coefficient[better], mean[better] = b[better, 0], middle[better, 0]
    chosen = companion[np.arange(k), :, best]
    compensated = value - coefficient[:, None] * (chosen - mean[:, None])
    absurd = ~np.isfinite(compensated).all(axis=1)
    compensated[absurd], coefficient[absurd] = value[absurd], 0.0
    return compensated + 0.0, coefficient + 0.0, best


def clipped(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of values, those far from the median of their row brought nearer, [k, n]."""
    n = np.full(len(value), value.shape[1], np.int64)
    middle = medians(value, n)[:, None]
    reach = CLIP_SIGMA * MAD_TO_SIGMA * medians(np.abs(value - middle), n)[:, None]
    reach[reach == 0] = np.inf
    return np.clip(value, middle - reach, middle + reach)


def _sum(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of rows from left to right, [k, 1] of [k, n]."""
    return np.cumsum(rows, axis=1)[:, -1:]
