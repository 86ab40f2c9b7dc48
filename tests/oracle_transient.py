"""The slow twin of kind transient, written from docs/kinds/waveforms.md: one sample at a time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle_waveforms import Sample, middle

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry


@dataclass
class Made:
    """A row that a kind on waveforms made of samples."""

    t: int
    value: float
    score: float
    evidence: dict[str, float]


@dataclass
class Transient:
    front_ns: int
    hop_ns: int
    hops: int
    gate: float
    hold_off_ns: int
    filtered: list[tuple[int, float]] = field(default_factory=list)  # (number of the middle, y)
    seen: int = 0
    raw: list[Sample] = field(default_factory=list)  # of the stretch without a gap
    steps: list[tuple[float, int, float]] = field(default_factory=list)  # of the open hop
    usual: list[tuple[float, float]] = field(default_factory=list)
    kept: tuple[float, float, int] = (0.0, 0.0, 0)
    kept_until_ns: int | None = None

    def take(self, sample: Sample) -> list[Made]:
        made: list[Made] = []
        last = self.raw[-1] if self.raw else None
        if last and (last.t // self.hop_ns != sample.t // self.hop_ns or not sample.joined):
            made = self.close(last)
        if not sample.joined:
            self.raw, self.filtered = [], []
        self.raw = [*self.raw, sample][-600:]
        self.seen += 1
        if len(self.raw) >= 5:
            newest = [s.x for s in self.raw[-5:]]
            self.filtered = [*self.filtered, (self.seen - 2, middle(newest) + 0.0)][-600:]
        lag = max(self.front_ns // sample.period_ns, 1)
        if len(self.filtered) > lag:
            window = self.filtered[-lag - 1 :]
            moves = [abs(b[1] - a[1]) for a, b in itertools.pairwise(window)]
            steepest = window[1 + moves.index(max(moves))][0]  # a number of samples
            step = window[-1][1] - window[0][1] + 0.0
            self.steps.append((step, steepest, window[-1][1]))
        return made

    def close(self, last: Sample) -> list[Made]:
        steps, self.steps = self.steps, []
        if not steps:
            return []
        known = len(self.usual) == self.hops
        usual = middle([m for m, _ in self.usual]) if self.usual else 0.0
        noise = 1.4826 * middle([s for _, s in self.usual]) if self.usual else 0.0
        largest = max(steps, key=lambda step: abs(step[0] - usual))
        amplitude = largest[0] - usual + 0.0
        fires = known and amplitude != 0 and abs(amplitude) >= self.gate * noise
        holds = self.kept_until_ns is not None and last.t < self.kept_until_ns
        if fires and (not holds or abs(amplitude) > abs(self.kept[0])):
            front = last.t - (self.seen - largest[1]) * last.period_ns
            self.kept = (amplitude, noise, front)
            if not holds:
                self.kept_until_ns = last.t + self.hold_off_ns
        centre = middle([step for step, _, _ in steps])
        spread = middle([abs(step - centre) for step, _, _ in steps])
        self.usual = [*self.usual, (centre, spread)][-self.hops :]
        if not known:
            return [Made(last.t, steps[-1][2], math.nan, {})]
        if not (fires or holds):
            return [Made(last.t, steps[-1][2], 0.0, {})]
        score, noise, front = self.kept
        said = {"noise": noise, "front_before_s": (last.t - front) / 1e9}
        return [Made(last.t, steps[-1][2], score, said if score != 0 else {})]

    def block_epoch(self) -> None:
        self.raw, self.filtered, self.steps, self.kept_until_ns = [], [], [], None

    def score(self, t: int, x: float) -> float:
        raise AssertionError("a kind on waveforms takes no readings")

    def epoch(self) -> None:
        """An epoch of readings says nothing about blocks."""


def transient_of(rule: ChannelRule, i: int, _: Registry) -> Transient:
    own = {name: column[i].item() for name, column in rule.own.items()}
    return Transient(own["front_ns"], own["hop_ns"], own["hops"], own["gate"], own["hold_off_ns"])
