"""The map's geometry: made once a site and sight, sent compressed, asked for again by its ETag.

A page of 85 000 sensors is kept thin by giving it columns instead of features: whole numbers of
1e-6 degrees, words by their number, lines by the numbers of the assets they join. What changes from
second to second, the alarms, comes by the stream and is laid over it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from starlette.responses import Response

from lifeline.console.view import map_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from starlette.datastructures import Headers

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Scopes, Sight
    from lifeline.site import Site
    from rules.registry import Registry

MOST_KEPT: Final = 32  # sights × two forms
ALONG: Final = ("order", "chainage_m")  # an asset's place along its zone's line
Chains = list[list[int]]


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tile server of the site's own, drawn below everything; none is needed."""

    url: str  # https://host/{z}/{x}/{y}.png
    attribution: str = ""
    max_zoom: int = 19

    @property
    def origin(self) -> str:
        """Return what the page's content security policy has to allow."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer, ready to send."""

    site: Site | None
    stamp: tuple[int, int]  # of the site's own map file
    etag: str
    packed: bytes  # gzip


class Maps:
    """Keeps what was made until registry or map file change; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, Scopes], Kept] = {}

    def answer(self, desk: Desk, sight: Sight, headers: Headers, *, form: str) -> Response:
        """Return the map in a form, or 304 where the browser has this very one."""
        kept = self._of(desk, sight, form)
        said = {"ETag": kept.etag, "Cache-Control": "private, no-cache", "Vary": "Cookie"}
        if kept.etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=said)
        if "gzip" not in headers.get("accept-encoding", ""):
            return Response(gzip.decompress(kept.packed), media_type=JSON, headers=said)
        said["Content-Encoding"] = "gzip"
        return Response(kept.packed, media_type=JSON, headers=said)

    def _of(self, desk: Desk, sight: Sight, form: str) -> Kept:
        path = desk.settings.map_file or desk.data / "map.geojson"
        site, stamp, key = desk.keeper.site, _stamp(path), (form, sight.scopes)
        with self._lock:  # pages that ask at once wait for one making
            kept = self._kept.get(key)
            if kept is None or kept.site is not site or kept.stamp != stamp:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                raw = orjson.dumps(FORMS[form](desk, sight, _streets(path, desk)))
                etag = f'"{hashlib.blake2b(raw, digest_size=12).hexdigest()}"'
                kept = Kept(site, stamp, etag, gzip.compress(raw, 6, mtime=0))
                self._kept[key] = kept
            return kept


JSON: Final = "application/json"


def _stamp(path: Path) -> tuple[int, int]:
    try:
        held = path.stat()
    except OSError:
        return (0, 0)
    return (held.st_mtime_ns, held.st_size)


def _streets(path: Path, desk: Desk) -> list[Any]:
    """Return the features of the site's own map; one that cannot be read is told, not fatal."""
    if not path.is_file():
        return []
    try:
        features = json.loads(path.read_bytes())["features"]
        if not isinstance(features, list):
            raise TypeError("features is no list")  # noqa: TRY301 - one kind of refusal
    except (OSError, ValueError, KeyError, TypeError) as error:
        desk.flow.problems["map"] = f"{path.name} is no GeoJSON FeatureCollection: {error!r}"[:300]
        return []
    desk.flow.problems.pop("map", None)
    return features


def geojson(desk: Desk, sight: Sight, streets: list[Any]) -> dict[str, Any]:
    """Return the assets that are seen and the site's own map as GeoJSON (RFC 7946)."""
    told = map_json(desk, sight)
    told["features"] += streets
    return told


