"""The raw side log: frames as they came, for decoding again after a wrong scale. Best effort.

It never holds up the journal: where the disk has no room or the log fails, frames are left out
and counted. It is synced about once a second, not before acknowledgements.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from ingest import metrics
from ingest.journal import ALL_READ, BufferFull, JournalError, JournalWriter, retain
from ingest.quarantine import raw_record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from ingest.frame import Frame

log = structlog.get_logger("ingest.raw")

_SYNC_EVERY_S = 1.0
_SEGMENT_BYTES = 16 << 20


class RawLog:
    """Appends groups of frames to ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: JournalWriter | None = None
        self._waiting = 0
        self._synced_s = time.monotonic()
        try:
            self._writer = JournalWriter(folder, segment_bytes=_SEGMENT_BYTES)
        except JournalError as error:
            log.error("no raw log in this run", cause=str(error))  # noqa: TRY400 - the cause is all

    def append(self, frames: Sequence[Frame], *, but: Collection[int] = ()) -> None:
        """Take a group of frames; those with an id in ``but`` are left out and counted."""
        if but:
            metrics.RAW_DROPPED.inc(len(but))
            frames = [frame for frame in frames if id(frame) not in but]
            if not frames:
                return
        if self._writer is None:
            metrics.RAW_DROPPED.inc(len(frames))
            return
        record = raw_record(frames)
        try:
            try:
                self._writer.append(record)
            except BufferFull:  # more comes in a second than the buffer holds
                self._sync(self._writer)
                self._writer.append(record)
            self._waiting += len(frames)
            if time.monotonic() - self._synced_s >= _SYNC_EVERY_S:
                self._sync(self._writer)
        except JournalError as error:
            self._drop(self._writer, error, extra=len(frames))

    def give_up_room(self) -> None:
        """Let go of the oldest raw segment: the journal needs the room more."""
        taken = retain(self.folder, keep_from=ALL_READ, max_bytes=0)
        if taken.removed_bytes:
            log.warning("raw log removed to make room", bytes=taken.removed_bytes)

    def tidy(self, *, max_bytes: int, max_age_ns: int, now_ns: int) -> None:
        """Remove what is too much or too old."""
        retain(
            self.folder,
            keep_from=ALL_READ,
            max_bytes=max_bytes,
            max_age_ns=max_age_ns,
            now_ns=now_ns,
        )

    @staticmethod
    def bound(folder: Path, *, max_bytes: int) -> None:
        """Keep another side log (quarantine) within ``max_bytes``; what goes is said."""
        gone = retain(folder, keep_from=ALL_READ, max_bytes=max_bytes)
        if gone.removed:
            log.warning("old refused frames removed", folder=folder.name, bytes=gone.removed_bytes)

    def close(self) -> None:
        """Sync what waits and give the folder free."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except JournalError as error:
            metrics.RAW_DROPPED.inc(self._waiting)
            log.warning("raw frames lost at the end", frames=self._waiting, cause=str(error))

    def _sync(self, writer: JournalWriter) -> None:
        writer.commit()
        self._waiting = 0
        self._synced_s = time.monotonic()

    def _drop(self, writer: JournalWriter, error: JournalError, *, extra: int) -> None:
        metrics.RAW_DROPPED.inc(self._waiting + extra)
        log.warning("raw frames left out", frames=self._waiting + extra, cause=str(error))
        writer.discard()
        self._waiting = 0
        self._synced_s = time.monotonic()
