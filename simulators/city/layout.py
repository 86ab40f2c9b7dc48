"""Where things are: a grid of streets, two ring roads, a river with bridges, a railway, mains.

All in metres east and north of the centre; ``lonlat`` turns a place into WGS 84. Everything follows
from the seed, so the registry and the map of one seed agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

CENTRE = (113.62, 34.75)  # degrees; a plausible place on the North China Plain
M_PER_DEG_LAT = 110_940.0
M_PER_DEG_LON = 91_500.0  # at 34.75 degrees north
HALF_M = 2600.0

Point = tuple[float, float]

EW_NAMES = (
    ("Nanyang", "南阳"),
    ("Longhai", "陇海"),
    ("Heping", "和平"),
    ("Zhongyuan", "中原"),
    ("Renmin", "人民"),
    ("Jinshui", "金水"),
    ("Wenhua", "文化"),
    ("Nongye", "农业"),
    ("Beihuan", "北环"),
)
NS_NAMES = (
    ("Xisihuan", "西四环"),
    ("Tongbai", "桐柏"),
    ("Songshan", "嵩山"),
    ("Jingguang", "京广"),
    ("Erqi", "二七"),
    ("Huayuan", "花园"),
    ("Weilai", "未来"),
    ("Zhongzhou", "中州"),
    ("Dongfeng", "东风"),
)
BRIDGE_COLUMNS = (1, 3, 5, 7)  # the north-south streets that cross the river
TUNNEL_COLUMN = 4  # this one crosses below it


@dataclass(frozen=True, slots=True)
class Street:
    """A street: its names, whether it runs east-west, and its pieces (a river may cut it)."""

    name: str
    name_zh: str
    east_west: bool
    pieces: tuple[tuple[Point, ...], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The drawn city, in metres from the centre."""

    ew: tuple[Street, ...]
    ns: tuple[Street, ...]
    rows_m: tuple[float, ...]  # y of the east-west streets
    columns_m: tuple[float, ...]  # x of the north-south streets
    rings: tuple[tuple[Point, ...], ...]
    river: tuple[Point, ...]
    railway: tuple[Point, ...]

    def river_y(self, x_m: float) -> float:
        """Return where the river is at ``x_m``."""
        xs, ys = zip(*self.river, strict=True)
        return float(np.interp(x_m, xs, ys))

    def railway_x(self, y_m: float) -> float:
        """Return where the railway is at ``y_m``."""
        xs, ys = zip(*self.railway, strict=True)
        return float(np.interp(y_m, ys, xs))


def lonlat(point: Point) -> list[float]:
    """Return [lon, lat] in degrees, six decimals (0.1 m)."""
    return [
        round(CENTRE[0] + point[0] / M_PER_DEG_LON, 6),
        round(CENTRE[1] + point[1] / M_PER_DEG_LAT, 6),
    ]


def metres(lon: float, lat: float) -> Point:
    """Undo lonlat."""
    return ((lon - CENTRE[0]) * M_PER_DEG_LON, (lat - CENTRE[1]) * M_PER_DEG_LAT)


def draw(seed: int) -> Layout:
    """Return the layout of a seed."""
    random = Random(f"layout {seed}")
    spacing = 2 * HALF_M / (len(EW_NAMES) - 1)
    rows = tuple(
        round(-HALF_M + i * spacing + random.uniform(-60, 60), 1) for i in range(len(EW_NAMES))
    )
    columns = tuple(
        round(-HALF_M + i * spacing + random.uniform(-60, 60), 1) for i in range(len(NS_NAMES))
    )
    phase, swing = random.uniform(-0.4, 0.4), random.uniform(120, 170)
    middle = (rows[5] + rows[6]) / 2
    river = tuple(
        (float(x), round(middle + swing * float(np.sin(x / 1500 + phase)), 1))
        for x in range(-3600, 3601, 150)
    )
    lean = random.uniform(0.12, 0.2)
    rail_x = (columns[3] + columns[4]) / 2
    railway = tuple((round(rail_x + lean * y, 1), float(y)) for y in range(-3600, 3601, 400))
    bare = Layout((), (), rows, columns, (), river, railway)
    ew = tuple(
        Street(f"{name} Rd", f"{zh}路", True, (((-HALF_M, y), (HALF_M, y)),))
        for (name, zh), y in zip(EW_NAMES, rows, strict=True)
    )
    ns = tuple(_north_south(bare, i) for i in range(len(NS_NAMES)))
    rings = (_ring(1500.0, 1500.0), _ring(3100.0, 3000.0))
    return Layout(ew, ns, rows, columns, rings, river, railway)


