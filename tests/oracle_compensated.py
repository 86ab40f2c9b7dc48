"""The compensated trend of docs/kinds/trends.md, one reading at a time, in natural sign."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle_trends import NOT_A_ROW, Buckets, Point, Trend, middle_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.plan import ChannelRule
    from rules.registry import Registry


@dataclass
class CompensatedTrend:
    """The trend of what the companion's points do not explain."""

    trend: Trend
    beside: Buckets  # of what the companion last said at each row
    companion: int
    max_age_ns: int
    lags: range
    last: Point | None = None
    said: dict[str, float] = field(default_factory=dict)

    def saw(self, channel: int, t: int, x: float) -> None:
        if channel == self.companion and not math.isnan(x):
            self.last = (t, x)

    def forget(self, channel: int) -> None:
        if channel == self.companion:
            self.last = None

    def epoch(self) -> None:
        pass

    def as_of(self, t: int) -> float:
        if self.last is None or abs(t - self.last[0]) > self.max_age_ns:
            return math.inf
        return self.last[1] if math.isfinite(self.last[1]) else math.inf

    def late(self, t: int, x: float) -> None:
        if math.isfinite(x):
            self.trend.late(t, x)
            self.beside.late(t, self.as_of(t))

    def evidence(self) -> dict[str, float]:
        return self.said

    def score(self, t: int, x: float) -> float:
        self.said = {}
        if not math.isfinite(x):
            return NOT_A_ROW
        closed = self.trend.buckets.judged(t, x)
        self.beside.judged(t, self.as_of(t))
        if not closed:
            return NOT_A_ROW
        points, width = self.trend.buckets.points, self.trend.buckets.resample_ns
        other = {when // width: z for when, z in self.beside.points}
        beside = [
            [other.get(when // width - lag, math.inf) for lag in self.lags] for when, _ in points
        ]
        usable = [i for i, zs in enumerate(beside) if all(map(math.isfinite, zs))]
        if not self.trend.enough([points[i] for i in usable]):
            score, more = self.trend.judge(points), {}
        else:
            chosen = [points[i] for i in usable]
            values, coefficient, best = explained(chosen, [beside[i] for i in usable])
            times = [when for when, _ in chosen]
            score = self.trend.judge(list(zip(times, values, strict=True)))
            lag_s = self.lags[best] * (width * 1e-9)
            more = {"coefficient": coefficient, "lag_s": lag_s}
        if not math.isnan(score):
            self.said = self.trend.said | more
        return score


def explained(points: list[Point], beside: list[list[float]]) -> tuple[list[float], float, int]:
    """Values less what the best lag explains, its coefficient, its place."""
    n, newest = len(points), points[-1][0]
    x = centred([float(t - newest) for t, _ in points])[0]
    y = centred(clipped([value for _, value in points]))[0]
    xx, xy = added(u * u for u in x), added(u * v for u, v in zip(x, y, strict=True))
    best, least, coefficient, mean = 0, math.inf, 0.0, 0.0
    for place in range(len(beside[0])):
        z, middle = centred(clipped([zs[place] for zs in beside]))
        zz = added(u * u for u in z)
        xz = added(u * v for u, v in zip(x, z, strict=True))
        zy = added(u * v for u, v in zip(z, y, strict=True))
        rest = zz * xx - xz * xz
        if not rest > 1e-9 * (zz * xx):
            continue
        b = (zy * xx - xz * xy) / rest
        a = (xy - b * xz) / xx
        left = 0.0
        for i in range(n):
            off = y[i] - b * z[i] - a * x[i]
            left += off * off
        if left < least:
            best, least, coefficient, mean = place, left, b, middle
    values = [
        v - coefficient * (zs[best] - mean) for (_, v), zs in zip(points, beside, strict=True)
    ]
    if not all(map(math.isfinite, values)):
        return [v + 0.0 for _, v in points], 0.0, best
    return [v + 0.0 for v in values], coefficient + 0.0, best


def added(numbers: Iterable[float]) -> float:
    total = 0.0
    for number in numbers:
        total += number
    return total


def centred(values: list[float]) -> tuple[list[float], float]:
    mean = added(values) / len(values)
    return [value - mean for value in values], mean


def clipped(values: list[float]) -> list[float]:
    middle = middle_of(values)
    reach = 3.0 * 1.4826 * middle_of([abs(value - middle) for value in values])
    if reach == 0:
        return values
    return [min(max(value, middle - reach), middle + reach) for value in values]


def trend_of(rule: ChannelRule, i: int, _: Registry) -> Trend | CompensatedTrend:
    own = rule.own
    resample_ns, window_ns = int(own["resample_ns"][i]), int(own["window_ns"][i])
    trend = Trend(
        Buckets(resample_ns, window_ns),
        int(own["min_points"][i]),
        int(own["min_duration_ns"][i]),
        int(own["per_ns"][i]),
        float(own["p_value"][i]),
    )
    if not rule.options.get("method"):
        return trend
    return CompensatedTrend(
        trend,
        Buckets(resample_ns, window_ns),
        int(own["companion"][i]),
        int(own["max_age_ns"][i]),
        range(int(own["lag_first"][i]), int(own["lag_last"][i]) + 1),
    )
