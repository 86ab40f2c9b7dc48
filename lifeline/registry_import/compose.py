"""What a table says, laid over the present registry: entries, and the changes they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.cells import CLEARED
from lifeline.registry_import.fields import FIELDS
from lifeline.registry_import.present import effective
from rules.registry import IN_SERVICE, RETIRED

if TYPE_CHECKING:
    from lifeline.registry_import.gathering import Rows, Said
    from lifeline.registry_import.present import Entry, Present

NEXT: Final = {
    "planned": ("installed", RETIRED),
    "installed": ("accepted", "planned", RETIRED),
    "accepted": (IN_SERVICE, "installed", RETIRED),
    IN_SERVICE: ("installed", "accepted", RETIRED),
    RETIRED: (),
}
"""Allowed steps. Back to installed: taken out for repair, and accepted anew afterwards."""
_USUAL: Final[dict[str, Any]] = {
    "class": "safety", "resolution": 0, "exposed_people": 0, "tags": {}, "attributes": {},
    "fault_codes": [],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one thing, before and after."""

    noun: str
    id: str
    field: str
    before: Any
    after: Any


@dataclass(slots=True)
class Changes:
    """What an import would do: ids by noun."""

    added: list[tuple[str, str]] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    retired: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    replaced: list[tuple[str, str, str]] = field(default_factory=list)  # sensor, old, new device

    @property
    def any(self) -> bool:
        """Tell whether there is anything to apply."""
        return bool(self.added or self.changed or self.retired)

    def touched(self) -> set[tuple[str, str]]:
        """Return what is not as before: (noun, id) of sites, devices and assets."""
        found = {(c.noun, c.id) for c in self.changed} | set(self.added) | set(self.retired)
        return {("asset", i.split("/")[0]) if "/" in i else (n, i) for n, i in found}


def compose(rows: Rows, present: Present) -> tuple[dict[str, Any], Changes]:
    """Return the whole registry as a file would say it, and the changes against the present one."""
    changes = Changes()
    sites = _laid(rows, "site", present.sites, changes)
    devices = _laid(rows, "device", present.devices, changes)
    assets = {
        name: {**entry, "sensors": [_copied(s) for s in entry.get("sensors", ())]}
        if name in rows.asset
        else entry
        for name, entry in _laid(rows, "asset", present.assets, changes).items()
    }
    for name in rows.device:
        if "asset" not in devices[name]:
            devices[name]["asset"] = rows.mount.get(name, "")
    known = _sensors(rows, assets, changes)
    _channels(rows, known, changes)
    _retire_replaced(rows, devices, assets, changes)
    value = {
        "version": 1,
        "simulation": present.simulation,
        "domains": list(present.domains.values()),
        "quantities": list(present.quantities.values()),
        "sites": list(sites.values()),
        "devices": list(devices.values()),
        "assets": list(assets.values()),
    }
    return value, changes


def _copied(sensor: Entry) -> Entry:
    return {**sensor, "channels": [dict(c) for c in sensor["channels"]]}


def _laid(rows: Rows, noun: str, old: dict[str, Entry], changes: Changes) -> dict[str, Entry]:
    """Return the entries of sites, devices or assets: present ones first, then the new."""
    laid = dict(old)
    held: dict[str, Said] = getattr(rows, noun)
    for name, said in held.items():
        before = old.get(name)
        entry: Entry = dict(before) if before is not None else {"id": name}
        found = _overlay(rows, noun, name, entry, before, said)
        _count(changes, noun, name, before, found)
        laid[name] = entry
    return laid


def _count(
    changes: Changes, noun: str, name: str, before: Entry | None, found: list[Change]
) -> None:
    if before is None:
        changes.added.append((noun, name))
    elif any(c.field in ("state", "device_state") and c.after == RETIRED for c in found):
        changes.retired.append((noun, name))
        changes.changed += [c for c in found if c.after != RETIRED]
    elif found:
        changes.changed += found
    else:
        changes.unchanged += 1


def _overlay(
    rows: Rows, noun: str, name: str, entry: Entry, before: Entry | None, said: Said
) -> list[Change]:
    """Put what a table says into ``entry``; return what that changes."""
    found: list[Change] = []
    held = before if before is not None else {}
    for of, (value, row) in said.items():
        key = "at" if of == "at" else FIELDS[of].key
        usual = _usual(key, noun)
        old = held.get(key, usual)
        new = usual if value is CLEARED else value
        if new == old:
            if before is None and value is not CLEARED:
                entry[key] = new
            continue
        if key == "state" and before is not None:
            _step(rows, of, row, name, str(old), str(new))
        found.append(Change(noun, name, of, old, new))
        if value is CLEARED:
            entry.pop(key, None)
        else:
            entry[key] = new
    return found


