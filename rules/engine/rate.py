"""Kind ``rate``: the slope over a window of true time, two-point or Theil–Sen.

Theil–Sen is the median of all pairwise slopes (Sen 1968, J. Am. Stat. Assoc. 63:1379).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.part import places_in_rules, scored_rows
from rules.segments import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.lifecycle import SlotRows
    from rules.engine.part import Part, Spread
    from rules.engine.slots import Slots
    from rules.plan import Plan

WINDOW_ROWS = 64  # the newest rows a window holds, this one included
PAIR_CHUNK = 1 << 20  # pairs of a Theil–Sen pass held at once: bounds memory


class Rate:
    """A ring of the window's rows per slot, oldest first, as wide as any slot has needed so far."""

    def __init__(self, slots: Slots, plan: Plan) -> None:
        self._slots = slots
        self._base = int(slots.pointer["rate"][0])
        count = int(slots.pointer["rate"][-1]) - self._base
        mine = slice(self._base, self._base + count)
        rule = slots.parameters.rule[mine]
        place = places_in_rules(slots, plan, mine)
        rules = plan.channel_rules
        self.window_ns = np.array([rules[r].window_ns[i] for r, i in place], np.int64)
        self.min_points = np.array([max(2, rules[r].min_points[i]) for r, i in place], np.int64)
        self.per_ns = np.array([rules[r].per_ns for r in rule], np.float64)
        self.theil_sen = np.array([rules[r].method == "theil_sen" for r in rule], np.bool_)
        self.held = np.zeros(count, np.int64)  # rows in the ring
        self.ring_ns = np.zeros((count, 2), np.int64)
        self.ring_value = np.zeros((count, 2))

    def forget(self, slots: NDArray[np.int64]) -> None:
        """Empty the windows of slots (by their place in the whole table): a clock epoch."""
        self.held[slots - self._base] = 0

    def rows(self, part: Part) -> SlotRows | None:
        """Score all rows of the kind, and return those of slots that have something to do."""
        return scored_rows(part, self._slots, "rate", self._score)

    def _score(self, part: Part, laid: Spread) -> NDArray[np.float64]:
        """Return the slope at each row (NaN: too few points), and roll the rings on."""
        own = laid.slot - self._base
        carried = self.held[own]
        length = carried + laid.length
        start = np.cumsum(length) - length
        n = int(length.sum())
        t, v = np.empty(n, np.int64), np.empty(n)
        old, new = ranges(start, carried), ranges(start + carried, laid.length)
        ring = (np.repeat(own, carried), ranges(np.zeros_like(carried), carried))
        t[old], v[old] = self.ring_ns[ring], self.ring_value[ring]
        t[new], v[new] = part.rows.judged_ns[laid.at], part.rows.value[laid.at]
        owner = np.repeat(np.arange(len(own)), length)
        begin = self._window_starts(t, owner, own, start)
        oldest = begin[new]
        points = new - oldest + 1
        mine = own[laid.owner]
        enough = points >= self.min_points[mine]
        score = np.full(len(new), np.nan)
        two_point = enough & ~self.theil_sen[mine]
        i, j = new[two_point], oldest[two_point]
        elapsed = (t[i] - t[j]).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            score[two_point] = (v[i] - v[j]) / elapsed * self.per_ns[mine[two_point]]
        robust = np.flatnonzero(enough & self.theil_sen[mine])
        if len(robust):
            score[robust] = theil_sen(
                t, v, oldest[robust], points[robust], self.per_ns[mine[robust]]
            )
        self._roll(own, t, v, start, length, begin)
        score += 0.0  # a zero is never -0.0: which of the two a median picks depends on the sort
        return score

    def _window_starts(
        self,
        t: NDArray[np.int64],
        owner: NDArray[np.int64],
        own: NDArray[np.int64],
        start: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return, for every row, the first row of its window, by bisection over at most 64 rows."""
        n = len(t)
        place = np.arange(n)
        gap = np.zeros(n, np.bool_)
        limit = self._slots.parameters.max_gap_ns[own + self._base]
        gap[1:] = t[1:] - t[:-1] > limit[owner[1:]]
        gap[start[start < n]] = True
        low = np.maximum.accumulate(np.where(gap, place, 0))
        low = np.maximum(low, place - (WINDOW_ROWS - 1))
        high = place.copy()
        edge = t - self.window_ns[own][owner]
        for _ in range(int(np.max(high - low, initial=0)).bit_length()):
            middle = (low + high) >> 1
            inside = t[middle] > edge
            high = np.where(inside, middle, high)
            low = np.where(inside, low, np.minimum(middle + 1, high))
        return high

    def _roll(
        self,
        own: NDArray[np.int64],
        t: NDArray[np.int64],
        v: NDArray[np.float64],
        start: NDArray[np.int64],
        length: NDArray[np.int64],
        begin: NDArray[np.int64],
    ) -> None:
        """Keep the rows the next window may still hold."""
        last = start + length - 1
        some = length > 0
        own, last = own[some], last[some]
        kept = np.minimum(last - begin[last] + 1, WINDOW_ROWS - 1)
        widest = int(np.max(kept, initial=0))
        if widest > self.ring_ns.shape[1]:
            width = min(WINDOW_ROWS, 1 << (widest - 1).bit_length())
            extra = width - self.ring_ns.shape[1]
            self.ring_ns = np.pad(self.ring_ns, ((0, 0), (0, extra)))
            self.ring_value = np.pad(self.ring_value, ((0, 0), (0, extra)))
        source = ranges(last - kept + 1, kept)
        target = (np.repeat(own, kept), ranges(np.zeros_like(kept), kept))
        self.ring_ns[target], self.ring_value[target] = t[source], v[source]
        self.held[own] = kept

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"held": self.held, "ring_ns": self.ring_ns, "ring_value": self.ring_value}


def theil_sen(
    t: NDArray[np.int64],
    v: NDArray[np.float64],
    oldest: NDArray[np.int64],
    points: NDArray[np.int64],
    per_ns: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the median pairwise slope of ``points`` rows from ``oldest`` on, one a window."""
    result = np.empty(len(oldest))
    for size in np.unique(points).tolist():
        windows = np.flatnonzero(points == size)
        first, second = np.triu_indices(size, 1)
        step = max(1, PAIR_CHUNK // len(first))
        for chunk in range(0, len(windows), step):
            w = windows[chunk : chunk + step]
            i, j = oldest[w, None] + first, oldest[w, None] + second
            with np.errstate(over="ignore", invalid="ignore"):
                slope = (v[j] - v[i]) / (t[j] - t[i]).astype(np.float64) * per_ns[w, None]
            slope.sort(axis=1)
            pairs = slope.shape[1]
            middle = slope[:, pairs // 2]
            if pairs % 2 == 0:
                with np.errstate(over="ignore", invalid="ignore"):
                    middle = (slope[:, pairs // 2 - 1] + middle) * 0.5
            result[w] = middle
    return result
