"""The shift over HTTP: which one it is, who hands over to whom, what is open, its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, JSONResponse

from lifeline.console.access import Asking, sight_of, signed_by
from lifeline.console.answers import BadInput
from lifeline.console.duty_routes import city_of
from lifeline.console.orders import CommandId, Person
from lifeline.duty.report import shift_report
from lifeline.duty.report_html import report_page
from lifeline.ledger import Conflict, HandOvers, Unknown
from lifeline.ledger.hand_over import MOST_NOTE
from lifeline.people.accounts import Accounts
from lifeline.people.roles import Role
from rules.alarms import Ack

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.ledger import HandOver
    from lifeline.people.roles import Actor

MOST_OPEN = 100_000
MOST_NAMED = 100
HandOverId = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    by: Person | None = None  # with accounts left out: it is the login
    command: CommandId


class OfferBody(_Body):
    """Hand over: to whom, and what they have to know."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"to": "wang", "note": "pump 3 is out until noon", "command": "3f9a0c"}]
        }
    )

    to: Person
    note: Annotated[str, Field(min_length=1, max_length=MOST_NOTE)]


class TakeBody(_Body):
    """Confirm a hand-over to oneself; a remark if there is something to say."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "3f9a0c3f9a0c", "remark": "seen", "command": "3f9a0d"}]
        }
    )

    id: HandOverId
    remark: Annotated[str, Field(max_length=1_000)] = ""


class KeepBody(_Body):
    """Take an offer of one's own back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "3f9a0c3f9a0c", "command": "3f9a0e"}]}
    )

    id: HandOverId


def install(app: FastAPI, desk: Desk) -> None:
    """Add the routes; `access.ROUTES` says who may ask each."""
    _reading(app, desk)
    hand_overs = HandOvers(desk.ledger)

    @app.post("/api/hand-overs")
    def _offer(body: OfferBody, actor: Asking) -> JSONResponse:
        """Hand the shift over; who takes over confirms."""
        by = signed_by(actor, body.by)
        if desk.doorman.asks:
            _on_duty(desk, body.to)
        sight = sight_of(desk, actor)
        done = hand_overs.offer(
            by=by,
            to=body.to,
            text=body.note,
            shift=desk.settings.duty.shifts.at(desk.clock.now_ns()).name,
            open_now=left_open(desk, sight),
            command=body.command,
            simulation=desk.keeper.simulation,
        )
        desk.bell.ring()
        return JSONResponse({"hand_over": done.told()})

    @app.post("/api/hand-overs/take")
    def _take(body: TakeBody, actor: Asking) -> JSONResponse:
        """Confirm a hand-over: what is open is from now on the taker's."""
        by = signed_by(actor, body.by)
        _must_concern(hand_overs, actor, body.id)
        how = {"remark": body.remark, "command": body.command}
        done = hand_overs.take(body.id, by=by, simulation=desk.keeper.simulation, **how)
        desk.bell.ring()
        return JSONResponse({"hand_over": done.told()})

    @app.post("/api/hand-overs/keep")
    def _keep(body: KeepBody, actor: Asking) -> JSONResponse:
        """Take one's own offer back."""
        by = signed_by(actor, body.by)
        _must_concern(hand_overs, actor, body.id)
        done = hand_overs.keep(
            body.id, by=by, command=body.command, simulation=desk.keeper.simulation
        )
        desk.bell.ring()
        return JSONResponse({"hand_over": done.told()})


def _reading(app: FastAPI, desk: Desk) -> None:
    hand_overs = HandOvers(desk.ledger)

    @app.get("/api/shift")
    def _shift(actor: Asking) -> JSONResponse:
        """Tell the shift that runs, what is open now, and the newest hand-overs."""
        now_ns = desk.clock.now_ns()
        shift = desk.settings.duty.shifts.at(now_ns)
        return JSONResponse(
            {
                "shift": shift.name,
                "from_ms": shift.from_ns // 10**6,
                "to_ms": shift.to_ns // 10**6,
                "before": desk.settings.duty.shifts.before(shift).name,
                "open": left_open(desk, sight_of(desk, actor)),
                "hand_overs": [e.told() for e in hand_overs.all() if concerns(actor, e)][:50],
                "takers": _takers(desk, actor),
            }
        )

    @app.get("/api/shift-report", response_class=HTMLResponse)
    def _report(
        actor: Asking,
        shift: Annotated[str, Query(max_length=16)] = "",
        lang: Literal["en", "zh"] = "zh",
    ) -> HTMLResponse:
        """Return the report of a shift as a page of its own; the running one if none is named."""
        now_ns = desk.clock.now_ns()
        shifts = desk.settings.duty.shifts
        city = city_of(desk, sight_of(desk, actor))
        try:
            wanted = shifts.named(shift) if shift else shifts.at(now_ns)
            found = shift_report(city, wanted, now_ns=now_ns)
        except ValueError as error:
            remedy = "write the time a shift begins: 2026-11-29T08:00"
            raise BadInput("shift", shift, remedy, message=str(error)) from error
        return HTMLResponse(report_page(found, city, lang))


def left_open(desk: Desk, sight: Sight) -> dict[str, Any]:
    """Return what stands open of what one sees: how many, and the worst of them."""
    seen = [a for a in desk.ledger.open_alarms(limit=MOST_OPEN) if sight.alarm(a)]
    return {
        "open": len(seen),
        "unacknowledged": sum(a.ack is Ack.UNACKED for a in seen),
        "shelved": sum(a.shelf is not None for a in seen),
        "by_severity": {str(s): sum(a.shown_severity == s for a in seen) for s in (4, 3, 2, 1)},
        "alarms": [a.alarm_id for a in seen[:MOST_NAMED]],
    }


def concerns(actor: Actor, each: HandOver) -> bool:
    """Tell whether a hand-over is an actor's to see: theirs, or of who sees the whole city."""
    return actor.whole or actor.login in (each.by, each.to)


def _must_concern(hand_overs: HandOvers, actor: Actor, name: str) -> None:
    if not any(e.id == name and concerns(actor, e) for e in hand_overs.all()):
        raise Unknown(f"there is no hand-over {name!r}", remedy="reload the list")


def _on_duty(desk: Desk, login: str) -> None:
    """Refuse a taker who has no account, or one that may not handle alarms."""
    held = next((a for a in Accounts(desk.ledger).all() if a.login == login), None)
    if held is None or held.disabled or held.role < Role.OPERATOR:
        said = f"to: {login!r} is no operator here 无此值班账号"
        raise Conflict(said, remedy="name a login: `lifeline people list`")


def _takers(desk: Desk, actor: Actor) -> list[dict[str, str]]:
    """Return whom one may hand over to, [] where there are no accounts."""
    if not desk.doorman.asks or actor.role < Role.OPERATOR:
        return []
    return [
        {"login": each.login, "name": each.name}
        for each in Accounts(desk.ledger).all()
        if not each.disabled and each.role >= Role.OPERATOR and each.login != actor.login
    ]
