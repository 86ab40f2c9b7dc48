"""Kind ``cusum``: a small shift that lasts, by cumulative sums of what exceeds a slack.

Page 1954 (Biometrika 41:100), two-sided, bounded above (docs/kinds/statistics.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.zscore import Zscore, deviations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.baseline import One
    from rules.engine.tracks import Tracks

_NAN = float("nan")


class Cusum(Zscore):
    """A baseline and both sums a track; of the two the track's direction is scored."""

    kernel: ClassVar[str] = "cusum"

    def __init__(self, tracks: Tracks) -> None:
        super().__init__(tracks)
        self.target = tracks.own("target").astype(np.float64)  # NaN: the location learned
        self.slack = tracks.own("slack").astype(np.float64)
        self.freeze = tracks.own("freeze").astype(np.float64)  # sums at which nothing is learned
        self.cap = tracks.own("cap").astype(np.float64)
        self.up = tracks.own("direction").astype(np.float64) > 0
        self.by_ack = tracks.own("by_ack").astype(np.bool_)
        self.sums = {"high": np.zeros(len(tracks)), "low": np.zeros(len(tracks))}

    def _step(
        self,
        place: slice | NDArray[np.int64],
        own: NDArray[np.int64],
        t: NDArray[np.int64],
        x: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Score and learn one row a track."""
        slot = self.baseline.slots(place, own, t)
        state, sums = self.baseline.state, self.sums
        target = self.target[place]
        target = np.where(np.isnan(target), state["location"][place], target)
        z = deviations(x - target, state["scale"][place], self.floor[place])
        unknown, cold = np.isnan(z), ~state["warm"][place]
        slack, cap = self.slack[place], self.cap[place]
        moved = []
        for name, step in (("high", z - slack), ("low", -z - slack)):
            held = sums[name][place]
            risen = np.minimum(np.maximum(held + step, 0.0), cap)
            risen = np.where(unknown, np.where(cold, 0.0, held), risen)
            sums[name][place] = risen
            moved.append(risen)
        high, low = moved
        learned = np.maximum(high, low) < self.freeze[place]
        self.baseline.learn(place, t, slot, x, learned)
        score: NDArray[np.float64] = np.where(self.up[place], high, -low) + 0.0
        score[unknown] = np.nan
        return score

    def _within(
        self, one: One, track: int, x: NDArray[np.float64], early: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Score and learn rows of one slot of a track."""
        slack, freeze = float(self.slack[track]), float(self.freeze[track])
        if not one.warm:
            self.sums["high"][track] = self.sums["low"][track] = 0.0
            one.learn(x, early, range(len(x) if freeze > 0 else 0))
            return np.full(len(x), np.nan)
        target = float(self.target[track])
        if target != target:  # noqa: PLR0124 - NaN
            target = one.location
        z = deviations(x - target, np.array(one.scale), self.floor[track])
        high, low = float(self.sums["high"][track]), float(self.sums["low"][track])
        cap, up = float(self.cap[track]), bool(self.up[track])
        scores, learned = [], []
        steps = zip((z - slack).tolist(), (-z - slack).tolist(), strict=True)
        for row, (rise, fall) in enumerate(steps):
            if rise == rise:  # noqa: PLR0124 - NaN
                high += rise
                high = 0.0 if high < 0.0 else cap if high > cap else high  # noqa: FURB136 - no call a row
                low += fall
                low = 0.0 if low < 0.0 else cap if low > cap else low  # noqa: FURB136
                scores.append(high if up else -low)
            else:
                scores.append(_NAN)
            if high < freeze and low < freeze:
                learned.append(row)
        one.learn(x, early, learned)
        self.sums["high"][track], self.sums["low"][track] = high, low
        return np.array(scores) + 0.0

    def acknowledge(self, own: NDArray[np.int64]) -> None:
        """Begin the sums anew where the rule says so: a person has seen the alarm."""
        own = own[self.by_ack[own]]
        for column in self.sums.values():
            column[own] = 0.0

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.baseline.state | self.sums

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        held = self.sums if name in self.sums else self.baseline.state
        held[name] = column
