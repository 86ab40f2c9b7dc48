"""What stands round the records: cursors, the wake-up, retention."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import (
    Cursor,
    CursorDamaged,
    JournalLocked,
    JournalReader,
    JournalWriter,
    WakeClient,
    WakeServer,
    retain,
)
from ingest.journal import retention as retention_module
from ingest.journal.files import OsFiles
from rules.readings import Tick
from tests.journal_kit import FaultyFiles, rows

if TYPE_CHECKING:
    from pathlib import Path

# ---------------------------------------------------------------- cursors

SMALL = {"top": np.arange(3, dtype=np.int64), "name": "engine 井", "count": 5}


def test_a_cursor_comes_back_with_its_state(tmp_path: Path):
    path = tmp_path / "cursors" / "engine"
    assert Cursor.load(path).offset == 0
    extra = {
        "ring": np.array([[1.5, np.nan]]),
        "seen": np.zeros((0, 4), np.uint64),
        "ids": np.array(["a", "bc"]),
        "note": "x",
        "n": -7,
    }
    Cursor(12, extra).save(path)
    again = Cursor.load(path)
    assert again.offset == 12
    assert list(again.extra) == list(extra)
    for name, wanted in extra.items():
        held = again.extra[name]
        if isinstance(wanted, np.ndarray):
            assert isinstance(held, np.ndarray)
            assert (held.dtype, held.shape) == (wanted.dtype, wanted.shape)
            assert held.tobytes() == wanted.tobytes()
            assert held.flags.writeable
        else:
            assert held == wanted


def test_a_cursor_without_room_says_so_and_leaves_the_old_one(tmp_path: Path):
    path = tmp_path / "cursors" / "store"
    Cursor(12).save(path)
    files = FaultyFiles(path.parent)
    files.fail = {"sync": errno.ENOSPC}
    assert not Cursor(13).save_if_room(path, files=files)
    assert Cursor.load(path).offset == 12
    assert [p.name for p in path.parent.iterdir()] == ["store"]
    assert Cursor(13).save_if_room(path)
    assert Cursor.load(path).offset == 13


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_or_cut_cursor_is_never_taken_for_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    path = tmp_path_factory.getbasetemp() / "hurt"
    Cursor(12, dict(SMALL)).save(path)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del raw[at:]
    path.write_bytes(raw)
    with pytest.raises(CursorDamaged, match="hurt: not a whole cursor file"):
        Cursor.load(path)


@pytest.mark.parametrize("call", ["write", "sync", "rename"])
def test_a_crash_while_saving_leaves_the_old_cursor(tmp_path: Path, call: str):
    path = tmp_path / "engine"
    Cursor(1).save(path)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    files = OsFiles()
    setattr(files, call, dies)
    with pytest.raises(KeyboardInterrupt):
        Cursor(2, dict(SMALL)).save(path, files=files)
    assert Cursor.load(path).offset == 1
    Cursor(3).save(path)
    assert Cursor.load(path).offset == 3


# ---------------------------------------------------------------- the wake-up


def test_a_client_learns_the_end_at_once_and_whenever_it_moves(tmp_path: Path):
    with WakeServer(tmp_path / "w") as server, WakeClient(tmp_path / "w") as client:
        assert client.wait(0.05) is None, "nothing is known yet"
        with JournalWriter(tmp_path / "j", wake=server) as writer:
            assert client.wait(5) == 0
            threading.Timer(0.05, lambda: (writer.append(Tick(1)), writer.commit())).start()
            began = time.monotonic()
            assert client.wait(5) == 1
            assert time.monotonic() - began < 2
            assert client.wait(0.01) is None


def test_a_slow_client_gets_only_the_newest(tmp_path: Path):
    with WakeServer(tmp_path / "w") as server, WakeClient(tmp_path / "w") as client:
        server.publish(0)
        assert client.wait(5) == 0
        for durable in range(1, 1_001):  # more than a socket buffer holds
            server.publish(durable)
            time.sleep(0.0002)
        assert 0 < next(iter(server._told.values())) < 1_000, "the buffer is full"
        newest = 0
        while newest < 1_000:
            told = client.wait(5)
            assert told is not None
            assert told > newest
            newest = told


def test_a_client_connects_again_when_the_server_comes_back(tmp_path: Path):
    client = WakeClient(tmp_path / "deep" / ("x" * 90) / "w")
    client.path.parent.mkdir(parents=True)  # a name too long for a plain Unix socket address
    assert client.wait(0.02) is None, "no server is no error"
    for durable in (4, 9):
        with WakeServer(client.path) as server:
            server.publish(durable)
            assert client.wait(5) == durable
    assert client.connections == 2
    client.close()


def test_a_dead_servers_socket_is_taken_over_and_a_living_ones_is_not(tmp_path: Path):
    with WakeServer(tmp_path / "w"):
        with pytest.raises(JournalLocked, match="another process wakes readers here"):
            WakeServer(tmp_path / "w")
        os.link(tmp_path / "w", tmp_path / "left")
    with WakeServer(tmp_path / "left") as server, WakeClient(tmp_path / "left") as client:
        server.publish(3)
        assert client.wait(5) == 3


# ---------------------------------------------------------------- retention


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """Ten segments of one record each, received at 100, 200, …"""
    with JournalWriter(tmp_path, segment_bytes=1) as writer:
        for k in range(10):
            writer.append(rows(5, 100 * (k + 1)))
            writer.commit()
    return tmp_path


def left(folder: Path) -> list[int]:
    return [int(p.stem) for p in sorted(folder.glob("*.seg"))]


def test_without_a_limit_nothing_goes(ten: Path):
    done = retain(ten, keep_from=10)
    assert (done.removed, done.oldest_offset, done.forced) == ((), 0, None)


def test_size_and_age_remove_the_oldest_but_never_what_a_reader_needs(ten: Path):
    size = sum(p.stat().st_size for p in ten.glob("*.seg"))
    done = retain(ten, keep_from=10, max_bytes=size * 7 // 10)
    assert left(ten) == list(range(3, 10))
    assert (len(done.removed), done.oldest_offset, done.forced) == (3, 3, None)
    assert done.removed_bytes == size * 3 // 10
    retain(ten, keep_from=10, max_age_ns=299, now_ns=1000)  # record 6 came at 700
    assert left(ten) == list(range(6, 10))
    retain(ten, keep_from=8, max_bytes=0)
    assert left(ten) == [8, 9]
    done = retain(ten, keep_from=8, max_bytes=0)
    assert done.removed == ()


def test_the_last_segment_stays_and_the_journal_goes_on(ten: Path):
    retain(ten, keep_from=1 << 62, max_bytes=0)
    assert left(ten) == [9]
    with JournalWriter(ten) as writer:
        assert writer.append(Tick(2000)) == 10
    with JournalReader(ten, start=9) as reader:
        assert len(reader.read(until=11)) == 2


def test_a_full_disk_takes_from_the_slowest_reader_and_says_so(
    ten: Path, monkeypatch: pytest.MonkeyPatch
):
    size = (ten / f"{0:020d}.seg").stat().st_size

    def free(folder: Path) -> int:  # a disk that has room for eight segments
        return (8 - len(left(folder))) * size

    monkeypatch.setattr(retention_module, "_free_bytes", free)
    assert retain(ten, keep_from=1, min_free_bytes=2 * size, spare_from=1).forced is None
    assert left(ten) == list(range(1, 10))
    done = retain(ten, keep_from=2, min_free_bytes=2 * size)
    assert left(ten) == [4, 5, 6, 7, 8, 9]
    assert done.forced == (2, 3)
    assert "THE DISK IS FULL: records 2..3 were removed before every reader had them" in str(done)


def test_age_needs_the_clocks_time(ten: Path):
    with pytest.raises(ValueError, match="now_ns"):
        retain(ten, keep_from=10, max_age_ns=5)
