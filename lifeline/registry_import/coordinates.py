"""GCJ-02 to WGS 84 and back, and coordinates that cannot be right.

GCJ-02 is the shifted datum of maps in China. Its formulas are not published officially; these are
the ones known everywhere (the shift in metres as a sum of sines over an ellipsoid of Krasovsky
1940), as in the public package eviltransform, whose example points the tests compare with. No
library is used: the maintained ones bring a server or a compiler for forty lines. CGCS2000 agrees
with WGS 84 within decimetres and is taken as equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Degrees = NDArray[np.float64]

CRS: Final = ("wgs84", "cgcs2000", "gcj02")
SEMI_MAJOR_M: Final = 6_378_245.0
ECCENTRICITY2: Final = 0.006_693_421_622_965_943
CHINA: Final = (72.004, 0.8293, 137.8347, 55.8271)  # west, south, east, north of the shift
TURNS: Final = 12
DECIMALS: Final = 7  # a centimetre


def _shift(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """Return by how many degrees GCJ-02 lies east and north of WGS 84 at WGS 84 points."""
    x, y = lon - 105.0, lat - 35.0
    pi = np.pi
    common = (20.0 * np.sin(6.0 * x * pi) + 20.0 * np.sin(2.0 * x * pi)) * 2.0 / 3.0
    root = np.sqrt(np.abs(x))
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    north += (20.0 * np.sin(y * pi) + 40.0 * np.sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * np.sin(y / 12.0 * pi) + 320.0 * np.sin(y / 30.0 * pi)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    east += (20.0 * np.sin(x * pi) + 40.0 * np.sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * np.sin(x / 12.0 * pi) + 300.0 * np.sin(x / 30.0 * pi)) * 2.0 / 3.0
    angle = np.radians(lat)
    magic = 1.0 - ECCENTRICITY2 * np.sin(angle) ** 2
    meridian_m = SEMI_MAJOR_M * (1.0 - ECCENTRICITY2) / (magic * np.sqrt(magic))
    parallel_m = SEMI_MAJOR_M / np.sqrt(magic) * np.cos(angle)
    return np.degrees(east / parallel_m), np.degrees(north / meridian_m)


def in_china(lon: Degrees, lat: Degrees) -> NDArray[np.bool_]:
    """Tell which points lie in the box where GCJ-02 is shifted."""
    west, south, east, north = CHINA
    inside: NDArray[np.bool_] = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    return inside


def wgs84_to_gcj02(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """Return GCJ-02 degrees of WGS 84 degrees; outside China they are the same."""
    east, north = _shift(lon, lat)
    inside = in_china(lon, lat)
    return np.where(inside, lon + east, lon), np.where(inside, lat + north, lat)


def gcj02_to_wgs84(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """Return WGS 84 degrees of GCJ-02 degrees, by iteration, to better than a millimetre."""
    x, y = lon.copy(), lat.copy()
    for _ in range(TURNS):
        gx, gy = wgs84_to_gcj02(x, y)
        x, y = x + (lon - gx), y + (lat - gy)
    return x, y
