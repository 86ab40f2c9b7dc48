"""What is usual at this hour of this day, one reading at a time: docs/kinds/statistics.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rules.civil_time import zone_of
from tests.oracle_statistics import in_sigma, robust

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry

DAY_NS = 86_400 * 10**9


@dataclass
class Profile:
    """The slots of one period, and what the newest periods were like in each."""

    period_ns: int
    slot_ns: int
    keep: int
    remembered: dict[tuple[str, int], dict[int, float]] = field(default_factory=dict)
    newest: dict[tuple[str, int], int] = field(default_factory=dict)
    slot: tuple[str, int] = ("", 0)  # of the open visit

    def open(self, begin: int, *, holiday: bool) -> list[float]:
        """Begin a visit; return what is remembered of its slot, the oldest first."""
        since = begin - (4 * DAY_NS if self.period_ns == 7 * DAY_NS else 0)
        period = since // self.period_ns
        self.slot = ("usual", since % self.period_ns // self.slot_ns)
        if holiday:
            self.slot = ("holiday", begin % DAY_NS // self.slot_ns)
            period = self.newest.get(self.slot, 0) + 1
        held = self.remembered.get(self.slot, {})
        self.newest[self.slot] = period
        held = {p: x for p, x in held.items() if period - self.keep <= p < period}
        self.remembered[self.slot] = held
        return [held[p] for p in sorted(held)]

    def close(self, mean: float) -> None:
        """End the visit; only the newest periods are remembered, this one the last of them."""
        newest, held = self.newest[self.slot], self.remembered[self.slot]
        if math.isfinite(mean):
            held[newest] = mean
        self.remembered[self.slot] = {p: x for p, x in held.items() if p > newest - self.keep}


@dataclass
class Seasonal:
    """Deviation from the slot's remembered values, of the longest profile that is warm."""

    zone: str
    holidays: list[int]
    slot_ns: int
    profiles: list[Profile]  # the longest period first
    least: int
    floor: float
    exclude: float
    visit: int | None = None
    total: float = 0.0
    learned: int = 0
    location: float = math.nan
    scale: float = math.nan

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        visit = int(zone_of(self.zone).local(np.array([t]))[0]) // self.slot_ns
        if visit != self.visit:
            self.close()
            self.open(visit)
        z = in_sigma(x - self.location, self.scale, self.floor)
        if math.isnan(z) or math.isnan(self.exclude) or abs(z) < self.exclude:
            self.total += x
            self.learned += 1
        return z

    def open(self, visit: int) -> None:
        self.visit, self.total, self.learned = visit, 0.0, 0
        self.location = self.scale = math.nan
        begin = visit * self.slot_ns
        for profile in self.profiles:
            values = profile.open(begin, holiday=begin // DAY_NS in self.holidays)
            if len(values) >= self.least and math.isnan(self.location):
                self.location, self.scale = robust(values)

    def close(self) -> None:
        if self.visit is None:
            return
        for profile in self.profiles:
            profile.close(self.total / self.learned if self.learned else math.nan)

    def evidence(self) -> dict[str, float]:
        sigma = math.nan if math.isnan(self.scale) else max(self.scale, self.floor)
        return {"median": self.location + 0.0, "sigma": sigma}

    def epoch(self) -> None:
        pass


def seasonal_of(rule: ChannelRule, i: int, _: Registry) -> Seasonal:
    own, slot_ns = rule.own, int(rule.own["slot_ns"][i])
    pairs = zip(own["period_ns"][i].tolist(), own["keep"][i].tolist(), strict=True)
    return Seasonal(
        zone=str(rule.options["zone"]),
        holidays=list(rule.calendar) if rule.options["holidays"] else [],
        slot_ns=slot_ns,
        profiles=[Profile(period, slot_ns, keep) for period, keep in pairs if period],
        least=max(int(own["least"][i]), 1),
        floor=float(own["floor"][i]),
        exclude=float(own["exclude"][i]),
    )
