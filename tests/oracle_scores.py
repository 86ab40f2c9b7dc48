"""The scores of docs/semantics.md section 3, one reading at a time, in natural sign."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tests.oracle_compensated import trend_of
from tests.oracle_composites import expression_of, neighbour_of, vote_of
from tests.oracle_joint import joint_of, stat_of
from tests.oracle_modal import modal_of
from tests.oracle_seasonal import seasonal_of
from tests.oracle_statistics import arrival_of, cusum_of, gap_of, stuck_of, zscore_of
from tests.oracle_steps import step_of
from tests.oracle_transient import transient_of
from tests.oracle_trends import count_of, forecast_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.plan import ChannelRule
    from rules.registry import Registry

WINDOW_ROWS = 64
BLOCK_ROWS = 32
NOT_A_ROW = math.nan
NO_SIGN = 0.0  # added, it makes a zero +0.0


class Score(Protocol):
    def score(self, t: int, x: float) -> float: ...
    def epoch(self) -> None: ...


@runtime_checkable
class TakesLate(Protocol):
    """A score that late rows may still change."""

    def late(self, t: int, x: float) -> None: ...


class Wide(Score, Protocol):
    """A score that looks at other channels: told of every judged, accepted row, of all channels."""

    def saw(self, channel: int, t: int, x: float) -> None: ...
    def forget(self, channel: int) -> None: ...


class Telling(Score, Protocol):
    """A score that says more of the row it scored last."""

    def evidence(self) -> dict[str, float]: ...


@dataclass
class Threshold:
    """The value itself, or infinite beyond the range on the dangerous side."""

    side: int
    over_range: bool
    range_lo: float
    range_hi: float

    def beyond(self, x: float) -> bool:
        if not self.over_range:
            return False
        return x > self.range_hi if self.side > 0 else x < self.range_lo

    def score(self, t: int, x: float) -> float:
        return self.side * math.inf if self.beyond(x) else x

    def epoch(self) -> None:
        pass


@dataclass
class Rate:
    """Change per ``per_ns`` over a window of rows in true time."""

    window_ns: int
    min_points: int
    max_gap_ns: int
    per_ns: int
    method: str
    rows: list[tuple[int, float]] = field(default_factory=list)
    ever: list[tuple[int, float]] = field(default_factory=list)  # all rows: their number counts

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return NOT_A_ROW
        if self.rows and t - self.rows[-1][0] > self.max_gap_ns:
            self.rows = []
        self.ever.append((t, x))
        self.rows = [*self.rows, (t, x)][-WINDOW_ROWS:]
        self.rows = [row for row in self.rows if row[0] > t - self.window_ns]
        if len(self.rows) < max(2, self.min_points):
            return NOT_A_ROW
        return self.rate() + NO_SIGN

    def slope(self, a: tuple[int, float], b: tuple[int, float]) -> float:
        return (b[1] - a[1]) / float(b[0] - a[0]) * float(self.per_ns)

    def rate(self) -> float:
        if self.method == "difference":
            return self.slope(self.rows[0], self.rows[-1])
        if self.method == "least_squares":
            return self.fitted_slope()
        return self.median_slope()

    def fitted_slope(self) -> float:
        """Ordinary least squares about a row of the window: a block's first, or its own first."""
        last = len(self.ever) - 1
        first = last - len(self.rows) + 1
        opening = last - last % BLOCK_ROWS
        if first >= opening:
            sums = self.summed(range(first + 1, last + 1), self.ever[first])
        else:
            anchor = self.ever[opening]
            tail = self.summed(range(opening - 1, first - 1, -1), anchor)
            block = self.summed(range(opening, last + 1), anchor)
            sums = tuple(b + a for a, b in zip(tail, block, strict=True))
        n, (u, x, uu, ux) = float(len(self.rows)), sums
        below = n * uu - u * u
        return (n * ux - u * x) / below * float(self.per_ns) if below > 0 else NOT_A_ROW

    def summed(self, numbers: range, anchor: tuple[int, float]) -> tuple[float, ...]:
        su = sx = suu = sux = 0.0
        for i in numbers:
            u, x = float(self.ever[i][0] - anchor[0]), self.ever[i][1] - anchor[1]
            su, sx, suu, sux = su + u, sx + x, suu + u * u, sux + u * x
        return su, sx, suu, sux

    def median_slope(self) -> float:
        pairs = combinations(self.rows, 2)
        slopes = sorted(self.slope(earlier, later) for earlier, later in pairs)
        middle = len(slopes) // 2
        if len(slopes) % 2:
            return slopes[middle]
        return (slopes[middle - 1] + slopes[middle]) * 0.5

    def epoch(self) -> None:
        self.rows = []


@dataclass
class Ewma:
    """Deviation from an exponentially weighted mean in its own sigmas, before learning."""

    alpha: float
    warmup: int
    floor: float
    mean: float = 0.0
    variance: float = 0.0
    count: int = 0

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return NOT_A_ROW
        if self.count == 0:
            self.mean, self.variance, self.count = x, 0.0, 1
            return NOT_A_ROW
        z = self.deviation(x) + NO_SIGN if self.count >= self.warmup else NOT_A_ROW
        a = self.alpha
        d = x - self.mean
        self.mean = a * x + (1 - a) * self.mean
        self.variance = a * ((1 - a) * (d * d)) + (1 - a) * self.variance
        self.count += 1
        return z

    def deviation(self, x: float) -> float:
        d = x - self.mean
        sigma = max(math.sqrt(self.variance), self.floor)
        if sigma == 0:
            return 0.0 if d == 0 else math.copysign(math.inf, d)
        return d / sigma

    def epoch(self) -> None:
        pass


def threshold_of(rule: ChannelRule, i: int, registry: Registry) -> Threshold:
    channel = int(rule.channel[i])
    low = float(registry.channels.range_lo[channel])
    high = float(registry.channels.range_hi[channel])
    return Threshold(rule.side, rule.over_range, low, high)


def rate_of(rule: ChannelRule, i: int, _: Registry) -> Rate:
    window_ns, points = int(rule.own["window_ns"][i]), int(rule.own["min_points"][i])
    method = str(rule.options["method"])
    return Rate(window_ns, points, int(rule.max_gap_ns[i]), int(rule.own["per_ns"][i]), method)


def ewma_of(rule: ChannelRule, i: int, _: Registry) -> Ewma:
    own = rule.own
    return Ewma(float(own["alpha"][i]), int(own["warmup"][i]), float(own["floor"][i]))


SCORES: dict[str, Callable[[ChannelRule, int, Registry], Score]] = {
    "threshold": threshold_of,
    "rate": rate_of,
    "ewma": ewma_of,
    "transient": transient_of,
    "modal": modal_of,
    "stuck": stuck_of,
    "gap": gap_of,
    "late": arrival_of,
    "clock": arrival_of,
    "zscore": zscore_of,
    "cusum": cusum_of,
    "seasonal": seasonal_of,
    "count": count_of,
    "step": step_of,
    "trend": trend_of,
    "forecast": forecast_of,
    "neighbour": neighbour_of,
    "expr": expression_of,
    "vote": vote_of,
    "stat": stat_of,
    "all": joint_of,
    "any": joint_of,
    "sequence": joint_of,
}
