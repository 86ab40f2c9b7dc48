"""The power goes at any call to the disk; of what was not synced any sector may be old or new."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import JournalFull, JournalReader, JournalWriter, durable_end
from tests.journal_kit import FaultyFiles, body, same

SECTOR = 512


class PowerLost(BaseException):
    """Nothing after this happens."""


class Mains(FaultyFiles):
    """Files that remember what is surely on disk; ``calls_left`` counts down to the loss."""

    def __init__(self, folder: Path, calls_left: int, before: Mains | None) -> None:
        super().__init__(folder)
        self.calls_left = calls_left
        self.names_on_disk = {p.name for p in folder.iterdir()}
        self.on_disk = {p.name: p.read_bytes() for p in folder.iterdir()}
        if before is not None:  # the machine stayed up: its cache is not the disk
            self.names_on_disk, self.on_disk = before.names_on_disk, before.on_disk

    def _maybe(self, call: str) -> None:
        super()._maybe(call)
        if self.calls_left == 0:
            raise PowerLost
        self.calls_left -= 1

    def sync(self, file: int) -> None:
        super().sync(file)
        self.on_disk[self.names[file]] = (self.folder / self.names[file]).read_bytes()

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.names_on_disk = {p.name for p in folder.iterdir()}

    def image(self, data: st.DataObject, target: Path) -> None:
        """Write what a next start may find into ``target``."""
        for path in sorted(self.folder.iterdir()):
            if path.name not in self.names_on_disk and data.draw(st.booleans()):
                continue
            (target / path.name).write_bytes(
                mixed(self.on_disk.get(path.name, b""), path.read_bytes(), data)
            )


def mixed(old: bytes, new: bytes, data: st.DataObject) -> bytes:
    """Return a content between two: each sector old or new, the size anything in between."""
    if old == new:
        return new
    low, high = sorted((len(old), len(new)))
    size = data.draw(st.integers(low, high))
    old, new = old.ljust(high, b"\0"), new.ljust(high, b"\0")
    choice = data.draw(st.integers(0, 2 ** (-(-high // SECTOR)) - 1))
    whole = b"".join(
        (new if choice >> i & 1 else old)[i * SECTOR : (i + 1) * SECTOR]
        for i in range(-(-high // SECTOR))
    )
    return whole[:size]


def run(files: Mains, data: st.DataObject, promised: int) -> int:
    """Open, check, append and commit until the power goes; return what is promised now."""
    writer = None
    try:
        writer = JournalWriter(files.folder, files=files, segment_bytes=3000)
        assert writer.next_offset >= promised
        assert not writer.damage
        promised = writer.durable_offset
        while True:
            for _ in range(data.draw(st.integers(1, 4))):
                writer.append(body(writer.next_offset))
            files.room_bytes = data.draw(st.sampled_from([None, None, None, 2_000]))
            try:
                promised = writer.commit()
            except JournalFull:
                writer.discard()
            files.room_bytes = None
    except PowerLost:
        if writer is not None:
            for file in (writer._file, writer._marker, writer._lock):
                if file >= 0:
                    os.close(file)
    return promised


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_nothing_promised_is_lost_whenever_the_power_goes(data: st.DataObject):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "0"
        folder.mkdir()
        promised = 0
        before: Mains | None = None
        for life in range(1, data.draw(st.integers(2, 5))):
            files = before = Mains(folder, data.draw(st.integers(0, 40)), before)
            promised = run(files, data, promised)
            if data.draw(st.booleans()):  # else only the process ended
                after = Path(name) / str(life)
                after.mkdir()
                files.image(data, after)
                shutil.rmtree(folder)
                folder, before = after, None
            assert durable_end(folder) >= promised
            with JournalReader(folder) as reader:
                records = reader.read(until=durable_end(folder))
                assert not reader.damage
            assert [r.offset for r in records] == list(range(durable_end(folder)))
            assert all(same(r.body, body(r.offset)) for r in records)
