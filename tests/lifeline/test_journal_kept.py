"""The journal is bounded, and nobody loses what they still need of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ingest.journal import Cursor, JournalWriter
from ingest.journal import retention as segments_retention
from ingest.store.manifest import Manifest
from lifeline.retention import DISK_FREE, DISK_SIZE, Bounds, Retention, keep_journal, keep_series
from rules.readings import Tick

if TYPE_CHECKING:
    from pathlib import Path

NOW_NS = 10_000


class At:
    def now_ns(self) -> int:
        return NOW_NS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of twenty segments of one old record each; everybody has read to the end."""
    with JournalWriter(tmp_path / "journal", segment_bytes=1) as writer:
        for k in range(20):
            writer.append(Tick(k))
            writer.commit()
    places(tmp_path, snapshots=(18, 20), archive=20, store=20)
    return tmp_path


def places(data: Path, *, snapshots: tuple[int, ...], archive: int, store: int) -> None:
    for folder in ("archive", "snapshots"):
        (data / folder).mkdir(exist_ok=True)
    for path in (data / "snapshots").iterdir():
        path.unlink()
    for offset in snapshots:
        (data / "snapshots" / f"{offset:020}.snap").touch()
    Manifest(next_offset=archive).save(data / "archive")
    Cursor(store).save(data / "cursors" / "store")


def oldest(data: Path) -> int:
    return min(int(p.stem) for p in (data / "journal").glob("*.seg"))


OLD = Bounds(keep_ns=100, store=True, min_free_bytes=0)


def test_how_full_the_disk_is_stands_in_the_metrics(data: Path):
    DISK_FREE.set(0)
    with Retention(data, OLD, clock=At(), every_s=3600):
        pass
    disk = shutil.disk_usage(data)
    assert DISK_SIZE._value.get() == disk.total
    assert 0 < DISK_FREE._value.get() <= disk.total


def test_what_is_old_and_read_by_all_goes(data: Path):
    assert keep_journal(data, OLD, now_ns=NOW_NS).oldest_offset == oldest(data) == 18


def test_what_is_young_and_within_the_size_stays(data: Path):
    assert keep_journal(data, Bounds(keep_ns=NOW_NS), now_ns=NOW_NS).removed == ()
    one = next((data / "journal").glob("*.seg")).stat().st_size
    keep_journal(data, Bounds(keep_ns=NOW_NS, max_bytes=5 * one), now_ns=NOW_NS)
    assert oldest(data) == 15


@pytest.mark.parametrize(
    ("where", "kept_from"),
    [
        ({"snapshots": (7, 20), "archive": 20, "store": 20}, 7),
        ({"snapshots": (20,), "archive": 20, "store": 20}, 0),
        ({"snapshots": (), "archive": 20, "store": 20}, 0),
        ({"snapshots": (19, 20), "archive": 5, "store": 20}, 5),
        ({"snapshots": (19, 20), "archive": 20, "store": 3}, 3),
    ],
)
def test_the_slowest_reader_holds_it(data: Path, where: dict, kept_from: int):
    places(data, **where)
    keep_journal(data, OLD, now_ns=NOW_NS)
    assert oldest(data) == kept_from


def test_acknowledgements_and_waveforms_that_influxdb_lacks_hold_it_too(data: Path):
    places(data, snapshots=(19, 20), archive=20, store=20)
    Cursor(0, {"journal": 12}).save(data / "cursors" / "store-events")
    keep_journal(data, OLD, now_ns=NOW_NS)
    assert oldest(data) == 12
    Cursor(14).save(data / "cursors" / "store-waveforms")
    Cursor(0, {"journal": 20}).save(data / "cursors" / "store-events")
    keep_journal(data, OLD, now_ns=NOW_NS)
    assert oldest(data) == 14


@pytest.mark.parametrize(
    ("series", "features", "kept_from"), [(15, 7, 7), (7, 15, 7), (15, None, 15), (None, None, 0)]
)
def test_scores_and_features_wait_for_the_slower_of_their_two_readers(
    tmp_path: Path, series: int | None, features: int | None, kept_from: int
):
    with JournalWriter(tmp_path / "series", segment_bytes=1) as writer:
        for k in range(20):
            writer.append(Tick(k))
            writer.commit()
    for name, offset in (("store-series", series), ("store-features", features)):
        if offset is not None:
            Cursor(offset).save(tmp_path / "cursors" / name)
    assert keep_series(tmp_path, OLD).oldest_offset == kept_from


def test_a_city_without_influxdb_does_not_wait_for_it(data: Path):
    places(data, snapshots=(19, 20), archive=20, store=0)
    keep_journal(data, Bounds(keep_ns=100), now_ns=NOW_NS)
    assert oldest(data) == 19


def test_the_page_holds_what_it_has_not_passed_unless_the_disk_is_full(data: Path, monkeypatch):
    Cursor(6).save(data / "cursors" / "serve")
    keep_journal(data, OLD, now_ns=NOW_NS)
    assert oldest(data) == 6
    monkeypatch.setattr(segments_retention, "_free_bytes", lambda _: 0)
    full = Bounds(keep_ns=NOW_NS, store=True, min_free_bytes=1)
    assert keep_journal(data, full, now_ns=NOW_NS).forced == (6, 17)


def test_a_full_disk_takes_influxdbs_backlog_and_says_so_but_no_more(data: Path, monkeypatch):
    places(data, snapshots=(12, 20), archive=15, store=4)
    monkeypatch.setattr(segments_retention, "_free_bytes", lambda _: 0)
    full = Bounds(keep_ns=NOW_NS, store=True, min_free_bytes=1)
    with capture_logs() as logs:
        Retention(data, full, clock=At()).look()
    assert oldest(data) == 12
    (said,) = logs
    assert said["log_level"] == "critical"
    assert "records 4..11 were removed before every reader had them" in said["event"]


def test_an_unreadable_place_removes_nothing_and_is_said(data: Path):
    (data / "cursors" / "store").write_bytes(b"?")
    with capture_logs() as logs:
        Retention(data, OLD, clock=At()).look()
    assert oldest(data) == 0
    assert "not a whole cursor file" in logs[0]["reason"]


def test_it_looks_again_and_again_until_it_is_stopped(data: Path):
    with Retention(data, OLD, clock=At(), every_s=0.01) as retention:
        for _ in range(500):
            if oldest(data) == 18:
                break
            retention._stopping.wait(0.01)
    assert oldest(data) == 18
    assert not retention.is_alive()
