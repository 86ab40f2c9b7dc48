"""After an outage live readings are stored at once, the missed ones beside them, each once."""

import random
import threading
import time

import numpy as np
import pytest

from ingest.journal import Cursor
from ingest.store import backlog as backlog_module
from ingest.store import readings_input
from ingest.store.backlog import Backlog
from ingest.store.corrections import Corrected
from rules.readings import QC_GOOD, Control, Readings, position
from tests import store_data, store_server
from tests.store_run import (
    cursor_of,
    expected_of,
    points_of,
    registry_of,
    running,
    settings_of,
)

S = 10**9
RESTED_S = 0.3  # more than most_retry_s: then the live reader asks with the next it reads
DOWN = [(503, "down")] * 10_000


def rows(first: int, n: int = 4) -> Readings:
    """One channel, a value a second."""
    at = store_data.T0 + np.arange(first, first + n) * S
    return Readings.of(
        {"channel": np.zeros(n), "judged_ns": at, "value": np.arange(first, first + n),
         "boot": np.ones(n), "sequence": np.arange(first, first + n), "receive_ns": at}
    )  # fmt: skip


def stored(server) -> list[float]:
    return sorted(v for (series, _), v in points_of(server).items() if "late=1" not in series)


@pytest.fixture
def held_back(monkeypatch):
    """Hold every backlog back until the event is set."""
    may_go = threading.Event()
    write = Backlog.pump

    def pump(self, sender, settings, stop):
        if may_go.is_set():
            write(self, sender, settings, stop)
        else:
            stop.wait(0.01)

    monkeypatch.setattr(Backlog, "pump", pump)
    return may_go


def one_cursor(data, end) -> bool:
    return cursor_of(data) == end and not (data / "cursors" / "store-live").exists()


def test_live_readings_do_not_wait_for_what_an_outage_left(tmp_path, held_back):
    with store_server.answering() as server, running(tmp_path, registry_of(), settings_of(server)):
        store_data.write_journal(tmp_path, [rows(0)])
        store_data.until(lambda: stored(server) == [0, 1, 2, 3])
        server.script = list(DOWN)
        store_data.write_journal(tmp_path, [rows(4)])
        store_data.until((tmp_path / "cursors" / "store-live").exists)
        server.script = []
        time.sleep(RESTED_S)
        store_data.write_journal(tmp_path, [rows(8)])
        store_data.until(lambda: stored(server) == [0, 1, 2, 3, 8, 9, 10, 11])
        assert cursor_of(tmp_path) <= 1
        held_back.set()
        store_data.until(lambda: stored(server) == list(range(12)))
        store_data.until(lambda: one_cursor(tmp_path, 3))


def test_a_restart_in_between_goes_on_with_both(tmp_path, held_back):
    registry = registry_of()
    with store_server.answering() as server:
        with running(tmp_path, registry, settings_of(server)):
            server.script = list(DOWN)
            store_data.write_journal(tmp_path, [rows(0)])
            store_data.until((tmp_path / "cursors" / "store-live").exists)
        server.script = []
        time.sleep(RESTED_S)
        store_data.write_journal(tmp_path, [rows(4)])
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: stored(server) == [4, 5, 6, 7])
        assert cursor_of(tmp_path) == 0
        held_back.set()
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: one_cursor(tmp_path, 2))
        assert stored(server) == list(range(8))


def test_a_correction_made_while_a_backlog_waits_stands_at_the_end(tmp_path, held_back):
    n = 4
    part = rows(0)
    mended = Corrected.of(
        {
            "g": position(0) + np.arange(n), "channel": part.channel, "judged_ns": part.judged_ns,
            "receive_ns": part.receive_ns, "value": np.array([70.0, 71.0, 72.0, 73.0]),
            "qc_flag": np.full(n, QC_GOOD), "usable": np.full(n, fill_value=True),
            "late": np.zeros(n, bool), "crossed": np.zeros(n, bool),
        }
    )  # fmt: skip
    registry = registry_of()
    with store_server.answering() as server:
        with running(tmp_path, registry, settings_of(server)):
            server.script = list(DOWN)
            store_data.write_journal(tmp_path, [part])
            store_data.until((tmp_path / "cursors" / "store-live").exists)
            server.script = []
            time.sleep(RESTED_S)
            store_data.write_journal(
                tmp_path, [Control("correction", {"hash": mended.save(tmp_path)}), rows(4)]
            )
            store_data.until(lambda: stored(server) == [4, 5, 6, 7, 70, 71, 72, 73])
        held_back.set()
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: one_cursor(tmp_path, 3))
        assert stored(server) == [4, 5, 6, 7, 70, 71, 72, 73]


@pytest.mark.parametrize("seed", range(4))
def test_each_row_is_stored_once_whatever_fails_and_whenever_it_is_restarted(
    tmp_path, monkeypatch, seed
):
    monkeypatch.setattr(readings_input, "SAVE_EVERY_S", 0.02)
    monkeypatch.setattr(backlog_module, "SAVE_EVERY_S", 0.02)
    draw = random.Random(seed)
    registry = registry_of()
    bodies = list(store_data.stream(seed=seed, records=160, rows=30))
    kinds = [(503, "down"), "reset", (429, "slow"), "stored, then reset"]
    with store_server.answering() as server:
        for begin in range(0, len(bodies), 40):
            server.script = draw.choices([*kinds, None], k=draw.randint(0, 30))
            with running(tmp_path, registry, settings_of(server, batch_rows=200)):
                for at in range(begin, begin + 40, 10):
                    store_data.write_journal(tmp_path, bodies[at : at + 10])
                    threading.Event().wait(draw.uniform(0, 0.1))
        server.script = []
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: one_cursor(tmp_path, len(bodies)))
        assert points_of(server) == expected_of(bodies, registry)


def test_far_behind_the_live_reader_goes_to_the_end_and_leaves_the_rest(
    tmp_path, monkeypatch, held_back
):
    monkeypatch.setattr(readings_input, "LIVE_LAG_S", 0.0)
    registry = registry_of()
    bodies = [rows(4 * i) for i in range(300)]
    store_data.write_journal(tmp_path, bodies)
    with store_server.answering() as server:
        with running(tmp_path, registry, settings_of(server, batch_rows=20)):
            store_data.until(lambda: cursor_of(tmp_path, "store-live") == 300)
            store_data.write_journal(tmp_path, [rows(1_200)])
            store_data.until(lambda: 1_203 in stored(server))
            assert len(stored(server)) < 1_204
            held_back.set()
            store_data.until(lambda: one_cursor(tmp_path, 301))
        assert stored(server) == list(range(1_204))


def test_a_live_cursor_behind_the_store_s_own_is_of_no_use(tmp_path):
    store_data.write_journal(tmp_path, [rows(0), rows(4)])
    Cursor(2).save(tmp_path / "cursors" / "store")
    Cursor(1, {"until": 1, "again": ""}).save(tmp_path / "cursors" / "store-live")
    with store_server.answering() as server, running(tmp_path, registry_of(), settings_of(server)):
        store_data.until(lambda: one_cursor(tmp_path, 2))
        assert stored(server) == []
