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
    rows: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def middle(self, bucket: int) -> int:
        return bucket * self.resample_ns + self.resample_ns // 2

    def judged(self, t: int, x: float) -> bool:
        """Take a judged row; whether it closed a bucket."""
        bucket = t // self.resample_ns
        closed = self.bucket is not None and bucket > self.bucket
        if closed:
            self.close()
        if self.bucket is not None and bucket < self.bucket:
            self.points = [p for p in self.points if p[0] < self.middle(bucket)]
        if bucket != self.bucket:
            self.bucket, self.rows = bucket, []
        self.rows.append(x)
        return closed

    def late(self, t: int, x: float) -> None:
        if t // self.resample_ns == self.bucket:
            self.rows.append(x)

    def close(self) -> None:
        stride = 1
        while len(self.rows[::stride]) > MOST_HELD:
            stride *= 2
        assert self.bucket is not None
        t = self.middle(self.bucket)
        self.points.append((t, middle_of(self.rows[::stride])))
        self.points = [p for p in self.points if p[0] > t - self.window_ns][-MOST_POINTS:]


# -- step --------------------------------------------------------------------------------------


@dataclass
class Step:
    """The newer half's median less the older half's."""

    window_ns: int
    min_points: int
    relative: bool
    rows: list[Point] = field(default_factory=list)

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return NOT_A_ROW
        self.rows = [*self.rows, (t, x)][-MOST_ROWS:]
        return self.shift(self.rows)

    def shift(self, rows: list[Point]) -> float:
        now = rows[-1][0]
        edge, end = now - self.window_ns, now - 2 * self.window_ns
        newer = [x for t, x in rows if t > edge]
        older = [x for t, x in rows if end < t <= edge]
        if min(len(newer), len(older)) < max(self.min_points, 1):
            return NOT_A_ROW
        before = middle_of(older)
        difference = middle_of(newer) - before + 0.0
        if not self.relative or difference == 0:
            return difference
        if before == 0:
            return math.copysign(math.inf, difference)
        return difference / abs(before) * 100.0 + 0.0

    def epoch(self) -> None:
        self.rows = []


@dataclass
class ResampledStep:
    step: Step
    buckets: Buckets

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x) or not self.buckets.judged(t, x):
            return NOT_A_ROW
        return self.step.shift(self.buckets.points)

    def late(self, t: int, x: float) -> None:
        if math.isfinite(x):
            self.buckets.late(t, x)

    def epoch(self) -> None:
        pass


def step_of(rule: ChannelRule, i: int, _: Registry) -> Step | ResampledStep:
    own = rule.own
    window_ns = int(own["window_ns"][i])
    step = Step(window_ns, int(own["min_points"][i]), bool(own["relative"][i]))
    if rule.options["method"] == "rows":
        return step
    return ResampledStep(step, Buckets(int(own["resample_ns"][i]), 2 * window_ns))


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
    evidence: dict[str, float] = field(default_factory=dict)

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x) or not self.buckets.judged(t, x):
            return NOT_A_ROW
        points = self.buckets.points
        if len(points) < max(2, self.min_points):
            return NOT_A_ROW
        if points[-1][0] - points[0][0] < self.min_duration_ns:
            return NOT_A_ROW
        s, variance = kendall_of([value for _, value in points])
        z = 0.0 if s == 0 else (s - math.copysign(1, s)) / math.sqrt(variance / 18.0)
        self.evidence = {"mann_kendall_z": z, "points": float(len(points))}
        if abs(z) <= NormalDist().inv_cdf(1.0 - self.p_value / 2.0):
            return 0.0
        return plain_median(slopes_of(points, self.per_ns)) + 0.0

    def late(self, t: int, x: float) -> None:
        if math.isfinite(x):
            self.buckets.late(t, x)

    def epoch(self) -> None:
        pass


def trend_of(rule: ChannelRule, i: int, _: Registry) -> Trend:
    own = rule.own
    return Trend(
        Buckets(int(own["resample_ns"][i]), int(own["window_ns"][i])),
        int(own["min_points"][i]),
        int(own["min_duration_ns"][i]),
        int(own["per_ns"][i]),
        float(own["p_value"][i]),
    )
