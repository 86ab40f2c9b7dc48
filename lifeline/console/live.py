"""What a channel says now: value, age, how it moves, its limits, and who stands beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from lifeline.console.sentences import unit_word
from lifeline.console.times import ms
from lifeline.console.view import finite
from lifeline.sensor_health import OLD_INTERVALS
from rules.judge import LATE
from rules.quantities import QUANTITIES, SITE_LEL_BASIS
from rules.registry import IN_SERVICE

if TYPE_CHECKING:
    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.site import Site
    from rules.standing import StandingWarnings

MINUTE_NS = 60_000_000_000
WINDOW_NS = 10 * MINUTE_NS
FEWEST_POINTS = 3
RECENT = 32
FRESH_S = 0.9  # many pages ask each second; the numbers are gathered for the first
NEAR_M = 600.0
M_PER_DEGREE = 111_320.0
SUSPECT_FLAGS = (3, 4)


def now_of(desk: Desk, row: int, *, interval_ns: int) -> dict[str, Any] | None:
    """Return the newest reading and its change per 10 minutes, or None where nothing is held.

    The change is a least-squares line over the last 10 minutes or six intervals, whichever is
    longer; None below three points, zero where the scatter about the line hides it. Late and
    suspect readings take no part in it.
    """
    points = desk.hot.recent(row, RECENT)
    timely = points.verdict != LATE
    if not timely.any():
        return None
    last = int(np.flatnonzero(timely)[-1])
    at_ns = int(points.event_ns[last])
    window_ns = max(WINDOW_NS, 6 * interval_ns)
    good = timely & ~np.isin(points.qc_flag, SUSPECT_FLAGS) & np.isfinite(points.value)
    good &= points.event_ns > at_ns - window_ns
    change = None
    if good.sum() >= FEWEST_POINTS:
        t = (points.event_ns[good] - at_ns) / float(WINDOW_NS)
        spread = t - t.mean()
        if (total := float(spread @ spread)) > 0:
            value = points.value[good]
            change = float(spread @ value) / total
            scatter = float(np.std(value - value.mean() - change * spread))
            if abs(change) * float(np.ptp(t)) < 2 * scatter:
                change = 0.0  # traffic and noise are no trend
    return {
        "value": finite(float(points.value[last])),
        "at_ms": ms(at_ns),
        "suspect": bool(points.qc_flag[last] in SUSPECT_FLAGS),
        "change": finite(change),
    }


def live(desk: Desk, sight: Sight) -> dict[str, dict[str, Any]]:
    """Return what the channels of the listed alarms that are seen say now."""
    told = _gathered(desk)
    return told if sight.whole else {name: x for name, x in told.items() if sight.named(name)}


def _gathered(desk: Desk) -> dict[str, dict[str, Any]]:
    """Return it of the alarms on all screens, gathered once a second."""
    made_s, held = desk.live
    if time.monotonic() - made_s < FRESH_S:
        return held
    site = desk.keeper.site
    listed = [a for _, drawn in list(desk.drawn.values()) for a in drawn["alarms"]]
    fresh: dict[str, dict[str, Any]] = {}
    for channel in {a["channel"] for a in listed if a["channel"]}:
        row = site.registry.channel_row.get(channel) if site is not None else None
        if site is None or row is None:
            continue
        interval_ns = int(site.registry.channels.interval_ns[row])
        if (said := now_of(desk, row, interval_ns=interval_ns)) is not None:
            fresh[channel] = said
    desk.live = (time.monotonic(), fresh)
    return fresh


def scale(
    site: Site, row: int, at_ns: int, known: StandingWarnings | None = None
) -> dict[str, Any]:
    """Return how a channel's numbers are read: label, unit, digits, range, declared limits."""
    channels = site.registry.channels
    quantity = QUANTITIES.get(channels.quantity[row])
    name, lel = channels.quantity[row], None
    if name == "ch4":
        basis = float(channels.lel_basis[row])
        lel = SITE_LEL_BASIS if np.isnan(basis) else basis
    return {
        "quantity": name,
        "label": {"en": quantity.label, "zh": quantity.label_zh}
        if quantity
        else {"en": name, "zh": name},
        "unit": unit_word(quantity.unit) if quantity else channels.unit[row],
        "decimals": quantity.decimals if quantity else 3,
        "lel_basis": lel,
        "range": [finite(channels.range_lo[row]), finite(channels.range_hi[row])],
        "every_s": int(channels.interval_ns[row]) / 1e9,
        "levels": [
            {"severity": x.severity, "side": x.side, "at": x.raise_at, "source": x.source}
            for x in sorted(site.limits(row, at_ns, known), key=lambda x: x.raise_at)
            if x.kind == "threshold"
        ],
    }


