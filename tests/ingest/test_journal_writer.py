"""What is committed stays; what failed leaves nothing half done."""

from __future__ import annotations

import errno
import multiprocessing
from typing import TYPE_CHECKING

import pytest

from ingest.journal import (
    BufferFull,
    JournalFailed,
    JournalFull,
    JournalLocked,
    JournalReader,
    JournalWriter,
    TimeWentBack,
    durable_end,
)
from rules.readings import Control, Tick
from tests.journal_kit import FaultyFiles, body, rows, same

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = 1 << 62


def held(folder: Path) -> list[object]:
    with JournalReader(folder) as reader:
        bodies = []
        while records := reader.read(until=EVERYTHING):
            assert [r.offset for r in records] == list(
                range(len(bodies), len(bodies) + len(records))
            )
            bodies += [r.body for r in records]
        assert not reader.damage
    return bodies


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.glob("*.seg"))


def test_offsets_count_from_zero_and_a_commit_makes_them_durable(tmp_path: Path):
    with JournalWriter(tmp_path) as writer:
        assert [writer.append(body(k)) for k in range(4)] == [0, 1, 2, 3]
        assert (writer.next_offset, writer.durable_offset, durable_end(tmp_path)) == (4, 0, 0)
        assert held(tmp_path) == []
        assert writer.commit() == 4
        assert durable_end(tmp_path) == 4
        assert writer.commit() == 4, "an empty commit is none"
    assert all(same(a, body(k)) for k, a in enumerate(held(tmp_path)))


def test_a_restart_goes_on_where_the_last_commit_ended(tmp_path: Path):
    for start in (0, 7, 14):
        with JournalWriter(tmp_path, segment_bytes=600) as writer:
            assert writer.next_offset == writer.durable_offset == start
            assert writer.last_receive_ns == max(
                0, max((k * 10 for k in range(start) if k % 3 < 2), default=0)
            )
            for k in range(start, start + 7):
                writer.append(body(k))
                writer.commit()
    assert len(list(tmp_path.glob("*.seg"))) > 3
    assert all(same(a, body(k)) for k, a in enumerate(held(tmp_path)))
    assert durable_end(tmp_path) == 21


def test_a_segment_is_named_by_its_first_offset(tmp_path: Path):
    with JournalWriter(tmp_path, segment_bytes=100) as writer:
        for k in range(3):
            writer.append(Tick(k))
            writer.commit()
    assert sorted(p.name for p in tmp_path.glob("*.seg")) == [
        "00000000000000000000.seg",
        "00000000000000000001.seg",
        "00000000000000000002.seg",
    ]


def test_an_empty_last_segment_still_knows_the_newest_time(tmp_path: Path):
    with JournalWriter(tmp_path) as writer:
        writer.append(Tick(77))
    (tmp_path / f"{1:020d}.seg").touch()  # a crash between making a segment and filling it
    with JournalWriter(tmp_path) as writer:
        assert (writer.next_offset, writer.last_receive_ns) == (1, 77)
        writer.append(Tick(78))
    assert held(tmp_path) == [Tick(77), Tick(78)]


def _lock_until_told(folder: Path, say: object, wait: object) -> None:
    with JournalWriter(folder):
        say.set()  # type: ignore[attr-defined]
        wait.wait(10)  # type: ignore[attr-defined]


def test_a_second_writer_is_refused_and_the_lock_dies_with_its_process(tmp_path: Path):
    spawn = multiprocessing.get_context("fork")
    ready, stop = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_lock_until_told, args=(tmp_path, ready, stop))
    other.start()
    assert ready.wait(10)
    with pytest.raises(JournalLocked, match="another process writes here"):
        JournalWriter(tmp_path)
    other.kill()
    other.join()
    JournalWriter(tmp_path).close()


def test_time_may_not_go_back(tmp_path: Path):
    with JournalWriter(tmp_path) as writer:
        writer.append(rows(2, 50))
        with pytest.raises(TimeWentBack, match="record 1 was received at 49, but 50"):
            writer.append(Tick(49))
        writer.append(Tick(50))
        writer.append(Control("reset", {}))
        assert writer.last_receive_ns == 50
    with JournalWriter(tmp_path) as writer, pytest.raises(TimeWentBack):
        writer.append(rows(1, 10))


def test_the_buffer_has_a_limit(tmp_path: Path):
    with JournalWriter(tmp_path, buffer_bytes=200) as writer:
        writer.append(rows(50, 1))  # one record may be larger than the limit, alone
        with pytest.raises(BufferFull, match="commit first"):
            writer.append(Tick(1))
        assert writer.next_offset == 1
        writer.commit()
        writer.append(Tick(1))


def test_discarded_records_leave_no_trace(tmp_path: Path):
    with JournalWriter(tmp_path) as writer:
        writer.append(Tick(1))
        writer.commit()
        writer.append(Tick(900))
        assert writer.discard() == 1
        assert (writer.next_offset, writer.last_receive_ns) == (1, 1)
        writer.append(Tick(2))
    assert held(tmp_path) == [Tick(1), Tick(2)]


def _append_and_fail(folder: Path) -> None:
    with JournalWriter(folder) as writer:
        writer.append(Tick(1))
        raise RuntimeError


def test_an_exception_in_the_callers_block_commits_nothing(tmp_path: Path):
    with pytest.raises(RuntimeError):
        _append_and_fail(tmp_path)
    assert held(tmp_path) == []


# ---------------------------------------------------------------- the disk misbehaves