def _usual(key: str, noun: str) -> Any:
    """Return what an entry means that does not say ``key``."""
    if key == "state":
        return IN_SERVICE
    if key in ("name", "name_zh", "site", "district", "zone", "unit") and noun != "site":
        return ""
    return _USUAL.get(key)


def _step(rows: Rows, of: str, row: int, name: str, old: str, new: str) -> None:
    if new not in NEXT[old]:
        after = ", ".join(NEXT[old]) or "nothing: give a new device or channel a new id"
        rows.note(of, row, f"{name} is {old}, after which comes {after}; not {new}", "state")


def _sensors(
    rows: Rows, assets: dict[str, Entry], changes: Changes
) -> dict[tuple[str, str], Entry]:
    """Let the sensors be spoken for by the devices of their rows; return all of those assets."""
    known = {
        (asset, sensor["id"]): sensor for asset in rows.asset for sensor in assets[asset]["sensors"]
    }
    for (asset, name), said in rows.sensor.items():
        sensor = known.get((asset, name))
        device, row = said.get("device", (None, rows.first["sensor", (asset, name)]))
        replaces = said.get("replaces", (None, row))
        full = f"{asset}/{name}"
        if sensor is None:
            known[asset, name] = {"id": name, "device": device or "", "channels": []}
            assets[asset]["sensors"].append(known[asset, name])
            if replaces[0] is not None:
                told = f"{full} is new: there is no device to replace"
                rows.note("replaces", replaces[1], told, "replaces")
            if device is None:
                rows.note("device", row, f"{full} is new: name its device", "id missing")
        elif device is not None and device != sensor["device"]:
            old = sensor["device"]
            if replaces[0] != old:
                told = f"{full} is spoken for by {old}; if its sensor was replaced, say so in a "
                told += f'column replaces (替换设备): "{old}"'
                rows.note("device", row, told, "replaces")
            changes.changed.append(Change("sensor", full, "device", old, device))
            changes.replaced.append((full, old, device))
            sensor["device"] = device
    return known


def _channels(rows: Rows, known: dict[tuple[str, str], Entry], changes: Changes) -> None:
    present = {
        (*at, channel["id"]): channel
        for at, sensor in known.items()
        for channel in sensor["channels"]
    }
    for (asset, sensor_id, name), said in rows.channel.items():
        sensor, channel = known[asset, sensor_id], present.get((asset, sensor_id, name))
        full = f"{asset}/{sensor_id}/{name}"
        _join_range(rows, said, channel)
        before = effective(sensor, channel) if channel is not None else None
        entry: Entry = channel if channel is not None else {"id": name}
        found = _overlay(rows, "channel", full, entry, before, said)
        if channel is None:
            sensor["channels"].append(entry)
        _count(changes, "channel", full, before, found)


def _join_range(rows: Rows, said: Said, channel: Entry | None) -> None:
    """Make one range of the two columns; a side the table does not say stays as it is."""
    low, high = said.pop("range_low", None), said.pop("range_high", None)
    if low is None and high is None:
        return
    old = (channel or {}).get("range", [None, None])
    row = (high or low or (None, 0))[1]
    pair = [low[0] if low else old[0], high[0] if high else old[1]]
    if CLEARED in pair:
        said["range_high"] = (CLEARED, row)
    elif None in pair:
        name = "range_low" if pair[0] is None else "range_high"
        rows.note(name, row, f"{name} is missing beside the other", "range")
    elif not pair[0] < pair[1]:
        other = rows.cell("range_high", row) if "range_high" in rows.mapped.at else "range_high"
        told = f"range_low must be less than range_high ({pair[1]} in {other})"
        rows.note("range_low", row, told, "range")
    else:
        said["range_high"] = (pair, row)


def _retire_replaced(
    rows: Rows, devices: dict[str, Entry], assets: dict[str, Entry], changes: Changes
) -> None:
    """Retire the devices that speak for nothing any more after they were replaced."""
    olds = {old for _, old, _ in changes.replaced}
    if not olds:
        return
    speaking = {
        sensor["device"]
        for entry in assets.values()
        for sensor in entry.get("sensors", ())
        if any(c.get("state") != RETIRED for c in sensor["channels"])
    }
    for old in sorted(olds - speaking):
        if old in devices and devices[old].get("state") != RETIRED and old not in rows.device:
            devices[old] = {**devices[old], "state": RETIRED}
            changes.retired.append(("device", old))
