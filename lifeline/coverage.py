"""What of a registry the rules protect, and what they do not: silence of ours, said loudly.

A channel is **unprotected** on a day when a ``fail_loud`` rule judges it and its calibration is
overdue, or when it is planned: it counts as if nothing watched there. It is judged all the same.
Days are the Clock's; `rules/` knows none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from lifeline import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lifeline.clock import Clock
    from lifeline.site import Site
    from rules.plan import Plan
    from rules.registry import Registry


@dataclass(slots=True)
class Line:
    """Channels of one quantity of one domain, counted; ``protected`` is the share of those due."""

    domain: str
    quantity: str
    channels: int = 0  # alive, without those that are planned
    ruled: int = 0  # by a rule of class safety
    quality_only: int = 0
    unruled: int = 0
    overdue: int = 0
    planned: int = 0
    retired: int = 0

    @property
    def protected(self) -> float:
        """Return the share of channels that a safety rule watches and nothing discounts."""
        due = self.channels + self.planned
        return (self.ruled - self.overdue) / due if due else 1.0


@dataclass(slots=True)
class Coverage:
    """The whole picture; ids in the registry's order."""

    lines: list[Line] = field(default_factory=list)
    unruled_sensors: list[str] = field(default_factory=list)
    quality_only: list[str] = field(default_factory=list)
    assets_without_safety: list[str] = field(default_factory=list)
    idle_rules: list[str] = field(default_factory=list)  # match nothing
    overdue: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        held = asdict(self)
        for said, line in zip(held["lines"], self.lines, strict=True):
            said["protected"] = round(line.protected, 6)
        return held


def today_of(clock: Clock, zone: str) -> str:
    """Return the Clock's day in a time zone, as ISO text."""
    at = datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
    return at.astimezone(ZoneInfo(zone)).date().isoformat()


def overdue_channels(registry: Registry, plan: Plan, *, today: str) -> NDArray[np.intp]:
    """Return rows of living channels of ``fail_loud`` rules whose calibration has ended."""
    channels = registry.channels
    loud = np.zeros(len(channels.id), np.bool_)
    for rule in (*plan.channel_rules, *plan.input_rules):
        if rule.fail_loud:
            loud[rule.channel] = True
    loud &= channels.alive
    return np.array(
        [row for row in np.flatnonzero(loud) if "" < channels.calibration_due[row] < today], np.intp
    )


def coverage_of(
    registry: Registry, plan: Plan, *, rule_ids: Iterable[str] = (), today: str
) -> Coverage:
    """Return what the plan covers; ``rule_ids`` are all rules of the site's files."""
    channels, assets = registry.channels, registry.assets
    count = len(channels.id)
    safe, any_rule, checked = (np.zeros(count, np.bool_) for _ in range(3))
    covered: set[int] = set()  # assets a safety rule is about
    for rule in plan.slot_rules:
        rows = rule.channel[rule.channel < count]
        any_rule[rows] = True
        if rule.klass == "safety":
            safe[rows] = True
            covered |= {_asset_of(registry, plan, int(s)) for s in rule.channel}
    for check in plan.quality_rules:
        checked[check.channel] = True
    probes = np.zeros(count, np.bool_)
    probes[plan.probe_channels] = True
    planned = np.array([state == "planned" for state in channels.state], np.bool_)
    overdue = np.zeros(count, np.bool_)
    overdue[overdue_channels(registry, plan, today=today)] = True
    watched = channels.alive & ~probes
    live = watched & ~planned
    found = Coverage()
    columns: dict[str, NDArray[np.bool_]] = {
        "channels": live,
        "ruled": live & safe,
        "quality_only": live & ~any_rule & checked,
        "unruled": live & ~any_rule & ~checked,
        "overdue": live & overdue,
        "planned": watched & planned,
        "retired": ~channels.alive,
    }
    found.lines = _lines(registry, columns, probes)
    for name in ("quality_only", "overdue", "planned", "retired"):
        setattr(found, name, [channels.id[row] for row in np.flatnonzero(columns[name])])
    found.unruled_sensors = _unruled(registry, live, any_rule)
    held = dict.fromkeys(channels.asset[live].tolist())
    found.assets_without_safety = [assets.id[a] for a in held if a not in covered]
    used = {r.rule_id for r in plan.slot_rules if len(r.channel)}
    used |= {r.rule_id for r in plan.deadman_rules if len(r.device)}
    found.idle_rules = [rule for rule in rule_ids if rule not in used]
    return found


def _asset_of(registry: Registry, plan: Plan, subject: int) -> int:
    count = len(registry.channels.id)
    if subject < count:
        return int(registry.channels.asset[subject])
    return registry.asset_row.get(plan.subjects[subject - count], -1)


def _lines(
    registry: Registry, columns: dict[str, NDArray[np.bool_]], probes: NDArray[np.bool_]
) -> list[Line]:
    lines: dict[tuple[str, str], Line] = {}
    domain = [registry.assets.domain[a] for a in registry.channels.asset.tolist()]
    for row, (where, quantity) in enumerate(zip(domain, registry.channels.quantity, strict=True)):
        if probes[row]:
            continue
        line = lines.setdefault((where, quantity), Line(where, quantity))
        for name, mask in columns.items():
            if mask[row]:
                setattr(line, name, getattr(line, name) + 1)
    return [lines[key] for key in sorted(lines)]


def _unruled(registry: Registry, live: NDArray[np.bool_], any_rule: NDArray[np.bool_]) -> list[str]:
    """Return the sensors none of whose channels a rule judges."""
    ruled: dict[str, bool] = {}
    for row in np.flatnonzero(live).tolist():
        sensor = registry.channels.id[row].rpartition("/")[0]
        ruled[sensor] = ruled.get(sensor, False) or bool(any_rule[row])
    return [sensor for sensor, one in ruled.items() if not one]


class CalibrationWatch:
    """Keeps ``lifeline_calibration_overdue`` true: anew with every site and every day."""

    def __init__(self, clock: Clock, zone: str) -> None:
        self._clock, self._zone = clock, zone
        self._seen: tuple[Site | None, str] = (None, "")

    def look(self, site: Site | None) -> None:
        """Count again where the site or the Clock's day is another one."""
        today = today_of(self._clock, self._zone)
        if site is None or (self._seen[0] is site and self._seen[1] == today):
            return
        self._seen = (site, today)
        assets, channels = site.registry.assets, site.registry.channels
        rows = overdue_channels(site.registry, site.plan, today=today)
        counts = Counter(assets.domain[int(a)] for a in channels.asset[rows])
        for domain in sorted(set(assets.domain)):
            metrics.CALIBRATION_OVERDUE.labels(domain).set(counts[domain])