def neighbours(site: Site, row: int, sight: Sight, *, most: int = 3) -> list[tuple[int, float]]:
    """Return (channel row, metres) of the nearest channels that measure the same, nearest first.

    Same lifeline, quantity and kind of value, on the same asset or within 600 m, and seen.
    """
    channels, assets = site.registry.channels, site.registry.assets
    asset, leaf = int(channels.asset[row]), channels.id[row].rsplit("/", 1)[-1]
    found: list[tuple[float, int]] = []
    for other in np.flatnonzero(channels.alive).tolist():
        if other == row or channels.quantity[other] != channels.quantity[row]:
            continue
        its = int(channels.asset[other])
        if not sight.asset(its):
            continue
        if assets.domain[its] != assets.domain[asset]:
            continue
        if channels.id[other].rsplit("/", 1)[-1] != leaf:
            continue
        away_m = 0.0 if its == asset else _metres(site, asset, its)
        if away_m <= NEAR_M:  # NaN, an asset without a place, is never near
            found.append((away_m, other))
    return [(other, away_m) for away_m, other in sorted(found)[:most]]


def _metres(site: Site, one: int, other: int) -> float:
    assets = site.registry.assets
    north = float(assets.lat[one] - assets.lat[other]) * M_PER_DEGREE
    across = float(np.cos(np.radians(assets.lat[one])))
    east = float(assets.lon[one] - assets.lon[other]) * M_PER_DEGREE * across
    return float(np.hypot(north, east))


def _unit(quantity: str, unit: str) -> str:
    known = QUANTITIES.get(quantity)
    return known.unit if known else unit


def channel_rows(desk: Desk, q: str, limit: int, sight: Sight) -> list[dict[str, Any]]:
    """Return the channels whose id or asset's name contains ``q`` and what they say now."""
    site = desk.keeper.site
    if site is None:
        return []
    channels, assets, rows = site.registry.channels, site.registry.assets, []
    now_ns = desk.clock.now_ns()
    wanted = q.casefold()
    for row, name in enumerate(channels.id):
        asset = int(channels.asset[row])
        if not sight.asset(asset):
            continue
        texts = (name, assets.name[asset], assets.name_zh[asset])
        if not channels.alive[row] or not any(wanted in text.casefold() for text in texts):
            continue
        rows.append(channel_row(desk, site, row, now_ns))
        if len(rows) == limit:
            break
    return rows


def channel_row(desk: Desk, site: Site, row: int, now_ns: int) -> dict[str, Any]:
    """Return a channel and what it says now; ``quality``: how far that may be trusted.

    ``good``, ``suspect``, ``old`` (three intervals without a reading), ``none`` (nothing is held),
    or the state in which the registry has it, unless that is in service.
    """
    channels, assets = site.registry.channels, site.registry.assets
    asset, interval_ns = int(channels.asset[row]), int(channels.interval_ns[row])
    said = now_of(desk, row, interval_ns=interval_ns)
    if channels.state[row] != IN_SERVICE:
        quality = channels.state[row]
    elif said is None:
        quality = "none"
    elif now_ns - said["at_ms"] * 1_000_000 > OLD_INTERVALS * max(interval_ns, MINUTE_NS):
        quality = "old"
    else:
        quality = "suspect" if said["suspect"] else "good"
    return {
        "id": channels.id[row],
        "asset": assets.id[asset],
        "name": {"en": assets.name[asset], "zh": assets.name_zh[asset]},
        "domain": assets.domain[asset],
        "class": channels.klass[row],
        **(read := scale(site, row, now_ns, desk.board.known(site.registry, now_ns))),
        "unit": _unit(channels.quantity[row], channels.unit[row]),
        "unit_word": read["unit"],
        "value": said["value"] if said else None,
        "last_ms": said["at_ms"] if said else None,
        "change": said["change"] if said else None,
        "suspect": bool(said and said["suspect"]),
        "quality": quality,
        "calibration_due": channels.calibration_due[row],
    }
