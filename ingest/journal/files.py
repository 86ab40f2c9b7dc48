"""The few calls the journal makes on files, so that tests can let any of them fail."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Errors that room on the disk cures."""


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


OS_FILES = OsFiles()


def write_all(files: FileLayer, file: int, data: bytes, at: int) -> None:
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
