"""Snapshots on disk: what a crash leaves is cleared away, and no orphan writes on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

from ingest.journal.files import OsFiles
from lifeline.engine_process import EventLog, empty_site
from lifeline.snapshots import SnapshotFolder
from rules.engine import Engine

ROOT = Path(__file__).parents[2]


def test_what_a_crash_left_half_written_is_removed_at_the_next_start(tmp_path):
    SnapshotFolder(tmp_path).write(Engine(*empty_site()), {})
    (tmp_path / f"{7:020}.snap.new").write_bytes(b"half")
    again = SnapshotFolder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{0:020}.snap"]
    assert again.load(until=0) is not None


def test_a_disk_that_fails_in_the_middle_keeps_no_room_for_half_a_snapshot(tmp_path):
    class Failing(OsFiles):
        def sync(self, file: int) -> None:
            raise OSError(errno.EIO, "the disk of the test fails")

    SnapshotFolder(tmp_path, files=Failing()).write(Engine(*empty_site()), {})
    assert list(tmp_path.iterdir()) == []


def test_an_engine_killed_while_its_fork_writes_can_be_started_at_once(tmp_path):
    """The fork had the event log's lock and socket in its hands, and the next engine none."""
    script = """
import os, sys, time
from pathlib import Path
from ingest.journal.files import OsFiles
from lifeline.engine_process import EventLog, empty_site
from lifeline.snapshots import SnapshotFolder
from rules.engine import Engine

class Slow(OsFiles):
    def sync(self, file):
        (Path(sys.argv[1]) / "pid").write_text(str(os.getpid()))
        time.sleep(30)

log = EventLog(Path(sys.argv[1]))
SnapshotFolder(Path(sys.argv[1]) / "s", files=Slow()).fork(Engine(*empty_site()), {})
time.sleep(30)
"""
    words = [sys.executable, "-c", script, str(tmp_path)]
    engine = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})
    told = tmp_path / "pid"
    until = time.monotonic() + 20
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    held = [str(fd.readlink()) for fd in (Path("/proc") / told.read_text() / "fd").iterdir()]
    assert not [name for name in held if "lock" in name or "socket" in name]
    engine.kill()
    engine.wait(10)
    EventLog(tmp_path).close()


def test_the_fork_that_writes_a_snapshot_dies_with_its_engine(tmp_path):
    """An orphan would write and remove files beside the engine that is started next."""
    script = """
import os, sys, time
from pathlib import Path
from ingest.journal.files import OsFiles
from lifeline.engine_process import EventLog, empty_site
from lifeline.snapshots import SnapshotFolder
from rules.engine import Engine

class Slow(OsFiles):
    def sync(self, file):
        (Path(sys.argv[1]) / "pid").write_text(str(os.getpid()))
        time.sleep(30)

SnapshotFolder(Path(sys.argv[1]) / "s", files=Slow()).fork(Engine(*empty_site()), {})
time.sleep(30)
"""
    words = [sys.executable, "-c", script, str(tmp_path)]
    engine = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})
    told = tmp_path / "pid"
    until = time.monotonic() + 20
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    child = Path("/proc") / told.read_text()
    engine.kill()
    engine.wait(10)
    while child.exists() and (child / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < until, "the orphan writes on"
        time.sleep(0.02)