def columns(desk: Desk, sight: Sight, streets: list[Any]) -> dict[str, Any]:
    """Return the assets that are seen and the lines between them, as the page draws them.

    ``assets`` are columns of one length: ``id``, ``x`` and ``y`` (1e-6 degrees, WGS 84), ``domain``
    and ``type`` (numbers into ``domains`` and ``types``). Each of ``lines`` has ``network`` (the
    attribute it stands in, or ``sections``), ``domain`` and ``chains`` of numbers of assets.
    """
    site, tiles = desk.keeper.site, desk.settings.tiles
    told: dict[str, Any] = {
        "streets": streets,
        "tiles": None if tiles is None else asdict(tiles),
    }
    if site is None:
        empty: dict[str, list[Any]] = {k: [] for k in ("id", "x", "y", "domain", "type")}
        return told | {"assets": empty, "domains": [], "types": [], "lines": []}
    assets = site.registry.assets
    placed = assets.alive & np.isfinite(assets.lon) & np.isfinite(assets.lat)
    rows = [row for row in np.flatnonzero(placed).tolist() if sight.asset(row)]
    number = {row: i for i, row in enumerate(rows)}
    domains, domain = _numbered(assets.domain[row] for row in rows)
    types, kind = _numbered(assets.asset_type[row] for row in rows)
    lines = [
        {
            "network": name,
            "domain": of,
            "chains": [[number[row] for row in chain] for chain in chains],
        }
        for (name, of), chains in networks(site.registry, number.keys()).items()
    ]
    held = {
        "id": [assets.id[row] for row in rows],
        "x": np.rint(assets.lon[rows] * 1e6).astype(np.int64).tolist() if rows else [],
        "y": np.rint(assets.lat[rows] * 1e6).astype(np.int64).tolist() if rows else [],
        "domain": domain,
        "type": kind,
    }
    return told | {"assets": held, "domains": domains, "types": types, "lines": lines}


def _numbered(words: Iterable[str]) -> tuple[list[str], list[int]]:
    """Return the different words, and each word's number among them."""
    known: dict[str, int] = {}
    numbers = [known.setdefault(word, len(known)) for word in words]
    return list(known), numbers


def networks(registry: Registry, among: Iterable[int]) -> dict[tuple[str, str], Chains]:
    """Return (network, domain) → chains of asset rows, all of them among those given.

    An attribute that names other assets joins them, as ``rules/language/nearby.py`` has it
    (``neighbours``, ``downstream``, …); assets of one zone and type that say their place along it
    (``order`` or ``chainage_m``) are its sections.
    """
    assets, seen = registry.assets, set(among)
    joined: dict[tuple[str, str], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    along: dict[tuple[str, str, str], list[tuple[float, int]]] = defaultdict(list)
    for row in sorted(seen):
        domain, attributes = assets.domain[row], assets.attributes[row]
        alone = True
        for name, value in attributes.items():
            for other in ids_in(value):
                to = registry.asset_row.get(other)
                if to is None or to == row:
                    continue
                alone = False
                if to in seen:
                    joined[name, domain][row].add(to)
                    joined[name, domain][to].add(row)
        said = (attributes.get(k) for k in ALONG)
        place = next((x for x in said if isinstance(x, int | float)), None)
        if alone and place is not None and assets.zone[row]:
            key = (assets.zone[row], assets.asset_type[row], domain)
            along[key].append((float(place), row))
    found = {key: _chains(edges) for key, edges in joined.items()}
    for (_, _, domain), held in along.items():
        if len(held) > 1:
            found.setdefault(("sections", domain), []).append([row for _, row in sorted(held)])
    return found


def ids_in(value: Any) -> Iterable[str]:
    """Return the words of an attribute: ids of other assets, or addresses."""
    if isinstance(value, str):
        return (value,)
    return (each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _chains(edges: dict[int, set[int]]) -> Chains:
    """Return every edge once, as few and as long lines as a walk from the ends gives."""
    left = {row: set(others) for row, others in edges.items()}
    chains: Chains = []
    ends = sorted(row for row, others in edges.items() if len(others) != 2)
    for start in (*ends, *sorted(edges)):  # then what has no end: rings
        while left[start]:
            chain = [start]
            while left[chain[-1]]:
                here = chain[-1]
                to = min(left[here])
                left[here].discard(to)
                left[to].discard(here)
                chain.append(to)
                if len(edges[to]) != 2:
                    break
            chains.append(chain)
    return chains


FORMS: Final[dict[str, Callable[[Desk, Sight, list[Any]], dict[str, Any]]]] = {
    "geojson": geojson,
    "columns": columns,
}
