"""The scores of docs/kinds/trends.md, one reading at a time, in natural sign."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry

MOST_EVENTS = 64
NOT_A_ROW = math.nan


@dataclass
class Count:
    """Rows of the window that reached ``at``."""

    window_ns: int
    at: float
    upward: bool
    events: list[int] = field(default_factory=list)

    def score(self, t: int, x: float) -> float:
        if math.isnan(x):
            return NOT_A_ROW
        if x >= self.at if self.upward else x <= self.at:
            self.events.append(t)
        inside = [event for event in self.events if event > t - self.window_ns]
        return float(len(inside[-MOST_EVENTS:]))

    def epoch(self) -> None:
        self.events = []


def count_of(rule: ChannelRule, i: int, _: Registry) -> Count:
    own = rule.own
    return Count(int(own["window_ns"][i]), float(own["at"][i]), own["direction"][i] > 0)


# -- resampling --------------------------------------------------------------------------------

MOST_HELD = 64
MOST_POINTS = 128
MOST_ROWS = 64
Point = tuple[int, float]


def middle_of(values: list[float]) -> float:
    """The median; of an even number the mean of the two in the middle, without overflow."""
    ordered = sorted(value + 0.0 for value in values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return ordered[half - 1] * 0.5 + ordered[half] * 0.5


@dataclass
class Buckets:
    """Rows in, points out: medians of the buckets of a grid."""

    resample_ns: int
    window_ns: int
    bucket: int | None = None
    rows: list[Point] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def judged(self, t: int, x: float) -> bool:
        """Take a judged row; whether it closed a bucket."""
        bucket = t // self.resample_ns
        closed = self.bucket is not None and bucket > self.bucket
        if closed:
            self.close()
        if self.bucket is not None and bucket < self.bucket:
            self.points = [p for p in self.points if p[0] < bucket * self.resample_ns]
        if bucket != self.bucket:
            self.bucket, self.rows = bucket, []
        self.rows.append((t, x))
        return closed

    def late(self, t: int, x: float) -> None:
        if t // self.resample_ns == self.bucket:
            self.rows.append((t, x))

    def close(self) -> None:
        stride = 1
        while len(self.rows[::stride]) > MOST_HELD:
            stride *= 2
        oldest, newest = min(self.rows)[0], max(self.rows)[0]
        t = oldest + (newest - oldest) // 2
        self.points.append((t, middle_of([x for _, x in self.rows[::stride]])))
        self.points = [p for p in self.points if p[0] > t - self.window_ns][-MOST_POINTS:]


# -- trend -------------------------------------------------------------------------------------


def plain_median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) * 0.5


def slopes_of(points: list[Point], per_ns: int) -> list[float]:
    return [
        (b[1] - a[1]) / float(b[0] - a[0]) * float(per_ns) + 0.0 for a, b in combinations(points, 2)
    ]


def kendall_of(values: list[float]) -> tuple[int, int]:
    """S, and 18 times its variance."""
    n = len(values)
    s = sum((b > a) - (b < a) for a, b in combinations(values, 2))
    ties = [values.count(value) for value in set(values)]
    return s, n * (n - 1) * (2 * n + 5) - sum(m * (m - 1) * (2 * m + 5) for m in ties)


@dataclass
class Trend:
    """The Theil-Sen slope where the Mann-Kendall test is significant."""

    buckets: Buckets
    min_points: int
    min_duration_ns: int
    per_ns: int
    p_value: float
    said: dict[str, float] = field(default_factory=dict)

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x) or not self.buckets.judged(t, x):
            return NOT_A_ROW
        return self.judge(self.buckets.points)

    def judge(self, points: list[Point]) -> float:
        if not self.enough(points):
            return NOT_A_ROW
        s, variance = kendall_of([value for _, value in points])
        z = 0.0 if s == 0 else (s - math.copysign(1, s)) / math.sqrt(variance / 18.0)
        self.said = {"mann_kendall_z": z, "points": float(len(points))}
        if abs(z) <= NormalDist().inv_cdf(1.0 - self.p_value / 2.0):
            return 0.0
        return plain_median(slopes_of(points, self.per_ns)) + 0.0

    def enough(self, points: list[Point]) -> bool:
        long = len(points) >= max(2, self.min_points)
        return long and points[-1][0] - points[0][0] >= self.min_duration_ns

    def evidence(self) -> dict[str, float]:
        return self.said

    def late(self, t: int, x: float) -> None:
        if math.isfinite(x):
            self.buckets.late(t, x)

    def epoch(self) -> None:
        pass


# -- forecast ----------------------------------------------------------------------------------


def divided(a: float, b: float) -> float:
    """The quotient of IEEE 754: over zero it is infinite, and 0/0 no number."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


