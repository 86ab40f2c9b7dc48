"""Quarantine of the store: lines a server will never take, with its reason, on disk."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING, Any

import structlog

from ingest.journal import ALL_READ, Frames, JournalFull, JournalWriter, retain
from ingest.store import metrics
from ingest.store.asking import Stopped

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.store.influx import Written

log: Any = structlog.get_logger("store")

MAX_REASON = 1000
FULL_RETRY_S = 5.0


class RefusedLines:
    """A folder of its own below quarantine/, in the format of the others; opened when needed."""

    def __init__(self, folder: Path, *, max_bytes: int = 256 << 20) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._journal: JournalWriter | None = None
        self._lock = threading.Lock()  # readers of several logs share it

    def keep(self, written: Written, *, path: str, stop: threading.Event) -> None:
        """Keep the bad lines and the reasons of drops of a batch; on disk when it returns.

        ``path`` says where to and from which records, as ``bucket/b journal 10..20``.

        Raises
        ------
        Stopped
            The disk is full, and the program ends while waiting for room.
        """
        now_ns = time.time_ns()
        kept = [
            (now_ns, None, "influxdb", path, "store/refused", bad.reason[:MAX_REASON], bad.line)
            for bad in written.bad
        ]
        kept += [
            (now_ns, None, "influxdb", path, "store/dropped", reason[:MAX_REASON], b"")
            for reason in written.drop_reasons
        ]
        if not kept:
            return
        while True:
            try:
                with self._lock:
                    self._append(Frames.of(kept))
            except (JournalFull, OSError) as error:
                if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                log.warning("no room for the store's quarantine; waiting", reason=str(error))
                if stop.wait(FULL_RETRY_S):
                    raise Stopped from error
            else:
                return

    def _append(self, frames: Frames) -> None:
        if self._journal is None:
            self._journal = JournalWriter(self._folder, segment_bytes=8 << 20)
        self._journal.append(frames)
        try:
            self._journal.commit()
        except JournalFull:
            self._journal.discard()  # it is taken again when it is tried again
            raise
        gone = retain(self._folder, keep_from=ALL_READ, max_bytes=self._max_bytes)
        metrics.QUARANTINE_REMOVED.inc(len(gone.removed))

    def close(self) -> None:
        """Close the folder if it was ever opened."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
