"""Kind ``ewma``: deviation from an exponentially weighted mean, in weighted standard deviations.

Score before learning; mean and variance after Roberts 1959 and the usual incremental form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.waves import Waves, recur_before

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks


class Ewma:
    """Mean, variance and number of rows learned, per track."""

    kernel: ClassVar[str] = "ewma"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        self.alpha = tracks.own("alpha")
        self.rest = 1.0 - self.alpha
        self.warmup = np.maximum(tracks.own("warmup"), 1)  # the first row never has a score
        self.floor = tracks.own("floor")
        count = len(tracks)
        self.mean = np.zeros(count)
        self.variance = np.zeros(count)
        self.learned = np.zeros(count, np.int64)
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return z of each row before it is learned, then learn it."""
        place, x = runs.place, runs.value
        learned = self.learned[place]
        fresh = learned == 0
        new = bool(fresh.any())
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if runs.single:
                score = self._score_one(x, place, learned, fresh if new else None)
            else:
                score = self._score_many(x, place, runs, fresh if new else None)
        score += 0.0  # a zero is never -0.0
        return score

    def _score_one(
        self,
        x: NDArray[np.float64],
        place: slice | NDArray[np.int64],
        learned: NDArray[np.int64],
        fresh: NDArray[np.bool_] | None,
    ) -> NDArray[np.float64]:
        """Score and learn one row a track."""
        a, rest = self.alpha[place], self.rest[place]
        mean, variance = self.mean[place], self.variance[place]
        if fresh is not None:
            mean = np.where(fresh, x, mean)
        d = x - mean
        score = _deviations(d, variance, self.floor[place])
        cold = learned < self.warmup[place]
        if cold.any():
            score[cold] = np.nan
        next_mean = a * x + rest * mean
        if fresh is not None:
            next_mean[fresh] = x[fresh]
        self.mean[place] = next_mean
        self.variance[place] = a * (rest * (d * d)) + rest * variance
        self.learned[place] = learned + 1
        return score

    def _score_many(
        self,
        x: NDArray[np.float64],
        place: slice | NDArray[np.int64],
        runs: Runs,
        fresh: NDArray[np.bool_] | None,
    ) -> NDArray[np.float64]:
        """Score and learn runs of any length."""
        a, rest = self.alpha[place], self.rest[place]
        waves = Waves(runs.start, runs.length)
        mean = self.mean[place]
        if fresh is not None:
            mean = np.where(fresh, x[runs.start], mean)
        before = recur_before(x, a, mean, waves, fresh)
        d = x - before
        q = np.repeat(rest, runs.length) * (d * d)
        variance = recur_before(q, a, self.variance[place], waves, fresh)
        score = _deviations(d, variance, np.repeat(self.floor[place], runs.length))
        learned = self.learned[place]
        if (learned < self.warmup[place]).any():
            count = np.repeat(learned - runs.start, runs.length) + np.arange(len(x))
            score[count < np.repeat(self.warmup[place], runs.length)] = np.nan
        last = runs.last
        next_mean = a * x[last] + rest * before[last]
        if fresh is not None:
            only = fresh & (runs.length == 1)
            next_mean[only] = x[last[only]]
        self.mean[place] = next_mean
        self.variance[place] = a * q[last] + rest * variance[last]
        self.learned[place] = learned + runs.length
        return score

    def forget(self, own: NDArray[np.int64]) -> None:
        """Keep everything: a clock epoch says nothing about the values."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"mean": self.mean, "variance": self.variance, "learned": self.learned}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        setattr(self, name, column)


def _deviations(
    deviation: NDArray[np.float64], variance: NDArray[np.float64], floor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return deviation over sigma; 0 or ±inf over a zero sigma."""
    sigma = np.maximum(np.sqrt(variance), floor)
    score = deviation / sigma
    flat = sigma == 0
    if flat.any():
        score[flat & (deviation == 0)] = 0.0
    return score
