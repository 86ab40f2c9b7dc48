"""Where an alarm is: its asset, zone, device, and who is near along the networks of the registry.

A network is what assets say of each other: ``neighbours``, ``downstream``, ``upstream``, ``pipes``
in their attributes, both ways; and ``order`` along a zone (sections of a tunnel or gallery).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rules.incidents.natures import ANY, SILENCE, SYSTEM, nature_of
from rules.language.nearby import EARTH_M, network_of

if TYPE_CHECKING:
    from rules.registry import Registry

LINKS: Final = ("neighbours", "downstream", "upstream", "pipes")
"""The attributes that name other assets of a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an alarm is and what it is about. ``at`` is (lon, lat) in degrees, () unknown."""

    subject: str
    asset: str = ""
    zone: str = ""
    device: str = ""
    domain: str = ""
    nature: str = ANY
    at: tuple[float, float] | tuple[()] = ()


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of a registry; without one, ids alone tell (``area-domain-type-serial/…``)."""

    registry: Registry | None = None
    _edges: dict[int, set[int]] = field(init=False, repr=False)
    _zones: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        held = self.registry
        object.__setattr__(self, "_edges", _joined(held) if held is not None else {})
        zones: dict[str, int] = {}
        for row, zone in enumerate(held.assets.zone if held is not None else ()):
            zones.setdefault(zone, row)
        object.__setattr__(self, "_zones", zones)

    def place(self, rule: str, side: int, subject: str) -> Place:
        """Return where an alarm of a rule is; one of ours (no subject) is by its rule."""
        if not subject:
            return Place(subject=rule, nature=SYSTEM)
        held = self.registry
        if held is None:
            return _by_id(subject, side)
        channel = held.channel_row.get(subject)
        if channel is not None:
            asset = int(held.channels.asset[channel])
            device = held.devices.id[int(held.channels.device[channel])]
            quantity = held.channels.quantity[channel]
            domain = held.assets.domain[asset]
            return self._of(subject, asset, device, nature_of(domain, quantity, side))
        device_row = held.device_row.get(subject)
        if device_row is not None:
            return self._of(subject, int(held.devices.asset[device_row]), subject, SILENCE)
        asset = held.asset_row.get(subject, -1)
        if asset >= 0:
            return self._of(subject, asset, "", ANY)
        zoned = self._zones.get(subject, -1)
        if subject and zoned >= 0:
            return Place(subject=subject, zone=subject, domain=held.assets.domain[zoned])
        return _by_id(subject, side)

    def _of(self, subject: str, asset: int, device: str, nature: str) -> Place:
        held = self.registry
        if held is None or asset < 0:
            return Place(subject=subject, device=device, nature=nature)
        a = held.assets
        lon, lat = float(a.lon[asset]), float(a.lat[asset])
        known = math.isfinite(lon) and math.isfinite(lat)
        return Place(
            subject=subject, asset=a.id[asset], zone=a.zone[asset], device=device,
            domain=a.domain[asset], nature=nature, at=(lon, lat) if known else (),
        )  # fmt: skip

    def within(self, asset: str, hops: int) -> dict[str, int]:
        """Return the assets within so many hops along the networks: id → hops, itself at 0."""
        held = self.registry
        start = held.asset_row.get(asset, -1) if held is not None else -1
        if held is None or start < 0:
            return {asset: 0}
        reached, edge = {start: 0}, [start]
        for step in range(1, hops + 1):
            edge = sorted({b for a in edge for b in self._edges.get(a, ())} - reached.keys())
            if not edge:
                break
            reached |= dict.fromkeys(edge, step)
        return {held.assets.id[row]: step for row, step in reached.items()}


def _joined(registry: Registry) -> dict[int, set[int]]:
    edges: dict[int, set[int]] = defaultdict(set)
    for name in LINKS:
        for row, others in network_of(registry, name).items():
            edges[row] |= others
    lines: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for row, attributes in enumerate(registry.assets.attributes):
        order = attributes.get("order")
        if registry.assets.zone[row] and isinstance(order, int | float):
            lines[registry.assets.zone[row]].append((float(order), row))
    for line in lines.values():
        line.sort()
        for (_, a), (_, b) in pairwise(line):
            edges[a].add(b)
            edges[b].add(a)
    return edges


def _by_id(subject: str, side: int) -> Place:
    """Return what an id alone tells: its asset and its lifeline."""
    asset, _, channel = subject.partition("/")
    parts = asset.split("-")
    domain = parts[1] if len(parts) == 4 else ""
    return Place(
        subject=subject, asset=asset, domain=domain,
        nature=ANY if not channel else f"{channel.partition('-')[0]} {'+' if side > 0 else '-'}",
    )  # fmt: skip


def metres_between(a: tuple[float, float] | tuple[()], b: tuple[float, float] | tuple[()]) -> float:
    """Return the great-circle distance, m; infinite where a place is unknown.

    By Python's math, so that every machine groups alike.
    """
    if not a or not b:
        return math.inf
    lon, lat = math.radians(b[0] - a[0]), math.radians(b[1] - a[1])
    south, north = math.radians(a[1]), math.radians(b[1])
    h = math.sin(lat / 2) ** 2 + math.cos(south) * math.cos(north) * math.sin(lon / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))
