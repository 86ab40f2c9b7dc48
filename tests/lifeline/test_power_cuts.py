"""Loss of power and a bad disk under the real writer, engine, event log, snapshots and cursors.

The small version of `lifeline torture --power-cuts`; and the campaign itself is tried: each way to
break the promise that is put in here must be found.
"""

from __future__ import annotations

import random
import threading

import pytest

from ingest.journal import files as files_module
from ingest.journal.writer import JournalWriter
from lifeline.torture import power
from lifeline.torture.disk import SECTOR, Disk, Fault, PowerLost


def run(cuts, seed=7):
    return power.run_power_cuts(cuts=cuts, seed=seed, stop=threading.Event())


def test_whatever_was_acknowledged_is_there_after_every_loss_of_power():
    row = run(30)
    assert row["broken"] == {}, row["first"]
    assert row["power_cuts"] >= 30
    assert row["acknowledged"] > 100
    assert row["events"] > 100
    assert sum(row["faults"].values()) > 20
    assert {kind.split()[0] for kind in row["faults"]} == {"EIO", "ENOSPC", "cut"}


def test_the_same_seed_gives_the_same_campaign():
    assert run(6, seed=3) == run(6, seed=3)


def _no_sync(monkeypatch):
    """Acknowledge what is only in the cache."""
    monkeypatch.setattr(JournalWriter, "_sync", lambda self: None)


def _no_folder_sync(monkeypatch):
    """Sync a segment and not its name."""
    monkeypatch.setattr(JournalWriter, "_sync", lambda self: self._files.sync(self._file))


def _pretends(monkeypatch):
    """Go on after a failed sync as if the next one meant something."""

    def fail(self, message, error):
        self._size += sum(map(len, self._waiting))
        self._waiting, self._waiting_bytes = [], 0
        self.durable_offset, self._durable_ns = self.next_offset, self.last_receive_ns

    monkeypatch.setattr(JournalWriter, "_fail", fail)


def _no_rewrite(monkeypatch):
    """Trust the cache at a start after a failed sync."""

    def open_tail(self, path, first, size, keep, marker):
        self._file, self._segment, self._size = self._files.open(path), first, keep
        if size > keep:
            self._files.truncate(self._file, keep)
        self._files.sync(self._file)

    monkeypatch.setattr(JournalWriter, "_open_tail", open_tail)
    # rare among all faults: a sync that fails, an end that stays, a start without a loss of power
    monkeypatch.setattr(power, "KINDS", (("EIO", ("sync", "truncate")), ("cut", ("sync",))))


def _unsynced_files(monkeypatch):
    """Rename over the old cursor or snapshot what is not on the disk."""

    def replace_file(files, path, data, *, what):
        aside = path.with_name(path.name + files_module.ASIDE)
        file = files.open(aside)
        files.truncate(file, 0)
        files_module.write_all(files, file, data, 0)
        files.close(file)
        files.rename(aside, path)

    monkeypatch.setattr("ingest.journal.cursor.replace_file", replace_file)
    monkeypatch.setattr("lifeline.snapshots.replace_file", replace_file)


@pytest.mark.parametrize(
    "sabotage", [_no_sync, _no_folder_sync, _pretends, _no_rewrite, _unsynced_files]
)
def test_the_campaign_finds_a_program_that_breaks_the_promise(monkeypatch, sabotage):
    sabotage(monkeypatch)
    for seed in range(12):
        if run(12, seed=seed)["broken"]:
            return
    pytest.fail("nobody noticed")


# ---------------------------------------------------------------- the disk itself


def written(disk, path, data, at=0):
    file = disk.open(path)
    disk.write(file, memoryview(data), at)
    return file


def test_what_was_synced_with_its_name_is_there(tmp_path):
    for seed in range(30):
        disk = Disk(tmp_path, random.Random(seed))
        path = tmp_path / f"{seed}"
        file = written(disk, path, b"a" * 2000)
        disk.sync(file)
        disk.sync_folder(tmp_path)
        disk.close(file)
        disk.lose_power()
        assert path.read_bytes() == b"a" * 2000


def test_unsynced_sectors_are_old_or_new_in_any_order(tmp_path):
    seen = set()
    for seed in range(200):
        disk = Disk(tmp_path, random.Random(seed))
        path = tmp_path / f"{seed}"
        file = written(disk, path, b"a" * SECTOR * 3)
        disk.sync(file)
        disk.sync_folder(tmp_path)
        disk.write(file, memoryview(b"b" * SECTOR * 3), 0)
        disk.close(file)
        disk.lose_power()
        content = path.read_bytes()
        assert len(content) == 3 * SECTOR
        seen.add(content[::SECTOR].decode())
    assert {"aaa", "bbb", "aba", "bab"} <= seen


def test_a_name_without_a_sync_of_its_folder_may_be_gone(tmp_path):
    there = set()
    for seed in range(30):
        disk = Disk(tmp_path, random.Random(seed))
        path = tmp_path / f"{seed}"
        file = written(disk, path, b"a")
        disk.sync(file)
        disk.close(file)
        disk.lose_power()
        there.add(path.exists())
    assert there == {True, False}


def test_after_a_failed_sync_a_second_one_does_not_help_but_writing_again_does(tmp_path):
    kept = {"again": 0, "rewritten": 0}
    for seed in range(40):
        for how in kept:
            disk = Disk(tmp_path, random.Random(seed))
            path = tmp_path / f"{how}{seed}"
            file = written(disk, path, b"")
            disk.sync_folder(tmp_path)
            disk.write(file, memoryview(b"a" * SECTOR), 0)
            disk.fault = Fault("EIO", ("sync",))
            with pytest.raises(OSError, match="Input/output error"):
                disk.sync(file)
            assert path.read_bytes() == b"a" * SECTOR, "the cache shows it"
            if how == "rewritten":
                disk.write(file, memoryview(b"a" * SECTOR), 0)
            disk.sync(file)
            disk.close(file)
            disk.lose_power()
            kept[how] += path.read_bytes() == b"a" * SECTOR
    assert kept["rewritten"] == 40
    assert 5 < kept["again"] < 35


def test_nothing_happens_after_the_power_is_gone(tmp_path):
    disk = Disk(tmp_path, random.Random(1))
    file = written(disk, tmp_path / "a", b"a")
    disk.fault = Fault("cut", ("sync",))
    for _ in range(2):
        with pytest.raises(PowerLost):
            disk.sync(file)
    with pytest.raises(PowerLost):
        disk.open(tmp_path / "b")
    disk.close(file)
    assert not (tmp_path / "b").exists()
