"""``POST /api/hooks/work-orders``: a work-order system says what became of an alarm.

Signed like our webhook: ``Lifeline-Timestamp`` and ``Lifeline-Signature: v1=<hex of
HMAC-SHA256(key, "<timestamp>.<body>")>``, at most five minutes old. The same request again is a
replay and is refused; the same ``id`` signed anew (the sender did not hear our answer) is answered
again and does nothing twice. It becomes a comment, and an assignment where it names somebody.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Request  # noqa: TC002 - FastAPI reads the signature when it runs
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from lifeline import metrics
from lifeline.console.answers import problem
from lifeline.ledger import Conflict
from lifeline.ledger.people import People
from lifeline.ledger.tables import COMMAND
from lifeline.notify.webhook import verify

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from rules.alarms import Alarm

TOLERANCE_S: Final = 300.0
MOST_REMEMBERED: Final = 100_000  # requests within the window; more are refused, not forgotten
STATUS_WORDS: Final = {
    "accepted": ("accepted", "已接单"),
    "dispatched": ("dispatched", "已派单"),
    "on_site": ("on site", "已到场"),
    "in_progress": ("in progress", "处置中"),
    "done": ("done", "已完成"),
    "closed": ("closed", "已关闭"),
    "rejected": ("rejected", "已退单"),
}
_SIGNATURE: Final = re.compile(r"v1=[0-9a-f]{64}")


class WorkOrder(BaseModel):
    """One word of a work-order system about one alarm."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "77-1",
                    "alarm": "0123456789ab",
                    "order": "WO-77",
                    "status": "dispatched",
                    "by": "dispatch",
                }
            ]
        },
    )

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")]  # of this message
    alarm: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    order: Annotated[str, Field(min_length=1, max_length=64)]  # the work order's number
    status: Literal[
        "accepted", "dispatched", "on_site", "in_progress", "done", "closed", "rejected"
    ]
    by: Annotated[str, Field(min_length=1, max_length=48)]
    assigned_to: Annotated[str, Field(max_length=64)] = ""
    comment: Annotated[str, Field(max_length=800)] = ""

    @property
    def text(self) -> str:
        """Return the comment that it becomes."""
        en, zh = STATUS_WORDS[self.status]
        said = f"工单 work order {self.order}: {zh} {en}"
        return f"{said}; {self.comment}" if self.comment else said

    @property
    def person(self) -> str:
        """Return who says it, never to be taken for one of our operators."""
        return f"work-order:{self.by}"


class Replays:
    """The signatures of this window. What was signed before we started could be one: refused."""

    def __init__(self, *, now_s: float) -> None:
        self._since_s = int(now_s)
        self._seen: dict[str, float] = {}  # signature: when it is too old anyway
        self._lock = threading.Lock()

    def refusal(self, signature: str, signed_s: int, now_s: float) -> str:
        """Return why a request whose signature is right is not taken, "" where it is."""
        with self._lock:
            old = [known for known, ends in self._seen.items() if ends < now_s]
            for known in old:
                del self._seen[known]
            if signed_s < self._since_s:
                return "it was signed before this program started"
            if signature in self._seen:
                return "this very request came before"
            if len(self._seen) >= MOST_REMEMBERED:
                return f"more than {MOST_REMEMBERED} requests in {TOLERANCE_S:g} s"
            self._seen[signature] = signed_s + TOLERANCE_S
            return ""


def install(app: FastAPI, desk: Desk) -> None:
    """Add the way back where ``city.toml`` has a key for it."""
    key = desk.settings.work_orders
    if key is None:
        return
    people, replays = People(desk.ledger), Replays(now_s=time.time())

    content = {"application/json": {"schema": WorkOrder.model_json_schema()}}
    told = {"requestBody": {"required": True, "content": content}}

    @app.post("/api/hooks/work-orders", openapi_extra=told)
    async def _work_order(request: Request) -> JSONResponse:
        body, now_s = await request.body(), time.time()
        signature = request.headers.get("Lifeline-Signature", "")
        signed = _SIGNATURE.fullmatch(signature) is not None
        if not signed or not verify(key, request.headers, body, now_s=now_s):
            return _refused("signature", "not signed with our key, or more than 5 min ago")
        signed_s = int(request.headers["Lifeline-Timestamp"])
        if said := replays.refusal(signature, signed_s, now_s):
            return _refused("replay", said)
        try:
            order = WorkOrder.model_validate_json(body)
        except ValidationError as error:
            return _invalid(error)
        alarm, assigned, repeated = await run_in_threadpool(_take, desk, people, order)
        desk.bell.ring()
        told = {"alarm": alarm.alarm_id, "seq": alarm.seq, "assigned": assigned}
        return JSONResponse({"taken": order.id, "repeated": repeated, **told})


def _take(desk: Desk, people: People, order: WorkOrder) -> tuple[Alarm, bool, bool]:
    """Write the comment, then the assignment; both know their id, so a repeat completes them."""
    note, hand = f"wo-{order.id}-note", f"wo-{order.id}-hand"
    repeated = _said_before(desk, note, order)
    alarm = people.comment(order.alarm, by=order.person, text=order.text, command=note)
    if not order.assigned_to:
        return alarm, False, repeated
    try:
        alarm = people.assign(order.alarm, by=order.person, to=order.assigned_to, command=hand)
    except Conflict:  # it is over: the comment stands, nobody looks after it any more
        return alarm, False, repeated
    return alarm, True, repeated


def _said_before(desk: Desk, command: str, order: WorkOrder) -> bool:
    """Tell whether this id was taken; refuse it for another text: an id names one message."""
    query = select(COMMAND.c.control).where(COMMAND.c.command == command)
    with desk.ledger.read() as connection:
        held = connection.execute(query).scalar()
    if held is None:
        return False
    data = json.loads(held)["data"]
    if (data["alarm"], data["said"]["comment"]) != (order.alarm, order.text):
        raise Conflict(
            f"id {order.id!r} was used for another message", remedy="give each an id of its own"
        )
    return True


def _refused(why: str, said: str) -> JSONResponse:
    metrics.HTTP_REFUSED.labels(f"work-order {why}").inc()
    remedy = "sign each attempt anew, with the time of now: docs/notification.md"
    return problem(401, said, field="Lifeline-Signature", value="", remedy=remedy)


def _invalid(error: ValidationError) -> JSONResponse:
    metrics.HTTP_REFUSED.labels("input").inc()
    found = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(step) for step in found["loc"]) or "body"
    remedy = "see docs/notification.md for the fields"
    return problem(422, f"{field}: {found['msg']}", field=field, remedy=remedy)
