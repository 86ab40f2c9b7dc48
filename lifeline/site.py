"""The site as the journal says it is: registry and rules by the hashes of Control records.

The texts lie in the data folder by content hash, so a page shows the limits of the time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from ingest.store.corrections import Corrections
from rules.incidents.isolation import Network, network_from
from rules.incidents.places import Places
from rules.language import compile_plan, rules_from_bytes
from rules.readings import texts_named
from rules.registry_codec import registry_from_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rules.alarms import Alarm
    from rules.plan import ChannelRule, DeadmanRule, Plan
    from rules.readings import Control
    from rules.registry import Registry
    from rules.standing import StandingWarnings

LOG = structlog.get_logger("site")
KEPT_PLANS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One level of one rule on one channel, with what a label needs."""

    rule: str
    side: int
    severity: int
    raise_at: float
    clear_at: float
    source: str
    approved_by: str
    kind: str


@dataclass(frozen=True)
class Site:
    """One registry and the plan compiled against it, indexed for questions of a page."""

    registry: Registry
    plan: Plan
    _rules: dict[tuple[str, int], list[tuple[ChannelRule, dict[int, int]]]] = field(
        init=False, repr=False
    )
    deadman: dict[str, DeadmanRule] = field(init=False, repr=False)
    composite: dict[tuple[str, int], ChannelRule] = field(init=False, repr=False)
    _zones: dict[str, int] = field(init=False, repr=False)  # an asset of each

    def __post_init__(self) -> None:
        rules: dict[tuple[str, int], list[tuple[ChannelRule, dict[int, int]]]] = {}
        for rule in self.plan.channel_rules:
            rows = {int(c): i for i, c in enumerate(rule.channel)}
            rules.setdefault((rule.rule_id, rule.side), []).append((rule, rows))
        object.__setattr__(self, "_rules", rules)
        across = {(rule.rule_id, rule.side): rule for rule in self.plan.composite_rules}
        object.__setattr__(self, "composite", across)
        zones = {zone: row for row, zone in enumerate(self.registry.assets.zone) if zone}
        object.__setattr__(self, "_zones", zones)
        object.__setattr__(self, "deadman", {r.rule_id: r for r in self.plan.deadman_rules})

    @cached_property
    def places(self) -> Places:
        """Return where alarms of this registry are, for grouping them into incidents."""
        return Places(registry=self.registry)

    @cached_property
    def network(self) -> Network:
        """Return the registry's networks, for what isolates an incident."""
        return network_from(self.registry)

    def rule(self, rule_id: str, side: int, subject: str) -> ChannelRule | None:
        """Return the rule behind an alarm, or None (dead-man, removed, system)."""
        row = self.registry.channel_row.get(subject, -1)
        found = self._rules.get((rule_id, side), ())
        watching = next((rule for rule, rows in found if row in rows), None)
        return watching or self.composite.get((rule_id, side))

    def switches(
        self, channel: int, from_ns: int, to_ns: int, known: StandingWarnings | None = None
    ) -> list[int]:
        """Return when a limit on a channel becomes another in (from, to], by ``known`` warnings."""
        mine = [rule for held in self._rules.values() for rule, rows in held if channel in rows]
        schedules = {each for rule in mine for each in rule.schedules}
        asset = int(self.registry.channels.asset[channel])
        times = (t for s in schedules for t in s.switches(from_ns, to_ns, known, asset))
        return sorted(set(times))

    def said_by(self, alarm: Alarm) -> ChannelRule | DeadmanRule | None:
        """Return the rule whose words and runbook an alarm has, dead-man rules too."""
        return self.rule(alarm.rule, alarm.side, alarm.subject) or self.deadman.get(alarm.rule)

    def limits(
        self, channel: int, at_ns: int, known: StandingWarnings | None = None
    ) -> list[Limit]:
        """Return every declared level on a channel, as it is then by the warnings ``known``."""
        names: list[Limit] = []
        asset = int(self.registry.channels.asset[channel])
        for held in self._rules.values():
            for rule, rows in held:
                at = rows.get(channel)
                if at is None or rule.shadow:
                    continue
                said = rule.at(at_ns, known, asset) if rule.schedules else rule
                names += [
                    Limit(
                        rule=rule.rule_id,
                        side=rule.side,
                        severity=level.severity,
                        raise_at=float(said.raise_at[at, n]),
                        clear_at=float(said.clear_at[at, n]),
                        source=rule.source,
                        approved_by=rule.approved_by,
                        kind=rule.kind,
                    )
                    for n, level in enumerate(self.plan.levels)
                    if not np.isnan(rule.raise_at[at, n])
                ]
        return names

    @property
    def approved(self) -> bool:
        """Tell whether every rule's limits were approved for this site."""
        rules = (*self.plan.channel_rules, *self.plan.composite_rules)
        return all(rule.approved_by for rule in rules if not rule.shadow)

    def asset_of(self, subject: str) -> int:
        """Return the asset row of a channel, device or asset id, or −1."""
        row = self.registry.channel_row.get(subject)
        if row is not None:
            return int(self.registry.channels.asset[row])
        row = self.registry.device_row.get(subject)
        if row is None:
            return self.registry.asset_row.get(subject, -1)
        return int(self.registry.devices.asset[row])

    @property
    def zones(self) -> Mapping[str, int]:
        """Return an asset row of each zone."""
        return self._zones

    def domain_of(self, subject: str) -> str:
        """Return the lifeline of a channel, device, asset or zone id, "" for the system."""
        row = self.asset_of(subject)
        if row < 0:
            row = self._zones.get(subject, -1)
        return self.registry.assets.domain[row] if row >= 0 else ""


