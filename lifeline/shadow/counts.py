"""Episodes of rules on trial and of the live rules they are compared with, for /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.events import Event
    from rules.plan import Plan

EPISODES = Counter(
    "lifeline_shadow_episodes_total",
    "Episodes raised by rules on trial (shadow) and by the live rules beside them (active), "
    "by the level they were raised at",
    ["rule", "set", "level"],
)


class ShadowCounts:
    """Follows the plan; ``rule`` is the live rule's id, or its own where nothing is beside it."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._pair_of: dict[str, str] = {}  # a rule on trial: what its pair is called
        self._beside: set[str] = set()  # live rules that are compared
        self._level: dict[int, str] = {}

    def follow(self, plan: Plan) -> None:
        """Take note of the rules of a plan; every pair is told as 0 from then on."""
        if plan is self._plan:
            return
        self._plan = plan
        trial = [rule for rule in plan.told_rules if rule.shadow]
        self._pair_of = {rule.rule_id: rule.beside or rule.rule_id for rule in trial}
        self._beside = {rule.beside for rule in trial if rule.beside}
        self._level = {level.severity: level.name for level in plan.levels}
        for name in self._pair_of.values():
            for level in self._level.values():
                EPISODES.labels(name, "shadow", level)
                if name in self._beside:
                    EPISODES.labels(name, "active", level)

    def take(self, events: Iterable[Event]) -> None:
        """Count what was raised."""
        if not self._pair_of:
            return  # nothing is on trial
        for event in events:
            if event.type is not EventType.RAISED:
                continue
            level = self._level.get(event.severity, str(event.severity))
            if event.shadow:
                name = self._pair_of.get(event.rule, event.rule)
                EPISODES.labels(name, "shadow", level).inc()
            elif event.rule in self._beside:
                EPISODES.labels(event.rule, "active", level).inc()
