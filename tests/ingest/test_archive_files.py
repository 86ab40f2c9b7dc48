"""The archive holds each journal record once, exactly, whatever is killed, and finds it again."""

import contextlib
import itertools
import json
import threading

import duckdb
import numpy as np
import pytest

from ingest.journal import Cursor, CursorAhead, JournalReader
from ingest.store import archive, follow, history
from ingest.store.errors import ArchiveLocked, ManifestDamaged
from ingest.store.manifest import Manifest
from rules.judge import Judge
from rules.readings import Block, Control, Readings, Tick, position
from tests import store_data, store_twin

REGISTRY = store_twin.registry()


@contextlib.contextmanager
def _running(data, **options):
    stop = threading.Event()
    failed = []

    def run():
        try:
            archive.run_archive(data=data, registry=REGISTRY, stop=stop, **options)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert failed == []


def _archived(data):
    return Manifest.load(data / "archive").next_offset


def _whole(data, bodies, **options):
    """Write a journal, archive all of it, and return its history."""
    end = store_data.write_journal(data, bodies)
    with _running(data, **({"roll_s": 0.05} | options)):
        store_data.until(lambda: _archived(data) == end)
    return history.History(data / "archive")


def _verdicts(bodies):
    """Each row's verdict by the slow way, one record at a time."""
    judge, found = Judge(2), []
    for offset, body in enumerate(bodies):
        if isinstance(body, Readings):
            found += judge.mark(body, position(offset) + np.arange(len(body))).verdict.tolist()
    return np.bincount(found, minlength=5).tolist()


