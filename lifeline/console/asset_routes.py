"""One asset of the city: what is known of it, what it says now; its page at its city code.

``/code/<id>`` is what a plate on the manhole's cover, a work order or a drawing may name: it opens
the console at that asset, after a login where one is asked for. The code may be a sensor's or a
channel's: it opens the asset it is on.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import numpy as np
from fastapi import Path as InPath
from fastapi import Query
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from lifeline.console.access import Asking, sight_of
from lifeline.console.city_map import ALONG, ids_in
from lifeline.console.field_view import entry_json, overlaid
from lifeline.console.live import M_PER_DEGREE, NEAR_M, channel_row
from lifeline.console.sight import OWNER
from lifeline.console.view import alarm_json
from lifeline.ledger import Unknown
from lifeline.ledger.field import FieldBook

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.site import Site

CAMERAS: Final = "cameras"
MOST_NEAR, MOST_CHANNELS, MOST_DEVICES = 12, 500, 50
Code = Annotated[str, InPath(min_length=1, max_length=200)]


def install(app: FastAPI, desk: Desk, static: Path) -> None:
    """Add the routes of single assets."""
    joins = Joins()

    @app.get("/api/find")
    def _find(
        actor: Asking,
        q: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 12,
    ) -> JSONResponse:
        """Return assets by city code, a sensor's code, or a part of the name; best first."""
        site, sight = desk.keeper.site, sight_of(desk, actor)
        rows = [] if site is None else desk.finder.find(site, sight, q, most=limit)
        return JSONResponse({"assets": [brief(site, row) for row in rows] if site else []})

    @app.get("/api/assets/{asset_id}")
    def _asset(asset_id: Code, actor: Asking) -> JSONResponse:
        sight = sight_of(desk, actor)
        row = seen_row(desk, sight, asset_id)
        if row is None or desk.keeper.site is None:
            remedy = "look for it by GET /api/find?q="
            raise Unknown(f"there is no asset {asset_id!r} 没有该设施", remedy=remedy)
        return JSONResponse(asset_json(desk, desk.keeper.site, row, sight, joins))

    @app.get("/code/{code:path}", include_in_schema=False)
    def _code(code: Code, actor: Asking) -> Response:
        if seen_row(desk, sight_of(desk, actor), code) is None:
            return HTMLResponse(_nothing(code), status_code=404)
        return FileResponse(static / "index.html", headers={"Cache-Control": "no-cache"})


class Joins:
    """Who is joined to whom, whichever of the two says so; of the newest site."""

    def __init__(self) -> None:
        self._held: tuple[Site | None, dict[int, dict[int, str]]] = (None, {})

    def of(self, site: Site) -> dict[int, dict[int, str]]:
        """Return asset row → rows it is joined to → the attribute that says so."""
        held, found = self._held
        if held is not site:
            found = {}
            for row, attributes in enumerate(site.registry.assets.attributes):
                for network, value in attributes.items():
                    for name in ids_in(value):
                        other = site.registry.asset_row.get(name, row)
                        if other != row:
                            found.setdefault(row, {}).setdefault(other, network)
                            found.setdefault(other, {}).setdefault(row, network)
            self._held = (site, found)
        return found


def seen_row(desk: Desk, sight: Sight, code: str) -> int | None:
    """Return the row of the asset of a code that is seen, None where there is none."""
    site = desk.keeper.site
    if site is None:
        return None
    row = site.registry.asset_row.get(code.strip("/").partition("/")[0])
    if row is None or not site.registry.assets.alive[row] or not sight.asset(row):
        return None
    return row


def brief(site: Site, row: int) -> dict[str, Any]:
    """Return what names an asset and where it is."""
    assets = site.registry.assets
    lon, lat = float(assets.lon[row]), float(assets.lat[row])
    return {
        "id": assets.id[row],
        "name": {
            "en": assets.name[row] or assets.id[row],
            "zh": assets.name_zh[row] or assets.name[row] or assets.id[row],
        },
        "domain": assets.domain[row],
        "type": assets.asset_type[row],
        "at": [lon, lat] if np.isfinite(lon) and np.isfinite(lat) else None,
    }


