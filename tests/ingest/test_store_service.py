"""Journal and event log into real stores: each reading once, whatever is killed or refused."""

import json
import threading
import urllib.request

import numpy as np
import pytest

from ingest.journal import Cursor, CursorAhead, JournalReader, durable_end
from ingest.store import follow, service
from ingest.store.errors import RegistryMissing
from rules.readings import Readings, Tick
from tests import servers, store_data, store_server
from tests.store_run import (
    cursor_of,
    expected_of,
    points_of,
    registry_of,
    running,
    settings_of,
)


@pytest.mark.parametrize("batch_rows", [7, 90, 100_000])
def test_every_judged_and_late_row_is_stored_once_at_any_cut(tmp_path, batch_rows):
    registry = registry_of()
    bodies = list(store_data.stream(seed=1, records=120, rows=40))
    last = bodies[-1].receive_ns[-1] if isinstance(bodies[-1], Readings) else bodies[-1].tick_ns
    bodies.append(store_data.conflicting(last + 5, last + 5, 1.0))
    bodies.append(store_data.conflicting(last + 5, last + 6, 2.0))
    end = store_data.write_journal(tmp_path, bodies)
    with store_server.answering() as server:
        with running(tmp_path, registry, settings_of(server, batch_rows=batch_rows)):
            store_data.until(lambda: cursor_of(tmp_path) == end)
        expected = expected_of(bodies, registry)
        assert points_of(server) == expected
        assert any(",late=1," in series for series, _ in expected)
        assert [v for (_, when), v in points_of(server).items() if when == last + 5] == [1.0]


def test_rows_are_named_by_the_registry_of_their_time_also_after_a_restart(tmp_path):
    before = registry_of(quantities=("ch4",), district="Old")
    after = registry_of(quantities=("ch4", "pressure"), district="New", simulation=True)
    store_data.registry_text(tmp_path, before)
    store_data.registry_text(tmp_path, after)
    rows = [
        Readings.of({"channel": [c], "judged_ns": [store_data.T0 + t], "value": [t]})
        for t, c in ((1, 0), (2, 0), (3, 1))
    ]
    bodies = [Tick(1), store_data.change(before), rows[0], store_data.change(after), rows[1]]
    with store_server.answering() as server:
        store_data.write_journal(tmp_path, bodies)
        with running(tmp_path, before, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path) == 5)
        store_data.write_journal(tmp_path, [rows[2]])
        with running(tmp_path, before, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path) == 6)
        series = [s.decode() for s, _ in sorted(server.points, key=lambda p: p[1])]
    assert ["district=Old" in s for s in series] == [True, False, False]
    assert [",sim=1" in s for s in series] == [False, True, True]
    assert series[2].startswith("hydraulic,")


def test_an_outage_is_only_lag_and_the_server_s_return_brings_all(tmp_path):
    registry = registry_of()
    bodies = list(store_data.stream(seed=2, records=60, rows=20))
    end = store_data.write_journal(tmp_path, bodies)
    with store_server.answering() as server:
        server.script = [(503, "down"), "reset", (429, "slow"), "stored, then reset"] * 3
        with running(tmp_path, registry, settings_of(server, batch_rows=200)):
            store_data.until(lambda: cursor_of(tmp_path) == end)
        assert points_of(server) == expected_of(bodies, registry)


def test_a_refused_line_is_in_quarantine_with_the_server_s_reason_before_the_cursor_moves(tmp_path):
    registry = registry_of()
    bodies = [
        Readings.of(
            {
                "channel": [0] * 50,
                "judged_ns": store_data.T0 + np.arange(50),
                "value": np.arange(50),
            }
        )
    ]
    store_data.write_journal(tmp_path, bodies)
    with store_server.answering() as server:
        server.malformed, server.conflicting = b"value=17.0 ", b"value=23.0 "
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path) == 1)
        assert len(server.points) == 48
    folder = tmp_path / "quarantine" / "store"
    ((_, kept),) = JournalReader(folder).frames(until=durable_end(folder))
    assert kept.reason == ("store/refused", "store/dropped")
    assert b"value=17.0 " in kept.payload[0]
    assert "unable to parse" in kept.detail[0]
    assert "dropped=1" in kept.detail[1]
    assert kept.path[0] == "b journal 0..0"


def test_a_journal_that_lost_its_tail_is_said_and_not_written_over(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "RECOVERY_S", 0.0)
    store_data.write_journal(tmp_path, [Tick(1)])
    Cursor(7).save(tmp_path / "cursors" / "store")
    stop = threading.Event()
    with store_server.answering() as server, pytest.raises(CursorAhead, match="tail was lost"):
        service.run_store(
            data=tmp_path, registry=registry_of(), settings=settings_of(server), stop=stop
        )


