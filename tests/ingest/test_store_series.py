"""Scores, features and samples in their buckets; one bucket's trouble is not another's."""

from __future__ import annotations

import math

import numpy as np

from ingest.journal import Cursor, JournalWriter, SeriesRows
from ingest.store import service
from rules.readings import Block, Readings, position
from rules.series import FEATURE, QUALITY, Series, Source
from tests import servers, store_data, store_server
from tests.store_data import SECOND, T0
from tests.store_run import cursor_of, registry_of, running, settings_of

ASSET = "410100-gas-mh-000001"
CH4, PRESSURE = f"{ASSET}/s00/ch4", f"{ASSET}/s01/pressure"
SOURCES = (
    Source("", FEATURE, (QUALITY,)),
    Source("odd, rule", "modal", ("expected", "slope")),
    Source("soon", "forecast", ("eta_p10_s", "eta_p50_s", "eta_p90_s")),
)


def write_series(data):
    told = Series(
        sources=SOURCES,
        subjects=(CH4, PRESSURE, f"{ASSET}/new/one"),
        g=np.array([position(0, i) for i in range(6)]),
        source=np.array([0, 1, 2, 0, 0, 0], np.int32),
        subject=np.array([1, 0, 0, 0, 1, 2], np.int32),
        judged_ns=T0 + np.arange(6) * SECOND,
        value=np.array([0.1 + 0.2, 1.5, 2.5, math.nan, -0.0, 1.0]),
        score=np.array([0.1 + 0.2, -3.5, 7200.0, math.nan, -0.0, 1.0]),
        extra=np.array([[4, math.nan, math.nan], [2.1, math.inf, math.nan], [1, 2, 3.5]])[
            [0, 1, 2, 0, 0, 0]
        ],
    )
    with JournalWriter(data / "series") as log:
        log.append(SeriesRows(1, told))
        log.commit()


def test_features_are_readings_of_their_own_bucket_and_scores_stand_beside_readings(tmp_path):
    registry = registry_of(simulation=True)
    write_series(tmp_path)
    with store_server.answering() as server:
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path, "store-series") == 1)
            store_data.until(lambda: cursor_of(tmp_path, "store-features") == 1)
        place = f"asset={ASSET},channel={PRESSURE},district=Zhongyuan,domain=gas"
        assert server.buckets["b_features"] == {
            (f"hydraulic,{place},faulty=1,quantity=pressure,sim=1".encode(), T0):
                b"quality=4i,value=0.30000000000000004",
            (f"hydraulic,{place},faulty=1,quantity=pressure,sim=1".encode(), T0 + 4 * SECOND):
                b"quality=4i,value=-0.0",
        }  # fmt: skip
        place = f"asset={ASSET},channel={CH4},district=Zhongyuan,domain=gas"
        assert server.points == {
            (f"score,{place},kind=modal,quantity=ch4,rule=odd\\,\\ rule,sim=1".encode(),
             T0 + SECOND): b"expected=2.1,score=-3.5,value=1.5",
            (f"forecast,{place},kind=forecast,quantity=ch4,rule=soon,sim=1".encode(),
             T0 + 2 * SECOND): b"eta_p10_s=1.0,eta_p50_s=2.0,eta_p90_s=3.5,score=7200.0,value=2.5",
        }  # fmt: skip


def test_a_missing_bucket_of_features_stops_neither_readings_nor_alarms_nor_scores(tmp_path):
    registry = registry_of()
    write_series(tmp_path)
    body = Readings.of({"channel": [0], "judged_ns": [T0], "value": [1.0]})
    end = store_data.write_journal(tmp_path, [body])
    store_data.write_events(tmp_path, 4)
    with store_server.answering() as server:
        del server.buckets["b_features"]
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path) == end)
            store_data.until(lambda: cursor_of(tmp_path, "store-events") == 4)
            store_data.until(lambda: cursor_of(tmp_path, "store-series") == 1)
            assert {series.split(b",")[0] for series, _ in server.points} >= {b"score", b"forecast"}
            assert cursor_of(tmp_path, "store-features") == 0
            server.buckets["b_features"] = {}
            store_data.until(lambda: cursor_of(tmp_path, "store-features") == 1)
        assert len(server.buckets["b_features"]) == 2


def test_a_data_folder_with_one_cursor_for_both_writes_neither_again(tmp_path):
    """Before, one cursor stood for scores and features; what it passed is in both buckets."""
    registry = registry_of()
    write_series(tmp_path)
    Cursor(1).save(tmp_path / "cursors" / "store-series")
    with store_server.answering() as server:
        del server.buckets["b_features"]  # and what comes now is not taken for written
        with running(tmp_path, registry, settings_of(server)):
            store_data.until((tmp_path / "cursors" / "store-features").exists)
            write_series(tmp_path)
            store_data.until(lambda: cursor_of(tmp_path, "store-series") == 2)
        assert cursor_of(tmp_path, "store-features") == 1
        server.buckets["b_features"] = {}
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path, "store-features") == 2)
        assert len(server.buckets["b_features"]) == 2


def blocks(registry):
    samples = np.random.default_rng(1).normal(0, 1, (2, 50)).astype(np.float32)
    samples[1, 7] = np.nan
    return Block(
        channel=np.array([0, 1], np.int32), device=0, event_ns=T0, judged_ns=T0, receive_ns=T0,
        rate_hz=50.0, samples=samples,
    )  # fmt: skip


def test_samples_of_waveforms_are_written_only_where_they_are_wanted(tmp_path):
    registry = registry_of()
    block = blocks(registry)
    end = store_data.write_journal(tmp_path, [block])
    with store_server.answering() as server:
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path) == end)
        assert server.buckets["b_waveforms"] == {}
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        for name in ("b", "b_features", "b_waveforms"):
            store_server.query(influxd, f"CREATE DATABASE {name}")
        with running(tmp_path, registry, settings_of(proxy, waveforms=True)):
            store_data.until(lambda: cursor_of(tmp_path, "store-waveforms") == end)
        text = 'SELECT value FROM waveform GROUP BY "channel"'
        found = store_server.query(influxd, text, db="b_waveforms")
    for row, series in enumerate(found):
        want = block.samples[row][np.isfinite(block.samples[row])]
        got = np.array([value for _, value in series["values"]])
        np.testing.assert_array_equal(got.astype(np.float32), want)
        assert series["values"][1][0] - series["values"][0][0] == SECOND // 50


def test_how_the_store_gets_on_is_a_point_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "PIPELINE_S", 0.3)
    registry = registry_of()
    times = T0 + np.arange(40) * SECOND
    times[30:] = times[29]  # conflicts
    body = Readings.of({"channel": [0] * 40, "judged_ns": times, "value": np.arange(40)})
    end = store_data.write_journal(tmp_path, [body])
    with store_server.answering() as server:
        options = {"now_ns": lambda: T0 + 100 * SECOND}
        with running(tmp_path, registry, settings_of(server), **options):
            store_data.until(lambda: cursor_of(tmp_path) == end)
            wanted = (b"pipeline,part=readings", T0 + 100 * SECOND)
            store_data.until(lambda: b"lines=30i" in server.points.get(wanted, b""))
            fields = dict(f.split(b"=") for f in server.points[wanted].split(b","))
    assert fields[b"conflicts"] == b"10i"
    assert (fields[b"lag_records"], fields[b"lag_s"]) == (b"0i", b"71.0")
