"""The door: login, logout, who am I; and the files its page is made of, which anybody may have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse

from lifeline.console import view
from lifeline.console.access import COOKIE, SAFE_COOKIE, Asking, is_secure, session_of
from lifeline.console.answers import BadInput, problem
from lifeline.console.times import ms
from lifeline.ledger import Refused
from lifeline.people import audit
from lifeline.people.accounts import Accounts
from lifeline.people.doorman import TooEarly, WrongLogin
from lifeline.people.passwords import Busy

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.people.roles import Actor

STATIC: Final = Path(__file__).parent / "static"
DOOR_FILES: Final = ("login.js", "api.js", "dom.js", "words.js", "page.css", "icon.svg")
"""What the login's page is made of: it is answered before anybody is known."""
Secret = Annotated[str, Field(min_length=1, max_length=256)]


class LoginBody(BaseModel):
    """Who comes in, and by which password."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"login": "li", "password": "several words do"}]},
    )

    login: Annotated[str, Field(min_length=1, max_length=64)]
    password: Secret


class LogoutBody(BaseModel):
    """``everywhere``: every session of the account ends."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"everywhere": False}]}
    )

    everywhere: Annotated[bool, Field(strict=True)] = False


class PasswordBody(BaseModel):
    """One's own password, and the new one."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"old": "several words do", "new": "other words do too"}]},
    )

    old: Secret
    new: Secret


def install(app: FastAPI, desk: Desk) -> None:
    """Add the routes; `access.ROUTES` says who may ask each."""
    _door(app, desk)
    _oneself(app, desk)
    _people(app, desk)

    @app.get("/login", include_in_schema=False)
    def _page() -> FileResponse:
        return FileResponse(STATIC / "login.html", headers={"Cache-Control": "no-cache"})

    @app.get("/login/{name}", include_in_schema=False)
    def _file(name: str) -> FileResponse:
        if name not in DOOR_FILES:
            raise HTTPException(404, f"there is no {name!r} here")
        return FileResponse(STATIC / name, headers={"Cache-Control": "no-cache"})

    @app.get("/healthz")
    def _healthz() -> JSONResponse:
        """Say whether the city is watched, and nothing else: for whoever need not log in."""
        told = view.pulse(desk)
        well = not (told["problems"] or told["stale"] or told["blind"])
        return JSONResponse({"ok": well}, status_code=200 if well else 503)


def _door(app: FastAPI, desk: Desk) -> None:
    @app.post("/login")
    def _log_in(request: Request, body: LoginBody) -> JSONResponse:
        """Log in: 200 with a cookie, 401 for whatever is wrong, 429 after too many failures."""
        if not desk.doorman.asks:
            remedy = "`lifeline people add` makes one"
            return problem(409, "this page has no accounts; nobody need log in", remedy=remedy)
        secure, headers = is_secure(request.scope), Headers(scope=request.scope)
        try:
            secret, actor = desk.doorman.log_in(
                body.login,
                body.password,
                address=request.scope["state"].get("address", ""),
                old=session_of(headers, secure=secure),
            )
        except WrongLogin:
            remedy = "look at both, then try again 请核对后重试"
            return problem(401, "login or password is wrong 账号或密码错误", remedy=remedy)
        except TooEarly as early:
            return _later(
                f"too many failures 失败次数过多，请 {early.wait_s:.0f} 秒后再试", early.wait_s
            )
        except Busy:
            return _later("too many logins at once 登录请求过多", 5.0)
        answer = JSONResponse(_me(desk, actor))
        answer.set_cookie(SAFE_COOKIE if secure else COOKIE, secret, **_how(secure=secure))
        return answer

    @app.post("/logout")
    def _log_out(request: Request, body: LogoutBody, actor: Asking) -> JSONResponse:
        """End this session, or with ``everywhere`` all of the account."""
        if actor.by == "open":
            return JSONResponse({"ended": 0})
        if actor.by == "token":
            remedy = "end it by `lifeline people tokens --revoke`"
            return problem(409, "a token has no session to end", remedy=remedy)
        ended = desk.doorman.log_out(actor, everywhere=body.everywhere)
        answer = JSONResponse({"ended": ended})
        secure = is_secure(request.scope)
        answer.delete_cookie(SAFE_COOKIE if secure else COOKIE, **_how(secure=secure))
        return answer


def _how(*, secure: bool) -> dict[str, Any]:
    """Return the cookie's attributes; it ends with the browser, and with the session here."""
    return {"httponly": True, "samesite": "strict", "secure": secure, "path": "/"}


def _later(said: str, wait_s: float) -> JSONResponse:
    answer = problem(429, said, remedy="wait, then try again", wait_s=round(wait_s))
    answer.headers["Retry-After"] = str(round(wait_s))
    return answer


def _oneself(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/me")
    def _who_am_i(actor: Asking) -> JSONResponse:
        """Say who asks, what they may do, and the token that orders of a session show."""
        return JSONResponse(_me(desk, actor), headers={"Cache-Control": "no-store"})

    @app.post("/api/me/password")
    def _password(request: Request, body: PasswordBody, actor: Asking) -> JSONResponse:
        """Give oneself another password; every other session of the account ends."""
        if actor.by != "session":
            remedy = "log in first, or use `lifeline people password`"
            return problem(409, "only who is logged in changes a password", remedy=remedy)
        address = request.scope["state"].get("address", "")
        try:
            desk.doorman.prove(actor.login, body.old, address=address)
            Accounts(desk.ledger).set_password(
                actor.login, body.new, actor=actor.login, keep=actor.key
            )
        except WrongLogin:
            return problem(403, "the old password is wrong 原密码错误", field="old", value="")
        except TooEarly as early:
            return _later("too many failures 失败次数过多", early.wait_s)
        except Busy:
            return _later("too many logins at once 登录请求过多", 5.0)
        except Refused as refused:
            raise BadInput("new", "", refused.remedy, message=str(refused)) from refused
        return JSONResponse({"changed": True})


def _me(desk: Desk, actor: Actor) -> dict[str, Any]:
    return {
        "accounts": desk.doorman.asks,
        "login": actor.login,
        "name": actor.name,
        "role": actor.role.word,
        "scopes": [scope.told() for scope in actor.scopes],
        "whole_city": actor.whole,
        "by": actor.by,
        "ends_ms": ms(actor.ends_wall_ns),
        "csrf": actor.csrf,
    }


def _people(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/people")
    def _accounts() -> JSONResponse:
        """List the accounts, without anything secret; `lifeline people` changes them."""
        held = [account.told() for account in Accounts(desk.ledger).all()]
        return JSONResponse({"people": held})

    @app.get("/api/people/log")
    def _log(limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> JSONResponse:
        """Say who came in and what was done to accounts, oldest first."""
        return JSONResponse({"lines": audit.lines(desk.ledger, limit=limit)})
