"""Longitude and latitude of the table as WGS 84, and those that cannot be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.registry_import.coordinates import DECIMALS, gcj02_to_wgs84

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lifeline.registry_import.gathering import Rows
    from lifeline.registry_import.present import Present

LON: Final = (73.0, 136.0)  # of China
LAT: Final = (3.0, 54.0)
REACH: Final = 1.5  # degrees from the middle of what is known: a city and its surroundings
LEAST_KNOWN: Final = 5  # places, before a middle is taken


@dataclass(frozen=True, slots=True)
class Box:
    """West, south, east, north in degrees, and what it is called."""

    west: float
    south: float
    east: float
    north: float
    name: str

    def holds(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points lie inside."""
        inside: NDArray[np.bool_] = (lon >= self.west) & (lon <= self.east)
        return inside & (lat >= self.south) & (lat <= self.north)


CHINA: Final = Box(LON[0], LAT[0], LON[1], LAT[1], "China")


def take_places(rows: Rows, present: Present, *, crs: str, box: Box | None) -> None:
    """Give each asset with coordinates its ``at`` as WGS 84; note those that cannot be right."""
    found: list[tuple[str, float, float]] = []
    for asset, said in rows.asset.items():
        lon, lat = said.pop("longitude", None), said.pop("latitude", None)
        if lon is None and lat is None:
            continue
        one = lon or lat
        row = one[1] if one is not None else 0
        if lon is None or lat is None:
            name = "longitude" if lon is None else "latitude"
            _note(rows, name, row, f"{name} is missing beside the other", "coordinate")
        elif not all(isinstance(v[0], int | float) for v in (lon, lat)):
            said["at"] = (lon[0], row)
        else:
            found.append((asset, float(lon[0]), float(lat[0])))
            said["at"] = ([lon[0], lat[0]], row)
    if not found:
        return
    x, y = np.array([f[1] for f in found]), np.array([f[2] for f in found])
    kept = _check(rows, found, x, y, box or _reach(present, x, y))
    if crs == "gcj02":
        x, y = gcj02_to_wgs84(x, y)
    for i in np.flatnonzero(kept).tolist():
        asset = found[i][0]
        at = [round(float(x[i]), DECIMALS), round(float(y[i]), DECIMALS)]
        old = present.assets.get(asset, {}).get("at")
        same = old is not None and np.allclose(old, at, rtol=0, atol=10.0**-DECIMALS)
        rows.asset[asset]["at"] = (old if same else at, rows.asset[asset]["at"][1])


def _reach(present: Present, x: NDArray[np.float64], y: NDArray[np.float64]) -> Box | None:
    """Return the surroundings of the registered places, or of the table's own."""
    known = [entry["at"] for entry in present.assets.values() if "at" in entry]
    name = "the registered assets"
    if len(known) < LEAST_KNOWN:
        known, name = np.column_stack((x, y)).tolist(), "the other places of this table"
    if len(known) < LEAST_KNOWN:
        return None
    lon, lat = np.median(np.array(known), axis=0).tolist()
    return Box(lon - REACH, lat - REACH, lon + REACH, lat + REACH, name)


def _check(
    rows: Rows,
    found: list[tuple[str, float, float]],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    box: Box | None,
) -> NDArray[np.bool_]:
    china = CHINA.holds(x, y)
    near = box.holds(x, y) if box is not None else china
    for i in np.flatnonzero(~china | ~near).tolist():
        asset, lon, lat = found[i]
        row = rows.asset[asset]["at"][1]
        if not china[i] and CHINA.holds(y[i : i + 1], x[i : i + 1])[0]:
            told = f"longitude {lon:g} and latitude {lat:g} are swapped: change the columns' names"
            _note(rows, "longitude", row, told, "coordinates swapped")
            continue
        wrong_lon = not (LON[0] <= lon <= LON[1]) if not china[i] else (
            box is not None and not (box.west <= lon <= box.east)
        )  # fmt: skip
        name = "longitude" if wrong_lon else "latitude"
        if not china[i]:
            told = "outside China; write WGS 84 in decimal degrees, such as 113.62 and 34.75"
        else:
            far = box.name if box is not None else ""
            told = f"more than {REACH}° from {far}; if it is right: --box WEST,SOUTH,EAST,NORTH"
        _note(rows, name, row, told, "coordinate")
    return china & near


def _note(rows: Rows, name: str, row: int, message: str, kind: str) -> None:
    rows.note(name, row, message, kind)


def box_of(text: str) -> Box:
    """Return the box of ``--box``.

    Raises
    ------
    ValueError
        Not four rising numbers.
    """
    parts: list[Any] = text.split(",")
    try:
        west, south, east, north = map(float, parts)
    except ValueError:
        raise ValueError(f"--box {text}: write WEST,SOUTH,EAST,NORTH in degrees") from None
    if not (west < east and south < north):
        raise ValueError(f"--box {text}: west must be less than east, south less than north")
    return Box(west, south, east, north, "the box of --box")
