"""Official warnings: what holds (``GET /api/warnings``), and the way in for who brings them.

``POST /api/hooks/warnings`` takes one CAP 1.2 message, signed like our webhook (docs/weather.md):
the same message signed anew is answered again and does nothing twice.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads the signature when it runs
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from lifeline import metrics
from lifeline.bulletins.cap_in import Unreadable
from lifeline.console.access import Asking  # noqa: TC001 - so is this
from lifeline.console.answers import problem
from lifeline.console.work_orders import Replays
from lifeline.notify.cap import CONTENT_TYPE
from lifeline.notify.webhook import verify

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk

_SIGNATURE: Final = re.compile(r"v1=[0-9a-f]{64}")
_REMEDY: Final = "sign each attempt anew, with the time of now: docs/weather.md"

_EXAMPLE: Final = (
    '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>41010-20260720-1</identifier>'
    "<sender>weather@example.org</sender><sent>2026-07-20T16:10:00+08:00</sent>"
    "<status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info>"
    "<language>zh-CN</language><category>Met</category><event>暴雨</event>"
    "<urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty>"
    "<expires>2026-07-20T22:10:00+08:00</expires><senderName>郑州市气象台</senderName>"
    "<headline>郑州市气象台发布暴雨橙色预警信号</headline>"
    "<area><areaDesc>金水区</areaDesc></area></info></alert>"
)


def install(app: FastAPI, desk: Desk) -> None:
    """Add what is told of warnings, and the way in where ``city.toml`` has a key for it."""

    @app.get("/api/warnings")
    def _warnings(actor: Asking, *, ended: bool | None = False) -> JSONResponse:
        now_ns = desk.clock.now_ns()
        told: dict[str, Any] = {"warnings": desk.board.every(now_ns, ended=ended)}
        if actor.whole:  # what an agency sent amiss is for who runs the city
            told["refused"] = desk.board.refused()
        return JSONResponse(told)

    replays = Replays(now_s=time.time())
    said = {"type": "string", "description": "a CAP 1.2 alert", "examples": [_EXAMPLE]}
    body = {CONTENT_TYPE: {"schema": said}}
    told = {"requestBody": {"required": True, "content": body}}

    @app.post("/api/hooks/warnings", openapi_extra=told)
    async def _hook(request: Request) -> JSONResponse:
        key, raw, now_s = desk.settings.warnings_key, await request.body(), time.time()
        signature = request.headers.get("Lifeline-Signature", "")
        signed = key is not None and _SIGNATURE.fullmatch(signature) is not None
        if key is None or not signed or not verify(key, request.headers, raw, now_s=now_s):
            return _refused("signature", "not signed with our key, or more than 5 min ago")
        signed_s = int(request.headers["Lifeline-Timestamp"])
        if said := replays.refusal(signature, signed_s, now_s):
            return _refused("replay", said)
        try:
            taken = await run_in_threadpool(desk.board.take, raw, via="http")
        except Unreadable as error:
            metrics.HTTP_REFUSED.labels("input").inc()
            return problem(422, str(error), field="body", remedy="see docs/weather.md")
        return JSONResponse({"taken": taken.bulletin.key, "repeated": taken.repeated})


def _refused(why: str, said: str) -> JSONResponse:
    metrics.HTTP_REFUSED.labels(f"warning {why}").inc()
    return problem(401, said, field="Lifeline-Signature", value="", remedy=_REMEDY)
