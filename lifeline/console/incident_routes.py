"""Incidents over HTTP: listed, looked at, moved along their flow.

Commands carry an id of their own (``command``); steps also what the person had seen
(``expected_seq``). Who sees only some of an incident's alarms is told of these, and may comment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path as InPath
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from lifeline.console.access import Asking, sight_of, signed_by
from lifeline.console.answers import problem
from lifeline.console.field_view import entry_json
from lifeline.console.incident_view import (
    concern_json,
    incidents_json,
    shown,
    told_json,
)
from lifeline.console.orders import CommandId, Person, Said, Seen, Text, one
from lifeline.ledger import Unknown
from lifeline.ledger.field import FieldBook
from lifeline.ledger.incidents import Asked, Incidents
from lifeline.notify.cap import CONTENT_TYPE
from lifeline.notify.cap_incident import incident_xml
from rules.incidents.flow import INCIDENT_CAUSES, ORDER_NAMES, Kind

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.ledger.incidents import Incident
    from lifeline.people.roles import Actor

IncidentId = Annotated[str, InPath(pattern="^[0-9a-f]{12}$")]
Cause = Annotated[
    str,
    Field(
        pattern=f"^({'|'.join(INCIDENT_CAUSES)})$",
        json_schema_extra={"enum": list(INCIDENT_CAUSES)},
    ),
]


def _like(**example: Any) -> ConfigDict:
    """Return what a body is like: strict, with an example."""
    example |= {"command": "3f9a0c"}
    return ConfigDict(
        extra="forbid", str_strip_whitespace=True, json_schema_extra={"examples": [example]}
    )


class _Body(BaseModel):
    by: Person | None = None  # with accounts left out: it is the login
    command: CommandId


class StepBody(_Body):
    """A step of the flow, with what there is to say of it."""

    model_config = _like(expected_seq=41, reason="gas firm called")

    expected_seq: Seen
    reason: Text = ""


class CloseBody(StepBody):
    """The end, with its cause."""

    model_config = _like(expected_seq=41, cause="leak", reason="joint renewed")

    cause: Cause


class FalseAlarmBody(_Body):
    """A false alarm, with its cause and why it is one."""

    model_config = _like(expected_seq=41, cause="biogas", reason="sewer beside it")

    expected_seq: Seen
    cause: Cause
    reason: Said


class ReopenBody(_Body):
    """Take it up again, for a reason."""

    model_config = _like(expected_seq=41, reason="it smells again")

    expected_seq: Seen
    reason: Said


class NoteBody(_Body):
    """A comment, or a note for who comes next."""

    model_config = _like(reason="two wells smell")

    reason: Said


class GiveBody(_Body):
    """Who looks after it; "" nobody."""

    model_config = _like(to="wang")

    to: Annotated[str, Field(max_length=64)]


BODIES: Final[dict[Kind, type[_Body]]] = {
    Kind.ACKNOWLEDGE: StepBody,
    Kind.VERIFY: StepBody,
    Kind.DISPATCH: StepBody,
    Kind.ARRIVE: StepBody,
    Kind.MITIGATE: StepBody,
    Kind.CLOSE: CloseBody,
    Kind.FALSE_ALARM: FalseAlarmBody,
    Kind.REOPEN: ReopenBody,
    Kind.ASSIGN: GiveBody,
    Kind.COMMENT: NoteBody,
    Kind.HANDOVER: NoteBody,
}


def install(app: FastAPI, desk: Desk) -> None:
    """Add reading and ordering of incidents to the application."""
    incidents = Incidents(desk.ledger)
    _reading(app, desk, incidents)
    for kind, body in BODIES.items():
        _ordering(app, desk, incidents, kind, body)


def _ordering(
    app: FastAPI, desk: Desk, incidents: Incidents, kind: Kind, form: type[_Body]
) -> None:
    name = ORDER_NAMES[kind]

    def order(incident_id: IncidentId, body: _Body, actor: Asking) -> JSONResponse:
        said = body.model_dump(exclude={"by"})
        sight = sight_of(desk, actor)
        asked = Asked(incident_id=incident_id, kind=kind, by=signed_by(actor, body.by), **said)
        done = incidents.order(asked, sees=None if sight.whole else sight.subject)
        desk.bell.ring()
        told = shown(desk, incidents, [(_part(done, sight), done)], {})[0]
        return JSONResponse({"incident": told})

    order.__annotations__["body"] = form
    order.__doc__ = form.__doc__
    app.post(f"/api/incidents/{{incident_id}}/{name}", name=f"incident {name}")(order)


def _reading(app: FastAPI, desk: Desk, incidents: Incidents) -> None:
    @app.get("/api/incidents")
    def _list(
        actor: Asking,
        *,
        over: bool | None = False,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 500,
    ) -> JSONResponse:
        told = incidents_json(desk, sight_of(desk, actor), desk.ledger, over=over, limit=limit)
        return JSONResponse({"incidents": told})

    @app.get("/api/incidents/{incident_id}")
    def _one(incident_id: IncidentId, actor: Asking) -> JSONResponse:
        return JSONResponse(_whole_story(desk, incidents, incident_id, actor))

    @app.get("/api/incidents/{incident_id}/cap")
    def _cap(incident_id: IncidentId, actor: Asking) -> Response:
        found, settings = incidents.one(incident_id), desk.settings
        part = _part(found, sight_of(desk, actor))
        if len(part.group.members) < len(found.group.members):
            said = "alarms of others belong to this incident too 该事件还涉及其他单位的报警"
            remedy = "the city's desk exports it; GET /api/alarms/ID/cap exports an alarm of yours"
            return problem(403, said, field="incident_id", value=incident_id, remedy=remedy)
        alarms = incidents.alarms([member.alarm_id for member in found.group.members])
        raw = incident_xml(
            found,
            alarms,
            incidents.events(incident_id),
            desk.keeper.site,
            zone=settings.zone,
            sender=settings.cap,
            web=settings.public_url,
        )
        return Response(raw, media_type=CONTENT_TYPE)


def _part(found: Incident, sight: Sight) -> Incident:
    """Return what is seen of it; `access.py` has asked already, of the registry before."""
    part = sight.part(found)
    if part is None:
        said = f"there is no incident {found.incident_id!r}"
        raise Unknown(said, remedy="reload the list; ids have 12 hex digits")
    return part


def _whole_story(
    desk: Desk, incidents: Incidents, incident_id: str, actor: Actor
) -> dict[str, Any]:
    """Return an incident with its alarms, what happened, and whom it concerns."""
    found, sight = incidents.one(incident_id), sight_of(desk, actor)
    part = _part(found, sight)
    ids = [member.alarm_id for member in part.group.members]
    hidden = {member.alarm_id for member in found.group.members} - set(ids)
    alarms = incidents.alarms(ids)
    return {
        "incident": shown(desk, incidents, [(part, found)], {})[0],
        "alarms": [one(desk, alarms[i], simulation=found.simulation) for i in ids if i in alarms],
        "events": [
            told_json(each)
            for each in incidents.events(incident_id)
            if each.said.get("alarm") not in hidden
        ],
        "concern": concern_json(part, desk.keeper.site, sight),
        "field": [
            entry_json(each, desk.photos)
            for each in FieldBook(desk.ledger).of_incident(incident_id)
            if sight.subject(each.asset_id)
        ],
    }
