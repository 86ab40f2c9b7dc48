"""Kind ``stuck``: for how long the value has stayed within a tolerance, in seconds.

The flat line test of QARTOD, by time (docs/kinds/statistics.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.slots import NO_NS
from rules.engine.waves import Waves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

SECOND_NS = 1e9


class Stuck:
    """The run of each track: since when, and between which values."""

    kernel: ClassVar[str] = "stuck"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        count = len(tracks)
        self.tolerance = tracks.own("tolerance").astype(np.float64)
        self.max_gap_ns = tracks.max_gap_ns
        self.state: dict[str, NDArray[Any]] = {
            "since_ns": np.zeros(count, np.int64),
            "last_ns": np.full(count, NO_NS),  # of the last row, NO_NS = none to go on from
            "low": np.zeros(count),
            "high": np.zeros(count),
        }
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the age of the run each row belongs to."""
        place = runs.place
        run = _Run(
            *(column[place] for column in self.state.values()),
            tolerance=self.tolerance[place],
            max_gap_ns=self.max_gap_ns[place],
        )
        with np.errstate(over="ignore"):
            since = run.step(runs.t, runs.value) if runs.single else _since_many(run, runs)
        for name, column in self.state.items():
            column[place] = getattr(run, name)
        score: NDArray[np.float64] = (runs.t - since).astype(np.float64) / SECOND_NS
        return score

    def forget(self, own: NDArray[np.int64]) -> None:
        """Begin new runs: a clock epoch."""
        self.state["last_ns"][own] = NO_NS

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.state

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.state[name] = column


class _Run:
    """The runs of some tracks while rows are taken, and what these tracks were told."""

    def __init__(
        self,
        since_ns: NDArray[np.int64],
        last_ns: NDArray[np.int64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        *,
        tolerance: NDArray[np.float64],
        max_gap_ns: NDArray[np.int64],
    ) -> None:
        self.since_ns, self.last_ns, self.low, self.high = since_ns, last_ns, low, high
        self.tolerance, self.max_gap_ns = tolerance, max_gap_ns

    def step(self, t: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.int64]:
        """Take one row a track; return when the run it belongs to began."""
        low, high = np.minimum(self.low, x), np.maximum(self.high, x)
        new = high - low > self.tolerance
        new |= (self.last_ns == NO_NS) | (t > self.last_ns + self.max_gap_ns)
        self.since_ns = np.where(new, t, self.since_ns)
        self.low, self.high = np.where(new, x, low), np.where(new, x, high)
        self.last_ns = t
        return self.since_ns

    def take(self, chosen: slice | NDArray[np.int64]) -> _Run:
        """Return the runs of some of the tracks."""
        return _Run(
            self.since_ns[chosen],
            self.last_ns[chosen],
            self.low[chosen],
            self.high[chosen],
            tolerance=self.tolerance[chosen],
            max_gap_ns=self.max_gap_ns[chosen],
        )

    def put(self, chosen: slice | NDArray[np.int64], of: _Run) -> None:
        """Write the runs of some of the tracks."""
        self.since_ns[chosen], self.last_ns[chosen] = of.since_ns, of.last_ns
        self.low[chosen], self.high[chosen] = of.low, of.high

    def long(self, i: int, t: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.int64]:
        """Take many rows of track i; return when the run of each began."""
        gap = np.empty(len(t), np.bool_)
        gap[1:] = t[1:] - t[:-1] > self.max_gap_ns[i]
        gap[0] = self.last_ns[i] == NO_NS or t[0] > self.last_ns[i] + self.max_gap_ns[i]
        if self.tolerance[i] == 0.0:
            gap[0] |= self.high[i] != self.low[i] or x[0] != self.low[i]
            gap[1:] |= x[1:] != x[:-1]
            begins = np.flatnonzero(gap)
            self.low[i] = self.high[i] = x[-1]
        else:
            begins = self._begins(i, gap, x)
        begun = np.full(len(t), -1)
        begun[begins] = begins
        np.maximum.accumulate(begun, out=begun)
        since: NDArray[np.int64] = np.where(begun >= 0, t[begun], self.since_ns[i])
        self.since_ns[i], self.last_ns[i] = since[-1], t[-1]
        return since

    def _begins(self, i: int, gap: NDArray[np.bool_], x: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the rows of track i that begin a run: each depends on where the last began."""
        low, high, tolerance = float(self.low[i]), float(self.high[i]), float(self.tolerance[i])
        begins = []
        for row, (value, alone) in enumerate(zip(x.tolist(), gap.tolist(), strict=True)):
            if low <= value <= high and not alone:
                continue
            least = value if value < low else low  # noqa: FURB136 - a call costs as much as the rest
            greatest = value if value > high else high  # noqa: FURB136
            if alone or greatest - least > tolerance:
                begins.append(row)
                low = high = value
            else:
                low, high = least, greatest
        self.low[i], self.high[i] = low, high
        return np.array(begins, np.int64)


def _since_many(run: _Run, runs: Runs) -> NDArray[np.int64]:
    """Take runs of any length: together while they are many, one by one where they are long."""
    waves = Waves(runs.start, runs.length)
    since = np.empty(len(runs.t), np.int64)
    sorted_runs = run.take(waves.order)
    done = 0
    for active, at in waves.each(until_few=True):
        some = sorted_runs.take(slice(0, active))
        since[at] = some.step(runs.t[at], runs.value[at])
        sorted_runs.put(slice(0, active), some)
        done += 1
    for i in range(waves.active(done)):
        span = slice(int(waves.begin[i]) + done, int(waves.begin[i] + waves.size[i]))
        since[span] = sorted_runs.long(i, runs.t[span], runs.value[span])
    run.put(waves.order, sorted_runs)
    return since
