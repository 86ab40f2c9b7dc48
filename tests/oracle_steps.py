"""The scores of kind step, one reading at a time: docs/kinds/trends.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle_around import Around, LooksAround
from tests.oracle_trends import MOST_ROWS, NOT_A_ROW, Buckets, Point, middle_of

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry


@dataclass
class Step:
    """The newer half's median less the older half's."""

    window_ns: int
    before_ns: int
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
        edge, end = now - self.window_ns, now - self.window_ns - self.before_ns
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


@dataclass(kw_only=True)
class StepBeyond(LooksAround):
    """The median of the steps that rows against each neighbour make."""

    step: Step
    min_members: int
    rows: list[tuple[int, float, dict[int, float]]] = field(default_factory=list)

    def epoch(self) -> None:
        self.rows = []

    def score(self, t: int, x: float) -> float:
        self.said = {}
        if not math.isfinite(x):
            return NOT_A_ROW
        self.rows = [*self.rows, (t, x, self.around.fresh(t))][-MOST_ROWS:]
        steps = [self.against(channel, t) for channel in self.around.channels]
        known = [step for step in steps if math.isfinite(step)]
        if len(known) < max(self.min_members, 1):
            return NOT_A_ROW
        self.said = {"members": float(len(known))}
        return middle_of(known) + 0.0

    def against(self, channel: int, now: int) -> float:
        """The step of what lies between this channel and a neighbour."""
        edge, end = now - self.step.window_ns, now - self.step.window_ns - self.step.before_ns
        newer, older = [], []
        for t, x, beside in self.rows:
            if channel not in beside or t <= end:
                continue
            if self.step.relative and beside[channel] == 0:
                continue
            apart = x / beside[channel] if self.step.relative else x - beside[channel]
            if math.isfinite(apart):
                (newer if t > edge else older).append(apart)
        if min(len(newer), len(older)) < max(self.step.min_points, 1):
            return NOT_A_ROW
        before = middle_of(older)
        shift = middle_of(newer) - before
        if not self.step.relative or shift == 0:
            return shift
        return NOT_A_ROW if before == 0 else shift / abs(before) * 100.0


def step_of(rule: ChannelRule, i: int, _: Registry) -> Step | ResampledStep | StepBeyond:
    own = rule.own
    spans = int(own["window_ns"][i]), int(own["before_ns"][i])
    step = Step(*spans, int(own["min_points"][i]), bool(own["relative"][i]))
    if rule.options["method"] == "rows":
        return step
    if rule.options["method"] == "resampled":
        return ResampledStep(step, Buckets(int(own["resample_ns"][i]), sum(spans)))
    around = Around.of(own, i)
    return StepBeyond(step=step, around=around, min_members=int(own["min_members"][i]))
