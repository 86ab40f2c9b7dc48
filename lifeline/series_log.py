"""The engine's second log: scores by the minute and computed channels, for charts.

Less than events: it is synced once a second, and on a full disk it gives way. What a crash takes of
it is made anew, for no snapshot is written before what led to it is on disk.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter

from ingest.journal import JournalFailed, JournalFull, JournalWriter, SeriesRows, last_series
from rules.readings import offset_of, position

if TYPE_CHECKING:
    from pathlib import Path

    from rules.series import Series

LOG: Any = structlog.get_logger("series")
COMMIT_S = 1.0
MOST_ROWS = 100_000  # waiting for a sync
SEGMENT_BYTES = 16 << 20
ROWS = Counter("lifeline_engine_series_rows_total", "Scores and computed readings written")
SHED = Counter("lifeline_engine_series_shed_total", "Of these, given up for want of disk")


class SeriesLog:
    """Appends rows once: those of journal records below ``through`` stand in it already."""

    def __init__(self, data: Path) -> None:
        folder = data / "series"
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = JournalWriter(folder, segment_bytes=SEGMENT_BYTES)
        newest = last_series(folder, until=self._writer.durable_offset)
        self.through = newest[1].through if newest else 0
        self._waiting = 0
        self._due_s = time.monotonic() + COMMIT_S
        self._failed = False

    def append(self, told: list[Series], through: int) -> None:
        """Take what the journal's records below ``through`` gave; on disk within a second."""
        ends = [offset_of(int(after.g[0])) for after in told[1:]] + [through]
        for series, end in zip(told, ends, strict=False):  # one end too many where none was told
            fresh = series.since(position(self.through))
            if len(fresh) and not self._failed:
                self._writer.append(SeriesRows(through=end, series=fresh))
                self._waiting += len(fresh)
        self.through = max(self.through, through)
        if self._waiting >= MOST_ROWS or time.monotonic() >= self._due_s:
            self.commit()

    def commit(self) -> None:
        """Sync what was taken."""
        self._due_s = time.monotonic() + COMMIT_S
        rows, self._waiting = self._waiting, 0
        if not rows:
            return
        try:
            self._writer.commit()
        except JournalFull as error:
            self._writer.discard()
            SHED.inc(rows)
            LOG.warning("no room for scores: charts have a gap", rows=rows, reason=str(error))
        except JournalFailed as error:  # alarms go on; the log itself is examined at the next start
            self._failed = True
            SHED.inc(rows)
            LOG.critical("no scores until the engine starts again", reason=str(error))
        else:
            ROWS.inc(rows)

    def close(self) -> None:
        """Sync and give the folder back."""
        self.commit()
        self._writer.close()
