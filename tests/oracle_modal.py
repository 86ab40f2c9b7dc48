"""The slow twin of kind modal, written from docs/kinds/waveforms.md: one reading at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from tests.oracle_composites import median

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry

NOT_A_ROW = math.nan
SLOTS, RECENT = 64, 16


@dataclass
class Modal:
    slot_ns: int
    least: int
    spread: float
    companion: int
    max_age_ns: int
    k: int
    of: int
    direction: int
    exclude: float
    max_gap_ns: int
    beside: tuple[int, float] | None = None  # time and value the companion said last
    open_slot: int | None = None
    learned: list[tuple[float, float]] = field(default_factory=list)  # of the open slot
    slots: list[tuple[float, float]] = field(default_factory=list)
    line: tuple[float, float] = (math.nan, 0.0)  # level and slope
    usual: float = math.nan  # for rows that do not know the companion
    recent: list[float] = field(default_factory=list)
    recent_ns: int = 0
    said: dict[str, float] = field(default_factory=dict)

    def saw(self, channel: int, t: int, x: float) -> None:
        if channel == self.companion and not math.isnan(x):
            self.beside = (t, x)

    def forget(self, channel: int) -> None:
        if channel == self.companion:
            self.beside = None

    def epoch(self) -> None:
        self.recent = []

    def evidence(self) -> dict[str, float]:
        return self.said

    def known_beside(self, t: int) -> float | None:
        if self.companion < 0:
            return 0.0
        if self.beside is None or abs(t - self.beside[0]) > self.max_age_ns:
            return None
        return self.beside[1] if math.isfinite(self.beside[1]) else None

    def score(self, t: int, x: float) -> float:
        beside = self.known_beside(t)
        if not math.isfinite(x) or x <= 0:
            return NOT_A_ROW
        if self.open_slot != t // self.slot_ns:
            self.close()
            self.open_slot = t // self.slot_ns
        level, slope = self.line
        if beside is None:
            expected, slope = self.usual, math.nan
        else:
            expected = level + slope * beside
        shift = (x - expected) / expected * 100.0 if expected > 0 else math.nan
        self.said = {"expected": expected if expected > 0 else math.nan, "slope": slope}
        if not math.isfinite(shift):
            shift = math.nan
        if beside is not None and not self.direction * shift >= self.exclude:
            self.learned.append((x, beside))
        if math.isnan(shift):
            return NOT_A_ROW
        if self.recent and t - self.recent_ns > self.max_gap_ns:
            self.recent = []
        self.recent = [shift, *self.recent][:RECENT]
        self.recent_ns = t
        ranked = sorted(self.recent[: self.of], reverse=self.direction > 0)
        return ranked[self.k - 1] + 0.0 if len(ranked) >= self.k else NOT_A_ROW

    def close(self) -> None:
        """What was learned in the open slot becomes one point of the baseline."""
        held, self.learned = self.learned, []
        if not held:
            return
        value, beside = 0.0, 0.0
        for x, y in held:
            value += x
            beside += y
        value, beside = value / len(held), beside / len(held)
        if not (math.isfinite(value) and math.isfinite(beside)):
            return
        self.slots = [*self.slots, (value, beside)][-SLOTS:]
        if len(self.slots) >= self.least:
            self.draw()

    def draw(self) -> None:
        self.usual = median([x for x, _ in self.slots])
        besides = [y for _, y in self.slots]
        reach = max(besides) - min(besides)
        slope = 0.0
        if self.companion >= 0 and reach >= self.spread and reach > 0:
            slopes = []
            for (x, y), (x2, y2) in combinations(self.slots, 2):
                if abs(y2 - y) >= 0.25 * reach and y2 != y:
                    slopes.append((x2 - x) / (y2 - y))
            slope = median(slopes)
        rest = [x - slope * y for x, y in self.slots]
        level = median(rest) if all(math.isfinite(r) for r in rest) else math.nan
        self.line = (level + 0.0, slope + 0.0)


def modal_of(rule: ChannelRule, i: int, _: Registry) -> Modal:
    own = {name: column[i].item() for name, column in rule.own.items()}
    return Modal(**own, max_gap_ns=int(rule.max_gap_ns[i]))