def _same(got, want):
    assert type(got) is type(want)
    if isinstance(want, (Tick, Control)):
        assert got == want
        return
    for name in want.__slots__:
        one, other = getattr(got, name), getattr(want, name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()
            assert one.shape == other.shape
        else:
            assert one == other


def _bodies(seed, records=100, rows=30):
    middle = [
        Control("reset", {"rule": "气体", "channel": "x", "command": "c-1"}),
        Block(
            channel=np.array([0, 1], np.int32), device=3, event_ns=5, judged_ns=6,
            receive_ns=store_data.T0, rate_hz=200.0, boot=2, sequence=9,
            samples=np.array([[1.5, -2.25, np.nan], [0.1, 0.2, 0.3]], np.float32),
        ),
    ]  # fmt: skip
    return [Tick(store_data.T0), *middle, *store_data.stream(seed=seed, records=records, rows=rows)]


def test_every_record_comes_back_exactly_so_that_a_backtest_is_exact(tmp_path):
    bodies = _bodies(1)
    past = _whole(
        tmp_path, bodies, limits=archive.ArchiveLimits(fan_in=3, roll_rows=200, read_rows=100)
    )
    manifest = past.manifest()
    assert any(f.tier > 0 for f in manifest.files)  # also through compaction
    assert len(manifest.files) > 1
    back = list(past.records())
    assert [r.offset for r in back] == list(range(len(bodies)))
    for record, body in zip(back, bodies, strict=True):
        _same(record.body, body)
    with JournalReader(tmp_path / "journal") as journal:
        held = journal.read(until=len(bodies))
    for record, other in zip(back, held, strict=True):
        _same(record.body, other.body)
    assert [r.offset for r in past.records(first=17, until=44)] == list(range(17, 44))


def test_counts_are_those_of_the_judge(tmp_path):
    bodies = _bodies(2)
    counts = _whole(tmp_path, bodies).counts()
    judged, duplicates, late, conflicts, heard = _verdicts(bodies)
    assert min(judged, duplicates, late, heard) > 0
    assert counts["rows"] == judged + duplicates + late + conflicts
    assert [counts[k] for k in ("judged", "duplicates", "late", "conflicts", "heard")] == [
        judged, duplicates, late, conflicts, heard,
    ]  # fmt: skip
    ticks = sum(isinstance(b, Tick) for b in bodies)
    assert (counts["ticks"], counts["controls"], counts["blocks"]) == (ticks, 1, 1)


def test_what_is_not_rolled_yet_is_readable_within_the_roll_time(tmp_path):
    with _running(tmp_path, roll_s=0.3):
        store_data.write_journal(tmp_path, _bodies(3, records=5))
        past = history.History(tmp_path / "archive")
        store_data.until(lambda: past.counts()["rows"] > 0, timeout_s=3)


def test_files_are_named_by_their_offsets_without_gap_or_overlap(tmp_path):
    past = _whole(
        tmp_path, _bodies(4), limits=archive.ArchiveLimits(roll_rows=150, fan_in=4, read_rows=100)
    )
    files = past.manifest().files
    for one, other in itertools.pairwise(files):
        assert other.first == one.last + 1
    assert all(f.name == f"{f.first:020d}-{f.last:020d}.parquet" for f in files)
    assert Cursor.load(tmp_path / "cursors" / "archive").offset == files[-1].last + 1


def test_small_files_stay_few(tmp_path):
    folder = tmp_path / "archive"
    limits = archive.ArchiveLimits(fan_in=3, grace_s=0.0)
    writer = archive.Archive(folder, channels=2, limits=limits)
    store_data.write_journal(tmp_path, _bodies(5, records=60, rows=4))
    with JournalReader(tmp_path / "journal") as journal:
        for record in journal.read(until=60):
            writer.add([record])
            writer.roll()
    files = writer.manifest.files
    assert len(files) <= 2 * 5  # at most fan_in − 1 files a tier
    assert sum(1 for p in folder.iterdir() if p.suffix == ".parquet") == len(files)
    assert [r.offset for r in history.History(folder).records()] == list(range(60))


def test_a_replaced_file_stays_for_queries_that_still_read_it(tmp_path):
    folder = tmp_path / "archive"
    writer = archive.Archive(folder, channels=2, limits=archive.ArchiveLimits(fan_in=2))
    store_data.write_journal(tmp_path, _bodies(6, records=10))
    with JournalReader(tmp_path / "journal") as journal:
        held = journal.read(until=4)
    writer.add(held[:2])
    writer.roll()
    first = writer.manifest.files[0]
    writer.add(held[2:])
    writer.roll()
    assert first.name in {r.name for r in writer.manifest.retired}
    assert (folder / first.name).exists()


@pytest.mark.parametrize("by", ["age", "size"])
def test_the_oldest_files_go_by_age_or_size_and_the_newest_stays(tmp_path, by):
    folder, second = tmp_path / "archive", 10**9
    store_data.write_journal(tmp_path, [Tick(store_data.T0 + k * second) for k in range(10)])
    with JournalReader(tmp_path / "journal") as journal:
        records = journal.read(until=10)
    limits = archive.ArchiveLimits(fan_in=64, grace_s=0.0, keep_ns=3 * second)
    if by == "size":
        limits = archive.ArchiveLimits(fan_in=64, grace_s=0.0, max_bytes=1)
    writer = archive.Archive(folder, channels=2, limits=limits)
    for record in records:
        writer.add([record])
        writer.roll()
    kept = [f.first for f in writer.manifest.files]
    assert kept == ([6, 7, 8, 9] if by == "age" else [9])
    assert len(list(folder.glob("*.parquet"))) == len(kept)
    assert [r.offset for r in history.History(folder).records()] == kept
    again = archive.Archive(folder, channels=2, limits=limits)
    assert again.manifest.next_offset == 10


def test_leftovers_of_a_kill_are_removed_and_never_counted(tmp_path):
    bodies = _bodies(7)
    past = _whole(tmp_path, bodies)
    before = past.counts()
    folder = tmp_path / "archive"
    name = past.manifest().files[0].name
    leftovers = ["00000000000000000000-00000000000000000099.parquet", "x.parquet.new", "state-9"]
    for leftover in leftovers:
        (folder / leftover).write_bytes((folder / name).read_bytes()[:50])
    assert past.counts() == before
    assert len(past.trend(0, 0, 2**62, 10**6)) > 0  # a broken file in the folder harms no query
    with _running(tmp_path, roll_s=0.05):
        store_data.until(lambda: not any((folder / leftover).exists() for leftover in leftovers))
    assert history.History(folder).counts() == before


PROGRAM = """
import threading
from pathlib import Path
from ingest.store.archive import ArchiveLimits, run_archive
from tests import store_twin
run_archive(data=Path({data!r}), registry=store_twin.registry(), stop=threading.Event(),
            roll_s=0.01, limits=ArchiveLimits(fan_in=4, roll_rows=500, grace_s=0.0, read_rows=200))
"""


def test_killed_in_the_middle_of_writing_each_record_is_archived_once(tmp_path):
    bodies = _bodies(8, records=300, rows=60)
    end = store_data.write_journal(tmp_path, bodies)
    program = PROGRAM.format(data=str(tmp_path))
    reached = []
    for more in (20, 60):
        enough = _archived(tmp_path) + more
        store_data.run_and_kill(program, when=lambda n=enough: _archived(tmp_path) >= n)
        reached.append(_archived(tmp_path))
    assert 0 < reached[0] <= reached[1] < end
    with _running(tmp_path, roll_s=0.05):
        store_data.until(lambda: _archived(tmp_path) == end)
    past = history.History(tmp_path / "archive")
    assert [r.offset for r in past.records()] == list(range(end))
    counts = past.counts()
    assert [counts[k] for k in ("judged", "duplicates", "late", "conflicts", "heard")] == (
        _verdicts(bodies)
    )
    files = [str(tmp_path / "archive" / f.name) for f in past.manifest().files]
    text = 'SELECT count(*) FROM (SELECT DISTINCT "offset", "row" FROM read_parquet($f))'
    (rows,) = duckdb.connect().execute(text, {"f": files}).fetchone()
    assert rows == sum(f.rows for f in past.manifest().files)


def test_two_writers_of_one_archive_are_refused(tmp_path):
    store_data.write_journal(tmp_path, [Tick(1)])
    with _running(tmp_path, roll_s=0.05):
        store_data.until(lambda: _archived(tmp_path) == 1)
        with pytest.raises(ArchiveLocked, match="another process"):
            archive.run_archive(data=tmp_path, registry=REGISTRY, stop=threading.Event())


def test_a_damaged_manifest_is_said_with_the_remedy(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"version": 9')
    with pytest.raises(ManifestDamaged, match="restore it from a backup"):
        history.History(folder).counts()
    (folder / "manifest.json").write_text(json.dumps({"version": 9}))
    with pytest.raises(ManifestDamaged, match="version 9"):
        Manifest.load(folder)


def test_a_journal_shorter_than_the_archive_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "RECOVERY_S", 0.0)
    _whole(tmp_path, _bodies(9, records=5))
    (tmp_path / "journal").rename(tmp_path / "journal-lost")
    store_data.write_journal(tmp_path, [Tick(1)])
    with pytest.raises(CursorAhead, match="tail was lost"):
        archive.run_archive(data=tmp_path, registry=REGISTRY, stop=threading.Event())


def test_a_full_disk_is_waited_for_and_nothing_is_missing(tmp_path, monkeypatch):
    bodies = _bodies(10, records=40)
    end = store_data.write_journal(tmp_path, bodies)
    real, failures = archive.pq.write_table, [OSError(28, "No space left on device")] * 3

    def failing(*args, **kwargs):
        if failures:
            raise failures.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(archive.pq, "write_table", failing)
    monkeypatch.setattr(archive, "RETRY_S", 0.02)
    with _running(tmp_path, roll_s=0.05):
        store_data.until(lambda: _archived(tmp_path) == end)
    assert failures == []
    assert [r.offset for r in history.History(tmp_path / "archive").records()] == list(range(end))
