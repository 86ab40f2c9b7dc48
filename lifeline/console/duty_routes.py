"""What a shift looks at beside the alarms, over HTTP: the figures of the alarm system."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query
from starlette.responses import JSONResponse

from lifeline.console.access import Asking, sight_of
from lifeline.console.answers import BadInput
from lifeline.coverage import today_of
from lifeline.kpi.gather import City
from lifeline.kpi.told import kpis_json

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight

DAY_MS: Final = 86_400_000
MOST_DAYS: Final = 400
KEPT_S: Final = 15.0
MOST_KEPT: Final = 32
Moment = Annotated[int | None, Query(ge=0, lt=2**43)]


class Figures:
    """Figures by who sees what and span, kept for a while: many pages may ask the same at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, int, int], tuple[float, dict[str, Any]]] = {}

    def told(self, sight: Sight, from_ns: int, to_ns: int) -> dict[str, Any]:
        """Return them as JSON."""
        key, now_s = (sight.scopes, from_ns, to_ns), time.monotonic()
        with self._lock:  # one at a time: each may read a month of the ledger
            made_s, held = self._kept.get(key, (-1e9, {}))
            if now_s - made_s < KEPT_S:
                return held
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            city = city_of(self._desk, sight)
            found = city.figures(city.span(from_ns, to_ns))
            told = kpis_json(found, simulation=city.simulation)
            self._kept[key] = (time.monotonic(), told)
            return told


def city_of(desk: Desk, sight: Sight) -> City:
    """Return what figures and reports are made of, as an actor sees it."""
    return City(
        ledger=desk.ledger,
        site=desk.keeper.site,
        today=today_of(desk.clock, desk.settings.zone),
        zone=desk.settings.zone,
        simulation=desk.keeper.simulation,
        duty=desk.settings.duty,
        flood=desk.settings.flood,
        sight=sight,
    )


def install(app: FastAPI, desk: Desk) -> None:
    """Add the routes; `access.ROUTES` says who may ask each."""
    kept = Figures(desk)

    @app.get("/api/kpis")
    def _kpis(
        actor: Asking,
        from_ms: Annotated[Moment, Query(alias="from")] = None,
        to_ms: Annotated[Moment, Query(alias="to")] = None,
    ) -> JSONResponse:
        """Tell the figures of the alarm system beside their targets; the last day if not said."""
        last = to_ms if to_ms is not None else desk.clock.now_ns() // 10**6
        first = from_ms if from_ms is not None else max(0, last - DAY_MS)
        _check_span(first, last)
        return JSONResponse(kept.told(sight_of(desk, actor), first * 10**6, last * 10**6))


def _check_span(from_ms: int, to_ms: int) -> None:
    if from_ms >= to_ms:
        raise BadInput("from", from_ms, f"let it lie before to = {to_ms}")
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadInput("from", from_ms, f"ask for at most {MOST_DAYS} days at once")
