"""Proof tests over HTTP: which are due, which failed, and one that was just made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from lifeline.console.access import Asking, sight_of, signed_by
from lifeline.console.orders import CommandId, Person
from lifeline.duty.proof import Due, due_tests, gauge
from lifeline.ledger import ProofTests, Unknown
from lifeline.ledger.proof_tests import MOST_NOTE

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight


class ProofTestBody(BaseModel):
    """A test of a channel: when (Unix ms; now), whether it passed, and what was seen."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [
                {
                    "channel": "410100-gas-mh-000123/ch4-01/vol",
                    "passed": True,
                    "note": "50 %LEL test gas, 12 s",
                    "command": "3f9a0c",
                }
            ]
        },
    )

    by: Person | None = None  # with accounts left out: it is the login
    command: CommandId
    channel: Annotated[str, Field(min_length=1, max_length=200)]
    passed: Annotated[bool, Field(strict=True)]
    note: Annotated[str, Field(max_length=MOST_NOTE)] = ""
    at: Annotated[int | None, Field(ge=1, lt=2**43)] = None


def install(app: FastAPI, desk: Desk) -> None:
    """Add the routes; `access.ROUTES` says who may ask each."""
    tests = ProofTests(desk.ledger)

    @app.get("/api/proof-tests")
    def _list(
        actor: Asking,
        *,
        due: bool = False,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 500,
    ) -> JSONResponse:
        """Tell the safety channels that are to be tested; ``due``: only overdue or failed ones."""
        now_ns = desk.clock.now_ns()
        found = dues(desk, sight_of(desk, actor))
        states = [each.state(now_ns) for each in found]
        told = [e for e, state in zip(found, states, strict=True) if not due or state != "good"]
        return JSONResponse(
            {
                "total": len(found),
                "overdue": states.count("overdue"),
                "failed": states.count("failed"),
                "tests": [each.told(now_ns) for each in told[:limit]],
            }
        )

    @app.post("/api/proof-tests")
    def _record(body: ProofTestBody, actor: Asking) -> JSONResponse:
        """Note a proof test; one that failed raises an alarm until one passes."""
        by = signed_by(actor, body.by)
        site, sight = desk.keeper.site, sight_of(desk, actor)
        known = site is not None and body.channel in site.registry.channel_row
        if not known or not sight.named(body.channel):
            remedy = "look at GET /api/channels"
            raise Unknown(f"there is no channel {body.channel!r}", remedy=remedy)
        done = tests.record(
            body.channel,
            by=by,
            passed=body.passed,
            text=body.note,
            at_ns=(body.at or 0) * 10**6,
            command=body.command,
            simulation=desk.keeper.simulation,
        )
        desk.bell.ring()
        test = {"channel": done.channel, "at_ms": done.at_ns // 10**6, "passed": done.passed}
        return JSONResponse({"test": test | {"by": done.by, "note": done.note}})


def dues(desk: Desk, sight: Sight) -> list[Due]:
    """Return what is to be tested of what one sees."""
    site, wanted = desk.keeper.site, desk.settings.duty.test_every_ns
    if site is None or not wanted:
        return []
    newest = ProofTests(desk.ledger).newest()
    return due_tests(site, newest, wanted, zone=desk.settings.zone, seen=sight.channel)


def measure(desk: Desk, sight: Sight) -> None:
    """Bring the gauges of proof tests up to now."""
    if desk.keeper.site is not None:
        gauge(desk.keeper.site, dues(desk, sight), desk.clock.now_ns())