def asset_json(desk: Desk, site: Site, row: int, sight: Sight, joins: Joins) -> dict[str, Any]:
    """Return all that is known of an asset; ``design`` are its numbers and words as they stand."""
    registry, attributes = site.registry, site.registry.assets.attributes[row]
    assets, devices = registry.assets, registry.devices
    mine = np.flatnonzero(devices.alive & (devices.asset == row))[:MOST_DEVICES].tolist()
    rows = np.flatnonzero(registry.channels.alive & (registry.channels.asset == row)).tolist()
    now_ns = desk.clock.now_ns()
    zone, simulation = desk.settings.zone, desk.keeper.simulation
    held = [a for a in desk.stand_in.current.open_alarms() if site.asset_of(a.subject) == row]
    told = (OWNER, CAMERAS, "tags")
    book = FieldBook(desk.ledger)
    work = [each for each in book.running() if each.asset_id == assets.id[row]]
    return {
        **brief(site, row),
        "district": assets.district[row],
        "site": assets.site[row],
        "zone": assets.zone[row],
        "owner": str(attributes.get(OWNER, "")),
        "exposed_people": int(assets.exposed_people[row]),
        "design": {
            key: value
            for key, value in attributes.items()
            if key not in told and not _relation(site, value)
        },
        "devices": [
            {"id": devices.id[d], "kind": devices.kind[d], "state": devices.state[d]} for d in mine
        ],
        "channels": overlaid(
            [channel_row(desk, site, c, now_ns) for c in rows[:MOST_CHANNELS]], work, site
        ),
        "work": [entry_json(each, desk.photos) for each in work],
        "entries": [entry_json(each, desk.photos) for each in book.of_asset(assets.id[row])],
        "alarms": [alarm_json(a, site, zone=zone, simulation=simulation) for a in held],
        "neighbours": neighbours(site, row, sight, joins),
        "cameras": cameras(attributes.get(CAMERAS)),
    }


def _relation(site: Site, value: Any) -> bool:
    return any(other in site.registry.asset_row for other in ids_in(value))


def cameras(value: Any) -> list[dict[str, str]]:
    """Return the cameras of an asset: "https://…" each, or "what it shows https://…".

    What is no web address is told as text: a page must not be made to open anything else.
    """
    found = []
    for text in ids_in(value):
        name, _, url = text.strip().rpartition(" ")
        parts = urlsplit(url)
        web = parts.scheme in ("http", "https") and bool(parts.hostname)
        shown = {"name": name or parts.hostname or text, "url": url}
        found.append(shown if web else {"name": text, "url": ""})
    return found


def neighbours(site: Site, row: int, sight: Sight, joins: Joins) -> list[dict[str, Any]]:
    """Return what it is joined to (``by``: the network), then what of its lifeline is near.

    Nearest first; ``away_m`` is None where a place is unknown. What is not seen is not there.
    """
    assets = site.registry.assets
    by = dict(joins.of(site).get(row, {}))
    same = np.array([domain == assets.domain[row] for domain in assets.domain])
    away = _away_m(site, row)
    for other in np.flatnonzero(same & (away <= NEAR_M)).tolist():
        if any(k in assets.attributes[other] for k in ALONG) and _one_line(site, row, other):
            by.setdefault(other, "sections")
        by.setdefault(other, "")
    by.pop(row, None)
    order = sorted(
        by, key=lambda other: (not by[other], float(np.nan_to_num(away[other], nan=1e9)))
    )
    shown = [other for other in order if assets.alive[other] and sight.asset(other)]
    return [
        brief(site, other)
        | {"by": by[other], "away_m": round(float(away[other])) if away[other] >= 0 else None}
        for other in shown[:MOST_NEAR]
    ]


def _one_line(site: Site, one: int, other: int) -> bool:
    assets = site.registry.assets
    of = (assets.zone[one], assets.asset_type[one])
    return bool(of[0]) and of == (assets.zone[other], assets.asset_type[other])


def _away_m(site: Site, row: int) -> Any:
    """Return how far every asset is, metres on a flat map round it; NaN without a place."""
    assets = site.registry.assets
    north = (assets.lat - assets.lat[row]) * M_PER_DEGREE
    east = (assets.lon - assets.lon[row]) * M_PER_DEGREE * np.cos(np.radians(assets.lat[row]))
    return np.hypot(north, east)


def _nothing(code: str) -> str:
    """Return the page that says that nothing has this code, in both languages."""
    shown = html.escape(code[:200])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>404 · City Lifeline</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/page.css"></head>
<body class="door"><main id="door"><h1>City Lifeline</h1>
<p><strong>Nothing in this city has the code {shown}.</strong>
It may be mistyped, retired, or belong to another firm's part of the city.
<a href="/">Open the console</a> and look for it with the key /.</p>
<p lang="zh-CN"><strong>没有编码为 {shown} 的设施。</strong>
编码可能有误、设施已退役，或不在您的权限范围内。<a href="/">打开值班页面</a>，按 / 查找。</p>
</main></body></html>"""
