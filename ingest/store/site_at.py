"""Registry and rules as they were at a place of the journal, and the tags they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from ingest.store.follow import registry_at
from rules.language import compile_plan, rules_from_bytes
from rules.problems import Invalid
from rules.readings import texts_named
from rules.standing import StandingWarnings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rules.plan import Plan
    from rules.readings import Control
    from rules.registry import Registry

log: Any = structlog.get_logger("store")


class SiteAt:
    """Follows Control records; ``plan`` is None until the journal has named rules."""

    def __init__(self, data: Path, registry: Registry, *, rules: str = "") -> None:
        self._data = data
        self.registry = registry
        self.rules = rules  # their hash
        self.plan: Plan | None = None
        self.warnings = StandingWarnings(registry)  # official ones, as the journal has them
        self._zones: dict[str, int] = {}
        self._index()
        if rules:
            self._compile()

    def take(self, control: Control) -> bool:
        """Follow a record; return whether registry or rules are others now."""
        named = texts_named(control)
        registry = self.registry
        if "registry" in named:
            registry = registry_at(self._data, named["registry"], known=registry)
        rules = named.get("rules", self.rules)
        if registry is self.registry and rules == self.rules:
            return False
        if registry is not self.registry:
            self.registry = registry
            self.warnings = self.warnings.on(registry)
            self._index()
        self.rules = rules
        self._compile()
        return True

    def _index(self) -> None:
        registry = self.registry
        zones = registry.assets.zone
        self._zones = {zone: row for row, zone in reversed(list(enumerate(zones))) if zone}
        self._subjects: dict[int, list[str]] = {i: [s] for i, s in enumerate(registry.assets.id)}
        for table in (registry.channels, registry.devices):
            for row, subject in zip(table.asset.tolist(), table.id, strict=True):
                self._subjects[row].append(subject)
        for zone, row in self._zones.items():
            self._subjects[row].append(zone)

    def _compile(self) -> None:
        """Compile the rules against the registry; without them charts lack limits, no more."""
        path = self._data / "rules" / f"{self.rules}.json"
        if not self.rules:
            return
        try:
            self.plan, _ = compile_plan(rules_from_bytes(path.read_bytes()), self.registry)
        except (OSError, ValueError, Invalid) as error:
            self.plan = None
            log.warning(
                "limits are not written: the rules cannot be read; restore the file from a backup",
                file=str(path),
                reason=str(error)[:500],
            )

    def asset(self, subject: str) -> int:
        """Return the asset row of a channel, device, asset or zone id, -1 where there is none."""
        registry = self.registry
        row = registry.channel_row.get(subject)
        if row is not None:
            return int(registry.channels.asset[row])
        row = registry.device_row.get(subject)
        if row is not None:
            return int(registry.devices.asset[row])
        row = registry.asset_row.get(subject)
        return self._zones.get(subject, -1) if row is None else row

    def tags(self, subject: str) -> dict[str, str]:
        """Return asset, district, domain, quantity and sim, as far as the subject has them.

        A zone has no one asset, and a channel the registry does not know only its name's.
        """
        row = self.asset(subject)
        assets = self.registry.assets
        named = {"sim": "1" if self.registry.simulation else ""}
        if row >= 0:
            whole = subject not in self._zones
            named |= {
                "asset": assets.id[row] if whole else "",
                "district": assets.district[row],
                "domain": assets.domain[row],
            }
        elif "/" in subject:
            named["asset"] = subject.partition("/")[0]
        channel = self.registry.channel_row.get(subject)
        if channel is not None:
            named["quantity"] = self.registry.channels.quantity[channel]
        return named

    def subjects(self, asset: int) -> list[str]:
        """Return what alarms of an asset may be about: itself, its channels, devices, its zone."""
        return self._subjects[asset]

    @property
    def domains(self) -> Mapping[str, None]:
        """Return the lifelines the registry has, in order of their names."""
        return dict.fromkeys(sorted(set(self.registry.assets.domain)))
