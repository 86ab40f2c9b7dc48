"""Kind ``forecast``: the time until a limit is crossed, early bound first; docs/kinds/trends.md.

A Theil–Sen line through the points of the window; the bounds of its slope after Sen 1968, those of
the crossing by inverse regression (Fieller 1954, J. R. Stat. Soc. B 16:175).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.trend import kendall, quantiles
from rules.engine.kinds.windowed import windows
from rules.engine.resample import Resampler, medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks
    from rules.engine.window import View

BAND = 0.9  # p10 and p90 of the evidence: each lies beyond the crossing with this probability
P90 = 1.2815515655446004  # the standard normal quantile of 0.9
LEVEL_ERROR = 1.2533141373155001  # √(π/2): a median's standard error over a mean's, × √n


class Forecast:
    """The open bucket and the points of each track; the line is drawn anew at each point."""

    kernel: ClassVar[str] = "forecast"
    finite: ClassVar[bool] = True
    takes_late: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ("eta_p10_s", "eta_p50_s", "eta_p90_s")

    def __init__(self, tracks: Tracks) -> None:
        self.resampler = Resampler(tracks, tracks.own("window_ns").astype(np.int64))
        self.least = np.maximum(tracks.own("min_points"), 3)
        self.direction = tracks.own("direction").astype(np.float64)
        self.limit = tracks.own("limit") * self.direction
        self.normal = quantiles(tracks.own("confidence"))
        self.band = float(quantiles(np.array([BAND]))[0])
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the seconds to the early crossing at rows that close a bucket or are beyond."""
        score = np.full(len(runs.t), np.nan)
        self.aux = np.full((len(score), 3), np.nan)
        own = runs.own[runs.segment]
        beyond = runs.value * self.direction[own] >= self.limit[own]
        if part.late is not None:
            beyond &= ~part.late[runs.at]
        closed = self.resampler.take(runs, part)
        if closed is not None:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                for row, own, view in closed.views():
                    score[row], self.aux[row] = self._etas(own, view, runs.t[row])
        score[beyond] = 0.0
        self.aux[beyond] = 0.0
        return score

    def _etas(
        self, own: NDArray[np.int64], view: View, now_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the early bound of each new point's crossing, [c], and the band's, [c, 3]."""
        score, aux = np.full(len(own), np.nan), np.full((len(own), 3), np.nan)
        for at, t, value in windows(view, self.least[own]):
            tracks = own[at]
            s, variance = kendall(value * self.direction[tracks, None])
            score[at] = np.inf
            aux[at] = np.inf
            rises = s > 0  # else more pairs fall than rise: the median slope does not rise
            at, tracks, s = at[rises], tracks[rises], s[rises]  # noqa: PLW2901
            if not len(at):
                continue
            elapsed = (t[rises] - t[rises, -1:]).astype(np.float64) / 1e9
            line = _Line(elapsed, value[rises] * self.direction[tracks, None], variance[rises])
            after = (now_ns[at] - t[rises, -1]).astype(np.float64) / 1e9
            limit = self.limit[tracks]
            middle = line.crossing(limit, np.zeros(len(at)), early=True) - after
            band = np.full(len(at), self.band)
            early = line.crossing(limit, self.normal[tracks], early=True) - after
            score[at] = _from_now(early)
            aux[at, 0] = _from_now(line.crossing(limit, band, early=True) - after)
            aux[at, 1] = _from_now(middle)
            aux[at, 2] = _from_now(line.crossing(limit, band, early=False) - after)
            flat = at[~line.rises]
            score[flat], aux[flat] = np.inf, np.inf
        return score, aux

    def forget(self, own: NDArray[np.int64]) -> None:
        """Keep everything: a row of an earlier bucket tells how far the clock went back."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.resampler.columns()

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.resampler.restore(name, column)


class _Line:
    """Robust lines through k windows of n points, in seconds from the newest point."""

    def __init__(
        self, t: NDArray[np.float64], value: NDArray[np.float64], variance: NDArray[np.int64]
    ) -> None:
        k, n = t.shape
        first, second = np.triu_indices(n, 1)
        self.slopes = (value[:, second] - value[:, first]) / (t[:, second] - t[:, first]) + 0.0
        self.slopes.sort(axis=1)
        pairs = self.slopes.shape[1]
        self.slope = self.slopes[:, (pairs - 1) // 2] * 0.5 + self.slopes[:, pairs // 2] * 0.5
        self.deviation = np.sqrt(np.maximum(variance, 0).astype(np.float64) / 18.0)  # of S
        count = np.full(k, n)
        level = value - self.slope[:, None] * t
        sound = np.isfinite(level).all(axis=1)  # values near the largest float make no line
        self.rises = sound & (self.slope > 0)
        level[~sound] = 0.0
        middle = medians(level, count)
        # a sum in a fixed order: cumsum goes from the oldest point to the newest
        self.pivot = np.cumsum(t, axis=1)[:, -1] / float(n)
        self.level = middle + self.slope * self.pivot
        self.residual = level - middle[:, None]
        self.residual.sort(axis=1)

    def crossing(
        self, limit: NDArray[np.float64], normal: NDArray[np.float64], *, early: bool
    ) -> NDArray[np.float64]:
        """Return when the line, moved by ``normal`` deviations, meets the limit; +inf = never."""
        k, pairs = self.slopes.shape
        n = self.residual.shape[1]
        at, far = np.arange(k), normal * self.deviation
        # Sen's interval: so many of the ordered slopes away from the middle
        high = np.minimum(np.floor((pairs + far) / 2.0), pairs - 1).astype(np.int64)
        place = high if early else pairs - 1 - high
        bound = self.slopes[at, place]
        away = np.where(normal > 0, np.abs(bound - self.slope), 0.0)
        # the level's error: a residual's quantile of the same probability, over √n
        spread = self._spread(normal, upper=early) * LEVEL_ERROR / np.sqrt(float(n))
        gap = limit - self.level
        tau = _meeting(gap, self.slope, away, spread, early=early)
        return tau + self.pivot

    def _spread(self, normal: NDArray[np.float64], *, upper: bool) -> NDArray[np.float64]:
        """Return ``normal`` robust deviations of the residuals above (below) the line."""
        n = self.residual.shape[1]
        # the residual at p90 is 1.2816 deviations away where they are normal
        place = n - 1 - n // 10 if upper else n // 10
        return np.abs(self.residual[:, place]) / P90 * normal


def _meeting(
    gap: NDArray[np.float64],
    slope: NDArray[np.float64],
    away: NDArray[np.float64],
    spread: NDArray[np.float64],
    *,
    early: bool,
) -> NDArray[np.float64]:
    """Return tau where ``slope·tau ± √((away·tau)² + spread²)`` is ``gap``; +inf = nowhere.

    Early: with plus, the first tau at which the upper bound of the line reaches the limit.
    """
    # (slope² − away²)·tau² − 2·gap·slope·tau + gap² − spread² = 0
    a = slope * slope - away * away
    root = np.sqrt(np.maximum(gap * gap * away * away + spread * spread * a, 0.0))
    if early:
        # the smaller root, in the form that loses no digits
        below = gap * slope + root
        tau = (gap * gap - spread * spread) / below
        return np.where(gap <= spread, 0.0, tau)  # met before the middle of the window
    tau = (gap * slope + root) / a
    return np.where(a > 0, tau, np.inf)


def _from_now(eta_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return seconds from now on, at least 0; NaN (an absurd line) says never."""
    eta = np.maximum(eta_s, 0.0) + 0.0
    eta[np.isnan(eta)] = np.inf
    return eta