def _north_south(layout: Layout, i: int) -> Street:
    name, zh = NS_NAMES[i]
    x = layout.columns_m[i]
    if i in BRIDGE_COLUMNS or i == TUNNEL_COLUMN:
        pieces: tuple[tuple[Point, ...], ...] = (((x, -HALF_M), (x, HALF_M)),)
    else:
        bank = layout.river_y(x)
        pieces = (((x, -HALF_M), (x, bank - 60)), ((x, bank + 60), (x, HALF_M)))
    return Street(f"{name} St", f"{zh}街", False, pieces)


def _ring(a_m: float, b_m: float) -> tuple[Point, ...]:
    """Return a closed superellipse: a ring road is a square with round corners."""
    turn = np.linspace(0, 2 * np.pi, 49)
    c, s = np.cos(turn), np.sin(turn)
    x = a_m * np.sign(c) * np.abs(c) ** 0.6
    y = b_m * np.sign(s) * np.abs(s) ** 0.6
    return tuple((round(float(p), 1), round(float(q), 1)) for p, q in zip(x, y, strict=True))


def mains(layout: Layout) -> dict[str, list[tuple[Point, ...]]]:
    """Return the pipes by kind: each runs along a street, a few metres from its middle."""
    w = HALF_M - 100
    drawn: dict[str, list[tuple[Point, ...]]] = {k: [] for k in ("gas", "water", "drain", "heat")}
    for i, y in enumerate(layout.rows_m):
        drawn["gas" if i % 2 else "water"].append(((-w, y + 6), (w, y + 6)))
        drawn["drain"].append(((-w, y - 6), (w, y - 6)))
    for i, x in enumerate(layout.columns_m):
        if i in BRIDGE_COLUMNS:
            drawn["gas"].append(((x + 8, -w), (x + 8, w)))
        elif i % 2 == 0 and i != TUNNEL_COLUMN:
            bank = layout.river_y(x) - 80
            drawn["water"].append(((x - 8, -w), (x - 8, bank)))
    plant = (layout.columns_m[1], layout.rows_m[1])
    for i in (1, 2, 3):
        y = layout.rows_m[i]
        drawn["heat"].append((plant, (plant[0], y - 12), (layout.columns_m[6], y - 12)))
    return drawn


def features(layout: Layout, gallery_row: int) -> dict[str, Any]:
    """Return the map as a GeoJSON FeatureCollection of lines; ``kind`` says what each is."""
    held: list[dict[str, Any]] = []

    def line(kind: str, points: tuple[Point, ...], name: str = "", name_zh: str = "") -> None:
        held.append(
            {
                "type": "Feature",
                "properties": {"kind": kind, "name": name, "name_zh": name_zh},
                "geometry": {"type": "LineString", "coordinates": [lonlat(p) for p in points]},
            }
        )

    line("river", layout.river, "Jialu River", "贾鲁河")
    line("railway", layout.railway, "Railway", "铁路")
    for ring, (name, zh) in zip(
        layout.rings, (("Inner Ring", "内环路"), ("Outer Ring", "外环路")), strict=True
    ):
        line("ring", ring, name, zh)
    for street in (*layout.ew, *layout.ns):
        for piece in street.pieces:
            line("street", piece, street.name, street.name_zh)
    for kind, pipes in mains(layout).items():
        for pipe in pipes:
            line(f"{kind}_main", pipe)
    y = layout.rows_m[gallery_row]
    line("gallery", ((-1500.0, y + 14), (1500.0, y + 14)), "Utility tunnel", "综合管廊")
    x = layout.columns_m[TUNNEL_COLUMN]
    bank = layout.river_y(x)
    line("tunnel", ((x, bank - 350), (x, bank + 350)), "River tunnel", "过河隧道")
    return {"type": "FeatureCollection", "features": held}
