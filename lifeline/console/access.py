"""Who may ask what: the one table of every route, and the one place that keeps to it.

A route that is not in the table answers nobody. An alarm in a path that the actor may not see is
not there: 404, as for one that does not exist. What stays to the routes is to tell of the rest only
what `sight.py` lets through. Plain ASGI, so that a stream is not buffered.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.routing import Match

from lifeline import metrics
from lifeline.console.answers import BadInput, problem
from lifeline.ledger import Unavailable, Unknown
from lifeline.ledger.incidents import Incidents
from lifeline.people.roles import ANYBODY, Actor, Role
from lifeline.people.secrets_of_ours import TOKEN_MARK

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight

COOKIE: Final = "lifeline"
SAFE_COOKIE: Final = f"__Host-{COOKIE}"  # browsers take it over TLS only, for this host alone
LINKS: Final = ("/code/", "/field/")  # what a plate or a message opens
CSRF: Final = "X-CSRF-Token"
TOKEN_HEADER: Final = "Lifeline-Token"  # noqa: S105 - beside Authorization, which a proxy may take


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks for: at least this role; ``whole``: of the whole city."""

    role: Role | None  # None: nobody need be known
    whole: bool = False


OPEN: Final = Needs(None)
_ALARM: Final = "/api/alarms/{alarm_id}"
_INCIDENT: Final = "/api/incidents/{incident_id}"
_FIELD: Final = "/api/field/{asset_id}"
ROUTES: Final[dict[tuple[str, str], Needs]] = {
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("GET", "/login/{name}"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("POST", "/api/hooks/work-orders"): OPEN,  # signed
    ("POST", "/api/hooks/warnings"): OPEN,  # signed
    ("GET", "/"): Needs(Role.VIEWER),
    ("GET", "/static"): Needs(Role.VIEWER),
    ("GET", "/vendor/{name}"): Needs(Role.VIEWER),
    ("GET", "/api/me"): Needs(Role.VIEWER),
    ("POST", "/logout"): Needs(Role.VIEWER),
    ("POST", "/api/me/password"): Needs(Role.VIEWER),
    ("GET", "/api/openapi.json"): Needs(Role.VIEWER),
    ("GET", "/api/state"): Needs(Role.VIEWER),
    ("GET", "/api/stream"): Needs(Role.VIEWER),
    ("GET", "/api/health"): Needs(Role.VIEWER),
    ("GET", "/api/sensor-health"): Needs(Role.VIEWER),
    ("GET", "/api/warnings"): Needs(Role.VIEWER),
    ("GET", "/api/map"): Needs(Role.VIEWER),
    ("GET", "/api/map/columns"): Needs(Role.VIEWER),
    ("GET", "/api/find"): Needs(Role.VIEWER),
    ("GET", "/api/assets/{asset_id}"): Needs(Role.VIEWER),
    ("GET", "/code/{code:path}"): Needs(Role.VIEWER),
    ("GET", "/field"): Needs(Role.VIEWER),
    ("GET", "/field/{code:path}"): Needs(Role.VIEWER),
    ("GET", "/field-worker.js"): Needs(Role.VIEWER),
    ("GET", _FIELD): Needs(Role.VIEWER),
    ("GET", "/api/photos/{entry_id}"): Needs(Role.VIEWER),
    ("GET", "/api/channels"): Needs(Role.VIEWER),
    ("GET", "/api/trend"): Needs(Role.VIEWER),
    ("GET", "/api/alarms"): Needs(Role.VIEWER),
    ("GET", _ALARM): Needs(Role.VIEWER),
    ("GET", f"{_ALARM}/cap"): Needs(Role.VIEWER),
    ("GET", f"{_ALARM}/similar"): Needs(Role.VIEWER),
    ("GET", "/api/kpis"): Needs(Role.VIEWER),
    ("GET", "/api/shift"): Needs(Role.VIEWER),
    ("GET", "/api/shift-report"): Needs(Role.VIEWER),
    ("POST", "/api/hand-overs"): Needs(Role.OPERATOR),
    ("POST", "/api/hand-overs/take"): Needs(Role.OPERATOR),
    ("POST", "/api/hand-overs/keep"): Needs(Role.OPERATOR),
    ("GET", "/api/proof-tests"): Needs(Role.VIEWER),
    ("POST", "/api/proof-tests"): Needs(Role.OPERATOR),
    ("GET", "/metrics"): Needs(Role.VIEWER, whole=True),
    ("POST", f"{_ALARM}/ack"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/ack/revoke"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/reset"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/shelve"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/unshelve"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/comment"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/assign"): Needs(Role.OPERATOR),
    ("POST", f"{_ALARM}/classify"): Needs(Role.OPERATOR),
    ("GET", "/api/incidents"): Needs(Role.VIEWER),
    ("GET", _INCIDENT): Needs(Role.VIEWER),
    ("GET", f"{_INCIDENT}/cap"): Needs(Role.VIEWER),
    ("POST", f"{_INCIDENT}/acknowledge"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/verify"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/dispatch"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/on-site"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/mitigate"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/close"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/false-alarm"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/reopen"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/comment"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/assign"): Needs(Role.OPERATOR),
    ("POST", f"{_INCIDENT}/hand-over"): Needs(Role.OPERATOR),
    ("POST", f"{_FIELD}/on-site"): Needs(Role.OPERATOR),
    ("POST", f"{_FIELD}/note"): Needs(Role.OPERATOR),
    ("POST", f"{_FIELD}/photo"): Needs(Role.OPERATOR),
    ("POST", f"{_FIELD}/calibrate"): Needs(Role.OPERATOR),
    ("POST", f"{_FIELD}/result"): Needs(Role.OPERATOR),
    ("POST", "/api/reload"): Needs(Role.ENGINEER, whole=True),
    ("GET", "/api/people"): Needs(Role.ADMIN, whole=True),
    ("GET", "/api/people/log"): Needs(Role.ADMIN, whole=True),
}
"""(method, path as the route has it): what it needs. Whatever has ``{alarm_id}`` or
``{incident_id}`` is scoped too."""


class Refusal(Exception):  # noqa: N818 - reads as what it says
    """An answer instead of the route's."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class Access:
    """Finds out who asks, refuses what they may not, and tells the route who it is."""

    def __init__(self, app: ASGIApp, *, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["actor"] = await self._entered(scope)
        except Refusal as refused:
            await refused.answer(scope, receive, send)
        except Unavailable as error:
            answer = problem(503, str(error), remedy="try again; nothing was changed")
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _entered(self, scope: Scope) -> Actor:
        path, parameters, needs = _route(scope)
        headers = Headers(scope=scope)
        if needs is OPEN:
            return ANYBODY  # told to a route that asks nobody
        actor = await run_in_threadpool(who, self._desk, headers, secure=is_secure(scope))
        if actor is None:
            raise Refusal(_stranger(scope, headers))
        _not_forged(scope, headers, actor)
        if path is None:
            return actor  # there is no such route, which is no secret of those who came in
        if needs is None or needs.role is None:
            said = f"{scope['method']} {path} is in no table of what people may do"
            raise Refusal(problem(403, said, remedy="it is our fault: lifeline/console/access.py"))
        if actor.role < needs.role or (needs.whole and not actor.whole):
            raise Refusal(_forbidden(actor, needs))
        for field in ("alarm_id", "incident_id"):
            if (value := parameters.get(field)) and not actor.whole:
                await run_in_threadpool(self._seen, actor, field, value)
        return actor

    def _seen(self, actor: Actor, field: str, value: str) -> None:
        sight = sight_of(self._desk, actor)
        if field == "alarm_id":
            found = self._desk.ledger.alarm(value)
            hidden = found is not None and not sight.alarm(found[0])
        else:
            try:
                hidden = sight.part(Incidents(self._desk.ledger).one(value)) is None
            except Unknown:
                hidden = False  # the route says so in the same words
        if hidden:
            metrics.HTTP_REFUSED.labels("scope").inc()
            remedy = "reload the list; ids have 12 hex digits"
            said = f"there is no {field.removesuffix('_id')} {value!r}"
            raise Refusal(problem(404, said, field=field, value=value, remedy=remedy))


def who(desk: Desk, headers: Headers, *, secure: bool) -> Actor | None:
    """Return who asks, None where a login is needed and there is none that holds.

    Raises
    ------
    Unavailable
        It cannot be looked up.
    """
    if token := shown_token(headers):
        return desk.doorman.by_token(token)  # also at a page without accounts: it must hold
    if not desk.doorman.asks:
        return ANYBODY
    session = session_of(headers, secure=secure)
    return desk.doorman.by_session(session) if session else None


def shown_token(headers: Headers) -> str:
    """Return the API token a request shows, "" where none."""
    token = headers.get(TOKEN_HEADER, "")
    if not token:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.startswith(TOKEN_MARK):
            return ""
    return token.strip()


def session_of(headers: Headers, *, secure: bool) -> str:
    """Return what the session's cookie holds, "" where there is none."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load("; ".join(headers.getlist("cookie")))
    except CookieError:
        return ""
    found = jar.get(SAFE_COOKIE if secure else COOKIE)
    return found.value if found is not None else ""


def is_secure(scope: Scope) -> bool:
    """Tell whether the browser speaks TLS, with us or with the proxy; `guard.py` knows."""
    return bool(scope.get("state", {}).get("secure"))


def _route(scope: Scope) -> tuple[str | None, dict[str, Any], Needs | None]:
    """Return (path as the route has it, what it holds, what it needs); no path: no such route."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    for route in scope["app"].routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return route.path, found.get("path_params", {}), ROUTES.get((method, route.path))
    return None, {}, None


def _stranger(scope: Scope, headers: Headers) -> Response:
    metrics.HTTP_REFUSED.labels("stranger").inc()
    path = scope["path"]
    if scope["method"] == "GET" and not shown_token(headers):
        if path == "/":
            return RedirectResponse("/login", status_code=303)
        if path == "/field" or path.startswith(LINKS):  # opened once somebody has come in
            return RedirectResponse(f"/login?next={quote(path, safe='/')}", status_code=303)
    remedy = "log in at /login, or show a token that holds 请先登录"
    return problem(401, "nobody is logged in here, or no longer 未登录或登录已失效", remedy=remedy)


def _forbidden(actor: Actor, needs: Needs) -> Response:
    metrics.HTTP_REFUSED.labels("role").inc()
    wanted = (needs.role or Role.VIEWER).word
    of = " of the whole city" if needs.whole and not actor.whole else ""
    said = f"{actor.login} is {actor.role.word} here; this needs {wanted}{of} 权限不足"
    return problem(
        403, said, value=actor.role.word, remedy="ask who runs the city: lifeline people"
    )


def _not_forged(scope: Scope, headers: Headers, actor: Actor) -> None:
    """Refuse an order of a cookie's session that the page itself did not make."""
    if scope["method"] in ("GET", "HEAD") or actor.by != "session":
        return
    from_page = "origin" in headers or headers.get("sec-fetch-site") == "same-origin"
    if not from_page:  # what it says was checked by guard.py
        metrics.HTTP_REFUSED.labels("origin").inc()
        said = {"field": "Origin", "value": "", "remedy": "use the page itself, or a token"}
        raise Refusal(problem(403, "orders of a session are taken from the page only", **said))
    shown = headers.get(CSRF, "").encode()
    if not actor.csrf or not hmac.compare_digest(shown, actor.csrf.encode()):
        metrics.HTTP_REFUSED.labels("csrf").inc()
        said = {"field": CSRF, "value": "", "remedy": "take it from GET /api/me"}
        raise Refusal(problem(403, "the request does not show its session's token", **said))


# ── for the routes ───────────────────────────────────────────────────────────────────────────


async def _actor(request: Request) -> Actor:
    actor: Actor = request.state.actor
    return actor


Asking = Annotated[Actor, Depends(_actor)]
"""Who asks: a parameter of a route."""


def sight_of(desk: Desk, actor: Actor) -> Sight:
    """Return what an actor sees of the city as it is now."""
    return desk.sights.of(actor, desk.keeper.site)


def signed_by(actor: Actor, by: str | None) -> str:
    """Return whose order it is: the login, or at a page without accounts the name that came along.

    Raises
    ------
    BadInput
        No name where one is needed, or another than the login.
    """
    if not actor.login:
        if by is None:
            raise BadInput("by", by, "add this field: who you are", message="by: is missing")
        return by
    if by is not None and by != actor.login:
        raise BadInput("by", by, f"leave it out: you are {actor.login}")
    return actor.login
