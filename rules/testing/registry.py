"""An invented registry in a few words, and the short names tests call its things by."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from rules.durations import format_duration
from rules.language.nearby import EARTH_M
from rules.problems import Invalid, listed, nearest
from rules.quantities import SITE_LEL_BASIS, UnknownUnit, canonical, quantity
from rules.registry_file import registry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rules.registry import Registry
    from rules.testing.models import SensorEntry

ORIGIN: Final = (113.62, 34.75)  # longitude and latitude of xy: [0, 0]
_TYPED: Final = re.compile(r"\d{6}-[a-z]+-[a-z0-9]{1,12}-\d{3,12}")


@dataclass(frozen=True, slots=True)
class Names:
    """What a test may call the things of a registry: ids, or unmistakable ends of them."""

    registry: Registry
    assets: dict[str, str] = field(default_factory=dict)  # label → id
    devices: dict[str, str] = field(default_factory=dict)

    def channel(self, word: str) -> int:
        """Return the row of a channel by ``sensor``, ``sensor/channel`` or more of its id.

        Raises
        ------
        ValueError
            There is none, or several.
        """
        ids = self.registry.channels.id
        if word in self.registry.channel_row:
            return self.registry.channel_row[word]
        found = [row for row, name in enumerate(ids) if word in _short(name)]
        if not found:
            known = [name.split("/")[1] for name in ids]
            raise ValueError(f"unknown sensor {word[:64]!r}{nearest(word, [*known, *ids])}")
        if len(found) > 1:
            which = listed(_between(ids[row], 2) for row in found[:4])
            raise ValueError(f"sensor {word[:64]!r} is {len(found)} channels: write one of {which}")
        return found[0]

    def asset(self, word: str) -> str:
        """Return the id of an asset by its label or id; ValueError as for channels."""
        return self._known("asset", word, self.assets, self.registry.asset_row)

    def device(self, word: str) -> str:
        """Return the id of a device by its label or id; ValueError as for channels."""
        return self._known("device", word, self.devices, self.registry.device_row)

    def zone(self, word: str) -> str:
        """Return the zone of that name; ValueError as for channels."""
        zones = sorted({zone for zone in self.registry.assets.zone if zone})
        if word not in zones:
            raise ValueError(f"unknown zone {word[:64]!r}{nearest(word, zones)}")
        return word

    def shown(self, subject: str) -> str:
        """Return the shortest name of a subject of an event."""
        for labels in (self.assets, self.devices):
            for label, name in labels.items():
                if name == subject:
                    return label
        if subject.count("/") != 2:
            return subject
        for parts in (_between(subject, 1, 2), _between(subject, 1), _between(subject, 0, 2)):
            if sum(parts in _short(name) for name in self.registry.channels.id) == 1:
                return parts
        return subject

    @staticmethod
    def _known(noun: str, word: str, labels: dict[str, str], ids: dict[str, int]) -> str:
        name = labels.get(word, word)
        if name not in ids:
            raise ValueError(f"unknown {noun} {word[:64]!r}{nearest(word, [*labels, *ids])}")
        return name


def _between(name: str, first: int, stop: int = 3) -> str:
    return "/".join(name.split("/")[first:stop])


def _short(name: str) -> tuple[str, str, str]:
    """Return what a channel may be called beside its id: sensor, sensor/channel, asset/sensor."""
    return _between(name, 1, 2), _between(name, 1), _between(name, 0, 2)


@dataclass(slots=True)
class _Made:
    """What is laid out while the entries are gone through."""

    assets: dict[str, dict[str, Any]] = field(default_factory=dict)  # by label
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    sensors: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # of each asset, explicitly


def invented(
    entries: Sequence[SensorEntry], note: Callable[[int, str, str], None]
) -> tuple[Registry, Names] | None:
    """Return the registry of shorthand entries; None after ``note``-ing what is wrong."""
    made, wrong = _Made(), 0
    for i, entry in enumerate(entries):
        for key, said in _problems(entry, made):
            note(i, key, said)
            wrong += 1
        _lay_out(entry, made, len(made.sensors))
    if wrong:
        return None
    whole = {
        "version": 1,
        "devices": list(made.devices.values()),
        "assets": list(made.assets.values()),
    }
    try:
        registry = registry_of({"registry": yaml.safe_dump(whole, allow_unicode=True)})
    except Invalid as invalid:
        for problem in invalid.problems:
            note(-1, "", f"{problem.noun} {problem.rule!r}: {problem.message}")
        return None
    labels = {label: asset["id"] for label, asset in made.assets.items()}
    devices = {label: device["id"] for label, device in made.devices.items()}
    return registry, Names(registry, labels, devices)


_OF_ASSET: Final = ("asset_type", "domain", "zone", "district", "xy")


def _problems(entry: SensorEntry, made: _Made) -> list[tuple[str, str]]:
    found = []
    try:
        basis = entry.lel_basis or SITE_LEL_BASIS
        canonical(entry.quantity, _unit(entry), 0.0, lel_basis=basis)
    except UnknownUnit as error:
        found.append(("unit", str(error)))
    before = made.said.get(_asset(entry), {})
    for key in _OF_ASSET:
        if key in entry.model_fields_set and key in before and getattr(entry, key) != before[key]:
            said = f"asset {_asset(entry)!r} has {key} {before[key]!r} above: an asset has one"
            found.append((key, said))
    held = made.sensors.get((_asset(entry), entry.sensor))
    if held is not None and any(c["id"] == entry.channel for c in held["channels"]):
        said = f"channel {entry.channel!r} of it stands twice: give one another channel: or asset:"
        found.append(("sensor", said))
    return found


def _asset(entry: SensorEntry) -> str:
    return entry.asset or entry.sensor


def _unit(entry: SensorEntry) -> str:
    return entry.unit or quantity(entry.quantity).unit


def _lay_out(entry: SensorEntry, made: _Made, number: int) -> None:
    label = _asset(entry)
    said = made.said.setdefault(label, {})
    said |= {k: getattr(entry, k) for k in _OF_ASSET if k in entry.model_fields_set}
    asset = made.assets.setdefault(label, {"name": label, "sensors": []})
    if "id" not in asset:
        code = re.sub(r"[^a-z0-9]", "", entry.asset_type.lower())[:12] or "x"
        own = f"410100-{entry.domain}-{code}-{len(made.assets):06d}"
        asset["id"] = label if _TYPED.fullmatch(label) else own
        asset["type"] = entry.asset_type
    for key in ("zone", "district"):
        if getattr(entry, key):
            asset[key] = getattr(entry, key)
    if entry.xy is not None:
        asset["at"] = _at(entry.xy)
    asset.setdefault("attributes", {}).update(entry.attributes)
    device = _device(entry, made, asset)
    sensor = made.sensors.get((label, entry.sensor))
    if sensor is None:
        sensor = {"id": entry.sensor, "device": device, "channels": []}
        made.sensors[label, entry.sensor] = sensor
        asset["sensors"].append(sensor)
    channel: dict[str, Any] = {
        "id": entry.channel, "quantity": entry.quantity, "unit": _unit(entry),
        "resolution": entry.resolution, "every": format_duration(entry.every),
        "class": entry.klass, "fault_codes": entry.fault_codes, "tags": entry.tags,
        "key": f"{number}.{len(sensor['channels'])}",
    }  # fmt: skip
    optional = {"range": entry.range, "lel_basis": entry.lel_basis, "derived": entry.derived}
    sensor["channels"].append(channel | {k: v for k, v in optional.items() if v is not None})


def _device(entry: SensorEntry, made: _Made, asset: dict[str, Any]) -> str:
    label = entry.device or f"device of {_asset(entry)}"
    if label not in made.devices:
        code = "gw" if entry.device_kind == "gateway" else "nb"
        own = f"410100-{entry.domain}-{code}-{len(made.devices) + 900001:06d}"
        transport = "mqtt" if entry.device_kind == "gateway" else "coap"
        made.devices[label] = {
            "id": label if _TYPED.fullmatch(label) else own, "kind": entry.device_kind,
            "transport": transport, "codec": "compact", "asset": asset["id"],
            "every": format_duration(entry.every),
        }  # fmt: skip
    return str(made.devices[label]["id"])


def _at(xy: list[float]) -> list[float]:
    """Return longitude and latitude so many metres east and north of ORIGIN."""
    longitude, latitude = ORIGIN
    north = math.degrees(xy[1] / EARTH_M)
    east = math.degrees(xy[0] / (EARTH_M * math.cos(math.radians(latitude))))
    return [longitude + east, latitude + north]
