"""Registry files → `Registry`: all problems at once, rows that never change their meaning.

Rows of ``previous`` are kept, so a row in an old journal record still means the same channel;
what is gone stays as a tombstone (``alive`` False), and comes alive again under its old row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.problems import nearest
from rules.quantities import QUANTITIES, UnknownUnit, canonical, factor
from rules.registry import IN_SERVICE, RETIRED, Assets, Channels, Devices, Registry, Sites
from rules.registry_codec import (
    DTYPES,
    content_hash,
    hashed,
    registry_bytes,
    registry_from_bytes,
)
from rules.registry_models import (
    AssetEntry,
    DeviceEntry,
    DomainEntry,
    QuantityEntry,
    RegistryEntry,
    SiteEntry,
)
from rules.registry_texts import TEST_SUFFIXES, read_registry_text, read_texts
from rules.registry_vocabulary import speak, vocabulary_of
from rules.strict_models import Strict, validated
from rules.vocabulary import DOMAINS
from rules.waveforms.features import FEATURE_QUANTITIES
from rules.waveforms.spectra import WINDOWS
from rules.yaml_text import Document, raise_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rules.registry_models import ChannelEntry, DerivedEntry, SensorEntry

__all__ = [
    "TEST_SUFFIXES", "Gathered", "content_hash", "gathered_of", "load_registry", "read_texts",
    "registry_bytes", "registry_from_bytes", "registry_of", "registry_of_entries",
]  # fmt: skip

MAX_CHANNEL_ID: Final = 80


def load_registry(folder: Path, *, previous: Registry | None = None) -> Registry:
    """Return the registry of all ``*.yaml`` files of a folder (or of one file).

    Raises
    ------
    Invalid
        With every problem of every file.
    """
    return registry_of(read_texts(folder), previous=previous)


def registry_of(texts: dict[str, str], *, previous: Registry | None = None) -> Registry:
    """Return the registry of named YAML texts; see load_registry."""
    documents = [read_registry_text(name, text) for name, text in sorted(texts.items())]
    return registry_of_entries(gathered_of(documents, previous=previous), previous=previous)


def gathered_of(documents: Sequence[Document], *, previous: Registry | None = None) -> Gathered:
    """Return the checked entries of documents.

    A file of more than ``most`` bytes is refused unread.

    Raises
    ------
    Invalid
        With every problem of every document.
    """
    gathered = Gathered()
    heads = [(document, head) for document in documents if (head := _head(document)) is not None]
    for document, head in heads:
        _gather(document, gathered, (("domain", head.domains), ("quantity", head.quantities)))
    speak(gathered)
    for document, head in heads:
        gathered.simulation |= head.simulation
        lists = (("site", head.sites), ("device", head.devices), ("asset", head.assets))
        _gather(document, gathered, lists)
    _link(gathered)
    if previous is not None:
        _refuse_new_meanings(gathered, previous)
    raise_errors(p for document in documents for p in document.problems)
    return gathered


def registry_of_entries(gathered: Gathered, *, previous: Registry | None = None) -> Registry:
    """Return checked entries as columns; channels keep the rows they had in ``previous``."""
    return hashed(_build(gathered, previous))


Where = tuple[Document, tuple[str | int, ...]]


@dataclass(slots=True)
class Gathered:
    """Entries of all files by id, in file order, and where they stand."""

    simulation: bool = False
    sites: dict[str, SiteEntry] = field(default_factory=dict)
    devices: dict[str, DeviceEntry] = field(default_factory=dict)
    assets: dict[str, AssetEntry] = field(default_factory=dict)
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)  # id → columns
    where: dict[tuple[str, str], Where] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)  # ids that stand there, with an error
    guesses: int = 100  # 'did you mean' is slow: not for each of 100 000 dangling references
    domains: dict[str, DomainEntry] = field(default_factory=dict)
    quantities: dict[str, QuantityEntry] = field(default_factory=dict)

    def entries(self, noun: str) -> dict[str, Any]:
        """Return the entries of a noun (asset, quantity, …) by id."""
        held: dict[str, Any] = getattr(self, "quantities" if noun == "quantity" else f"{noun}s")
        return held


_MODELS: Final[dict[str, type[Strict]]] = {
    "domain": DomainEntry, "quantity": QuantityEntry, "site": SiteEntry, "device": DeviceEntry,
    "asset": AssetEntry,
}  # fmt: skip


def _head(document: Document) -> RegistryEntry | None:
    if document.value is None and not document.problems:
        return None  # an empty file
    if not isinstance(document.value, dict):
        if not document.problems:
            document.problem((), "must be a mapping with version, sites, devices, assets")
        return None
    return validated(RegistryEntry, document.value, document, ())


def _gather(document: Document, gathered: Gathered, lists: Sequence[tuple[str, list[Any]]]) -> None:
    for noun, items in lists:
        held = gathered.entries(noun)
        for i, item in enumerate(items):
            path = ("quantities" if noun == "quantity" else f"{noun}s", i)
            name = str(item.get("id", "")) if isinstance(item, dict) else ""
            entry = validated(_MODELS[noun], item, document, path, who=name, noun=noun)
            if entry is None:
                gathered.refused.add(name)
            elif name in held:
                _twice(gathered, document, (*path, "id"), noun, name)
            else:
                held[name] = entry
                gathered.where[noun, name] = (document, path)


def _twice(gathered: Gathered, document: Document, path: Any, noun: str, name: str) -> None:
    first, at = gathered.where[noun, name]
    said = f"the id stands twice, first at {first.name}:{first.at(at)[0]}"
    document.problem(path, said, who=name, noun=noun)


def _link(gathered: Gathered) -> None:
    """Check every reference, and lay out the channels."""
    addresses: dict[tuple[str, str], str] = {}
    for name, device in gathered.devices.items():
        document, path = gathered.where["device", name]
        _refer(gathered, document, (*path, "asset"), ("device", name), "asset", device.asset)
    for name, asset in gathered.assets.items():
        document, path = gathered.where["asset", name]
        types = DOMAINS[asset.id.split("-")[1]].asset_types
        if types and asset.type not in (*types, "gateway"):
            said = f"type: unknown asset type {asset.type!r}{nearest(asset.type, types)}: "
            said += f"{', '.join(types)}"
            document.problem((*path, "type"), said, who=name, noun="asset")
        if asset.site:
            _refer(gathered, document, (*path, "site"), ("asset", name), "site", asset.site)
        if asset.at and not (-180 <= asset.at[0] <= 180 and -90 <= asset.at[1] <= 90):
            said = f"at: {asset.at} is not [longitude, latitude] in degrees"
            document.problem((*path, "at"), said, who=name, noun="asset")
        for i, sensor in enumerate(asset.sensors):
            at = (*path, "sensors", i)
            known = _refer(
                gathered, document, (*at, "device"), ("asset", name), "device", sensor.device
            )
            for j, channel in enumerate(sensor.channels):
                here = (document, (*at, "channels", j))
                _channel(gathered, here, (asset, sensor, channel), addresses, known=known)
    _check_derived(gathered)


def _check_derived(gathered: Gathered) -> None:
    """Check what features are of: a measured channel, in the unit the feature has."""
    for name, columns in gathered.channels.items():
        derived = columns["derived"]
        if not derived:
            continue
        document, path = gathered.where["channel", name]
        source = gathered.channels.get(derived["from"])
        said = ""
        if source is None:
            known = nearest(derived["from"], gathered.channels)
            said = f"derived: unknown channel {derived['from']!r}{known}"
        elif source["derived"]:
            said = f"derived: {derived['from']} is itself derived: name the measured channel"
        else:
            needed = FEATURE_QUANTITIES.get(derived["feature"], source["quantity"])
            if columns["quantity"] != needed:
                said = f"quantity: a {derived['feature']} of {source['quantity']} is {needed}"
        if said:
            document.problem((*path, "derived"), said, who=name, noun="channel")


def _refer(
    gathered: Gathered, document: Document, path: Any, who: tuple[str, str], noun: str, name: str
) -> bool:
    held = gathered.entries(noun)
    if name in held:
        return True
    if name not in gathered.refused:  # else its own problem says enough
        gathered.guesses -= 1
        said = f"unknown {noun} {name!r}{nearest(name, held) if gathered.guesses >= 0 else ''}"
        document.problem(path, said, who=who[1], noun=who[0])
    return False


def _channel(
    gathered: Gathered,
    where: Where,
    parts: tuple[AssetEntry, SensorEntry, ChannelEntry],
    addresses: dict[tuple[str, str], str],
    *,
    known: bool,
) -> None:
    document, path = where
    asset, sensor, channel = parts
    name = f"{asset.id}/{sensor.id}/{channel.id}"
    if name in gathered.channels:
        _twice(gathered, document, (*path, "id"), "channel", name)
        return
    if len(name) > MAX_CHANNEL_ID:
        said = f"the id has {len(name)} characters, more than {MAX_CHANNEL_ID}"
        document.problem((*path, "id"), said, who=name, noun="channel")
    key = channel.key if channel.key is not None else f"{sensor.id}/{channel.id}"
    spoken = {"key": key} | ({"port": str(channel.port)} if channel.port is not None else {})
    said = gathered.devices[sensor.device].state if known else IN_SERVICE
    state = channel.state or said
    if said == RETIRED and state != RETIRED:
        told = f"state: device {sensor.device} is retired: name the device that speaks for it now"
        document.problem((*path, "state"), told, who=name, noun="channel")
    for what, value in spoken.items() if state != RETIRED else ():
        other = addresses.setdefault((sensor.device, f"{what} {value}"), name)
        if other != name:
            said = f'{what} {value} of device {sensor.device} is taken by "{other}"'
            document.problem((*path, what), said, who=name, noun="channel")
    columns = _columns(document, path, parts, name)
    device = gathered.devices.get(sensor.device) if known else None
    derived = channel.derived.every if channel.derived is not None else None
    usual = derived or (device.every if device else 0)
    interval = usual if channel.every is None else channel.every
    if known and interval <= 0:
        said = "every: must be longer than 0s"
        document.problem((*path, "every"), said, who=name, noun="channel")
    gathered.channels[name] = columns | {
        "id": name, "asset": asset.id, "device": sensor.device, "key": key,
        "port": -1 if channel.port is None else channel.port, "interval_ns": interval,
        "quantity": channel.quantity, "klass": channel.klass,
        "fault_codes": tuple(channel.fault_codes), "alive": state != RETIRED, "state": state,
        "calibrated_on": channel.calibrated_on or "",
        "calibration_due": channel.calibration_due or "",
        "tags": {**asset.tags, **sensor.tags, **channel.tags}, "derived": {},
    }  # fmt: skip
    gathered.where["channel", name] = where
    if channel.derived is not None:
        source = channel.derived.from_
        whole = source if "/" in source else f"{asset.id}/{sensor.id}/{source}"
        gathered.channels[name]["derived"] = {"from": whole, **_derived(channel.derived)}


def _derived(entry: DerivedEntry) -> dict[str, Any]:
    """Return what a feature is, but for what it is of."""
    said: dict[str, Any] = {"feature": entry.feature, "every_ns": entry.every}
    if entry.band is not None:
        window_ns = entry.every // WINDOWS if entry.window is None else entry.window
        said |= {"band": list(entry.band), "window_ns": window_ns}
    return said


def _columns(document: Document, path: Any, parts: Any, name: str) -> dict[str, Any]:
    """Return what depends on the unit: range and resolution in the canonical one."""
    _, sensor, channel = parts
    unit = channel.unit or QUANTITIES[channel.quantity].unit
    basis = channel.lel_basis if channel.lel_basis is not None else sensor.lel_basis
    lel: dict[str, Any] = {} if basis is None else {"lel_basis": basis}
    low, high = QUANTITIES[channel.quantity].range or (-np.inf, np.inf)
    resolution = 0.0
    try:
        factor(channel.quantity, unit, **lel)
        resolution = canonical(channel.quantity, unit, channel.resolution, difference=True, **lel)
        if channel.range is not None:
            low, high = (canonical(channel.quantity, unit, x, **lel) for x in channel.range)
            if not low < high:
                said = f"range: {channel.range} must rise"
                document.problem((*path, "range"), said, who=name, noun="channel")
    except UnknownUnit as error:
        document.problem((*path, "unit"), str(error), who=name, noun="channel")
    return {
        "unit": unit, "range_lo": low, "range_hi": high, "resolution": resolution,
        "lel_basis": np.nan if basis is None else basis,
    }  # fmt: skip


def _refuse_new_meanings(gathered: Gathered, previous: Registry) -> None:
    for name, columns in gathered.channels.items():
        row = previous.channel_row.get(name)
        if row is not None and previous.channels.quantity[row] != columns["quantity"]:
            document, path = gathered.where["channel", name]
            said = (
                f"quantity: was {previous.channels.quantity[row]} and its old readings still are:"
                " give the channel a new id"
            )
            document.problem((*path, "quantity"), said, who=name, noun="channel")


def _build(gathered: Gathered, previous: Registry | None) -> Registry:
    sites = list(gathered.sites.values())
    assets = _merged(
        {a.id: _asset(a) for a in gathered.assets.values()}, previous and previous.assets, Assets
    )
    asset_row = {name: row for row, name in enumerate(assets["id"])}
    devices = _merged(
        {
            d.id: {
                "id": d.id, "kind": d.kind, "transport": d.transport, "codec": d.codec,
                "asset": asset_row[d.asset], "interval_ns": d.every, "alive": d.state != RETIRED,
                "state": d.state,
            }
            for d in gathered.devices.values()
        },
        previous and previous.devices,
        Devices,
    )  # fmt: skip
    device_row = {name: row for row, name in enumerate(devices["id"])}
    for columns in gathered.channels.values():
        columns["asset"] = asset_row[columns["asset"]]
        columns["device"] = device_row[columns["device"]]
    channels = _merged(gathered.channels, previous and previous.channels, Channels)
    return Registry(
        content_hash="",
        assets=Assets(**assets),
        devices=Devices(**devices),
        channels=Channels(**channels),
        simulation=gathered.simulation,
        vocabulary=vocabulary_of(gathered),
        sites=Sites(
            id=tuple(s.id for s in sites),
            name=tuple(s.name or s.id for s in sites),
            name_zh=tuple(s.name_zh or s.name or s.id for s in sites),
        ),
    )


def _asset(asset: AssetEntry) -> dict[str, Any]:
    lon, lat = asset.at or (np.nan, np.nan)
    return {
        "id": asset.id, "site": asset.site, "domain": asset.id.split("-")[1],
        "asset_type": asset.type, "name": asset.name or asset.id,
        "name_zh": asset.name_zh or asset.name or asset.id, "district": asset.district,
        "zone": asset.zone, "lon": lon, "lat": lat, "exposed_people": asset.exposed_people,
        "attributes": {**asset.attributes, **({"tags": asset.tags} if asset.tags else {})},
        "alive": True,
    }  # fmt: skip


def _merged(new: dict[str, dict[str, Any]], old: Any, table: Any) -> dict[str, Any]:
    """Return columns: old rows first, in their places, then the new ones in file order."""
    old_ids: tuple[str, ...] = old.id if old is not None else ()
    rows: list[dict[str, Any]] = []
    names = list(table.__dataclass_fields__)
    for row, name in enumerate(old_ids):
        kept = {c: getattr(old, c)[row] for c in names} | {"alive": False}
        if "state" in kept:
            kept["state"] = RETIRED
        rows.append(new.get(name, kept))
    known = set(old_ids)
    rows.extend(columns for name, columns in new.items() if name not in known)
    return {
        c: np.array([r[c] for r in rows], DTYPES[c]) if c in DTYPES else tuple(r[c] for r in rows)
        for c in names
    }
