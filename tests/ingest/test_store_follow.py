"""Following a journal: never past its durable end, nothing skipped uncounted, at any cut."""

import threading
import time

from ingest.journal import JournalReader, JournalWriter, WakeServer, retain
from ingest.store import follow, metrics
from rules.readings import Tick
from tests import store_data


def _ticks(records):
    return [r.body.tick_ns for r in records]


def test_a_follower_never_passes_the_durable_end(tmp_path):
    with JournalWriter(tmp_path / "journal") as journal:
        journal.append(Tick(1))
        journal.commit()
        journal.append(Tick(2))
        follower = follow.Follower(tmp_path / "journal", start=0)
        assert follower.wait(0.0)
        assert _ticks(follower.read(max_rows=100)) == [1]
        assert not follower.wait(0.0)
        assert follower.read(max_rows=100) == []
        journal.commit()
        assert follower.lag() == 1
        assert _ticks(follower.read(max_rows=100)) == [2]
        follower.close()


def test_a_follower_of_a_journal_that_is_not_there_yet_waits_for_it(tmp_path):
    follower = follow.Follower(
        tmp_path / "journal", start=0, wake=tmp_path / "run" / "journal.sock"
    )
    assert not follower.wait(0.01)
    assert follower.read(max_rows=100) == []
    store_data.write_journal(tmp_path, [Tick(1)])
    assert follower.wait(0.5)
    assert _ticks(follower.read(max_rows=100)) == [1]
    follower.close()


def test_a_commit_wakes_the_follower_at_once(tmp_path):
    wake = WakeServer(tmp_path / "journal.sock")
    with wake, JournalWriter(tmp_path / "journal", wake=wake) as journal:
        follower = follow.Follower(tmp_path / "journal", start=0, wake=tmp_path / "journal.sock")
        assert not follower.wait(0.05)
        woken = []
        thread = threading.Thread(target=lambda: woken.append(follower.wait(10.0)))
        thread.start()
        time.sleep(0.05)
        journal.append(Tick(1))
        journal.commit()
        thread.join(2)
        assert woken == [True]
        follower.close()


def test_records_that_retention_took_are_counted_and_passed(tmp_path):
    folder = tmp_path / "journal"
    with JournalWriter(folder, segment_bytes=4096) as journal:
        for k in range(200):
            journal.append(Tick(k))
            journal.commit()
    gone = retain(folder, keep_from=200, max_bytes=4096)
    assert gone.oldest_offset > 0
    before = metrics.LOST._value.get()
    follower = follow.Follower(folder, start=0)
    read = []
    while follower.lag():
        read += _ticks(follower.read(max_rows=50))
    assert read == list(range(gone.oldest_offset, 200))
    assert metrics.LOST._value.get() - before == gone.oldest_offset
    follower.close()


def test_damaged_records_are_counted_and_passed(tmp_path):
    folder = tmp_path / "journal"
    with JournalWriter(folder) as journal:
        for k in range(20):
            journal.append(Tick(k))
        journal.commit()
    (segment,) = folder.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    with JournalReader(folder) as reader:
        whole = _ticks(reader.read(until=20))
    before = metrics.LOST._value.get()
    follower = follow.Follower(folder, start=0)
    read = []
    while follower.lag():
        read += _ticks(follower.read(max_rows=50))
    assert read == whole
    assert len(whole) == 19
    assert metrics.LOST._value.get() - before == 1
    follower.close()


def test_collect_takes_what_comes_within_the_interval_and_ends_at_a_stop(tmp_path):
    with JournalWriter(tmp_path / "journal") as journal:
        journal.append(Tick(1))
        journal.commit()
        follower = follow.Follower(tmp_path / "journal", start=0)

        def later():
            time.sleep(0.1)
            journal.append(Tick(2))
            journal.commit()

        thread = threading.Thread(target=later)
        thread.start()
        stop = threading.Event()
        got = follow.collect(follower, max_rows=100, interval_s=1.0, stop=stop)
        thread.join()
        assert _ticks(got) == [1, 2]
        stop.set()
        began = time.monotonic()
        assert follow.collect(follower, max_rows=100, interval_s=5.0, stop=stop) == []
        assert time.monotonic() - began < 1
        follower.close()
