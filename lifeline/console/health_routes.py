"""What stands behind the health strip: silent, late and bad sensors, lag, blind times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from lifeline.console.access import Asking, sight_of
from lifeline.console.health import seen_channels, silent_devices
from lifeline.console.live import scale
from lifeline.console.times import ms
from lifeline.lag import lags

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.sensor_health import Doubt
    from lifeline.site import Site

MOST_LISTED: Final = 200
TROUBLE: Final = "its place cannot be told 位置未知"
MOST_SILENT: Final = 5_000


def install(app: FastAPI, desk: Desk) -> None:
    """Add the route; `access.ROUTES` says who may ask it."""

    @app.get("/api/sensor-health")
    def _health(actor: Asking) -> JSONResponse:
        """Tell which sensors are silent, late or bad, how far judging lags, and blind times."""
        return JSONResponse(health_json(desk, sight_of(desk, actor)))


def health_json(desk: Desk, sight: Sight) -> dict[str, Any]:
    """Return the lists, at most 200 entries each with the true ``total``."""
    site, now_ns = desk.keeper.site, desk.clock.now_ns()
    listed = {name: _list([], 0) for name in ("silent", "late", "bad")}
    if site is not None:
        silent = _silent(desk, site, sight)
        seen, resting = seen_channels(site, sight), silent_devices(desk, site)
        late, bad = desk.sensors.doubts(site, now_ns, seen, resting)
        listed["silent"] = _list(silent[:MOST_LISTED], len(silent))
        for name, doubts in (("late", late), ("bad", bad)):
            told = [_told(desk, site, each) for each in doubts[:MOST_LISTED]]
            listed[name] = _list(told, len(doubts))
    return {
        **listed,
        "lag_s": desk.lag.seconds(desk),
        "readers": [
            {
                "reader": lag.reader,
                "of": lag.of,
                "behind": lag.behind,
                "since_ms": ms(lag.since_ns),
                "trouble": lag.trouble if sight.whole or not lag.trouble else TROUBLE,
            }
            for lag in lags(desk.data, desk.ledger)
        ],
        "blind": desk.watchdog.sight().blind,
        "blinds": [{"from_ms": ms(a), "to_ms": ms(b)} for a, b in reversed(desk.flow.blinds)],
    }


def _list(listed: list[dict[str, Any]], total: int) -> dict[str, Any]:
    return {"total": total, "listed": listed}


def _silent(desk: Desk, site: Site, sight: Sight) -> list[dict[str, Any]]:
    """Return the devices dead-man alarms stand about, the longest silent first."""
    found: dict[str, dict[str, Any]] = {}
    for rule in site.deadman:
        for alarm, _ in desk.stand_in.current.list(rule=rule, limit=MOST_SILENT):
            if alarm.condition.value != "active" or not sight.alarm(alarm):
                continue
            asset = site.asset_of(alarm.subject)
            told = {"id": alarm.subject, "alarm": alarm.alarm_id, "since_ms": ms(alarm.onset_ns)}
            told |= {"severity": alarm.shown_severity, **_where(site, asset, alarm.subject)}
            before = found.get(alarm.subject)
            if before is None or told["severity"] > before["severity"]:
                found[alarm.subject] = told
    return sorted(found.values(), key=lambda each: (each["since_ms"] or 0, each["id"]))


def _where(site: Site, asset: int, otherwise: str) -> dict[str, Any]:
    if asset < 0:
        return {"asset": "", "name": {"en": otherwise, "zh": otherwise}}
    assets = site.registry.assets
    name = assets.name[asset] or assets.id[asset]
    return {"asset": assets.id[asset], "name": {"en": name, "zh": assets.name_zh[asset] or name}}


def _told(desk: Desk, site: Site, doubt: Doubt) -> dict[str, Any]:
    channels = site.registry.channels
    read = scale(site, doubt.row, desk.clock.now_ns())
    return {
        "id": channels.id[doubt.row],
        "why": doubt.why,
        "measured_ms": ms(doubt.event_ns),
        "received_ms": ms(doubt.received_ns),
        "count": doubt.count,
        "label": read["label"],
        **_where(site, int(channels.asset[doubt.row]), channels.id[doubt.row]),
    }
