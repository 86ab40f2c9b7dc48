"""Doctor and /metrics say of every reader what lags, and since when."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from ingest.journal import Cursor, EventLines, JournalWriter
from ingest.store.manifest import Manifest
from lifeline.doctor import examine
from lifeline.lag import RECORDS, SINCE, lags, measure
from lifeline.ledger import Ledger, Outlet
from lifeline.ledger.tables import COMMAND
from rules.events import encode
from rules.readings import Tick
from tests.lifeline.test_ledger_events import event

if TYPE_CHECKING:
    from pathlib import Path

T0, S = 1_790_000_000 * 10**9, 10**9


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten records a minute apart in the journal, three in the event log; nobody is at the end."""
    with JournalWriter(tmp_path / "journal", segment_bytes=1) as journal:
        for k in range(10):
            journal.append(Tick(T0 + k * 60 * S))
            journal.commit()
    with JournalWriter(tmp_path / "events") as events:
        for k in range(3):
            events.append(EventLines(through=k, lines=(encode(event("RAISED", k)),)))
            events.commit()
    for name, at in (("engine", 10), ("store", 4), ("store-events", 3)):
        Cursor(at).save(tmp_path / "cursors" / name)
    (tmp_path / "archive").mkdir()
    Manifest(next_offset=9).save(tmp_path / "archive")
    return tmp_path


@pytest.fixture
def ledger(data: Path):
    held = Ledger(f"sqlite:///{data / 'ledger.sqlite'}", outlets=(Outlet(name="city"),))
    yield held
    held.close()


def test_each_reader_says_how_far_behind_it_is_and_since_when(data: Path, ledger: Ledger):
    held = {lag.reader: lag for lag in lags(data, ledger)}
    assert (held["engine"].behind, held["engine"].since_ns) == (0, 0)
    assert (held["store"].behind, held["store"].since_ns) == (6, T0 + 4 * 60 * S)
    assert (held["archive"].behind, held["archive"].since_ns) == (1, T0 + 9 * 60 * S)
    assert held["store-events"].behind == 0
    assert (held["ledger"].behind, held["serve"].behind) == (3, 10)
    assert held["serve"].since_ns == T0
    assert held["ledger"].since_ns == T0, "of the journal's record that its events are about"
    assert (held["notifier"].behind, held["commands"].behind) == (0, 0)


def test_what_waits_for_the_notifier_and_the_journal_is_a_lag_too(data: Path, ledger: Ledger):
    ledger.apply([event("RAISED", 7)], 8, position=3)
    row = {
        "command": "c", "type": "ack", "alarm_id": "a", "by": "Li", "wall_ns": T0, "seq": 0,
        "control": "{}", "refusals": 0,
    }  # fmt: skip
    with ledger.write() as connection:
        connection.execute(insert(COMMAND), [row])
    held = {lag.reader: lag for lag in lags(data, ledger)}
    assert (held["notifier"].behind, held["notifier"].since_ns) == (1, 7 * S)
    assert (held["commands"].behind, held["commands"].since_ns) == (1, T0)
    assert held["ledger"].behind == 0


def test_what_retention_took_is_behind_since_the_oldest_held(data: Path, ledger: Ledger):
    for k in range(6):
        (data / "journal" / f"{k:020}.seg").unlink()
    held = {lag.reader: lag for lag in lags(data, ledger)}
    assert (held["store"].behind, held["store"].since_ns) == (6, T0 + 6 * 60 * S)


def test_metrics_tell_it_and_a_damaged_cursor_is_not_a_lag_of_zero(data: Path, ledger: Ledger):
    (data / "cursors" / "store").write_bytes(b"?")
    with capture_logs() as logs:
        measure(data, ledger)
    assert RECORDS.labels("archive")._value.get() == 1
    assert SINCE.labels("archive")._value.get() == T0 / S + 540
    assert math.isnan(RECORDS.labels("store")._value.get())
    assert "not a whole cursor file" in logs[0]["cause"]


def test_doctor_tells_it_in_words(data: Path, ledger: Ledger):
    (data / "cursors" / "store-events").write_bytes(b"?")
    told = {f.what: f for f in examine(None, data)}
    assert told["reader engine"].state == "ok"
    assert told["reader store"].state == "note", "years old"
    assert (
        "journal: 6 records behind 落后, since 2026-09-21 14:17:20Z" in told["reader store"].found
    )
    assert told["reader store-events"].state == "trouble"
