"""A reader takes whole records, never passes the durable end, and reads while another writes."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from ingest.journal import (
    CursorAhead,
    EventLines,
    Frames,
    JournalFull,
    JournalReader,
    JournalWriter,
    OffsetGone,
    WakeServer,
    compare_cursor,
    last_events,
)
from rules.readings import Tick
from tests.journal_kit import FaultyFiles, body, rows, same

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = 1 << 62


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Thirty records in several segments."""
    with JournalWriter(tmp_path, segment_bytes=3000) as writer:
        for k in range(30):
            writer.append(body(k))
            writer.commit()
    return tmp_path


@pytest.mark.parametrize("start", range(0, 31, 3))
def test_reading_begins_anywhere(journal: Path, start: int):
    with JournalReader(journal, start=start) as reader:
        records = reader.read(until=EVERYTHING)
        assert [r.offset for r in records] == list(range(start, 30))
        assert all(same(r.body, body(r.offset)) for r in records)
        assert reader.next_offset == 30
        assert reader.read(until=EVERYTHING) == []


def test_a_reader_never_passes_the_end_it_is_given(journal: Path):
    with JournalReader(journal) as reader:
        for until in (0, 1, 7, 7, 12, 5, 30):
            before = reader.next_offset
            records = reader.read(until=until)
            assert [r.offset for r in records] == list(range(before, max(before, until)))


def test_reading_takes_whole_records_up_to_a_number_of_rows_and_bytes(tmp_path: Path):
    with JournalWriter(tmp_path) as writer:
        for k in range(6):
            writer.append(rows(10, k))
    reader = JournalReader(tmp_path)
    assert [r.offset for r in reader.read(until=9, max_rows=25)] == [0, 1]
    assert [r.offset for r in reader.read(until=9, max_rows=5)] == [2], "at least one"
    assert [r.offset for r in reader.read(until=9, max_bytes=1)] == [3]
    assert [r.offset for r in reader.read(until=9)] == [4, 5]
    reader.close()


def test_an_empty_folder_has_nothing_and_a_later_writer_is_seen(tmp_path: Path):
    reader = JournalReader(tmp_path / "none")
    assert reader.read(until=EVERYTHING) == []
    with JournalWriter(tmp_path / "none") as writer:
        writer.append(Tick(1))
        writer.commit()
        assert [r.body for r in reader.read(until=1)] == [Tick(1)]
        writer.append(Tick(2))
        writer.commit()
        assert [r.body for r in reader.read(until=2)] == [Tick(2)]
    reader.close()


def test_bytes_beyond_the_durable_end_are_never_kept_from_an_earlier_look(tmp_path: Path):
    """What a reader saw behind the end may have been rolled back and replaced since."""
    files = FaultyFiles(tmp_path)
    with JournalWriter(tmp_path, files=files) as writer, JournalReader(tmp_path) as reader:
        writer.append(Tick(1))
        writer.append(Tick(2))
        writer.commit()
        (segment,) = tmp_path.glob("*.seg")
        with segment.open("ab") as file:
            file.write(segment.read_bytes()[-64:])  # half of a group that will be rolled back
        assert len(reader.read(until=1)) == 1
        files.room_bytes = segment.stat().st_size
        writer.append(rows(50, 3))
        with pytest.raises(JournalFull):
            writer.commit()
        files.room_bytes = None
        writer.discard()
        writer.append(Tick(4))
        writer.commit()
        assert [r.body for r in reader.read(until=3)] == [Tick(2), Tick(4)]


def test_a_small_read_asks_for_no_more_memory_than_there_is_to_read(journal: Path):
    """Room for 4 MiB at each look, given back but for some bytes, cuts the heap to pieces."""
    with JournalReader(journal) as reader:
        reader.read(until=3)
        tracemalloc.start()
        try:
            assert len(reader.read(until=30)) == 27
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 256 << 10


def test_a_removed_offset_names_the_oldest_one_held(journal: Path):
    second = sorted(journal.glob("*.seg"))[1]
    min(journal.glob("*.seg")).unlink()
    oldest = int(second.stem)
    with pytest.raises(
        OffsetGone, match=f"record 0 was removed .* oldest one held is {oldest}"
    ) as e:
        JournalReader(journal).read(until=30)
    assert e.value.oldest == oldest
    with JournalReader(journal, start=e.value.oldest) as reader:
        assert reader.read(until=30)[0].offset == oldest


def test_a_segment_removed_while_it_is_read_is_read_to_its_end(journal: Path):
    segments = sorted(journal.glob("*.seg"))
    with JournalReader(journal) as reader:
        reader.read(until=1)
        segments[0].unlink()
        assert len(reader.read(until=30)) == 29
        assert not reader.damage


def test_a_cursor_ahead_of_the_journal_is_refused(journal: Path):
    compare_cursor(journal, 30, 30)
    with pytest.raises(CursorAhead, match="stands at 31, but the journal ends at 30"):
        compare_cursor(journal, 31, 30)


def test_event_logs_and_quarantines_are_read_in_their_own_form(tmp_path: Path):
    with JournalWriter(tmp_path / "events", segment_bytes=100) as writer:
        for k in range(5):
            writer.append(EventLines(k * 10, (b'{"n":%d}' % k,) * k))
            writer.commit()
    with JournalReader(tmp_path / "events") as reader:
        held = reader.events(until=4)
    assert [(offset, e.through, len(e.lines)) for offset, e in held] == [
        (0, 0, 0),
        (1, 10, 1),
        (2, 20, 2),
        (3, 30, 3),
    ]
    assert last_events(tmp_path / "events", until=5) == (4, EventLines(40, (b'{"n":4}',) * 4))
    assert last_events(tmp_path / "events", until=3) == (2, EventLines(20, (b'{"n":2}',) * 2))
    assert last_events(tmp_path / "none", until=3) is None
    with JournalWriter(tmp_path / "bad") as writer:
        writer.append(Frames.of([(1, None, "mqtt", "a/b", "no codec", "", b"?")]))
    with JournalReader(tmp_path / "bad") as reader:
        ((_, frames),) = reader.frames(until=1)
    assert frames.reason == ("no codec",)


_OTHER = """
import json, sys
from pathlib import Path
from ingest.journal import JournalReader, WakeClient
from tests.journal_kit import body, same
folder, total = Path(sys.argv[1]), int(sys.argv[2])
seen, wakes, longest = 0, 0, 0
with WakeClient(folder / "wake.sock") as wake, JournalReader(folder / "j") as reader:
    while reader.next_offset < total:
        durable = wake.wait(20.0)
        assert durable is not None, "nobody woke us"
        wakes += 1
        while records := reader.read(until=durable, max_rows=50):
            for record in records:
                assert record.offset == seen < durable
                assert same(record.body, body(seen)), seen
                seen += 1
    assert not reader.damage
print(json.dumps([seen, wakes]))
"""


def test_another_process_reads_along_while_the_writer_appends(tmp_path: Path):
    total = 600
    with WakeServer(tmp_path / "wake.sock") as wake:
        other = subprocess.Popen(
            [sys.executable, "-c", _OTHER, str(tmp_path), str(total)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with JournalWriter(tmp_path / "j", wake=wake, segment_bytes=9000) as writer:
            for k in range(total):
                writer.append(body(k))
                if k % 7 == 0:
                    writer.commit()
            writer.commit()
            said, _ = other.communicate(timeout=60)
    assert other.returncode == 0
    seen, wakes = json.loads(said)
    assert seen == total
    assert wakes >= 1
