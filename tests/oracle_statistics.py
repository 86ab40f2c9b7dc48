"""The scores of docs/kinds/statistics.md, one reading at a time, in natural sign."""

from __future__ import annotations

import math
from dataclasses import dataclass
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


def stuck_of(rule: ChannelRule, i: int, _: Registry) -> Stuck:
    return Stuck(float(rule.own["tolerance"][i]), int(rule.max_gap_ns[i]))


def gap_of(_rule: ChannelRule, _i: int, _: Registry) -> Gap:
    return Gap()


def arrival_of(rule: ChannelRule, _i: int, _: Registry) -> Arrival:
    return Arrival(rule.kind)
