"""What looks across channels, one reading at a time: docs/kinds/composites.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle_around import Around, LooksAround

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry
    from tests.oracle_judge import Row
    from tests.oracle_slot import Slot

NOT_A_ROW = math.nan
NO_SIGN = 0.0
MAD_TO_SIGMA = 1.4826


@dataclass(kw_only=True)
class Neighbour(LooksAround):
    """Distance from the median of the neighbours' last values."""

    min_members: int
    floor: float
    method: str

    def epoch(self) -> None:
        pass

    def score(self, t: int, x: float) -> float:
        self.said = {}
        if not math.isfinite(x):
            return NOT_A_ROW
        members = list(self.around.fresh(t).values())
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
        around=Around.of(own, i),
        min_members=int(own["min_members"][i]),
        floor=float(own["floor"][i]),
        method=str(rule.options["method"]),
    )


@dataclass
class Expression:
    """A postfix program over the last values of several channels."""

    inputs: list[int]
    names: list[str]
    constants: list[float]
    program: list[str]
    max_age_ns: int
    last: dict[int, tuple[int, float]] = field(default_factory=dict)
    newest: int | None = None
    said: dict[str, float] = field(default_factory=dict)

    def takes(self, channel: int) -> bool:
        return channel in self.inputs

    def saw(self, channel: int, t: int, x: float) -> None:
        if channel in self.inputs and not math.isnan(x):
            self.last[channel] = (t, x)

    def forget(self, channel: int) -> None:
        self.last.pop(channel, None)

    def epoch(self) -> None:
        self.newest = None

    def evidence(self) -> dict[str, float]:
        return self.said

    def value(self, x: float, score: float) -> float:
        return score

    def score(self, t: int, x: float) -> float:
        if math.isnan(x) or (self.newest is not None and t < self.newest):
            return NOT_A_ROW
        self.newest = t
        held = []
        for channel in self.inputs:
            then, value = self.last.get(channel, (0, math.nan))
            held.append(value if abs(t - then) <= self.max_age_ns else math.nan)
        self.said = {n: value + NO_SIGN for n, value in zip(self.names, held, strict=True)}
        stack: list[float] = []
        for word in self.program:
            if word[0] == "i" and word[1:].isdigit():
                stack.append(held[int(word[1:])])
            elif word[0] == "c":
                stack.append(self.constants[int(word[1:])])
            elif word in ("neg", "abs", "not"):
                a = stack.pop()
                stack.append({"neg": -a, "abs": abs(a), "not": 1 - a}[word])
            else:
                b, a = stack.pop(), stack.pop()
                stack.append(binary(word, a, b))
        (result,) = stack
        return result + NO_SIGN


def binary(word: str, a: float, b: float) -> float:
    unknown = math.isnan(a) or math.isnan(b)
    if word == "and":
        return 0.0 if 0 in (a, b) else (math.nan if unknown else 1.0)
    if word == "or":
        return 1.0 if 1 in (a, b) else (math.nan if unknown else 0.0)
    if unknown:
        return math.nan
    if word == "/":
        return divided(a, b)
    plain = {"+": a + b, "-": a - b, "*": a * b, "min": min(a, b) + 0.0, "max": max(a, b) + 0.0}
    if word in plain:
        return plain[word]
    ordered = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}
    return float(ordered[word])


def divided(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def expression_of(rule: ChannelRule, i: int, _: Registry) -> Expression:
    return Expression(
        inputs=[int(c) for c in rule.own["inputs"][i]],
        names=str(rule.options["inputs"]).split(),
        constants=rule.own["constants"][i].tolist(),
        program=str(rule.options["program"]).split(),
        max_age_ns=int(rule.own["max_age_ns"][i]),
    )


@dataclass
class Vote:
    """How many members stand at or above a level of another rule, or did a moment ago."""

    of: str
    at_least: int
    members: list[int]
    within_ns: int
    need: float
    names: list[str]
    slots: dict[int, list[Slot]] = field(default_factory=dict)  # by member
    stands: dict[int, bool] = field(default_factory=dict)
    ceased: dict[int, int] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    stage: int = 2

    def look_at(self, slots: dict[int, list[Slot]]) -> None:
        for member in self.members:
            mine = [s for s in slots.get(member, []) if s.rule.rule_id == self.of]
            if mine:
                self.slots[member] = mine

    def takes(self, channel: int) -> bool:
        return False

    def epoch(self) -> None:
        pass

    def concerns(self, row: Row) -> bool:
        held = self.slots.get(row.channel, [])
        return not math.isnan(row.value) and any(slot.accepts(row) for slot in held)

    def update(self, now_ns: int) -> bool:
        """Take note of who began and who ceased; tell whether anybody began."""
        began = False
        for member, slots in self.slots.items():
            stands = any(slot.severity() >= self.at_least for slot in slots)
            if self.stands.get(member, False) and not stands:
                self.ceased[member] = now_ns
            began |= stands and not self.stands.get(member, False)
            self.stands[member] = stands
        return began

    def count(self, now_ns: int) -> int:
        voting = []
        for member, name in zip(self.members, self.names, strict=True):
            ceased = self.ceased.get(member)
            lately = ceased is not None and now_ns - ceased <= self.within_ns
            if self.stands.get(member, False) or lately:
                voting.append(name)
        self.said = {"members": voting}
        return len(voting)

    def evidence(self) -> dict[str, list[str]]:
        return self.said

    def score(self, t: int, x: float) -> float:
        return x


def vote_of(rule: ChannelRule, i: int, registry: Registry) -> Vote:
    members = [int(c) for c in rule.own["members"][i] if c >= 0]
    return Vote(
        of=str(rule.options["of"]),
        at_least=int(rule.options["at_least"]),
        members=members,
        within_ns=int(rule.own["within_ns"][i]),
        need=min(x for x in rule.raise_at[i].tolist() if not math.isnan(x)),
        names=[registry.channels.id[c] for c in members],
    )
