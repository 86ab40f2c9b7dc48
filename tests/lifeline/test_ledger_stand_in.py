"""A ledger that cannot be written: notifications, page and numbers go on, and it catches up."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import tracemalloc
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lifeline.ledger import Ledger, StandIn, Unavailable, stand_in
from lifeline.notify import WebhookSettings
from lifeline.torture.faults import Faults
from rules.events import Event, EventType
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until


def raised(offset: int, kind: EventType = EventType.RAISED) -> Event:
    return Event(
        type=kind,
        offset=offset,
        row=0,
        rule="ch4-level",
        subject=f"410100-gas-mh-{offset:06d}/ch4-01/vol",
        severity=3,
        max_severity=3,
        episode=f"{offset}.0",
    )


OUTLET = WebhookSettings(url="", secret=b"s").outlet


@pytest.fixture
def faults(tmp_path):
    held = Faults(tmp_path / "data")
    held.data.mkdir()
    disarm = held.arm()
    yield held
    disarm()


@pytest.fixture
def ledger(faults):
    held = Ledger(f"sqlite:///{faults.data / 'ledger.sqlite'}", outlets=(OUTLET,), wait_s=0.3)
    yield held
    held.close()


def test_its_messages_have_the_numbers_the_ledger_gives_later(ledger, faults, monkeypatch):
    monkeypatch.setattr(stand_in, "PROBE_S", 0.0)
    ledger.apply([raised(1), raised(2)], 3, position=3)
    ledger.settle(1, "webhook", status="delivered")
    faults.ledger_read_only(on=True)
    with pytest.raises(Unavailable, match="readonly"):
        ledger.apply([raised(3)], 4, position=4)
    second = StandIn(ledger)
    second.begin("readonly")
    assert not second.writable()
    second.current.apply([raised(3), raised(4)], 5, position=5)
    assert [row.seq for row in second.current.due()] == [2, 3, 4]
    second.current.settle(3, "webhook", status="delivered")
    assert len(second.current.open_alarms()) == 4
    faults.ledger_read_only(on=False)
    assert second.writable()
    ledger.apply([raised(3), raised(4)], 5, position=5)
    second.end()
    assert second.current is ledger
    assert [row.seq for row in ledger.due()] == [2, 4]
    assert ledger.counts()["outbox_delivered"] == 2


def test_the_copy_holds_what_is_open_and_waits_however_many_rows_are_copied_at_a_time(
    ledger, monkeypatch
):
    ledger.apply([raised(n) for n in range(1, 1_201)], 1_201, position=1_201)
    most = []
    for rows in (500, 2_000):
        monkeypatch.setattr(stand_in, "COPIED_ROWS", rows)
        second = StandIn(ledger)
        tracemalloc.start()
        second.begin("readonly")
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert second.current.open_alarms() == ledger.open_alarms()
        assert [r.seq for r in second.current.due(limit=5_000)] == list(range(1, 1_201))
        second.end()
    assert most[0] < 0.7 * most[1], "not all rows at once"


def test_nobody_else_writes_until_the_ledger_has_taken_the_same_events(ledger, faults):
    ledger.apply([raised(1)], 2, position=2)
    second = StandIn(ledger)
    second.begin("readonly")
    refused: list[Exception] = []

    def acknowledge() -> None:
        (alarm,) = ledger.open_alarms()
        try:
            ledger.acknowledge(alarm.alarm_id, "li", "", None, "c1")
        except Unavailable as error:
            refused.append(error)

    for again in (False, True):
        thread = threading.Thread(target=acknowledge)
        thread.start()
        thread.join()
        assert len(refused) == 1, again
        if not again:
            second.end()
    assert "try again" in str(refused[0])


def test_a_ledger_that_cannot_be_read_either_is_said(ledger, faults):
    ledger.close()
    (faults.data / "ledger.sqlite").write_bytes(b"no database at all, " * 300)
    second = StandIn(ledger)
    with pytest.raises(Unavailable, match="not a database"):
        second.begin("broken")
    assert not second.active
    with pytest.raises(sqlite3.DatabaseError), sqlite3.connect(faults.data / "ledger.sqlite") as db:
        db.execute("select 1 from event")


def test_a_read_only_ledger_can_be_opened_where_it_was_made_before(ledger, faults):
    ledger.apply([raised(1)], 2, position=2)
    faults.ledger_read_only(on=True)
    again = Ledger(ledger.url, wait_s=0.1)
    assert len(again.open_alarms()) == 1
    again.close()


@pytest.fixture
def receiver():
    heard: dict[int, list[str]] = defaultdict(list)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            heard[int(self.headers["Lifeline-Id"])].append(body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield heard, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def subjects(heard) -> dict[int, str]:
    return {number: json.loads(bodies[0])["subject"] for number, bodies in heard.items()}


def test_serve_notifies_and_shows_alarms_while_its_ledger_is_read_only(faults, receiver):
    heard, url = receiver
    city = SmallCity(faults.data)
    hook = WebhookSettings(url=url, secret=b"s")
    with serving(faults.data, webhook=hook) as http:
        city.send(GAS, 1.3)
        until(lambda: len(heard) == 1)
        faults.ledger_read_only(on=True)
        city.send(OTHER_GAS, 1.3)
        until(lambda: len(heard) == 2)
        until(lambda: len(http.get("/api/state").json()["alarms"]) == 2)
        assert "台账不可写" in http.get("/api/health").json()["problems"]["ledger"]
        since = until(lambda: _gauge(http, "lifeline_ledger_down_since_seconds"))
        assert abs(since - time.time()) < 30
        faults.ledger_read_only(on=False)
        until(lambda: "ledger" not in http.get("/api/health").json()["problems"])
        assert _gauge(http, "lifeline_ledger_down_since_seconds") == 0
        city.send(GAS, 2.6)
        city.send(GAS, 2.7)
        until(lambda: len(heard) == 4)  # CONFIRMED too
    city.close()
    told = Ledger(f"sqlite:///{faults.data / 'ledger.sqlite'}")
    counts = told.counts()
    numbers = {e.subject: seq for seq, e in told.events_of_type(EventType.RAISED)}
    told.close()
    assert counts["outbox_delivered"] == 4
    assert counts.get("outbox_pending", 0) == 0
    assert counts["mismatch"] == 0
    assert subjects(heard)[numbers[OTHER_GAS]] == OTHER_GAS
    assert all(len(set(bodies)) == 1 for bodies in heard.values())


def _gauge(http, name: str) -> float:
    for line in http.get("/metrics").text.splitlines():
        if line.startswith(name):
            return float(line.rpartition(" ")[2])
    return 0.0
