"""The same work as a tight pure-Python loop: what the engine is measured against.

A third program beside the engine and its slow twin, written for speed: one pass, everything in
line, one small object a channel, nothing done for a reading that changes nothing, the slope by
running sums. It has the same meaning for this workload (each channel once in a message, no hold, no
keep): duplicates by boot and sequence, the time test with late rows, conflicts and clock epochs,
flags, one latch a level with hysteresis, the z-score before learning, the rate over the last
second, the least-squares slope of the last minute.
"""

from __future__ import annotations

from math import copysign, inf, isfinite, sqrt
from typing import TYPE_CHECKING, Any

from lifeline.bench.loop_rare import H, L, State, again, edge, levels, move_origin
from lifeline.bench.workload import (
    ALPHA,
    COLUMNS,
    RATE_LIMIT,
    RATE_WINDOW_NS,
    SECOND_NS,
    SLOPE_LIMIT,
    SLOPE_POINTS,
    SLOPE_ROWS,
    SLOPE_WINDOW_NS,
    WARMUP,
    Z_LIMIT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifeline.bench.loop_rare import Told

    Lists = Mapping[str, list[Any]]

ACCEPTED = 3
PER_NS = float(SECOND_NS)
FAR_NS = 3_600 * PER_NS  # further than this from a ring's origin, sums begin to lose digits


class Loop:
    """The loop with its state, for T1, T2 or T3."""

    def __init__(self, workload: str, channels: int) -> None:
        self.states = [State() for _ in range(channels)]
        self.fold: Callable[[Lists], list[Told]] = {
            "T1": self._fold_t1,
            "T2": self._fold_t2,
            "T3": self._fold_t3,
        }[workload]

    def _fold_t1(self, lists: Lists) -> list[Told]:
        """Judge the rows of these columns by the levels alone."""
        told: list[Told] = []
        states = self.states
        columns = [lists[name] for name in COLUMNS]
        for channel, t, x, flag, usable, boot, sequence in zip(*columns, strict=True):
            s = states[channel]
            good = usable and flag <= ACCEPTED
            if s.top < sequence < s.end and boot == s.boot and t > s.judged_ns:
                s.seen |= 1 << (sequence & 63)
                s.top = sequence
                s.sent_boot = boot
                s.late_run = 0
            elif not again(told, s, (channel, t, x, boot, sequence, good)):
                continue
            s.judged_ns = t
            s.value = x
            if not good or x != x:  # noqa: PLR0124 - NaN, told the fast way
                continue
            if s.high or s.low or x >= H or x <= L:
                levels(told, s, channel, t, x)
        return told

    def _fold_t2(self, lists: Lists) -> list[Told]:  # noqa: C901 - all in line
        """Judge the rows of these columns by levels, z-score and rate."""
        told: list[Told] = []
        states = self.states
        columns = [lists[name] for name in COLUMNS]
        a, b = ALPHA, 1 - ALPHA
        for channel, t, x, flag, usable, boot, sequence in zip(*columns, strict=True):
            s = states[channel]
            good = usable and flag <= ACCEPTED
            if s.top < sequence < s.end and boot == s.boot and t > s.judged_ns:
                s.seen |= 1 << (sequence & 63)
                s.top = sequence
                s.sent_boot = boot
                s.late_run = 0
            elif not again(told, s, (channel, t, x, boot, sequence, good)):
                continue
            s.judged_ns = t
            s.value = x
            if not good or x != x:  # noqa: PLR0124 - NaN, told the fast way
                continue
            if s.high or s.low or x >= H or x <= L:
                levels(told, s, channel, t, x)
            if not isfinite(x):
                continue
            count = s.count
            if count:
                d = x - s.mean
                if count >= WARMUP:
                    sigma = sqrt(s.variance)
                    z = d / sigma if sigma else (copysign(inf, d) if d else 0.0)
                    if s.ewma_on or z >= Z_LIMIT or z <= -Z_LIMIT:
                        s.ewma_on = edge(told, s.ewma_on, "ewma", channel, t, z)
                s.mean = a * x + b * s.mean
                s.variance = a * (b * (d * d)) + b * s.variance
            else:
                s.mean = x
            s.count = count + 1
            gap_ns = t - s.rate_ns
            if gap_ns < RATE_WINDOW_NS:
                rate = (x - s.rate_value) / gap_ns * PER_NS
                if s.rate_on or rate >= RATE_LIMIT or rate <= -RATE_LIMIT:
                    s.rate_on = edge(told, s.rate_on, "rate", channel, t, rate)
            s.rate_ns = t
            s.rate_value = x
        return told

    def _fold_t3(self, lists: Lists) -> list[Told]:  # noqa: C901, PLR0912, PLR0915 - all in line
        """Judge the rows of these columns by levels, z-score, rate and slope."""
        told: list[Told] = []
        states, a, b = self.states, ALPHA, 1 - ALPHA
        rows = zip(*(lists[name] for name in COLUMNS), strict=True)
        for channel, t, x, flag, usable, boot, sequence in rows:
            s = states[channel]
            good = usable and flag <= ACCEPTED
            if s.top < sequence < s.end and boot == s.boot and t > s.judged_ns:
                s.seen |= 1 << (sequence & 63)
                s.top, s.sent_boot, s.late_run = sequence, boot, 0
            elif not again(told, s, (channel, t, x, boot, sequence, good)):
                continue
            s.judged_ns, s.value = t, x
            if not good or x != x:  # noqa: PLR0124 - NaN, told the fast way
                continue
            if s.high or s.low or x >= H or x <= L:
                levels(told, s, channel, t, x)
            if not isfinite(x):
                continue
            if count := s.count:
                d = x - s.mean
                if count >= WARMUP:
                    sigma = sqrt(s.variance)
                    z = d / sigma if sigma else (copysign(inf, d) if d else 0.0)
                    if s.ewma_on or z >= Z_LIMIT or z <= -Z_LIMIT:
                        s.ewma_on = edge(told, s.ewma_on, "ewma", channel, t, z)
                s.mean = a * x + b * s.mean
                s.variance = a * (b * (d * d)) + b * s.variance
            else:
                s.mean = x
            s.count = count + 1
            gap_ns = t - s.rate_ns
            if gap_ns < RATE_WINDOW_NS:
                rate = (x - s.rate_value) / gap_ns * PER_NS
                if s.rate_on or rate >= RATE_LIMIT or rate <= -RATE_LIMIT:
                    s.rate_on = edge(told, s.rate_on, "rate", channel, t, rate)
            s.rate_ns, s.rate_value = t, x
            ring, n, u = s.ring, s.points, t - s.origin_ns + 0.0  # exact for 104 days
            if u > FAR_NS or not n:
                u, n = move_origin(s, t), s.points
            su, suu, sv, suv = s.su + u, s.suu + u * u, s.sv + x, s.suv + u * x
            oldest, head = u - SLOPE_WINDOW_NS, s.head  # no gap within: max_gap is the window
            while n and ((p := ring[head]) <= oldest or n == SLOPE_ROWS):
                v = ring[head + SLOPE_ROWS]
                su -= p
                suu -= p * p
                sv -= v
                suv -= p * v
                head = (head + 1) % SLOPE_ROWS
                n -= 1
            at = (head + n) % SLOPE_ROWS
            ring[at], ring[at + SLOPE_ROWS] = u, x
            s.head, s.points = head, (n := n + 1)
            s.su, s.suu, s.sv, s.suv = su, suu, sv, suv
            if n >= SLOPE_POINTS:
                slope = (n * suv - su * sv) / (n * suu - su * su) * PER_NS
                if s.slope_on or slope >= SLOPE_LIMIT or slope <= -SLOPE_LIMIT:
                    s.slope_on = edge(told, s.slope_on, "slope", channel, t, slope)
        return told
