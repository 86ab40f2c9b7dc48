"""The scores of docs/kinds/statistics.md, one reading at a time, in natural sign."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry
    from tests.oracle_judge import Row

SECOND_NS = 1e9


@dataclass
class Stuck:
    """Seconds since the value last moved by more than the tolerance."""

    tolerance: float
    max_gap_ns: int
    begin: int = 0
    low: float = 0.0
    high: float = 0.0
    last: int | None = None

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        alone = self.last is None or t - self.last > self.max_gap_ns
        if alone or max(self.high, x) - min(self.low, x) > self.tolerance:
            self.begin, self.low, self.high = t, x, x
        self.low, self.high = min(self.low, x), max(self.high, x)
        self.last = t
        return (t - self.begin) / SECOND_NS

    def epoch(self) -> None:
        self.last = None


@dataclass
class Gap:
    """Seconds since the row before."""

    last: int | None = None

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        before, self.last = self.last, t
        return math.nan if before is None else (t - before) / SECOND_NS

    def epoch(self) -> None:
        self.last = None


@dataclass
class Arrival:
    """Scores of the row's times, which ``see`` is shown before ``score`` is asked."""

    kind: str
    seconds: float = math.nan

    def see(self, row: Row) -> None:
        if self.kind == "late":
            self.seconds = (row.receive_ns - row.judged_ns) / SECOND_NS
        else:
            self.seconds = (row.event_ns - row.receive_ns) / SECOND_NS

    def score(self, t: int, x: float) -> float:
        return self.seconds if math.isfinite(x) else math.nan

    def epoch(self) -> None:
        pass


@dataclass
class Baseline:
    """Location and scale of the rows kept of the newest 128 closed slots of a window."""

    window_ns: int
    warmup_ns: int
    robust: bool
    closed: dict[int, float] = field(default_factory=dict)  # slot -> row kept
    kept: float | None = None
    slot: int | None = None
    shift: int = 0
    begin: int | None = None
    warm: bool = False
    location: float = math.nan
    scale: float = math.nan
    after_epoch: bool = False

    def slot_ns(self) -> int:
        return max(1, math.ceil(Fraction(self.window_ns, 128)))

    def open(self, t: int) -> None:
        """Open the slot of t, if it is not the open one."""
        if self.after_epoch and self.slot is not None:
            self.shift = self.slot + 1 - t // self.slot_ns()
        self.after_epoch = False
        slot = t // self.slot_ns() + self.shift
        if slot == self.slot:
            return
        if self.kept is not None:
            self.closed[self.slot] = self.kept
        self.slot, self.kept = slot, None
        self.closed = {s: x for s, x in self.closed.items() if s >= slot - 128}
        if len(self.closed) < 8 and (self.warm or not self.closed):
            self.closed, self.begin, self.warm = {}, None, False
        if len(self.closed) >= 8 and self.begin is not None:
            waited = (slot - self.begin) * self.slot_ns()
            self.warm = self.warm or waited >= self.warmup_ns
        self.location = self.scale = math.nan
        if self.warm:
            held = [self.closed[s] for s in sorted(self.closed)]
            self.location, self.scale = robust(held) if self.robust else moments(held)

    def learn(self, t: int, x: float) -> None:
        within = t - (self.slot - self.shift) * self.slot_ns()
        part = (self.slot * 0x9E3779B97F4A7C15 % 2**64) // 2**48
        if self.kept is None or within <= self.slot_ns() // 65536 * part:
            self.kept = x + 0.0
        if self.begin is None:
            self.begin = self.slot

    def epoch(self) -> None:
        self.after_epoch = True


def middle(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return ordered[half - 1] * 0.5 + ordered[half] * 0.5


def robust(values: list[float]) -> tuple[float, float]:
    median = middle(values)
    return median, 1.4826 * middle([abs(x - median) for x in values])


def moments(values: list[float]) -> tuple[float, float]:
    mean = in_order(values) / len(values)
    squares = in_order([(x - mean) * (x - mean) for x in values])
    return mean, math.sqrt(squares / (len(values) - 1))


def in_order(values: list[float]) -> float:
    total = 0.0
    for x in values:
        total += x
    return total


def in_sigma(d: float, scale: float, floor: float) -> float:
    if math.isnan(d) or math.isnan(scale):
        return math.nan
    sigma = max(scale, floor)
    if sigma == 0:
        return 0.0 if d == 0 else math.copysign(math.inf, d)
    return d / sigma + 0.0


@dataclass
class Zscore:
    """Deviation from the baseline in its sigmas."""

    baseline: Baseline
    floor: float
    exclude: float

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        self.baseline.open(t)
        z = in_sigma(x - self.baseline.location, self.baseline.scale, self.floor)
        if math.isnan(z) or math.isnan(self.exclude) or abs(z) < self.exclude:
            self.baseline.learn(t, x)
        return z

    def epoch(self) -> None:
        self.baseline.epoch()


@dataclass
class Cusum:
    """One of the two sums of what exceeds the slack, the other kept beside it."""

    baseline: Baseline
    floor: float
    target: float
    slack: float
    freeze: float
    cap: float
    direction: float
    by_ack: bool
    high: float = 0.0
    low: float = 0.0

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        self.baseline.open(t)
        if not self.baseline.warm:
            self.high = self.low = 0.0
        target = self.baseline.location if math.isnan(self.target) else self.target
        z = in_sigma(x - target, self.baseline.scale, self.floor)
        if not math.isnan(z):
            self.high = min(self.cap, max(0.0, self.high + (z - self.slack)))
            self.low = min(self.cap, max(0.0, self.low + (-z - self.slack)))
        if self.high < self.freeze and self.low < self.freeze:
            self.baseline.learn(t, x)
        if math.isnan(z):
            return math.nan
        return self.high if self.direction > 0 else 0.0 - self.low

    def acknowledged(self) -> None:
        if self.by_ack:
            self.high = self.low = 0.0

    def epoch(self) -> None:
        self.baseline.epoch()


def cusum_of(rule: ChannelRule, i: int, _: Registry) -> Cusum:
    names = ("floor", "target", "slack", "freeze", "cap", "direction", "by_ack")
    return Cusum(baseline_of(rule, i), *(float(rule.own[name][i]) for name in names))


def baseline_of(rule: ChannelRule, i: int) -> Baseline:
    own = rule.own
    return Baseline(int(own["window_ns"][i]), int(own["warmup_ns"][i]), bool(own["robust"][i]))


def zscore_of(rule: ChannelRule, i: int, _: Registry) -> Zscore:
    own = rule.own
    return Zscore(baseline_of(rule, i), float(own["floor"][i]), float(own["exclude"][i]))


def stuck_of(rule: ChannelRule, i: int, _: Registry) -> Stuck:
    return Stuck(float(rule.own["tolerance"][i]), int(rule.max_gap_ns[i]))


def gap_of(_rule: ChannelRule, _i: int, _: Registry) -> Gap:
    return Gap()


def arrival_of(rule: ChannelRule, _i: int, _: Registry) -> Arrival:
    return Arrival(rule.kind)