def test_a_missing_registry_text_names_the_file_and_the_remedy(tmp_path):
    store_data.write_journal(tmp_path, [store_data.change(registry_of(district="gone"))])
    with store_server.answering() as server, pytest.raises(RegistryMissing, match="restore"):
        service.run_store(
            data=tmp_path, registry=registry_of(), settings=settings_of(server),
            stop=threading.Event(),
        )  # fmt: skip


PROGRAM = """
import threading
from pathlib import Path
from ingest.store.service import run_store
from ingest.store.errors import RegistryMissing
from ingest.store.settings import InfluxSettings
from rules.registry_file import registry_from_bytes
data = Path({data!r})
registry = registry_from_bytes((data / "registry" / "{hash}.json").read_bytes())
settings = InfluxSettings(url={url!r}, org="o", bucket="b", token="t", batch_rows=400,
                          flush_interval_s=0.02, first_retry_s=0.02)
run_store(data=data, registry=registry, settings=settings, stop=threading.Event())
"""


def test_killed_in_the_middle_of_writing_each_reading_is_in_influxd_once(tmp_path):
    registry = registry_of()
    store_data.registry_text(tmp_path, registry)
    bodies = [store_data.change(registry), *store_data.stream(seed=3, records=250, rows=100)]
    end = store_data.write_journal(tmp_path, bodies)
    store_data.write_events(tmp_path, 40)
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        store_server.query(influxd, "CREATE DATABASE b")
        program = PROGRAM.format(data=str(tmp_path), hash=registry.content_hash, url=proxy.url)
        reached = []
        for more in (5, 14):
            enough = proxy.requests + more
            store_data.run_and_kill(program, when=lambda n=enough: proxy.requests >= n)
            reached.append(cursor_of(tmp_path))
        with running(tmp_path, registry, settings_of(proxy, batch_rows=5_000)):
            store_data.until(lambda: cursor_of(tmp_path) == end)
            store_data.until(lambda: cursor_of(tmp_path, "store-events") == 40)
        expected = expected_of(bodies, registry)
        found = {}
        for measurement in ("gas", "hydraulic"):
            text = f'SELECT value FROM "{measurement}" GROUP BY channel, late'  # noqa: S608
            for series in store_server.query(influxd, text):
                for when, value in series["values"]:
                    found[series["tags"]["channel"], series["tags"]["late"], when] = value
        keyed = {
            (s.split("channel=")[1].split(",")[0], "1" if ",late=1" in s else "", when): v
            for (s, when), v in expected.items()
        }
        assert found == keyed
        on_time = 'SELECT count("value") FROM "gas" WHERE "late" = \'\''
        (series,) = store_server.query(influxd, on_time)
        assert series["values"][0][1] == sum(
            s[:4] == "gas," and ",late" not in s for s, _ in expected
        )
        state = 'SELECT last("severity") FROM "alarm_state" GROUP BY "rule", "channel", "side"'
        (now,) = store_server.query(influxd, state)
        assert now["values"][0][1] == 0  # the last of the forty cleared it
        (alarms,) = store_server.query(influxd, "SELECT count(severity) FROM alarm_state")
        assert alarms["values"][0][1] == 40
        assert reached == sorted(reached)
        assert reached[-1] < end


def test_victoria_metrics_takes_the_same_requests(tmp_path):
    registry = registry_of()
    bodies = [
        Readings.of(
            {
                "channel": [0] * 30,
                "judged_ns": store_data.T0 + np.arange(30) * store_data.SECOND,
                "value": np.arange(30) + 0.5,
            }
        )
    ]
    store_data.write_journal(tmp_path, bodies)
    with servers.victoria_metrics() as metrics:
        with running(tmp_path, registry, settings_of(metrics)):
            store_data.until(lambda: cursor_of(tmp_path) == 1)
        found = []

        def read_back():
            flush = f"{metrics.url}/internal/force_flush"
            urllib.request.urlopen(flush, timeout=5).close()  # noqa: S310
            url = f"{metrics.url}/api/v1/export?match[]=gas_value"
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                found[:] = [json.loads(line) for line in answer.read().splitlines()]
            return found and len(found[0]["values"]) == 30

        store_data.until(read_back, timeout_s=20)
        assert found[0]["values"] == (np.arange(30) + 0.5).tolist()
        assert found[0]["metric"]["channel"] == "410100-gas-mh-000001/s00/ch4"
