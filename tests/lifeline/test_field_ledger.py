"""What people do on site, in the ledger: each order once, with its incident in one transaction."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from ingest.control import parse
from lifeline.ledger import Conflict, Refused, Unknown
from lifeline.ledger.field import Did, FieldBook, Visit
from lifeline.ledger.tables import COMMAND
from rules.engine.ordered import read_order
from rules.incidents.flow import Kind, Stage
from tests.lifeline.test_incident_ledger import MINUTE_NS, Site, ch4

ASSET = ch4(10).split("/")[0]


class Ground(Site):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.field = FieldBook(self.ledger)

    def visit(self, command: str, **more) -> Visit:
        given = {"asset_id": ASSET, "by": "li", "on": lambda s: s.split("/")[0] == ASSET}
        return Visit(**(given | {"command": command} | more))

    def controls(self) -> list[dict]:
        """What goes into the journal, as ingest reads it."""
        query = select(COMMAND.c.control).order_by(COMMAND.c.id)
        with self.ledger.read() as connection:
            told = [parse(row.control.encode()) for row in connection.execute(query)]
        return [{"type": c.type} | c.data for c in told]

    def dispatched(self) -> None:
        self.tell("RAISED", 4)
        self.order(Kind.ACKNOWLEDGE)
        self.order(Kind.DISPATCH)


@pytest.fixture
def ground(tmp_path):
    held = Ground(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield held
    held.ledger.close()


def test_who_arrives_moves_the_incident_that_waits_for_them_and_only_once(ground):
    ground.dispatched()
    first = ground.field.on_site(ground.visit("a", text="two of us"))
    assert ground.only().handling.stage is Stage.ON_SITE
    assert first.incident_id == ground.only().incident_id
    again = ground.field.on_site(ground.visit("a", text="two of us"))
    assert again == first
    events = [e.kind for e in ground.incidents.events(first.incident_id)]
    assert events.count(Kind.ARRIVE) == 1
    assert len(ground.field.of_asset(ASSET)) == 1
    assert [c["type"] for c in ground.controls()][-2:] == ["incident", "field"]


def test_where_the_step_does_not_fit_the_arrival_is_a_note_of_the_incident(ground):
    ground.tell("RAISED", 2)
    entry = ground.field.on_site(ground.visit("a", text="dry"))
    assert ground.only().handling.stage is Stage.RAISED
    last = ground.incidents.events(entry.incident_id)[-1]
    assert (last.kind, last.by, last.said["reason"]) == (Kind.COMMENT, "li", "on site 到场 dry")


def test_who_sees_only_a_part_of_the_incident_comments(ground):
    ground.dispatched()
    ground.tell("RAISED", 2, 11)  # the manhole beside it, another firm's
    assert len(ground.only().group.members) == 2
    ground.field.on_site(ground.visit("a", sees=lambda s: s.split("/")[0] == ASSET))
    assert ground.only().handling.stage is Stage.DISPATCHED
    assert ground.incidents.events(ground.only().incident_id)[-1].kind is Kind.COMMENT
    ground.field.on_site(ground.visit("b", sees=lambda _: True))
    assert ground.only().handling.stage is Stage.ON_SITE


def test_a_note_needs_no_incident_and_one_that_is_named_must_be_here(ground):
    entry = ground.field.note(ground.visit("a", text="cover loose", waited_ns=5 * MINUTE_NS))
    assert (entry.incident_id, entry.said["text"]) == ("", "cover loose")
    assert entry.got_ns - entry.at_ns == 5 * MINUTE_NS
    ground.tell("RAISED", 2, 50)
    elsewhere = ground.only().incident_id
    with pytest.raises(Unknown, match="no incident"):
        ground.field.note(ground.visit("b", text="x", incident_id=elsewhere))
    with pytest.raises(Refused, match="empty"):
        ground.field.note(ground.visit("c", text="  "))
    assert [e.entry_id for e in ground.field.of_asset(ASSET)] == [entry.entry_id]
    assert ground.field.of_incident(elsewhere) == []


def test_a_command_for_something_else_is_refused_and_nothing_is_written(ground):
    ground.dispatched()
    ground.field.note(ground.visit("a", text="one"))
    for wrong in (ground.visit("a", text="one", by="wang"), ground.visit("a~i", text="one")):
        with pytest.raises(Refused, match="was used for"):
            ground.field.note(wrong)
    assert len(ground.field.of_asset(ASSET)) == 1


def test_calibrating_is_a_window_for_the_engine_and_its_result_ends_it(ground):
    how = {"match": "asset", "subject": ASSET, "for_ns": 30 * MINUTE_NS}
    work = ground.field.calibrate(ground.visit("a"), **how)
    begun = ground.controls()[-1]
    assert begun["type"] == "window"
    kept = read_order(begun)
    assert kept is not None, "the engine takes it"
    assert kept["to_ns"] - kept["from_ns"] == 30 * MINUTE_NS
    assert [e.entry_id for e in ground.field.running()] == [work.entry_id]
    with pytest.raises(Conflict, match="li calibrates"):
        ground.field.calibrate(ground.visit("b", by="wang"), **how)
    gave = {"entry_id": work.entry_id, "passed": True, "found": 2.31, "left": 2.2}
    told = ground.field.result(ground.visit("c", text="span set"), **gave)
    assert told.did is Did.RESULT
    assert {k: told.said[k] for k in ("passed", "found", "left")} == {
        "passed": True, "found": 2.31, "left": 2.2,
    }  # fmt: skip
    end = ground.controls()[-1]
    assert (end["type"], end["window"], end["end"]) == ("window", kept["window"], True)
    assert ground.field.running() == []
    assert ground.field.result(ground.visit("c", text="span set"), **gave) == told
    with pytest.raises(Conflict, match="result already"):
        ground.field.result(ground.visit("d"), **gave)
    ground.field.calibrate(ground.visit("e"), **how)


def test_it_ends_by_itself_and_the_result_may_be_noted_afterwards(ground):
    how = {"match": "channel", "subject": ch4(10), "for_ns": 30 * MINUTE_NS}
    work = ground.field.calibrate(ground.visit("a"), **how)
    ground.clock.ns += 31 * MINUTE_NS
    assert ground.field.running() == []
    gave = {"entry_id": work.entry_id, "passed": False, "found": 1.0, "left": None}
    ground.field.result(ground.visit("b"), **gave)
    assert ground.controls()[-1]["type"] == "field"


def test_what_waited_in_the_phone_counts_from_when_it_was_ordered(ground):
    how = {"match": "asset", "subject": ASSET, "for_ns": 30 * MINUTE_NS}
    late = ground.field.calibrate(ground.visit("a", waited_ns=40 * MINUTE_NS), **how)
    assert late.said["over"]
    assert ground.controls()[-1]["type"] == "field", "nothing is held afterwards"
    assert ground.field.running() == []
    ground.field.calibrate(ground.visit("b", waited_ns=10 * MINUTE_NS), **how)
    kept = read_order(ground.controls()[-1])
    assert kept is not None
    assert kept["to_ns"] - ground.clock.ns == 20 * MINUTE_NS


@pytest.mark.parametrize("minutes", [0, -5, 121])
def test_nobody_is_out_of_service_for_longer_than_two_hours(ground, minutes):
    with pytest.raises(Refused, match="calibrating for"):
        ground.field.calibrate(
            ground.visit("a"), match="asset", subject=ASSET, for_ns=minutes * MINUTE_NS
        )
    assert ground.controls() == []


def test_a_result_is_of_a_calibration_of_this_asset(ground):
    note = ground.field.note(ground.visit("a", text="x"))
    gave = {"passed": True, "found": None, "left": None}
    for wrong in (note.entry_id, "0123456789ab"):
        with pytest.raises(Unknown, match="no calibration"):
            ground.field.result(ground.visit("b"), entry_id=wrong, **gave)
    body = json.dumps({"type": "field", "data": {"asset": ASSET, "event": "NOTE", "command": "z"}})
    assert parse(body.encode()).type == "field"
