"""The few calls the journal makes on files, so that tests can let any of them fail."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Protocol

from ingest.crash_points import reach

if TYPE_CHECKING:
    from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Errors that room on the disk cures."""
ASIDE = ".new"
"""What is added to the name of a file that is being written to take another's place."""


class FileLayer(Protocol):
    """Every call may raise OSError. ``file`` is a descriptor."""

    def open(self, path: Path) -> int:
        """Open for reading and writing, making it where it is missing."""

    def write(self, file: int, data: memoryview, at: int) -> int:
        """Write at a place and return how many bytes went; fewer than given is allowed."""

    def sync(self, file: int) -> None:
        """Return when the file's bytes and size are on the disk."""

    def sync_folder(self, folder: Path) -> None:
        """Return when the folder's names are on the disk."""

    def truncate(self, file: int, size: int) -> None:
        """Cut the file to ``size``."""

    def allocate(self, file: int, size: int) -> None:
        """Give the file real blocks for ``size`` bytes."""

    def close(self, file: int) -> None:
        """Give the descriptor back."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name; one that had it is gone."""

    def remove(self, path: Path) -> None:
        """Remove a file."""


class OsFiles:
    """The real thing."""

    def open(self, path: Path) -> int:
        """Open for reading and writing, making it where it is missing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, file: int, data: memoryview, at: int) -> int:
        """Write at a place."""
        return os.pwrite(file, data, at)

    def sync(self, file: int) -> None:
        """Sync the data and what is needed to find it again."""
        os.fdatasync(file)

    def sync_folder(self, folder: Path) -> None:
        """Sync the folder itself."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def truncate(self, file: int, size: int) -> None:
        """Cut the file."""
        os.ftruncate(file, size)

    def allocate(self, file: int, size: int) -> None:
        """Reserve blocks; unlike a sparse file this takes the space now."""
        os.posix_fallocate(file, 0, size)

    def close(self, file: int) -> None:
        """Close."""
        os.close(file)

    def rename(self, old: Path, new: Path) -> None:
        """Rename in one step."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Unlink."""
        path.unlink()


OS_FILES = OsFiles()


def write_all(files: FileLayer, file: int, data: bytes | bytearray, at: int) -> None:
    """Write all of ``data``, going on after short writes.

    Raises
    ------
    OSError
        As the layer says; part of the data may have gone.
    """
    view = memoryview(data)
    while view:
        went = files.write(file, view, at)
        if went <= 0:
            raise OSError(errno.ENOSPC, "a write took no bytes")
        view = view[went:]
        at += went


def replace_file(files: FileLayer, path: Path, data: bytes, *, what: str) -> None:
    """Replace a file so that after a crash the old or the new one is there, whole.

    ``what`` names its crash points: ``<what>-aside``, ``<what>-renamed``.

    Raises
    ------
    OSError
        As the layer says. The old file stands, or the new one; nothing half is left to take room.
    """
    aside = path.with_name(path.name + ASIDE)
    try:
        file = files.open(aside)
        try:
            files.truncate(file, 0)
            write_all(files, file, data, 0)
            files.sync(file)
        finally:
            files.close(file)
        reach(f"{what}-aside")
        files.rename(aside, path)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            files.remove(aside)
        raise
    files.sync_folder(path.parent)
    reach(f"{what}-renamed")
