"""What looks across channels, one reading at a time: docs/kinds/composites.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry

NOT_A_ROW = math.nan
NO_SIGN = 0.0
MAD_TO_SIGMA = 1.4826


@dataclass
class Neighbour:
    """Distance from the median of the neighbours' last values."""

    neighbours: list[int]
    max_age_ns: int
    min_members: int
    floor: float
    method: str
    last: dict[int, tuple[int, float]] = field(default_factory=dict)  # channel -> time, value
    said: dict[str, float] = field(default_factory=dict)

    def saw(self, channel: int, t: int, x: float) -> None:
        if channel in self.neighbours and not math.isnan(x):
            self.last[channel] = (t, x)

    def forget(self, channel: int) -> None:
        self.last.pop(channel, None)

    def epoch(self) -> None:
        pass

    def evidence(self) -> dict[str, float]:
        return self.said

    def score(self, t: int, x: float) -> float:
        self.said = {}
        if not math.isfinite(x):
            return NOT_A_ROW
        members = []
        for channel in self.neighbours:
            then, value = self.last.get(channel, (0, math.nan))
            if math.isfinite(value) and abs(t - then) <= self.max_age_ns:
                members.append(value)
        if len(members) < max(self.min_members, 1):
            return NOT_A_ROW
        middle = median(members)
        score = x - middle
        if self.method == "sigma":
            score = self.scaled(score, median([abs(value - middle) for value in members]))
        self.said = {"median": middle + NO_SIGN, "members": float(len(members))}
        return score + NO_SIGN

    def scaled(self, deviation: float, mad: float) -> float:
        sigma = max(MAD_TO_SIGMA * mad, self.floor)
        if sigma == 0:
            return 0.0 if deviation == 0 else math.copysign(math.inf, deviation)
        return deviation / sigma


def median(values: list[float]) -> float:
    ranked = sorted(values)
    half = len(ranked) // 2
    if len(ranked) % 2:
        return ranked[half]
    return ranked[half - 1] * 0.5 + ranked[half] * 0.5


def neighbour_of(rule: ChannelRule, i: int, _: Registry) -> Neighbour:
    own = rule.own
    return Neighbour(
        neighbours=[int(c) for c in own["neighbours"][i] if c >= 0],
        max_age_ns=int(own["max_age_ns"][i]),
        min_members=int(own["min_members"][i]),
        floor=float(own["floor"][i]),
        method=str(rule.options["method"]),
    )
