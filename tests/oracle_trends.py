"""The scores of docs/kinds/trends.md, one reading at a time, in natural sign."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
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
