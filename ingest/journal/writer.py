"""The journal's one writer: append to memory, commit a group, sync, then tell the readers.

What is promised: after ``commit`` returns N, every record below N survives the loss of power.
Before that nothing of the group is visible to a reader, and a failure leaves nothing half done.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from typing import TYPE_CHECKING, Protocol, Self

from ingest.crash_points import reach
from ingest.journal.errors import (
    BufferFull,
    JournalFailed,
    JournalFull,
    JournalLocked,
    TimeWentBack,
)
from ingest.journal.files import FULL, OS_FILES, FileLayer, write_all
from ingest.journal.record import Entry, encode
from ingest.journal.reserve import Reserve
from ingest.journal.segments import (
    LOCK_NAME,
    MARKER_NAME,
    Damage,
    Marker,
    examine,
    marker_bytes,
    read_marker,
    segment_path,
)
from rules.readings import Block, Readings, Tick

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_JOINED_BYTES = 256 << 10
_LOCK_WAIT_S = 0.5  # someone who only asks whether there is a writer holds it for microseconds


class Wakes(Protocol):
    """Whoever wants to know the durable end after each commit (see wake.WakeServer)."""

    def publish(self, durable: int) -> None:
        """Take note of the first offset that is not durable."""


class JournalWriter:
    """Owns a folder. Not for several threads at once.

    ``next_offset`` is the offset the next append gets, ``durable_offset`` the first one not yet
    on disk, ``last_receive_ns`` the newest receive or tick time recovered or appended, ``damage``
    what recovery found lost in the last segment, ``cut_bytes`` how much of a torn end it removed.

    Raises
    ------
    JournalLocked, JournalFull, JournalFailed, UnknownFormat
        On opening: see errors.py.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 64 << 20,
        buffer_bytes: int = 64 << 20,
        reserve_bytes: int = 0,
        files: FileLayer = OS_FILES,
        wake: Wakes | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.buffer_bytes = buffer_bytes
        self.full_commits = 0
        self._files = files
        self._wake = wake
        self._failure: str = ""
        self._waiting: list[bytearray] = []
        self._waiting_bytes = 0
        self._file = -1
        self._segment = -1
        self._size = 0
        self._folder_synced = True
        self._marker = -1
        self._lock = _lock(folder)
        self.damage: tuple[Damage, ...] = ()
        self.cut_bytes = 0
        try:
            self._recover()
            self._reserve = Reserve(folder, reserve_bytes, files=files)
        except BaseException:
            self._close_files()
            raise

    # -------------------------------------------------------------- opening

    def _recover(self) -> None:
        """Find the end, cut what was torn, and make sure that what stays is on disk."""
        tail = examine(self.folder)
        marker = read_marker(self.folder)
        self.damage = tail.damage
        self._journal = tail.journal if tail.journal is not None else 1 + secrets.randbits(63)
        self.next_offset = self.durable_offset = tail.next_offset
        self.last_receive_ns = self._durable_ns = tail.time_ns
        try:
            self._marker = self._files.open(self.folder / MARKER_NAME)
            if tail.segment is not None and not tail.lost_end:
                self._open_tail(tail.segment.path, tail.segment.first, tail.size, tail.keep, marker)
            self._files.sync_folder(self.folder)
            self._publish()
        except OSError as error:
            if error.errno in FULL:
                raise JournalFull(f"{self.folder}: no room to open the journal: {error}") from error
            raise JournalFailed(f"{self.folder}: cannot open the journal: {error}") from error

    def _open_tail(
        self, path: Path, first: int, size: int, keep: int, marker: Marker | None
    ) -> None:
        self._file, self._segment, self._size = self._files.open(path), first, keep
        if size > keep:
            self.cut_bytes = size - keep
            self._files.truncate(self._file, keep)
        # Bytes beyond the marker may be in the page cache only, and a sync that once failed may
        # have marked them clean; written again, they are dirty and the sync means something.
        known = marker.size if marker and marker.segment == first and marker.size <= keep else 0
        if keep > known:
            write_all(self._files, self._file, os.pread(self._file, keep - known, known), known)
        self._files.sync(self._file)

    # -------------------------------------------------------------- appending

    def append(self, body: Entry) -> int:
        """Take a record for the next commit and return its offset.

        Raises
        ------
        BufferFull
            Commit (or discard) first; nothing was taken.
        TimeWentBack
            Its receive time or tick is older than the last one; nothing was taken.
        RecordTooLarge, JournalFailed
            See errors.py.
        """
        self._check()
        newest_ns = self._newest_ns(body)
        raw = encode(
            body,
            offset=self.next_offset,
            durable=self.durable_offset,
            time_ns=newest_ns,
            journal=self._journal,
        )
        if self._waiting and self._waiting_bytes + len(raw) > self.buffer_bytes:
            raise BufferFull(
                f"{self.folder}: {self._waiting_bytes} bytes wait for a commit, the limit is "
                f"{self.buffer_bytes}; commit first"
            )
        self._waiting.append(raw)
        self._waiting_bytes += len(raw)
        self.last_receive_ns = newest_ns
        self.next_offset += 1
        return self.next_offset - 1

    def _newest_ns(self, body: Entry) -> int:
        """Return the newest time up to and with ``body``; times may never decrease."""
        if isinstance(body, Readings):
            times = body.receive_ns
            if len(times) == 0:
                return self.last_receive_ns
            if len(times) > 1 and bool((times[1:] < times[:-1]).any()):
                raise TimeWentBack(
                    f"{self.folder}: receive times fall within record {self.next_offset}; stamp "
                    "them by the one Clock and keep the order of receipt"
                )
            oldest_ns, newest_ns = int(times[0]), int(times[-1])
        elif isinstance(body, Tick):
            oldest_ns = newest_ns = body.tick_ns
        elif isinstance(body, Block):
            oldest_ns = newest_ns = body.receive_ns
        else:
            return self.last_receive_ns
        if oldest_ns < self.last_receive_ns:
            raise TimeWentBack(
                f"{self.folder}: record {self.next_offset} was received at {oldest_ns}, but "
                f"{self.last_receive_ns} is already in the journal; stamp by the one Clock"
            )
        return newest_ns

    def discard(self) -> int:
        """Forget what waits for a commit and return how many records that was.

        Their offsets were never visible and are given again.
        """
        dropped = len(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        self.next_offset = self.durable_offset
        self.last_receive_ns = self._durable_ns
        return dropped

    # -------------------------------------------------------------- committing

    def reserve_whole(self) -> bool:
        """Take used reserve back where the disk has room; return whether all of it is held."""
        self._reserve.refill()
        return self._reserve.held_bytes >= self._reserve.bytes

    def commit(self, *, use_reserve: bool = False) -> int:
        """Write what waits, sync it, wake the readers; return the first offset not durable.

        With ``use_reserve`` a full disk makes the reserve shrink, so that alarms go on.

        Raises
        ------
        JournalFull
            No room. What waits still waits and nothing of it is visible: commit again later, or
            ``discard``.
        JournalFailed
            What waits may or may not be on disk; never acknowledge it. Every call fails from now.
        """
        self._check()
        if not self._waiting:
            return self.durable_offset
        pieces, size = _pieces(self._waiting), self._waiting_bytes
        roomy = True
        try:
            while not self._write(pieces, size):
                roomy = False
                if not (use_reserve and self._reserve.shrink(size)):
                    self.full_commits += 1
                    raise JournalFull(
                        f"{self.folder}: no room for {size} bytes; free space on the disk "
                        "(nothing was acknowledged, senders keep their data)"
                    )
            self._sync()
            self._size += size
            self._waiting, self._waiting_bytes = [], 0
            self.durable_offset, self._durable_ns = self.next_offset, self.last_receive_ns
            self._publish()
            if roomy:
                self._reserve.refill()
        except OSError as error:
            self._fail(f"{self.folder}: cannot write or sync the journal: {error}", error)
        return self.durable_offset

    def _write(self, pieces: list[bytearray], size: int) -> bool:
        """Write the group into one segment, all or nothing; return False where there is no room."""
        try:
            if self._file < 0 or (self._size and self._size + size > self.segment_bytes):
                self._next_segment()
            at = self._size
            for piece in pieces:
                write_all(self._files, self._file, piece, at)
                at += len(piece)
        except OSError as error:
            if error.errno not in FULL:
                raise
            if self._file >= 0:
                self._files.truncate(self._file, self._size)
            return False
        return True

    def _next_segment(self) -> None:
        """Begin a segment; all before it is synced already, so only the last can be torn."""
        fresh = self._files.open(segment_path(self.folder, self.durable_offset))
        if self._file >= 0:
            self._files.close(self._file)
        self._file, self._segment, self._size = fresh, self.durable_offset, 0
        self._folder_synced = False
        self._files.truncate(fresh, 0)
        reach("segment-begun")

    def _sync(self) -> None:
        reach("before-fsync")
        self._files.sync(self._file)
        if not self._folder_synced:
            self._files.sync_folder(self.folder)
            self._folder_synced = True
        reach("after-fsync")

    def _publish(self) -> None:
        """Say what is durable: to those who look at the folder and to those who wait."""
        marker = Marker(self.durable_offset, max(self._segment, 0), self._size, self._journal)
        write_all(self._files, self._marker, marker_bytes(marker), 0)
        if self._wake is not None:
            self._wake.publish(self.durable_offset)

    def _check(self) -> None:
        if self._failure:
            raise JournalFailed(self._failure)

    def _fail(self, message: str, error: OSError) -> None:
        """Stop for good. What was not acknowledged is cut off again if the disk lets us."""
        self._failure = f"{message}; the writer has stopped, check the disk and restart"
        try:
            if self._file >= 0:
                self._files.truncate(self._file, self._size)
        except OSError as second:
            self._failure += f" (its end could not be cut either: {second})"
        raise JournalFailed(self._failure) from error

    # -------------------------------------------------------------- closing

    def close(self) -> None:
        """Commit what waits, sync the marker and give the folder free; safe to call twice."""
        if self._lock < 0:
            return
        try:
            if not self._failure:
                self.commit()
                self._files.sync(self._marker)
        except OSError as error:
            raise JournalFailed(f"{self.folder}: cannot sync the marker: {error}") from error
        finally:
            self._close_files()

    def _close_files(self) -> None:
        for file in (self._file, self._marker):
            if file >= 0:
                self._files.close(file)
        self._file = self._marker = -1
        if self._lock >= 0:
            os.close(self._lock)  # releases the lock
        self._lock = -1
        self._failure = self._failure or f"{self.folder}: the writer is closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.discard()  # a caller that failed has not said that this may stand
        self.close()


def _pieces(records: list[bytearray]) -> list[bytearray]:
    """Join neighbours that are small: a call costs more than to copy them, large ones do not."""
    if len(records) == 1:
        return records
    pieces: list[bytearray] = []
    for record in records:
        if pieces and len(pieces[-1]) + len(record) <= _JOINED_BYTES:
            pieces[-1] += record
        else:
            pieces.append(record if len(record) > _JOINED_BYTES else record[:])
    return pieces


def _lock(folder: Path) -> int:
    """Take the folder for this process."""
    handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    give_up = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < give_up:
                time.sleep(0.01)
                continue
            os.close(handle)
            raise JournalLocked(
                f"{folder}: another process writes here (it holds {LOCK_NAME}); stop it first"
            ) from error
        return handle
