"""``lifeline registry export``: the registry as a table that imports without a difference."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.registry_import.coordinates import DECIMALS, wgs84_to_gcj02
from lifeline.registry_import.fields import FIELDS
from lifeline.registry_import.present import effective
from lifeline.registry_import.table import Unreadable
from lifeline.registry_import.workbook import workbook_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifeline.registry_import.present import Entry, Present

Row = dict[str, Any]
SUFFIXES: Final = (".csv", ".xlsx", ".geojson")
_WRITTEN: Final = tuple(name for name in FIELDS if name != "replaces")
GCJ_DECIMALS: Final = DECIMALS + 2  # so that the way back rounds to the same centimetre


def export(present: Present, path: Path, *, crs: str = "wgs84") -> int:
    """Write the registry as a table by the suffix of ``path``; return the number of rows.

    Raises
    ------
    Unreadable
        No such kind of file.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable(f"{path.name}: write .csv, .xlsx or .geojson")
    rows = list(_rows(present))
    if crs == "gcj02":
        _shift(rows)
    names = [name for name in _WRITTEN if any(name in row for row in rows)]
    if suffix == ".geojson":
        data = _geojson(rows)
    elif suffix == ".csv":
        data = _csv(names, rows)
    else:
        data = workbook_bytes(names, [[row.get(name) for name in names] for row in rows])
    path.write_bytes(data)
    return len(rows)


def _rows(present: Present) -> Iterator[Row]:
    """Yield a row a channel, and one for what has none: assets without sensors, silent devices."""
    told: set[str] = set()
    for asset in present.assets.values():
        about = _cells("asset", asset) | _site(present, asset)
        about |= {"longitude": asset["at"][0], "latitude": asset["at"][1]} if "at" in asset else {}
        none = True
        for sensor in asset.get("sensors", ()):
            device = present.devices[sensor["device"]]
            told.add(device["id"])
            for channel in sensor["channels"]:
                none = False
                own = _cells("channel", effective(sensor, channel))
                yield about | _device(device) | {"sensor": sensor["id"]} | own
        if none:
            yield about
    for device in present.devices.values():
        if device["id"] not in told:
            yield {"asset": device["asset"]} | _device(device)


def _device(device: Entry) -> Row:
    return _cells("device", device)


def _site(present: Present, asset: Entry) -> Row:
    site = present.sites.get(asset.get("site", ""), {})
    return {name: site[key] for name, key in (("site_name", "name"), ("site_name_zh", "name_zh"))
            if key in site}  # fmt: skip


def _cells(of: str, entry: Entry) -> Row:
    row: Row = {}
    for name, field in FIELDS.items():
        if field.of != of or field.key not in entry or field.key in ("at", "range"):
            continue
        value = entry[field.key]
        if field.reads == "json":
            value = json.dumps(value, ensure_ascii=False)
        elif field.reads == "numbers":
            value = "; ".join(f"{v:g}" if v == float(f"{v:g}") else repr(v) for v in value)
        if value not in ("", "{}"):
            row[name] = value
    if of == "channel" and "range" in entry:
        row["range_low"], row["range_high"] = entry["range"]
    return row


def _shift(rows: list[Row]) -> None:
    placed = [row for row in rows if "longitude" in row]
    lon = np.array([row["longitude"] for row in placed], np.float64)
    lat = np.array([row["latitude"] for row in placed], np.float64)
    x, y = wgs84_to_gcj02(lon, lat)
    for row, east, north in zip(placed, x.tolist(), y.tolist(), strict=True):
        row["longitude"], row["latitude"] = round(east, GCJ_DECIMALS), round(north, GCJ_DECIMALS)


def _csv(names: list[str], rows: list[Row]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([row.get(name) for name in names] for row in rows)
    return out.getvalue().encode("utf-8-sig")  # spreadsheet programs know UTF-8 by the mark


def _geojson(rows: list[Row]) -> bytes:
    features = []
    for row in rows:
        placed = "longitude" in row
        point = {"type": "Point", "coordinates": [row.pop("longitude"), row.pop("latitude")]} if (
            placed
        ) else None  # fmt: skip
        features.append({"type": "Feature", "geometry": point, "properties": row})
    whole = {"type": "FeatureCollection", "features": features}
    return (json.dumps(whole, ensure_ascii=False) + "\n").encode()
