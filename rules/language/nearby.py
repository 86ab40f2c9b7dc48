"""Who is near whom: by distance, along a network of assets, or within a zone or an asset.

Worked out once, when rules are compiled against a registry; the engine gets channel rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, PlainValidator, model_validator
from scipy.spatial import cKDTree

from rules.language.amounts import read_amount
from rules.strict_models import Strict
from rules.units import UnknownUnit, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from rules.registry import Registry

EARTH_M: Final = 6_371_008.8  # mean radius
MAX_NEAR_M: Final = 50_000.0
MAX_NEIGHBOURS: Final = 16
"""The nearest so many count. One width for all, so that a new sensor changes no other's meaning."""


def _metres(value: object) -> float:
    """Read ``50 m`` or ``1.2 km``."""
    amount = read_amount(value)
    try:
        unit = parse(amount.unit) if amount.unit else None
    except UnknownUnit as error:
        raise ValueError(f'{error}: write "50 m" or "1.2 km"') from None
    if unit is None or unit.dimension != (("m", 1),):
        raise ValueError(f'{str(value)[:40]!r} is no distance: write "50 m"')
    metres = float(amount.number * unit.scale)
    if not 0 < metres <= MAX_NEAR_M:
        raise ValueError(f"{str(value)[:40]!r} must be above 0 m and at most 50 km")
    return metres


Near = Annotated[float, PlainValidator(_metres, json_schema_input_type=str)]
Hops = Annotated[int, Field(ge=1, le=20)]
Scope = Literal["zone", "asset"]


def one_way(near: float | None, network: str | None, hops: int | None, scope: str | None) -> None:
    """Check that a rule says in exactly one way who is near.

    Raises
    ------
    ValueError
        With what to write.
    """
    if sum(way is not None for way in (near, network, scope)) != 1:
        raise ValueError("must say once who is near: near: 50 m, network and hops, or scope: zone")
    if (network is None) != (hops is None):
        raise ValueError("network and hops belong together: network: gas_pipe, hops: 2")


class Where(Strict):
    """Keys that say in one way who is near."""

    near: Near | None = None
    network: str | None = None
    hops: Hops | None = None
    scope: Scope | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_way(self.near, self.network, self.hops, self.scope)
        return self


@dataclass(frozen=True, slots=True)
class Nearby:
    """Finds the channels near each channel among the given rows of a registry."""

    registry: Registry
    among: NDArray[np.intp]  # candidates, rising

    def of(self, rows: NDArray[np.intp], body: Any) -> list[list[int]]:
        """Return, for each row, the others near it: the nearest first, then by row."""
        if body.near is not None:
            return self._by_distance(rows, body.near)
        asset = self.registry.channels.asset
        if body.network is not None:
            return self._by_hops(rows, self._steps(body.network, body.hops))
        if body.scope == "asset":
            return self._in_group(rows, lambda row: int(asset[row]))
        zone = self.registry.assets.zone
        return self._in_group(rows, lambda row: zone[asset[row]] or None)

    def _points(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return points on the globe in metres, [n, 3]; NaN without a place.

        By Python's math, so that every machine finds the same neighbours.
        """
        assets, asset = self.registry.assets, self.registry.channels.asset[rows]
        out = np.full((len(rows), 3), np.nan)
        places = zip(assets.lon[asset].tolist(), assets.lat[asset].tolist(), strict=True)
        for i, (lon, lat) in enumerate(places):
            if math.isfinite(lon) and math.isfinite(lat):
                a, b = math.radians(lon), math.radians(lat)
                out[i] = (math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b))
        return out * EARTH_M

    def _by_distance(self, rows: NDArray[np.intp], near_m: float) -> list[list[int]]:
        mine, theirs = self._points(rows), self._points(self.among)
        placed = np.flatnonzero(~np.isnan(theirs[:, 0]))
        found: list[list[int]] = [[] for _ in range(len(rows))]
        if not len(placed):
            return found
        chord = 2 * EARTH_M * math.sin(near_m / (2 * EARTH_M))
        tree = cKDTree(theirs[placed])
        for i in np.flatnonzero(~np.isnan(mine[:, 0])).tolist():
            close = placed[tree.query_ball_point(mine[i], chord)]
            found[i] = self._ranked(int(rows[i]), close, theirs[close] - mine[i])
        return found

    def _ranked(self, row: int, places: NDArray[np.intp], away: NDArray[np.float64]) -> list[int]:
        """Return the rows of places but this one, by distance in metres, then by row."""
        distance = np.rint(np.sqrt((away * away).sum(axis=1)))
        order = np.lexsort((places, np.where(np.isnan(distance), np.inf, distance)))
        near: list[int] = self.among[places[order]].tolist()
        return [other for other in near if other != row]

    def _in_group(
        self, rows: NDArray[np.intp], group_of: Callable[[int], int | str | None]
    ) -> list[list[int]]:
        groups: dict[Any, list[int]] = defaultdict(list)
        for place, row in enumerate(self.among.tolist()):
            groups[group_of(row)].append(place)
        mine, theirs = self._points(rows), self._points(self.among)
        found = []
        for i, row in enumerate(rows.tolist()):
            group = group_of(row)
            places = np.array(groups.get(group, []) if group is not None else [], np.intp)
            found.append(self._ranked(row, places, theirs[places] - mine[i]))
        return found

    def _steps(self, network: str, hops: int) -> Callable[[int], dict[int, int]]:
        """Return what finds the assets within so many hops of an asset: asset → hops."""
        edges = network_of(self.registry, network)

        def within(asset: int) -> dict[int, int]:
            reached, edge = {asset: 0}, [asset]
            for step in range(1, hops + 1):
                onward = sorted({b for a in edge for b in edges[a]} - reached.keys())
                reached |= dict.fromkeys(onward, step)
                edge = onward
            return reached

        return within

    def _by_hops(
        self, rows: NDArray[np.intp], within: Callable[[int], dict[int, int]]
    ) -> list[list[int]]:
        asset = self.registry.channels.asset
        on: dict[int, list[int]] = defaultdict(list)
        for row in self.among.tolist():
            on[int(asset[row])].append(row)
        known: dict[int, list[int]] = {}
        for place in set(asset[rows].tolist()):
            reached = within(place)
            known[place] = [
                c for a in sorted(reached, key=lambda a: (reached[a], a)) for c in on[a]
            ]
        return [[c for c in known[int(asset[row])] if c != row] for row in rows.tolist()]


def network_of(registry: Registry, name: str) -> dict[int, set[int]]:
    """Return asset row → asset rows it is joined to, both ways.

    An edge stands in the attribute of that name of either asset: a list of asset ids.
    """
    edges: dict[int, set[int]] = defaultdict(set)
    for row, attributes in enumerate(registry.assets.attributes):
        for other in _ids(attributes.get(name)):
            to = registry.asset_row.get(other)
            if to is not None:
                edges[row].add(to)
                edges[to].add(row)
    return edges


def _ids(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return (item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def padded(lists: list[list[int]], width: int) -> NDArray[np.int64]:
    """Return lists as rows of ``width`` places, cut off or filled up with −1."""
    out = np.full((len(lists), width), -1, np.int64)
    for i, held in enumerate(lists):
        out[i, : len(held)] = held[:width]
    return out
