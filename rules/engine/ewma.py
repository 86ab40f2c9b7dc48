"""Kind ``ewma``: deviation from an exponentially weighted mean, in weighted standard deviations.

Score before learning; mean and variance after Roberts 1959 and the usual incremental form. The
recurrence is ``a*x + (1-a)*m``, which scipy's lfilter computes bit for bit, so that long segments
may take the compiled path and short ones go wave by wave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import lfilter

from rules.engine.part import places_in_rules, scored_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.lifecycle import SlotRows
    from rules.engine.part import Part, Spread
    from rules.engine.slots import Slots
    from rules.plan import Plan

SEGMENT_COST = 4
"""Waves that cost as much as one segment through lfilter: few long segments take the latter."""


class Ewma:
    """Mean, variance and number of rows learned, per slot."""

    def __init__(self, slots: Slots, plan: Plan) -> None:
        self._slots = slots
        self._base = int(slots.pointer["ewma"][0])
        count = int(slots.pointer["ewma"][-1]) - self._base
        place = places_in_rules(slots, plan, slice(self._base, self._base + count))
        rules = plan.channel_rules
        self.alpha = np.array([rules[r].alpha[i] for r, i in place], np.float64)
        self.warmup = np.array([rules[r].warmup[i] for r, i in place], np.int64)
        self.floor = np.array([rules[r].floor[i] for r, i in place], np.float64)
        self.mean = np.zeros(count)
        self.variance = np.zeros(count)
        self.learned = np.zeros(count, np.int64)

    def rows(self, part: Part) -> SlotRows | None:
        """Score all rows of the kind, and return those of slots that have something to do."""
        return scored_rows(part, self._slots, "ewma", self._score)

    def _score(self, part: Part, laid: Spread) -> NDArray[np.float64]:
        """Return z of each row before it is learned, then learn it."""
        x = part.rows.value[laid.at]
        own = laid.slot - self._base
        filled = laid.length > 0
        own, length = own[filled], laid.length[filled]
        start = np.cumsum(length) - length
        segment = np.repeat(np.arange(len(own)), length)
        alpha = self.alpha[own]
        fresh = self.learned[own] == 0
        mean0 = np.where(fresh, x[start], self.mean[own])
        with np.errstate(over="ignore", invalid="ignore"):
            before = _before(x, alpha, mean0, start, length, fresh)
            deviation = x - before
            rest = 1.0 - alpha[segment]
            q = rest * (deviation * deviation)
            spread_before = _before(q, alpha, self.variance[own], start, length, fresh)
            learned = self.learned[own][segment] + np.arange(len(x)) - start[segment]
            score = self._deviations(deviation, spread_before, own[segment], learned)
            last = start + length - 1
            a = alpha
            mean = a * x[last] + (1.0 - a) * before[last]
            variance = a * q[last] + (1.0 - a) * spread_before[last]
        # the first row ever sets the mean to itself, exactly
        only_first = fresh & (length == 1)
        self.mean[own] = np.where(only_first, x[last], mean)
        self.variance[own] = np.where(only_first, 0.0, variance)
        self.learned[own] += length
        return score

    def _deviations(
        self,
        deviation: NDArray[np.float64],
        variance: NDArray[np.float64],
        own: NDArray[np.int64],
        learned: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Return deviation over sigma; NaN while warming up, 0 or ±inf over a zero sigma."""
        sigma = np.maximum(np.sqrt(variance), self.floor[own])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            score = deviation / sigma
        score[(deviation == 0) & (sigma == 0)] = 0.0
        score += 0.0  # a zero is never -0.0
        score[(learned < self.warmup[own]) | (learned == 0)] = np.nan
        return score

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"mean": self.mean, "variance": self.variance, "learned": self.learned}


def _before(
    x: NDArray[np.float64],
    alpha: NDArray[np.float64],
    carried: NDArray[np.float64],
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    fresh: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return, at each row, the recurrence ``y = a*x + (1-a)*y`` over the rows before it.

    The first row of a ``fresh`` segment sets ``y`` to itself, exactly.
    """
    out = np.empty(len(x))
    if len(start) == len(x):
        out[:] = carried
        return out
    order = np.argsort(-length, kind="stable")
    begin, size, a, y = start[order], length[order], alpha[order], carried[order].copy()
    rest = 1.0 - a
    done = 0
    for wave in range(int(size[0])):
        active = int(np.searchsorted(-size, -wave, side="left"))
        if wave > 0 and active * SEGMENT_COST < int(size[0]) - wave:
            break
        done = wave + 1
        at = begin[:active] + wave
        out[at] = y[:active]
        y[:active] = a[:active] * x[at] + rest[:active] * y[:active]
        if wave == 0:
            y[fresh[order]] = x[begin[fresh[order]]]
    for i in range(int(np.searchsorted(-size, -done, side="left"))):
        first, stop = int(begin[i]) + done, int(begin[i] + size[i])
        b = float(rest[i])
        if not (np.isfinite(y[i]) and np.isfinite(x[first:stop]).all()):
            # lfilter also multiplies by zero, and 0 * inf would be NaN
            for row in range(first, stop):
                out[row] = y[i]
                y[i] = a[i] * x[row] + b * y[i]
            continue
        run, _ = lfilter([a[i]], [1.0, -b], x[first:stop], zi=[b * y[i]])
        out[first] = y[i]
        out[first + 1 : stop] = run[:-1]
    return out
