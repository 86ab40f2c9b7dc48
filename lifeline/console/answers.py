"""Errors as JSON that name the field, the value and the remedy; a traceback stays in the log."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lifeline import metrics
from lifeline.ledger import Conflict, Refused, Unavailable, Unknown, Unseen

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

LOG = structlog.get_logger("console")
UNREADABLE = 400
SECRET_BODIES = ("/login", "/api/me/password")  # of these no value is repeated


def problem(status: int, message: str, **more: Any) -> JSONResponse:
    """Return an error answer; ``more`` is field, value, remedy and the like."""
    return _Answer({"error": {"message": message, **more}}, status_code=status)


class _Answer(JSONResponse):
    """JSON that repeats what came in: half of a surrogate pair is no UTF-8, and is escaped."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


class BadInput(Exception):  # noqa: N818 - reads as what it says
    """A query that parses but cannot be answered."""

    def __init__(self, field: str, value: Any, remedy: str, *, message: str = "") -> None:
        super().__init__(message or f"{field} cannot be {value!r}")
        self.field, self.value, self.remedy = field, value, remedy


def install(app: FastAPI) -> None:
    """Give every error its answer."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        metrics.HTTP_REFUSED.labels("input").inc()
        found = [_field(e) for e in error.errors()]
        if request.url.path in SECRET_BODIES:
            found = [told | {"value": ""} for told in found]
        first, *others = found
        return problem(422, **first, others=others) if others else problem(422, **first)

    @app.exception_handler(BadInput)
    async def _bad(_request: Request, error: BadInput) -> JSONResponse:
        metrics.HTTP_REFUSED.labels("input").inc()
        said = {"field": error.field, "value": _short(error.value), "remedy": error.remedy}
        return problem(422, str(error), **said)

    @app.exception_handler(Refused)
    async def _refused(request: Request, error: Refused) -> JSONResponse:
        told: dict[str, Any] = {"remedy": error.remedy}
        if isinstance(error, Conflict):
            return problem(409, str(error), **told, by=error.by, seq=error.seq)
        field, value = next(iter(request.path_params.items()), ("alarm_id", ""))
        status = {Unknown: 404, Unseen: 403}.get(type(error), 409)
        return problem(status, str(error), field=field, value=_short(value), **told)

    @app.exception_handler(Unavailable)
    async def _unavailable(_request: Request, error: Unavailable) -> JSONResponse:
        return problem(503, str(error), remedy="try again; nothing was changed")

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == UNREADABLE:  # the framework's word for bytes that are no text
            remedy = "send one JSON object in UTF-8 请以 UTF-8 发送一个 JSON 对象"
            return problem(UNREADABLE, "the body is no JSON", field="body", value="", remedy=remedy)
        remedy = "see GET /api/state for what there is"
        return problem(error.status_code, str(error.detail), value=request.url.path, remedy=remedy)

    @app.exception_handler(Exception)
    async def _ours(request: Request, error: Exception) -> JSONResponse:
        reference = uuid.uuid4().hex[:8]
        LOG.error("request failed", path=request.url.path, reference=reference, exc_info=error)
        remedy = f"it is our fault; the log has it under {reference}"
        return problem(500, "the page could not answer", remedy=remedy)


def _field(error: dict[str, Any]) -> dict[str, Any]:
    place = ".".join(str(p) for p in error["loc"] if p not in ("body", "query", "path"))
    return {
        "message": f"{place or 'body'}: {error['msg']}",
        "field": place or "body",
        "value": _short(error.get("input")),
        "remedy": _remedy(error),
    }


def _remedy(error: dict[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "missing":
        return "add this field"
    if kind == "extra_forbidden":
        return "leave this field out"
    if kind == "json_invalid":
        return f"send valid JSON ({context.get('error', 'it ends early')})"
    limits = ", ".join(f"{k} {v}" for k, v in context.items() if isinstance(v, int | float | str))
    return f"give a value that fits: {limits}" if limits else f"give a value that fits: {kind}"


def _short(value: Any) -> Any:
    """Return a value fit for an answer: what came in, but never much of it."""
    if value is None or isinstance(value, bool | int):
        return value
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "…"
