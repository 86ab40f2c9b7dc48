"""What people order of alarms, over HTTP: acknowledge, shelve, comment, assign, classify, reset.

Commands carry an id of their own (``command``), so that a repeated request does nothing twice, and
what the person had seen (``expected_seq``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from lifeline.console import view
from lifeline.console.access import Asking, signed_by
from lifeline.ledger.people import People
from rules.alarms import CAUSES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from rules.alarms import Alarm

MINUTE_NS = 60_000_000_000

AlarmId = Annotated[str, InPath(pattern="^[0-9a-f]{12}$")]
Person = Annotated[str, Field(min_length=1, max_length=64, pattern=r"\S")]
CommandId = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(max_length=1_000)]
Said = Annotated[str, Field(min_length=1, max_length=1_000)]
Seen = Annotated[int, Field(ge=0)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    by: Person | None = None  # with accounts left out: it is the login
    command: CommandId


class AckBody(_Body):
    """Acknowledge: who, what they say, what they had seen."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"comment": "patrol sent", "expected_seq": 41, "command": "3f9a0c"}]
        }
    )

    comment: Text = ""
    expected_seq: Seen


class PlainBody(_Body):
    """Take an acknowledgement back, or an alarm from its shelf."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"command": "3f9a0c"}]})


class ResetBody(_Body):
    """Reset an over-range alarm: a reason (the re-test) is required."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "re-tested, 0.1 %vol", "command": "3f9a0c"}]}
    )

    reason: Said


class ShelveBody(_Body):
    """Shelve for so many minutes, for a reason."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reason": "works until noon",
                    "minutes": 30,
                    "expected_seq": 41,
                    "command": "3f9a0c",
                }
            ]
        }
    )

    reason: Said
    minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)]
    expected_seq: Seen


class CommentBody(_Body):
    """A note."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"comment": "smells at the corner", "command": "3f9a0c"}]}
    )

    comment: Said


class AssignBody(_Body):
    """Who looks after it; "" nobody."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "wang", "command": "3f9a0c"}]})

    to: Annotated[str, Field(max_length=64)]


class ClassifyBody(_Body):
    """Whether the alarm was true, and what caused it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"verdict": "true", "cause": "leak", "command": "3f9a0c"}]}
    )

    verdict: Literal["true", "false"]
    cause: Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(CAUSES)})]
    comment: Text = ""


def one(desk: Desk, alarm: Alarm, *, simulation: bool) -> dict[str, Any]:
    """Return an alarm as every answer has it."""
    zone = desk.settings.zone
    return view.alarm_json(alarm, desk.keeper.site, zone=zone, simulation=simulation)


def install(app: FastAPI, desk: Desk) -> None:
    """Add the commands to the application."""

    def answer(alarm: Alarm) -> JSONResponse:
        desk.bell.ring()
        return JSONResponse({"alarm": one(desk, alarm, simulation=desk.keeper.simulation)})

    _seeing(app, desk, answer)
    people = People(desk.ledger)

    @app.post("/api/alarms/{alarm_id}/shelve")
    def _shelve(alarm_id: AlarmId, body: ShelveBody, actor: Asking) -> JSONResponse:
        return answer(
            people.shelve(
                alarm_id,
                by=signed_by(actor, body.by),
                reason=body.reason,
                for_ns=body.minutes * MINUTE_NS,
                expected_seq=body.expected_seq,
                command=body.command,
            )
        )

    @app.post("/api/alarms/{alarm_id}/unshelve")
    def _unshelve(alarm_id: AlarmId, body: PlainBody, actor: Asking) -> JSONResponse:
        return answer(people.unshelve(alarm_id, by=signed_by(actor, body.by), command=body.command))

    @app.post("/api/alarms/{alarm_id}/comment")
    def _comment(alarm_id: AlarmId, body: CommentBody, actor: Asking) -> JSONResponse:
        done = people.comment(
            alarm_id, by=signed_by(actor, body.by), text=body.comment, command=body.command
        )
        return answer(done)

    @app.post("/api/alarms/{alarm_id}/assign")
    def _assign(alarm_id: AlarmId, body: AssignBody, actor: Asking) -> JSONResponse:
        return answer(
            people.assign(alarm_id, by=signed_by(actor, body.by), to=body.to, command=body.command)
        )

    @app.post("/api/alarms/{alarm_id}/classify")
    def _classify(alarm_id: AlarmId, body: ClassifyBody, actor: Asking) -> JSONResponse:
        return answer(
            people.classify(
                alarm_id,
                by=signed_by(actor, body.by),
                verdict=body.verdict,
                cause=body.cause,
                comment=body.comment,
                command=body.command,
            )
        )


def _seeing(app: FastAPI, desk: Desk, answer: Any) -> None:
    @app.post("/api/alarms/{alarm_id}/ack")
    def _ack(alarm_id: AlarmId, body: AckBody, actor: Asking) -> JSONResponse:
        done = desk.ledger.acknowledge(
            alarm_id, signed_by(actor, body.by), body.comment, body.expected_seq, body.command
        )
        told: JSONResponse = answer(done)
        return told

    @app.post("/api/alarms/{alarm_id}/ack/revoke")
    def _revoke(alarm_id: AlarmId, body: PlainBody, actor: Asking) -> JSONResponse:
        told: JSONResponse = answer(
            desk.ledger.revoke(alarm_id, signed_by(actor, body.by), body.command)
        )
        return told

    @app.post("/api/alarms/{alarm_id}/reset", status_code=202)
    def _reset(alarm_id: AlarmId, body: ResetBody, actor: Asking) -> JSONResponse:
        told: JSONResponse = answer(
            desk.ledger.reset(alarm_id, signed_by(actor, body.by), body.reason, body.command)
        )
        told.status_code = 202  # the engine answers with a RESET event when it has seen it
        return told
