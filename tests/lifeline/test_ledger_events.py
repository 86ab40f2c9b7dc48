"""The ledger holds every event once, whatever dies, and says so when a re-run differs."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifeline.ledger import Ledger, Outlet, Unavailable
from lifeline.ledger.ledger import MISMATCH_RULE
from rules.alarms import Word
from rules.events import Event, EventType, encode

CHANNELS = [f"410100-gas-mh-{n:06d}/ch4-01/vol" for n in range(5)]


def event(kind: str, offset: int, channel: str = CHANNELS[0], severity: int = 2, **more) -> Event:
    return Event(
        type=EventType(kind),
        offset=offset,
        row=more.pop("row", 0),
        rule="ch4-level",
        subject=channel,
        severity=severity,
        max_severity=severity,
        episode=more.pop("episode", f"{offset}.0"),
        event_ns=offset * 10**9,
        receive_ns=offset * 10**9,
        **more,
    )


def history(n: int) -> list[Event]:
    """Every channel raises and clears in turn."""
    events = []
    for offset in range(n):
        channel = CHANNELS[offset % len(CHANNELS)]
        begun = offset - offset // len(CHANNELS) % 2 * len(CHANNELS)
        clears = offset // len(CHANNELS) % 2
        kind = "CLEARED" if clears else "RAISED"
        events.append(
            event(kind, offset, channel, 0 if clears else 1, episode=f"{begun}.0", previous=1)
        )
    return events


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def ledger(url):
    held = Ledger(url, outlets=(Outlet(name="city"),))
    yield held
    held.close()


def test_events_become_alarms_and_the_cursor_moves_with_them(ledger):
    applied = ledger.apply([event("RAISED", 3)], 10, position=7)
    assert (applied.new, applied.mismatches) == (1, 0)
    (alarm,) = ledger.open_alarms()
    assert alarm.word is Word.UNACK
    assert (ledger.cursor().through, ledger.cursor().position) == (10, 7)


def test_the_same_events_again_are_compared_and_not_written(ledger):
    events = history(20)
    ledger.apply(events, 20)
    again = ledger.apply(events, 20, since=0)
    assert (again.new, again.compared, again.mismatches) == (0, 20, 0)
    assert ledger.counts()["event"] == 20 + 10  # each episode of blue ends by itself


def test_a_batch_that_overlaps_the_cursor_adds_only_what_is_new(ledger):
    events = history(20)
    ledger.apply(events[:12], 12)
    applied = ledger.apply(events[5:], 20)
    assert (applied.new, applied.compared, applied.mismatches) == (8, 7, 0)


def test_any_cut_gives_the_same_ledger(tmp_path):
    rows = []
    for cut in (1, 7, 40):
        held = Ledger(f"sqlite:///{tmp_path / f'{cut}.sqlite'}")
        for at in range(0, 40, cut):
            held.apply(history(40)[at : at + cut], min(at + cut, 40))
        with held.read() as connection:
            rows.append(
                (
                    connection.exec_driver_sql("SELECT seq, body FROM event").all(),
                    connection.exec_driver_sql(
                        "SELECT alarm_id, state FROM alarm ORDER BY alarm_id"
                    ).all(),
                )
            )
        held.close()
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize("kind", ["differs", "added", "missing"])
def test_a_rerun_that_differs_is_recorded_and_raises_an_alarm(ledger, kind):
    events = history(10)
    ledger.apply(events, 10)
    other = {
        "differs": [*events[:4], events[4]._replace(value=1.0), *events[5:]],
        "added": [*events, event("RAISED", 4, CHANNELS[0])],
        "missing": events[:4] + events[5:],
    }[kind]
    applied = ledger.apply(other, 10, since=0)
    assert applied.mismatches == 1
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT kind FROM mismatch").scalar_one() == kind
    ledger.apply(other, 10, since=0)
    standing = [a for a in ledger.open_alarms() if a.rule == MISMATCH_RULE]
    assert len(standing) == 1


def test_every_event_of_the_log_is_kept_also_those_about_no_alarm(ledger):
    ledger.apply([event("HEARTBEAT", 1)._replace(rule="", episode="")], 2)
    assert ledger.counts()["event"] == 1
    assert ledger.open_alarms() == []


def test_a_locked_ledger_is_a_clear_error_after_a_bounded_wait(tmp_path, url):
    held = Ledger(url, wait_s=0.3)
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"ledger\.sqlite.*locked.*0\.3 s"):
        held.apply([event("RAISED", 1)], 2)
    assert time.monotonic() - began < 3
    assert held.open_alarms() == [], "reading waits for no writer"
    other.execute("ROLLBACK")
    assert held.apply([event("RAISED", 1)], 2).new == 1
    other.close()
    held.close()


CHILD = """
import sys
sys.path.insert(0, {root!r})
from lifeline.ledger import Ledger
from rules.events import decode
ledger = Ledger(sys.argv[1])
lines = open(sys.argv[2], "rb").read().splitlines()
at = ledger.cursor().position
while at < len(lines):
    step = [decode(line) for line in lines[at : at + 3]]
    ledger.apply(step, step[-1].offset + 1, position=at + len(step))
    at += len(step)
    print(at, flush=True)
