"""Space held back on the disk for what must still be written when it is full."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ingest.journal.errors import JournalFull
from ingest.journal.files import FULL

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.journal.files import FileLayer

RESERVE_NAME = "reserve"
_SLACK_BYTES = 1 << 20  # a file system wants room for its own books too


class Reserve:
    """A file that only takes space. ``held_bytes`` is what it holds now, ``bytes`` what it should.

    It shrinks step by step, so that others on the same disk cannot eat it in one go.
    """

    def __init__(self, folder: Path, size: int, *, files: FileLayer) -> None:
        self.bytes = size
        self.held_bytes = 0
        self._path = folder / RESERVE_NAME
        self._files = files
        if size == 0:
            self._path.unlink(missing_ok=True)
            return
        self.held_bytes = self._path.stat().st_blocks * 512 if self._path.exists() else 0
        if self.held_bytes < size and not self._fill() and self.held_bytes == 0:
            raise JournalFull(
                f"{folder}: no room for the reserve of {size} bytes that keeps alarms going "
                "on a full disk; free space or configure a smaller reserve"
            )

    def shrink(self, wanted: int) -> bool:
        """Give back room for ``wanted`` bytes and return True, or False when nothing is left."""
        if self.held_bytes == 0:
            return False
        self._resize(max(0, self.held_bytes - wanted - _SLACK_BYTES))
        return True

    def refill(self) -> None:
        """Take the space again once the disk has twice as much free as is missing."""
        missing = self.bytes - self.held_bytes
        if missing <= 0:
            return
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize > 2 * missing + _SLACK_BYTES:
            self._fill()

    def _fill(self) -> bool:
        file = self._files.open(self._path)
        try:
            self._files.allocate(file, self.bytes)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._files.truncate(file, self.held_bytes)  # a half-made reserve would stay hidden
            return False
        finally:
            self._files.close(file)
        self.held_bytes = self.bytes
        return True

    def _resize(self, size: int) -> None:
        file = self._files.open(self._path)
        try:
            self._files.truncate(file, size)
        finally:
            self._files.close(file)
        self.held_bytes = size
