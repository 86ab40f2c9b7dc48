"""Conditions of one zone or asset, joined, one reading at a time: docs/kinds/composites.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.oracle_composites import median

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.registry import Registry
    from tests.oracle_judge import Row
    from tests.oracle_slot import Slot

MEMBERS = 128
WINDOW_ROWS = 64
NO_SIGN = 0.0


@dataclass
class Stat:
    """A statistic of the rows of a window."""

    stat: str
    window_ns: int
    rows: list[tuple[int, float]] = field(default_factory=list)

    def score(self, t: int, x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        self.rows = [(s, v) for s, v in self.rows if s > t - self.window_ns]
        self.rows = [*self.rows, (t, x)][-WINDOW_ROWS:]
        held = [v for _, v in self.rows]
        if len(held) < 2 and self.stat not in ("last", "min", "max", "median"):
            return math.nan
        return self.of(held) + NO_SIGN

    def of(self, held: list[float]) -> float:
        name, _, share = self.stat.partition("_")
        reference, newest = held[0], held[-1]
        if name in ("rise", "drop"):
            change = newest - reference if name == "rise" else reference - newest
            return in_per_cent(change, abs(reference)) if share else change
        if name == "range":
            return max(held) - min(held)
        return {"last": newest, "min": min(held), "max": max(held), "median": median(held)}[name]

    def epoch(self) -> None:
        self.rows = []


def in_per_cent(change: float, reference: float) -> float:
    if change == 0:
        return 0.0
    if reference == 0:
        return math.copysign(math.inf, change)
    return change / reference * 100.0


def stat_of(rule: ChannelRule, i: int, _: Registry) -> Stat:
    return Stat(str(rule.options["method"]), int(rule.own["window_ns"][i]))


@dataclass
class Input:
    """Some members of a group, whose slots of one rule stand or do not."""

    name: str
    of: str
    at_least: int
    channels: list[int]
    slots: list[tuple[int, Slot]] = field(default_factory=list)  # by channel, low side first
    standing: set[int] = field(default_factory=set)  # places in slots
    ceased: int | None = None
    brought: tuple[str, float, int] | None = None  # channel, score, judged time
    reached: int | None = None

    def on(self, now_ns: int, within_ns: int) -> bool:
        lately = self.ceased is not None and now_ns - self.ceased <= within_ns
        return bool(self.standing) or lately


@dataclass
class Joint:
    """Several inputs of one zone or asset: all, any, or one after another."""

    kind: str
    inputs: list[Input]
    within_ns: int
    need: float
    said: dict[str, Any] = field(default_factory=dict)
    stage: int = 2

    def look_at(self, slots: dict[int, list[Slot]]) -> None:
        for each in self.inputs:
            mine = [(c, s) for c in set(each.channels) for s in slots.get(c, [])]
            mine = [(c, s) for c, s in mine if s.rule.rule_id == each.of]
            each.slots = sorted(mine, key=lambda held: (held[0], held[1].rule.side))

    def takes(self, channel: int) -> bool:
        return False

    def epoch(self) -> None:
        pass

    def concerns(self, row: Row) -> bool:
        held = [s for each in self.inputs for c, s in each.slots if c == row.channel]
        return not math.isnan(row.value) and any(slot.accepts(row) for slot in held)

    def update(self, now_ns: int) -> bool:
        """Take note of inputs that began or ceased to stand; tell whether any began."""
        began = False
        for k, each in enumerate(self.inputs):
            stand = {i for i, (_, s) in enumerate(each.slots) if s.severity() >= each.at_least}
            before, was_on = each.standing, each.on(now_ns, self.within_ns)
            each.standing = stand
            if before and not stand:
                each.ceased = now_ns
            if stand and not before:
                began = True
                slot = each.slots[min(stand)][1]
                assert slot.last is not None
                each.brought = (slot.subject, slot.last.score, slot.last.t)
                self.step(k, slot.last.t, was_on=was_on)
        return began

    def step(self, k: int, t: int, *, was_on: bool) -> None:
        before = self.inputs[k - 1].reached if k else t
        if before is not None and 0 <= t - before <= self.within_ns:
            self.inputs[k].reached = t
        elif not was_on:
            self.inputs[k].reached = None

    def count(self, now_ns: int) -> int:
        on = [each.on(now_ns, self.within_ns) for each in self.inputs]
        self.said = {"inputs": [e.name for e, yes in zip(self.inputs, on, strict=True) if yes]}
        if self.kind != "sequence":
            return sum(on)
        done = [i + 1 for i, e in enumerate(self.inputs) if on[i] and e.reached is not None]
        return max(done, default=0)

    def evidence(self) -> dict[str, Any]:
        return self.said

    def retold(self, said: dict[str, Any]) -> dict[str, Any]:
        """What the inputs of the row that decided were last brought on by, as of now."""
        named = {each.name: each.brought for each in self.inputs}
        brought = [named[name] or ("", None, 0) for name in said["inputs"]]
        names = ("channels", "scores", "times_ns")
        return said | {name: [b[i] for b in brought] for i, name in enumerate(names)}

    def score(self, t: int, x: float) -> float:
        return x


def joint_of(rule: ChannelRule, i: int, _: Registry) -> Joint:
    words = {key: str(rule.options[key]).split() for key in ("inputs", "of", "at_least")}
    members = [int(c) for c in rule.own["members"][i]]
    inputs = [
        Input(name, of, int(least), [c for c in members[k * MEMBERS : (k + 1) * MEMBERS] if c >= 0])
        for k, (name, of, least) in enumerate(zip(*words.values(), strict=True))
    ]
    need = min(x for x in rule.raise_at[i].tolist() if not math.isnan(x))
    return Joint(rule.kind, inputs, int(rule.own["within_ns"][i]), need)
