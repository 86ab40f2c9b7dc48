"""GeoJSON: a FeatureCollection of points, its properties are the columns (RFC 7946)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.table import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Table, Unreadable

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 128 << 20
_WGS84: Final = ("crs84", "4326", "4490")  # what the old member "crs" may name


def read_geojson(path: Path) -> Table:
    """Return the table of a file's features, with the columns longitude and latitude.

    Raises
    ------
    Unreadable
        Not GeoJSON, too large, or a geometry that is no point: all of them are named.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Unreadable(f"{path.name}: {size >> 20} MiB, more than {MAX_BYTES >> 20}: split it")
    try:
        held = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name}: not JSON in UTF-8: {error}") from error
    features = held.get("features") if isinstance(held, dict) else None
    if not isinstance(features, list) or held.get("type") != "FeatureCollection":
        raise Unreadable(f'{path.name}: is no GeoJSON: wanted {{"type": "FeatureCollection", …}}')
    _check_crs(path.name, held)
    if len(features) > MAX_ROWS:
        raise Unreadable(f"{path.name}: more than {MAX_ROWS} features: split it")
    lines: list[str] = []
    points = [_point(path.name, i, feature, lines) for i, feature in enumerate(features)]
    if lines:
        raise Unreadable(*lines)
    return _table(path.name, features, points)


def _table(name: str, features: list[Any], points: list[list[Any]]) -> Table:
    headers = list(dict.fromkeys(key for f in features for key in f.get("properties") or {}))
    if len(headers) > MAX_COLUMNS:
        raise Unreadable(f"{name}: more than {MAX_COLUMNS} properties: leave some away")
    columns = [
        [
            _cell(name, i, header, (f.get("properties") or {}).get(header))
            for i, f in enumerate(features)
        ]
        for header in headers
    ]
    names = [*headers, "longitude", "latitude"]

    def cell(row: int, column: int) -> str:
        inside = "geometry" if column >= len(headers) else f"properties.{names[column]}"
        return f"features[{row}].{inside}"

    return Table(
        file=name,
        headers=names,
        columns=[*columns, [p[0] for p in points], [p[1] for p in points]],
        rows=list(range(len(features))),
        cell=cell,
        said=[f"{name}: {len(features)} features"],
    )


def _point(name: str, i: int, feature: Any, lines: list[str]) -> list[Any]:
    """Return longitude and latitude, None twice where a feature has no geometry."""
    where = f"{name} features[{i}]"
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(feature, dict) or not isinstance(properties, dict | None):
        lines.append(f"{where}: is no feature with properties")
        return [None, None]
    geometry = feature.get("geometry")
    if geometry is None:
        return [None, None]
    at = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if not isinstance(at, list) or geometry.get("type") != "Point" or len(at) not in (2, 3):
        said = geometry.get("type") if isinstance(geometry, dict) else geometry
        lines.append(f"{where}.geometry: {str(said)[:40]!r} is no Point: give each device one")
        return [None, None]
    return at[:2]


def _cell(name: str, i: int, header: str, value: Any) -> Any:
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and len(value) > MAX_CELL:
        raise Unreadable(f"{name} features[{i}].properties.{header}: a text too long")
    return None if value == "" else value


def _check_crs(name: str, held: dict[str, Any]) -> None:
    crs = held.get("crs")
    said = json.dumps(crs).casefold() if crs is not None else ""
    if said and not any(known in said for known in _WGS84):
        told = f"{name}: crs {said[:80]} is not WGS 84 or CGCS2000: transform it first (ogr2ogr "
        raise Unreadable(told + "-t_srs EPSG:4326); GCJ-02 has --crs gcj02")
