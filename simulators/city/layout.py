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
DEMO_STREETS = 9  # each way; a larger city has more of the same blocks
BLOCK_M = 650.0

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
TUNNEL_COLUMN = 4  # crosses below the river


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

    @property
    def half_m(self) -> float:
        """Half the length of a street."""
        return BLOCK_M * (len(self.rows_m) - 1) / 2

    @property
    def bridges(self) -> tuple[int, ...]:
        """The north-south streets that cross the river on bridges: every other one."""
        return tuple(range(1, len(self.columns_m), 2))

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


def metres(lon: Any, lat: Any) -> tuple[Any, Any]:
    """Undo lonlat, of numbers or columns."""
    return ((lon - CENTRE[0]) * M_PER_DEG_LON, (lat - CENTRE[1]) * M_PER_DEG_LAT)


def draw(seed: int, streets: int = DEMO_STREETS) -> Layout:
    """Return the layout of a seed with so many streets each way."""
    random = Random(f"layout {seed}")
    half = BLOCK_M * (streets - 1) / 2
    rows = tuple(round(-half + i * BLOCK_M + random.uniform(-60, 60), 1) for i in range(streets))
    columns = tuple(round(-half + i * BLOCK_M + random.uniform(-60, 60), 1) for i in range(streets))
    phase, swing = random.uniform(-0.4, 0.4), random.uniform(120, 170)
    at = streets // 2 + 1
    middle = (rows[at] + rows[at + 1]) / 2
    outer = int(half + 1000)
    river = tuple(
        (float(x), round(middle + swing * float(np.sin(x / 1500 + phase)), 1))
        for x in range(-outer, outer + 1, 150)
    )
    lean = random.uniform(0.12, 0.2)
    rail_x = (columns[at - 2] + columns[at - 1]) / 2
    railway = tuple((round(rail_x + lean * y, 1), float(y)) for y in range(-outer, outer + 1, 400))
    bare = Layout((), (), rows, columns, (), river, railway)
    ew = tuple(
        Street(f"{name} Rd", f"{zh}路", True, (((-half, y), (half, y)),))
        for (name, zh), y in zip(_named(EW_NAMES, streets), rows, strict=True)
    )
    ns = tuple(_north_south(bare, i, name) for i, name in enumerate(_named(NS_NAMES, streets)))
    rings = (_ring(1500.0, 1500.0), _ring(half + 500, half + 400))
    return Layout(ew, ns, rows, columns, rings, river, railway)


def _named(names: tuple[tuple[str, str], ...], count: int) -> list[tuple[str, str]]:
    """Return so many street names: the known ones, then numbered."""
    return [
        names[i]
        if i < len(names)
        else (f"{names[i % 9][0]} {i // 9 + 1}", f"{names[i % 9][1]}{i // 9 + 1}")
        for i in range(count)
    ]


def _north_south(layout: Layout, i: int, named: tuple[str, str]) -> Street:
    name, zh = named
    x, half = layout.columns_m[i], layout.half_m
    if i in layout.bridges or i == TUNNEL_COLUMN:
        pieces: tuple[tuple[Point, ...], ...] = (((x, -half), (x, half)),)
    else:
        bank = layout.river_y(x)
        pieces = (((x, -half), (x, bank - 60)), ((x, bank + 60), (x, half)))
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
    w = layout.half_m - 100
    drawn: dict[str, list[tuple[Point, ...]]] = {k: [] for k in ("gas", "water", "drain", "heat")}
    for i, y in enumerate(layout.rows_m):
        drawn["gas" if i % 2 else "water"].append(((-w, y + 6), (w, y + 6)))
        drawn["drain"].append(((-w, y - 6), (w, y - 6)))
    for i, x in enumerate(layout.columns_m):
        if i in layout.bridges:
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