class SiteKeeper:
    """Follows Control records; ``site`` is the newest whole one. Safe to read from any thread.

    ``problem`` says in one line why the newest registry or rules could not be read, "" if they
    could. ``simulation`` is sticky: a data folder that held simulated data stays marked.
    """

    def __init__(self, data: Path, *, simulation: bool = False) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._hashes: dict[str, str] = {}
        self.site: Site | None = None
        self.plans: list[tuple[int, Site]] = []  # (from when, site), at most KEPT_PLANS
        self.problem = ""
        self.simulation = simulation
        self.corrections = Corrections(data)

    @property
    def state(self) -> Mapping[str, Any]:
        """Return what a restart needs to know."""
        named = [list(pair) for pair in self.corrections.names]
        return {**self._hashes, "simulation": self.simulation, "corrections": named}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of an earlier run."""
        self.simulation |= bool(state.get("simulation"))
        named = [(str(name), str(kind)) for name, kind in state.get("corrections", ())]
        self.corrections = Corrections(self._data, named)
        self._hashes = {k: str(state[k]) for k in ("registry", "rules") if k in state}
        self._load(0)

    def take(self, control: Control, *, at_ns: int) -> bool:
        """Follow a record that names registry or rules; return whether the site changed."""
        self.corrections.take(control)
        named = texts_named(control)
        if not named or self._hashes | named == self._hashes:
            return False
        self._hashes |= named
        return self._load(at_ns)

    def install(self, site: Site, *, at_ns: int = 0) -> None:
        """Make ``site`` the current one."""
        with self._lock:
            self.site = site
            self.simulation |= site.registry.simulation
            self.plans = [*self.plans, (at_ns, site)][-KEPT_PLANS:]
            self.problem = ""

    def _load(self, at_ns: int) -> bool:
        """Read both texts. One that cannot be read keeps the site as it was, and says so."""
        if set(self._hashes) < {"registry", "rules"}:
            return False
        try:
            registry = registry_from_bytes(self._text("registry"))
            plan, _warnings = compile_plan(rules_from_bytes(self._text("rules")), registry)
        except Exception as error:  # noqa: BLE001 - shown on the page; alarms go on without words
            self.problem = f"{type(error).__name__}: {error}"[:500]
            LOG.warning("the site's texts cannot be read", problem=self.problem)
            return False
        self.install(Site(registry, plan), at_ns=at_ns)
        return True

    def _text(self, kind: str) -> bytes:
        return (self._data / kind / f"{self._hashes[kind]}.json").read_bytes()