@dataclass
class Line:
    """Theil and Sen's line through points, in seconds from the newest; None = not rising."""

    slopes: list[float]
    slope: float
    deviation: float  # of Kendall's S
    pivot: float
    level: float
    residuals: list[float]

    def crossing(self, limit: float, normal: float, *, early: bool) -> float:
        n, pairs = len(self.residuals), len(self.slopes)
        high = min(math.floor((pairs + normal * self.deviation) / 2.0), pairs - 1)
        bound = self.slopes[high if early else pairs - 1 - high]
        away = abs(bound - self.slope) if normal > 0 else 0.0
        ninth = self.residuals[n - 1 - n // 10 if early else n // 10]
        error = abs(ninth) / 1.2815515655446004 * normal * 1.2533141373155001 / math.sqrt(n)
        gap = limit - self.level
        a = self.slope * self.slope - away * away
        inside = gap * gap * away * away + error * error * a
        root = math.sqrt(inside) if inside > 0 else inside * 0.0
        if not early:
            tau = divided(gap * self.slope + root, a) if a > 0 else math.inf
        elif gap <= error:
            tau = 0.0
        else:
            tau = divided(gap * gap - error * error, gap * self.slope + root)
        return tau + self.pivot


def line_through(points: list[Point], direction: float) -> Line | None:
    newest = points[-1][0]
    elapsed = [float(t - newest) / 1e9 for t, _ in points]
    values = [value * direction for _, value in points]
    both = list(zip(elapsed, values, strict=True))
    s, variance = kendall_of(values)
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) + 0.0 for a, b in combinations(both, 2))
    pairs = len(slopes)
    slope = slopes[(pairs - 1) // 2] * 0.5 + slopes[pairs // 2] * 0.5
    levels = [value - slope * t for t, value in both]
    if s <= 0 or not slope > 0 or not all(math.isfinite(level) for level in levels):
        return None
    middle, pivot = middle_of(levels), 0.0
    for t in elapsed:
        pivot += t
    pivot /= len(elapsed)
    residuals = sorted(level - middle for level in levels)
    deviation = math.sqrt(max(variance, 0) / 18.0)
    return Line(slopes, slope, deviation, pivot, middle + slope * pivot, residuals)


@dataclass
class Forecast:
    """Seconds until the line crosses the limit, the early bound of it."""

    buckets: Buckets
    min_points: int
    limit: float
    direction: float
    confidence: float
    said: dict[str, float] = field(default_factory=dict)

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return NOT_A_ROW
        closed = self.buckets.judged(t, x)
        if x * self.direction >= self.limit * self.direction:
            return self.say(0.0, 0.0, 0.0, 0.0)
        if not closed or len(self.buckets.points) < max(3, self.min_points):
            return NOT_A_ROW
        line = line_through(self.buckets.points, self.direction)
        if line is None:
            return self.say(math.inf, math.inf, math.inf, math.inf)
        since = float(t - self.buckets.points[-1][0]) / 1e9

        def eta(share: float, *, early: bool = True) -> float:
            normal = NormalDist().inv_cdf(share) if share != 0.5 else 0.0
            crossing = line.crossing(self.limit * self.direction, normal, early=early)
            from_now = crossing - since
            return math.inf if math.isnan(from_now) else max(from_now, 0.0) + 0.0

        return self.say(eta(self.confidence), eta(0.9), eta(0.5), eta(0.9, early=False))

    def say(self, score: float, p10: float, p50: float, p90: float) -> float:
        self.said = {"eta_p10_s": p10, "eta_p50_s": p50, "eta_p90_s": p90}
        return score

    def evidence(self) -> dict[str, float]:
        return self.said

    def late(self, t: int, x: float) -> None:
        if math.isfinite(x):
            self.buckets.late(t, x)

    def epoch(self) -> None:
        pass


def forecast_of(rule: ChannelRule, i: int, _: Registry) -> Forecast:
    own = rule.own
    return Forecast(
        Buckets(int(own["resample_ns"][i]), int(own["window_ns"][i])),
        int(own["min_points"][i]),
        float(own["limit"][i]),
        float(own["direction"][i]),
        float(own["confidence"][i]),
    )