def test_short_writes_are_gone_on_with(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    files.short = 13
    with JournalWriter(tmp_path, files=files) as writer:
        for k in range(6):
            writer.append(body(k))
    assert all(same(a, body(k)) for k, a in enumerate(held(tmp_path)))


def test_a_full_disk_refuses_the_commit_whole_and_later_takes_it(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    with JournalWriter(tmp_path, files=files, segment_bytes=2000) as writer:
        writer.append(rows(10, 1))
        writer.commit()
        before = size_of(tmp_path)
        files.room_bytes = before + 500
        for k in range(3):
            writer.append(rows(20, 10 + k))
        for _ in range(3):
            with pytest.raises(JournalFull, match=r"no room for .* bytes; free space"):
                writer.commit()
            assert size_of(tmp_path) == before, "nothing half-visible"
            assert durable_end(tmp_path) == 1
            assert len(held(tmp_path)) == 1
        assert writer.full_commits == 3
        files.room_bytes = None
        assert writer.commit() == 4
    assert len(held(tmp_path)) == 4


def test_after_a_full_disk_the_caller_may_drop_and_take_other_records(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    with JournalWriter(tmp_path, files=files) as writer:
        files.room_bytes = 200
        writer.append(rows(100, 5))
        with pytest.raises(JournalFull):
            writer.commit()
        writer.discard()
        assert writer.append(Tick(3)) == 0
        assert writer.commit() == 1
    assert held(tmp_path) == [Tick(3)]


def test_the_reserve_lets_alarms_through_on_a_full_disk_and_is_filled_again(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    with JournalWriter(tmp_path, files=files, reserve_bytes=4 << 20) as writer:
        assert (tmp_path / "reserve").stat().st_blocks * 512 >= 4 << 20, "real blocks"
        files.room_bytes = (4 << 20) + 200
        writer.append(rows(100, 1))
        with pytest.raises(JournalFull):
            writer.commit()
        assert writer.commit(use_reserve=True) == 1
        left = (tmp_path / "reserve").stat().st_size
        assert 2 << 20 < left < 4 << 20, "it gives no more than is wanted"
        files.room_bytes = None
        writer.append(Tick(2))
        writer.commit()
        assert (tmp_path / "reserve").stat().st_size == 4 << 20
    assert len(held(tmp_path)) == 2


def test_an_empty_reserve_is_an_end(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    with JournalWriter(tmp_path, files=files, reserve_bytes=1 << 20) as writer:
        files.room_bytes = (1 << 20) + 100
        for k in range(40):
            writer.append(rows(1000, k))
        with pytest.raises(JournalFull):
            writer.commit(use_reserve=True)
        assert writer.discard() == 40
        writer.append(Tick(1))
        assert writer.commit(use_reserve=True) == 1


def test_no_room_for_the_reserve_is_said_at_the_start(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    files.room_bytes = 5000
    with pytest.raises(JournalFull, match="configure a smaller reserve"):
        JournalWriter(tmp_path, files=files, reserve_bytes=1 << 20)
    JournalWriter(tmp_path).close()


@pytest.mark.parametrize(
    ("call", "code"),
    [("sync", errno.EIO), ("sync", errno.ENOSPC), ("write", errno.EIO), ("sync_folder", errno.EIO)],
)
def test_a_failed_sync_or_write_stops_the_writer_for_good(tmp_path: Path, call: str, code: int):
    files = FaultyFiles(tmp_path)
    writer = JournalWriter(tmp_path, files=files, segment_bytes=100)
    writer.append(Tick(1))
    writer.commit()
    writer.append(Tick(2))
    files.fail = {call: code}
    with pytest.raises(JournalFailed, match="check the disk and restart"):
        writer.commit()
    files.fail = {}
    for again in (writer.commit, lambda: writer.append(Tick(3))):
        with pytest.raises(JournalFailed):
            again()
    assert writer.durable_offset == durable_end(tmp_path) == 1
    writer.close()
    assert held(tmp_path) == [Tick(1)], "what was never acknowledged was cut off again"
    with JournalWriter(tmp_path) as fresh:
        assert fresh.next_offset == 1


def test_records_a_failed_sync_left_behind_are_written_again_before_they_count(tmp_path: Path):
    files = FaultyFiles(tmp_path)
    writer = JournalWriter(tmp_path, files=files)
    writer.append(Tick(1))
    writer.commit()
    known = size_of(tmp_path)
    writer.append(Tick(2))
    files.fail = {"sync": errno.EIO, "truncate": errno.EIO}  # it cannot even be cut off
    with pytest.raises(JournalFailed, match="could not be cut either"):
        writer.commit()
    writer.close()
    again = FaultyFiles(tmp_path)
    with JournalWriter(tmp_path, files=again) as fresh:
        assert fresh.next_offset == 2
        rewritten = [(a, b) for name, a, b in again.writes if name.endswith(".seg")]
        assert rewritten == [(known, size_of(tmp_path))]


def test_a_closed_writer_refuses(tmp_path: Path):
    writer = JournalWriter(tmp_path)
    writer.append(Tick(1))
    writer.close()
    writer.close()
    with pytest.raises(JournalFailed, match="closed"):
        writer.append(Tick(2))
    assert held(tmp_path) == [Tick(1)]


@pytest.mark.parametrize("call", ["sync", "sync_folder", "write"])
def test_a_journal_whose_end_cannot_be_made_sure_is_not_opened(tmp_path: Path, call: str):
    """What a killed writer left may stand in the page cache only, its name too."""
    with JournalWriter(tmp_path) as writer:
        writer.append(Tick(1))
    files = FaultyFiles(tmp_path)
    files.fail = {call: errno.EIO}
    with pytest.raises(JournalFailed, match="cannot open the journal"):
        JournalWriter(tmp_path, files=files)
    with JournalWriter(tmp_path) as writer:  # and the lock was given back
        assert writer.next_offset == 1
