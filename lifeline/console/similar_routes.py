"""Past alarms like one that is looked at, over HTTP: when, how long, what it was, what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from lifeline.console import orders  # noqa: TC001 - read when the route is made
from lifeline.console.access import Asking, sight_of
from lifeline.console.times import ms
from lifeline.console.view import finite
from lifeline.ledger import Unknown
from lifeline.ledger.alike import alike

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.ledger.alike import Alike
    from lifeline.site import Site


def install(app: FastAPI, desk: Desk) -> None:
    """Add the route; `access.ROUTES` says who may ask it."""

    @app.get("/api/alarms/{alarm_id}/similar")
    def _similar(alarm_id: orders.AlarmId, actor: Asking) -> JSONResponse:
        """Tell the newest alarms of its rule: of its own source first, then of assets alike."""
        found = desk.ledger.alarm(alarm_id)
        if found is None:
            raise Unknown(f"there is no alarm {alarm_id!r}", remedy="reload the list")
        alarm, simulation = found
        site, sight = desk.keeper.site, sight_of(desk, actor)
        kind = _kind(site, alarm.subject)

        def fits(subject: str) -> bool:
            return _kind(site, subject) == kind and sight.subject(subject)

        past = alike(desk.ledger, alarm, fits=fits, simulation=simulation)
        return JSONResponse({"similar": [_told(each, site, sight) for each in past]})


def _kind(site: Site | None, subject: str) -> str:
    """Return the type of asset a subject is on, "" where it is on none."""
    row = site.asset_of(subject) if site is not None else -1
    return site.registry.assets.asset_type[row] if site is not None and row >= 0 else ""


def _told(each: Alike, site: Site | None, sight: Sight) -> dict[str, Any]:
    """Return one of them; what was done about an incident that also others have is theirs."""
    alarm = each.alarm
    row = site.asset_of(alarm.subject) if site is not None else -1
    name, name_zh = alarm.subject, alarm.subject
    if site is not None and row >= 0:
        assets = site.registry.assets
        name = assets.name[row]
        name_zh = assets.name_zh[row] or name
    over_ns = alarm.cleared_ns if alarm.condition.value != "active" else 0
    return {
        "id": alarm.alarm_id,
        "same": each.same,
        "subject": alarm.subject,
        "name": {"en": name, "zh": name_zh},
        "max_severity": alarm.max_severity,
        "raised_ms": ms(alarm.raised_ns),
        "cleared_ms": ms(over_ns),
        "lasted_s": max(0, over_ns - alarm.raised_ns) / 1e9 if over_ns else None,
        "ended": alarm.ended,
        "value": finite(alarm.value),
        "verdict": alarm.verdict,
        "cause": each.cause,
        "incident": each.incident_id,
        "done": [
            {
                "what": deed.what,
                "of_incident": deed.of_incident,
                "at_ms": ms(deed.at_ns),
                "by": deed.by,
                "said": deed.said,
            }
            for deed in each.deeds
            if sight.whole or not deed.of_incident
        ],
    }