"""


def test_a_ledger_killed_at_any_moment_holds_every_event_once(tmp_path, url):
    events = history(300)
    log = tmp_path / "events.jsonl"
    log.write_bytes(b"\n".join(encode(e) for e in events))
    root = str(Path(__file__).resolve().parents[2])
    code = CHILD.format(root=root)
    kills = 0
    for lines in (1, 9, 25, 10_000):
        child = subprocess.Popen(
            [sys.executable, "-c", code, url, str(log)], stdout=subprocess.PIPE
        )
        seen = 0
        while seen < lines and child.stdout.readline():
            seen += 1
        if child.poll() is None and lines < 10_000:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.communicate(timeout=30)
    assert kills == 3
    killed, whole = Ledger(url), Ledger(f"sqlite:///{tmp_path / 'whole.sqlite'}")
    whole.apply(events, 300)
    bodies = []
    for held in (killed, whole):
        with held.read() as connection:
            query = "SELECT seq, body FROM event ORDER BY seq"
            bodies.append(connection.exec_driver_sql(query).all())
        held.close()
    assert bodies[0] == bodies[1]


def test_simulated_events_are_marked_and_their_messages_withheld(ledger):
    ledger.apply([event("RAISED", 1)], 2, simulation=True)
    ledger.apply([event("RAISED", 3, CHANNELS[1])], 4)
    marks = {a.subject: mark for a, mark in ledger.list()}
    assert marks == {CHANNELS[0]: True, CHANNELS[1]: False}
    with ledger.read() as connection:
        rows = connection.exec_driver_sql("SELECT seq, status, reason FROM outbox").all()
    assert rows == [(1, "withheld", "simulation"), (2, "pending", "")]


def test_what_is_held_waits_in_the_outbox_or_goes_to_the_crew(ledger):
    """Explained by another alarm: withheld. On an asset that is worked on: to those on site."""
    design = {"hold": "by_design", "cause": "by-gateway"}
    work = {"hold": "out_of_service", "cause": "MW-1", "by": "li", "crew": ["sms:crew"]}
    ledger.apply(
        [
            event("RAISED", 1, CHANNELS[0], evidence={"held": [design]}),
            event("RAISED", 2, CHANNELS[1], evidence={"held": [work]}),
            event("UNSUPPRESSED", 3, CHANNELS[0], episode="1.0", evidence={"cause": "by-gateway"}),
        ],
        4,
    )
    rows = {row.seq: json.loads(row.body) for row in ledger.due()}
    assert [body["type"] for body in rows.values()] == ["RAISED", "UNSUPPRESSED"]
    crew, again = rows.values()
    assert (crew["audience"], crew["crew"], crew["maintenance"]) == ("crew", ["sms:crew"], ["MW-1"])
    assert "audience" not in again
    assert ledger.counts()["outbox_withheld"] == 1
    assert {a.word for a in ledger.open_alarms()} == {Word.OOSRV, Word.UNACK}


def test_a_full_outbox_gives_up_rows_with_a_reason_and_takes_the_event(url):
    held = Ledger(url, outlets=(Outlet(name="city"),), outbox_limit=2)
    held.apply([event("RAISED", n, CHANNELS[n]) for n in range(4)], 4)
    counts = held.counts()
    assert (counts["outbox_pending"], counts["outbox_given_up"], counts["event"]) == (2, 2, 4)
    held.close()
