"""Kind ``zscore``: deviation from what is usual over a window, in sigma.

Location and scale are median and 1.4826 MAD (Hampel 1974), or mean and standard deviation
(docs/kinds/statistics.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from rules.engine.baseline import Baseline, One, marks
from rules.engine.waves import Waves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

FEW: Final = 24  # rows that a loop takes in less time than the calls for an array
_NAN = float("nan")
_INF = float("inf")


class Zscore:
    """A baseline a track; rows that deviate too much are not learned."""

    kernel: ClassVar[str] = "zscore"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        self.baseline = Baseline(tracks)
        self.floor = tracks.own("floor").astype(np.float64)
        self.exclude = tracks.own("exclude").astype(np.float64)  # NaN: everything is learned
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the deviation of each row before it is learned, then learn it."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if runs.single:
                return self._step(runs.place, runs.own, runs.t, runs.value)
            return self._many(runs)

    def _many(self, runs: Runs) -> NDArray[np.float64]:
        """Take runs of any length: together while they are many, one by one where they are long."""
        waves = Waves(runs.start, runs.length)
        own = runs.own[waves.order]
        score = np.empty(len(runs.t))
        done = 0
        for active, at in waves.each(until_few=True):
            some = own[:active]
            score[at] = self._step(some, some, runs.t[at], runs.value[at])
            done += 1
        for i in range(waves.active(done)):
            span = slice(int(waves.begin[i]) + done, int(waves.begin[i] + waves.size[i]))
            score[span] = self._long(int(own[i]), runs.t[span], runs.value[span])
        return score

    def _step(
        self,
        place: slice | NDArray[np.int64],
        own: NDArray[np.int64],
        t: NDArray[np.int64],
        x: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Score and learn one row a track."""
        slot = self.baseline.slots(place, own, t)
        state = self.baseline.state
        score = deviations(x - state["location"][place], state["scale"][place], self.floor[place])
        learned = ~(np.abs(score) >= self.exclude[place])
        self.baseline.learn(place, t, slot, x, learned)
        return score

    def _long(
        self, track: int, t: NDArray[np.int64], x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Score and learn many rows of one track, slot by slot; none of them opens an epoch."""
        one = One(self.baseline, track)
        slot = t // one.slot_ns + one.shift
        early = t - (slot - one.shift) * one.slot_ns <= marks(slot, self.baseline.slot_ns[[track]])
        edges = (np.flatnonzero(slot[1:] != slot[:-1]) + 1).tolist()
        score = np.empty(len(t))
        for begin, end in pairwise([0, *edges, len(t)]):
            if int(slot[begin]) != one.slot:
                one.open(int(slot[begin]))
            of = slice(begin, end)
            score[of] = self._within(one, track, x[of], early[of])
        one.put_back()
        return score

    def _within(
        self, one: One, track: int, x: NDArray[np.float64], early: NDArray[np.bool_]
    ) -> NDArray[np.float64] | list[float]:
        """Score and learn rows of one slot of a track; ``early`` ones may replace the row kept."""
        floor, exclude = float(self.floor[track]), float(self.exclude[track])
        if len(x) > FEW:
            score = deviations(x - one.location, np.array(one.scale), self.floor[track])
            one.learn(x, early, np.flatnonzero(~(np.abs(score) >= exclude)))
            return score
        scores, learned = [], []
        for row, value in enumerate(x.tolist()):
            z = deviation(value - one.location, one.scale, floor)
            scores.append(z)
            if not abs(z) >= exclude:
                learned.append(row)
        one.learn(x, early, learned)
        return scores

    def forget(self, own: NDArray[np.int64]) -> None:
        """Go on in the time the clock now tells: an epoch says nothing about the values."""
        self.baseline.forget(own)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.baseline.state

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.baseline.state[name] = column


def deviations(
    d: NDArray[np.float64], scale: NDArray[np.float64], floor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return d in sigma, sigma at least ``floor``; over a zero sigma it is 0 or infinite."""
    sigma = np.maximum(scale, floor)
    score = d / sigma
    flat = sigma == 0
    if flat.any():
        score[flat & (d == 0)] = 0.0
    score += 0.0  # a zero is never -0.0
    return score


def deviation(d: float, scale: float, floor: float) -> float:
    """Return what ``deviations`` does of one row."""
    sigma = max(scale, floor)  # of a NaN scale it is NaN, in this order
    if sigma == 0:
        return 0.0 if d == 0 else _INF if d > 0 else -_INF if d < 0 else _NAN
    return d / sigma + 0.0
