"""The raw side log gives way: to another writer, to the journal's need of room, to its bounds."""

from ingest import metrics
from ingest import raw_log as module
from ingest.journal import JournalReader, JournalWriter, durable_end
from ingest.raw_log import RawLog
from tests.intake_site import NOW_NS, mqtt, one_reading


def filled(folder, monkeypatch, groups=20):
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 2000)
    monkeypatch.setattr(module, "_SYNC_EVERY_S", 0.0)
    log = RawLog(folder)
    for n in range(groups):
        log.append([mqtt(one_reading(sequence=n), receive_ns=NOW_NS + n)])
    return log


def segments(folder):
    return sorted(folder.glob("*.seg"))


def test_a_raw_log_somebody_else_holds_costs_its_frames_only(tmp_path):
    with JournalWriter(tmp_path):
        log = RawLog(tmp_path)
        dropped = metrics.RAW_DROPPED._value.get()
        log.append([mqtt(b"a"), mqtt(b"b")])
        assert metrics.RAW_DROPPED._value.get() == dropped + 2
        log.close()


def test_room_for_the_journal_is_made_from_all_but_the_newest_segment(tmp_path, monkeypatch):
    log = filled(tmp_path, monkeypatch)
    assert len(segments(tmp_path)) > 3
    newest = segments(tmp_path)[-1]
    log.give_up_room()
    assert segments(tmp_path) == [newest]
    log.append([mqtt(b"after")])
    log.close()
    last = JournalReader(tmp_path, start=durable_end(tmp_path) - 1)
    ((_, frames),) = last.frames(until=durable_end(tmp_path))
    assert frames.payload == (b"after",)


def test_a_side_log_keeps_within_its_bytes(tmp_path, monkeypatch):
    log = filled(tmp_path, monkeypatch)
    RawLog.bound(tmp_path, max_bytes=5000)
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 5000
    log.close()


def test_a_raw_log_that_fails_while_writing_counts_what_it_lost(tmp_path, monkeypatch):
    log = RawLog(tmp_path)
    log.append([mqtt(b"a")])
    dropped = metrics.RAW_DROPPED._value.get()
    monkeypatch.setattr(module, "_SYNC_EVERY_S", 0.0)
    assert log._writer is not None
    log._writer._failure = "the disk failed"
    log.append([mqtt(b"b")])
    assert metrics.RAW_DROPPED._value.get() == dropped + 2


def test_more_than_the_buffer_holds_in_a_second_is_synced_before(tmp_path):
    log = RawLog(tmp_path)
    dropped = metrics.RAW_DROPPED._value.get()
    assert log._writer is not None
    log._writer.buffer_bytes = 0  # no second record finds room
    for n in range(5):
        log.append([mqtt(b"%d" % n)])
    log.close()
    assert metrics.RAW_DROPPED._value.get() == dropped
    held = JournalReader(tmp_path).frames(until=durable_end(tmp_path))
    assert [frames.payload for _, frames in held] == [(b"%d" % n,) for n in range(5)]


def test_frames_given_up_in_overload_are_left_out_and_counted(tmp_path):
    log = RawLog(tmp_path)
    dropped = metrics.RAW_DROPPED._value.get()
    frames = [mqtt(b"a"), mqtt(b"b"), mqtt(b"c")]
    log.append(frames, but={id(frames[1])})
    log.append([frames[0]], but={id(frames[0])})
    log.close()
    assert metrics.RAW_DROPPED._value.get() == dropped + 2
    ((_, held),) = JournalReader(tmp_path).frames(until=durable_end(tmp_path))
    assert held.payload == (b"a", b"c")
