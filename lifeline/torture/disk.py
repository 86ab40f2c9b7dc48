"""A disk that loses power and fails, as a file layer: real files, and what of them is on the disk.

What was not synced may be old or new sector by sector, in any order of writing; a name that was
not synced may be the old one or the new one; a file's size any it had since. After a failed sync
the cache still shows what the disk does not have, and a second sync does not bring it there, as
Linux does it: only what is written again is tried again.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ingest.journal.files import OsFiles

if TYPE_CHECKING:
    import random
    from pathlib import Path

SECTOR: Final = 512


class PowerLost(BaseException):
    """Nothing of this program happens after it."""


@dataclass
class Fault:
    """What a disk does wrong: one call fails, or the power goes with it.

    ``kind`` is "" (nothing), "cut", or an errno's name; ``calls`` those that fail, () for any;
    ``after`` counts such calls that still go well; ``times`` how many then fail.
    """

    kind: str = ""
    calls: tuple[str, ...] = ()
    after: int = 0
    times: int = 1


@dataclass
class _File:
    """One file: what is on the disk, and what may be."""

    disk: bytes = b""
    dirty: dict[int, list[bytes]] = field(default_factory=dict)  # by sector, since the last sync
    sizes: list[int] = field(default_factory=list)  # since the last sync
    lost: set[int] = field(default_factory=set)  # sectors the cache holds and no sync will write


class Disk(OsFiles):
    """The files below ``folder``; ``fault`` is what happens next, ``failed`` counts what did."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder = folder
        self.fault = Fault()
        self.failed = 0
        self.short_writes = False
        self._draw = draw
        self._dead = False
        self._files: dict[int, _File] = {}
        self._ids: dict[Path, int] = {}  # as the cache has them
        self._names: dict[Path, dict[Path, int]] = {}  # by folder, as the disk has them
        self._open: dict[int, int] = {}
        self._next_id = 0

    @property
    def fresh(self) -> bool:
        """Say whether nothing was opened since the power came: cache and disk are the same."""
        return self._next_id == 0

    # -------------------------------------------------------------- what goes wrong

    def _maybe(self, call: str) -> None:
        """Fail, lose power, or go on."""
        if self._dead:
            raise PowerLost
        fault = self.fault
        if not fault.kind or (fault.calls and call not in fault.calls):
            return
        if fault.after > 0:
            fault.after -= 1
            return
        if fault.times == 0:
            return
        fault.times -= 1
        self.failed += 1
        if fault.kind == "cut":
            self._dead = True
            raise PowerLost
        number = int(getattr(errno, fault.kind))
        raise OSError(number, os.strerror(number), call)

    # -------------------------------------------------------------- the calls

    def open(self, path: Path) -> int:
        """Open; a file that is new is a new one to the disk too."""
        self._maybe("open")
        fresh = not path.exists()
        handle = super().open(path)
        if fresh:
            self._ids[path] = self._add(b"")
        self._know(path)
        self._open[handle] = self._ids[path]
        return handle

    def _add(self, content: bytes) -> int:
        self._next_id += 1
        self._files[self._next_id] = _File(disk=content)
        return self._next_id

    def _know(self, path: Path) -> None:
        """Take note of a file that was there before this disk: on it, with its name."""
        if path not in self._ids and path.exists():
            self._ids[path] = self._add(path.read_bytes())
            self._names.setdefault(path.parent, {})[path] = self._ids[path]

    def write(self, file: int, data: memoryview, at: int) -> int:
        """Write, perhaps only a part; what could not be written at all may be in part."""
        try:
            self._maybe("write")
        except (OSError, PowerLost):
            self._write(file, data[: self._draw.randint(0, len(data))], at)
            raise
        most = len(data)
        if self.short_writes and most > 1 and self._draw.random() < 0.5:
            most = self._draw.randint(1, most)
        return self._write(file, data[:most], at)

    def _write(self, file: int, data: memoryview, at: int) -> int:
        if not data:
            return 0
        went = super().write(file, data, at)
        self._note(file, at, at + went)
        return went

    def _note(self, file: int, start: int, end: int) -> None:
        """Take note that bytes have changed in the cache."""
        state = self._files[self._open[file]]
        state.sizes.append(os.fstat(file).st_size)
        for sector in range(start // SECTOR, -(-end // SECTOR)):
            content = os.pread(file, SECTOR, sector * SECTOR)
            state.dirty.setdefault(sector, []).append(content)
            state.lost.discard(sector)

    def sync(self, file: int) -> None:
        """Bring a file to the disk; where it fails, some of it is there, and the rest never."""
        state = self._files[self._open[file]]
        try:
            self._maybe("sync")
        except OSError:
            state.lost |= {s for s in state.dirty if self._draw.random() < 0.5}
            self._persist(file, state)
            raise
        super().sync(file)
        self._persist(file, state)

    def _persist(self, file: int, state: _File) -> None:
        whole = os.pread(file, os.fstat(file).st_size, 0)
        old = state.disk.ljust(len(whole), b"\0")
        parts = [
            (old if s in state.lost else whole)[s * SECTOR : (s + 1) * SECTOR]
            for s in range(-(-len(whole) // SECTOR))
        ]
        state.disk, state.dirty, state.sizes = b"".join(parts), {}, []

    def sync_folder(self, folder: Path) -> None:
        """Bring the names of a folder to the disk."""
        self._maybe("sync")
        super().sync_folder(folder)
        self._names[folder] = self._names_now(folder)

    def _names_now(self, folder: Path) -> dict[Path, int]:
        return {p: n for p, n in self._ids.items() if p.parent == folder and p.exists()}

    def truncate(self, file: int, size: int) -> None:
        """Cut or lengthen."""
        self._maybe("truncate")
        before = os.fstat(file).st_size
        super().truncate(file, size)
        self._note(file, min(size, before), max(size, before))

    def close(self, file: int) -> None:
        """Close, also when all is over: descriptors are ours."""
        self._open.pop(file, None)
        super().close(file)

    def rename(self, old: Path, new: Path) -> None:
        """Rename in the cache; the disk learns it with the folder."""
        self._maybe("rename")
        self._know(new)
        super().rename(old, new)
        self._ids[new] = self._ids.pop(old)

    def remove(self, path: Path) -> None:
        """Remove in the cache."""
        self._maybe("remove")
        self._know(path)
        super().remove(path)

    # -------------------------------------------------------------- after the loss of power

    def lose_power(self) -> Disk:
        """Make the folder what a next start may find, and return the disk of that start."""
        known = set(self._ids) | {path for names in self._names.values() for path in names}
        found: dict[Path, bytes | None] = {}
        for path in sorted(known):
            old = self._names.get(path.parent, {}).get(path)
            new = self._ids.get(path) if path.exists() else None
            chosen = self._draw.choice((old, new))
            found[path] = None if chosen is None else self._content(self._files[chosen])
        for path, content in found.items():
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        return Disk(self.folder, self._draw)

    def _content(self, state: _File) -> bytes:
        """Return a content the disk may have: each sector of any time since the last sync."""
        size = self._draw.choice([len(state.disk), *state.sizes])
        if state.sizes and self._draw.random() < 0.5:  # a size between is one of a torn write
            size = self._draw.randint(min(len(state.disk), size), max(len(state.disk), size))
        content = bytearray(state.disk.ljust(size, b"\0"))
        for sector, versions in state.dirty.items():
            if sector in state.lost or self._draw.random() < 0.4:
                continue
            version = self._draw.choice(versions).ljust(SECTOR, b"\0")
            content[sector * SECTOR : (sector + 1) * SECTOR] = version
        return bytes(content[:size].ljust(size, b"\0"))
