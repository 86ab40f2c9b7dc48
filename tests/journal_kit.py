"""Journals to break: small records, a file layer that fails on demand, and a slow checksum."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import numpy as np

from ingest.journal.files import OsFiles
from rules.readings import Control, Readings, Tick

if TYPE_CHECKING:
    from pathlib import Path


def rows(n: int, at_ns: int) -> Readings:
    """Return ``n`` rows received at ``at_ns``, each different."""
    return Readings.of(
        {
            "channel": np.arange(n),
            "judged_ns": np.arange(n) + at_ns,
            "receive_ns": np.full(n, at_ns),
            "value": np.arange(n) / 7 + at_ns,
            "boot": np.full(n, 3),
            "sequence": np.full(n, at_ns),
        }
    )


def body(k: int) -> Readings | Tick | Control:
    """Return the k-th of an endless row of records of several kinds and sizes."""
    return (
        Tick(k * 10),
        rows(1 + k % 5, k * 10),
        Control("ack", {"alarm": f"a{k}", "by": "井" * (k % 9)}),
    )[k % 3]


def same(a: object, b: object) -> bool:
    """Return whether two bodies are equal, bit for bit."""
    if not isinstance(a, Readings) or not isinstance(b, Readings):
        return a == b
    return all(
        getattr(a, k).dtype == getattr(b, k).dtype
        and getattr(a, k).tobytes() == getattr(b, k).tobytes()
        for k in Readings.__slots__
    )


def slow_crc32c(data: bytes) -> int:
    """Return the CRC-32C bit by bit, from the polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class FaultyFiles(OsFiles):
    """Files of a disk of ``room_bytes`` whose calls named in ``fail`` answer with an errno.

    ``short`` is the most one write takes. ``synced`` is what a loss of power leaves of each file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room_bytes: int | None = None
        self.short: int | None = None
        self.fail: dict[str, int] = {}
        self.writes: list[tuple[str, int, int]] = []  # name, from, to
        self.names: dict[int, str] = {}

    def _maybe(self, call: str) -> None:
        if call in self.fail:
            raise OSError(self.fail[call], os.strerror(self.fail[call]), call)

    def _left(self, size: int, at_most: int) -> int:
        """Return how many of ``at_most`` bytes at ``size`` find room."""
        if self.room_bytes is None:
            return at_most
        used = sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())
        return max(0, min(at_most, self.room_bytes - used))

    def open(self, path: Path) -> int:
        self._maybe("open")
        if not path.exists() and self._left(0, 1) == 0:
            raise OSError(errno.ENOSPC, "no room for a name")
        file = super().open(path)
        self.names[file] = path.name
        return file

    def write(self, file: int, data: memoryview, at: int) -> int:
        self._maybe("write")
        size = os.fstat(file).st_size
        fresh = max(0, at + len(data) - size)
        room = len(data) - fresh + self._left(size, fresh)
        if self.short is not None:
            room = min(room, self.short)
        if room == 0:
            raise OSError(errno.ENOSPC, "the disk of the test is full")
        self.writes.append((self.names[file], at, at + room))
        return super().write(file, data[:room], at)

    def sync(self, file: int) -> None:
        self._maybe("sync")
        super().sync(file)

    def sync_folder(self, folder: Path) -> None:
        self._maybe("sync_folder")
        super().sync_folder(folder)

    def truncate(self, file: int, size: int) -> None:
        self._maybe("truncate")
        super().truncate(file, size)

    def allocate(self, file: int, size: int) -> None:
        fresh = size - os.fstat(file).st_size
        if self._left(0, fresh) < fresh:
            raise OSError(errno.ENOSPC, "the disk of the test is full")
        super().allocate(file, size)
