"""The page's API: what an operator reads and orders, over HTTP; `guard.py` says who may ask.

Times are Unix milliseconds. What people order: `orders.py`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query, Request
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from lifeline import metrics
from lifeline.console import (
    answers,
    api_document,
    asset_routes,
    duty_routes,
    field_routes,
    health_routes,
    incident_routes,
    login_routes,
    orders,
    proof_routes,
    reload_route,
    shift_routes,
    similar_routes,
    view,
    warning_routes,
    work_orders,
)
from lifeline.console.access import Access, Asking, is_secure, sight_of, who
from lifeline.console.advice import advice
from lifeline.console.guard import Guard, local_hosts
from lifeline.console.live import channel_rows, live
from lifeline.console.telling import Screen, Telling, event
from lifeline.console.trend import MAX_POINTS, trend_json
from lifeline.console.vendor import vendor_files
from lifeline.lag import measure
from lifeline.ledger import Unavailable, Unknown
from lifeline.metrics_files import all_metrics
from lifeline.notify.cap import CONTENT_TYPE, cap_xml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifeline.console.desk import Desk
    from lifeline.people.roles import Actor

STATIC = Path(__file__).parent / "static"
STREAM_POLL_S = 0.1
PULSE_S = 1.0


def create_app(desk: Desk) -> FastAPI:
    """Return the ASGI application for ``desk``, guarded."""
    app = FastAPI(
        title="City Lifeline", docs_url=None, redoc_url=None, openapi_url=api_document.PATH
    )
    answers.install(app)
    _reading(app, desk)
    _alarms(app, desk)
    orders.install(app, desk)
    similar_routes.install(app, desk)
    health_routes.install(app, desk)
    incident_routes.install(app, desk)
    work_orders.install(app, desk)
    warning_routes.install(app, desk)
    reload_route.install(app, desk)
    duty_routes.install(app, desk)
    shift_routes.install(app, desk)
    proof_routes.install(app, desk)
    login_routes.install(app, desk)
    asset_routes.install(app, desk, STATIC)
    field_routes.install(app, desk, STATIC)
    api_document.install(app)
    _stream(app, desk)
    _pages(app)
    settings = desk.settings
    app.add_middleware(Access, desk=desk)
    app.add_middleware(
        Guard,
        hosts=local_hosts(settings.port),
        proxy=settings.proxy,
        scheme=settings.scheme,
        own=settings.own_origin,
        images=settings.tiles.origin if settings.tiles is not None else "",
    )
    return app


def _reading(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/state")
    def _state(actor: Asking) -> JSONResponse:
        sight = sight_of(desk, actor)
        return JSONResponse(view.state(desk, sight) | {"now": live(desk, sight)})

    @app.get("/api/health")
    def _health(actor: Asking) -> JSONResponse:
        told = view.pulse(desk, sight_of(desk, actor))
        well = not (told["problems"] or told["stale"] or told["blind"])
        return JSONResponse({"ok": well, **told}, status_code=200 if well else 503)

    @app.get("/metrics")
    def _metrics(actor: Asking) -> Response:
        measure(desk.data, desk.ledger)
        proof_routes.measure(desk, sight_of(desk, actor))
        view.state(
            desk, sight_of(desk, actor)
        )  # the gauges of alarms, age and sight are as old as the last look
        return Response(all_metrics(desk.data), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/map")
    def _map(request: Request, actor: Asking) -> Response:
        return desk.maps.answer(desk, sight_of(desk, actor), request.headers, form="geojson")

    @app.get("/api/map/columns")
    def _columns(request: Request, actor: Asking) -> Response:
        return desk.maps.answer(desk, sight_of(desk, actor), request.headers, form="columns")

    @app.get("/api/channels")
    def _channels(
        actor: Asking,
        q: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    ) -> JSONResponse:
        rows = channel_rows(desk, q, limit, sight_of(desk, actor))
        return JSONResponse({"channels": rows})

    @app.get("/api/trend")
    def _trend(
        actor: Asking,
        channel: Annotated[str, Query(min_length=1, max_length=200)],
        from_ms: Annotated[int | None, Query(alias="from", ge=0, lt=2**43)] = None,
        to_ms: Annotated[int | None, Query(alias="to", ge=0, lt=2**43)] = None,
        points: Annotated[int, Query(ge=10, le=MAX_POINTS)] = 1_500,
    ) -> JSONResponse:
        told = trend_json(
            desk,
            sight_of(desk, actor),
            channel=channel,
            from_ms=from_ms,
            to_ms=to_ms,
            max_points=points,
        )
        return JSONResponse(told)


def _alarms(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/alarms")
    def _list(
        actor: Asking,
        *,
        ended: bool | None = False,
        min_severity: Annotated[int, Query(ge=0, le=4)] = 0,
        rule: Annotated[str, Query(max_length=200)] = "",
        subject: Annotated[str, Query(max_length=200)] = "",
        word: Annotated[str, Query(pattern="^(|UNACK|RTNUN|ACKED|NORM|SHLVD|DSUPR|OOSRV)$")] = "",
        limit: Annotated[int, Query(ge=1, le=5_000)] = 500,
    ) -> JSONResponse:
        sight = sight_of(desk, actor)
        found = desk.ledger.list(
            ended=ended,
            min_severity=min_severity,
            rule=rule,
            subject=subject,
            word=word,
            limit=limit if sight.whole else None,
        )
        seen = [(a, s) for a, s in found if sight.alarm(a)][:limit]
        return JSONResponse({"alarms": [orders.one(desk, a, simulation=s) for a, s in seen]})

    @app.get("/api/alarms/{alarm_id}")
    def _detail(alarm_id: orders.AlarmId) -> JSONResponse:
        found = desk.ledger.alarm(alarm_id)
        if found is None:
            raise Unknown(f"there is no alarm {alarm_id!r}", remedy="reload the list")
        told = orders.one(desk, found[0], simulation=found[1])
        names = desk.settings.departments
        history = [view.event_json(seq, e, names) for seq, e in desk.ledger.events_of(alarm_id)]
        what_to_do = advice(found[0], desk.keeper.site)
        return JSONResponse({"alarm": told, "events": history, "advice": what_to_do})

    @app.get("/api/alarms/{alarm_id}/cap")
    def _cap(alarm_id: orders.AlarmId) -> Response:
        found = desk.ledger.alarm(alarm_id)
        if found is None:
            raise Unknown(f"there is no alarm {alarm_id!r}", remedy="reload the list")
        settings = desk.settings
        raw = cap_xml(
            found[0],
            desk.ledger.events_of(alarm_id),
            desk.keeper.site,
            zone=settings.zone,
            simulation=found[1],
            sender=settings.cap,
            web=settings.public_url,
        )
        return Response(raw, media_type=CONTENT_TYPE)


def _stream(app: FastAPI, desk: Desk) -> None:
    open_streams = [0]

    telling = Telling(desk)

    async def lines(request: Request, actor: Actor, *, changes: bool) -> AsyncIterator[bytes]:
        open_streams[0] += 1
        metrics.STREAMS.set(open_streams[0])
        sight = sight_of(desk, actor)
        try:
            has, waited_s, known_s = Screen(), 0.0, 0.0
            while not desk.stopping.is_set():
                if known_s >= PULSE_S:
                    known_s = 0.0
                    if (still := await _still(desk, request)) is None:
                        yield event("ended", {})
                        return
                    if still.scopes != sight.scopes:
                        has = Screen()  # another part of the city: the whole screen anew
                    sight = sight_of(desk, still)
                if desk.bell.revision != has.revision:
                    waited_s = 0.0
                    told, has = await telling.state(sight, has, changes=changes)
                    yield told
                elif waited_s >= PULSE_S:
                    waited_s = 0.0
                    yield await telling.pulse(sight)
                await asyncio.sleep(STREAM_POLL_S)
                waited_s += STREAM_POLL_S
                known_s += STREAM_POLL_S
        finally:
            open_streams[0] -= 1
            metrics.STREAMS.set(open_streams[0])

    @app.get("/api/stream")
    async def _sse(
        request: Request, actor: Asking, *, changes: Annotated[bool, Query()] = False
    ) -> Response:
        if open_streams[0] >= desk.settings.max_streams:
            metrics.STREAMS_REFUSED.inc()
            raise HTTPException(503, f"{desk.settings.max_streams} pages are open already")
        headers = {"Cache-Control": "no-store"}
        told = lines(request, actor, changes=changes)
        return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def _still(desk: Desk, request: Request) -> Actor | None:
    """Return who a stream is for, None once they are nobody any more: asked each second."""
    secure = is_secure(request.scope)
    try:
        return await asyncio.to_thread(who, desk, request.headers, secure=secure)
    except Unavailable:
        return None


def _pages(app: FastAPI) -> None:
    vendor = vendor_files()

    @app.get("/", include_in_schema=False)
    def _index() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/vendor/{name}", include_in_schema=False)
    def _vendor(name: str) -> FileResponse:
        if name not in vendor:
            raise HTTPException(404, f"there is no {name!r}; there are {', '.join(vendor)}")
        return FileResponse(vendor[name], headers={"Cache-Control": "max-age=86400"})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
