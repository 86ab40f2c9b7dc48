"""The journal's readings as points of their bucket: live ones first, what was missed beside them.

While the server takes all, there is one cursor, ``store``. What it does not take at once is left
behind as a backlog, from that cursor to where the live reader then is: the live reader goes on
with a cursor of its own, ``store-live``, and the backlog (backlog.py) is written by another thread
in the journal's order. So after an outage a chart shows what is now within seconds, and the past
fills up behind it. There is one backlog: what is missed while it is open makes it longer, and what
is written twice by that is the same points again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from ingest.journal import Cursor
from ingest.store import metrics
from ingest.store.asking import NotNow
from ingest.store.follow import collect
from ingest.store.journal_rows import JournalRows
from ingest.store.sending import Tally

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from ingest.store.backlog import Backlog
    from ingest.store.follow import Follower
    from ingest.store.lines import Lines
    from ingest.store.sending import Sender
    from ingest.store.settings import InfluxSettings
    from rules.readings import Record
    from rules.registry import Registry

log: Any = structlog.get_logger("store")

SKIPPED = ("not_finite", "unknown", "duplicates", "conflicts")
SAVE_EVERY_S = 1.0  # a cursor costs a sync; what was sent since is only sent again
LIVE_LAG_S = 4.0  # behind for longer, the live reader leaves the rest to the backlog
PASS_ROWS = 100_000  # read at a time where rows are only judged


class ReadingsInput:
    """The live reader. Without a ``backlog`` it writes all in order, however far behind it is."""

    def __init__(self, data: Path, registry: Registry, *, backlog: Backlog | None = None) -> None:
        self._store, self._live = data / "cursors" / "store", data / "cursors" / "store-live"
        self._backlog = backlog
        cursor = Cursor.load(self._store)
        if backlog is not None:
            cursor = backlog.found(cursor, Cursor.load(self._live))
        self._rows = JournalRows(data, registry, cursor)
        self._saved_at = time.monotonic()
        self._apart = self._unsaved = self._live.exists()
        self._in_flight = False
        self._behind_s: float | None = None  # since when it has not caught up
        self._told = Tally()

    def close(self) -> None:
        """Give the files back."""
        self._rows.close()

    @property
    def follower(self) -> Follower:
        """Return what reads the journal."""
        return self._rows.follower

    @property
    def newest_ns(self) -> int:
        """Return the newest judged time written."""
        return self._rows.newest_ns

    @property
    def registry(self) -> Registry:
        """Return the registry in force at the cursor."""
        return self._rows.registry

    def pump(self, sender: Sender, settings: InfluxSettings, stop: threading.Event) -> None:
        """Write what is new, or wait for more.

        Raises
        ------
        Stopped
            Before the server had answered for all; the cursor stands where it was.
        """
        first = self.follower.offset
        far = self._backlog is not None and self._far_behind
        leaves = far or (self._backlog is not None and sender.rests)
        records = collect(
            self.follower,
            max_rows=PASS_ROWS if leaves else settings.batch_rows,
            interval_s=settings.flush_interval_s,
            stop=stop,
        )
        if not records:
            self.save()
            return
        self._looked(records)
        leaves = far or (leaves and sender.rests)  # the server may be back since
        self._in_flight = True  # until it is answered for, the cursor must not move
        if leaves:
            self._rows.pass_over(records)
            self._leave(first)
        else:
            self._write(records, first, sender)
        self._unsaved, self._in_flight = True, False
        if stop.is_set() or time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self.save()

    def _looked(self, records: list[Record]) -> None:
        """Take note whether more waits than was read at a time: since when it is behind."""
        if self.follower.lag() <= len(records):
            self._behind_s = None
        elif self._behind_s is None:
            self._behind_s = time.monotonic()

    @property
    def _far_behind(self) -> bool:
        return self._behind_s is not None and time.monotonic() - self._behind_s > LIVE_LAG_S

    def _write(self, records: list[Record], first: int, sender: Sender) -> None:
        lines = self._rows.lines(records)
        try:
            sender.send(lines, f"journal {first}..{self.follower.offset - 1}")
            self._count(lines)
            for named in self._rows.named:
                self._rows.mend(named, sender)
        except NotNow:
            if self._backlog is None:
                raise
            self._leave(first)
        self._noted()

    def _leave(self, first: int) -> None:
        """Leave what was read since ``first`` to the backlog."""
        if self._backlog is not None:
            self._apart = True
            self._backlog.leave(first, self.follower.offset)
            self._noted()

    def _noted(self) -> None:
        """Let the backlog make corrections again: it may write old points over them."""
        if self._backlog is not None:
            self._backlog.correct_again(self._rows.named)
        self._rows.named.clear()

    def _count(self, lines: Lines) -> None:
        for reason in SKIPPED:
            metrics.SKIPPED.labels(reason).inc(getattr(lines, reason))
        metrics.LATE.inc(lines.late)
        self._told.add(**{name: getattr(lines, name) for name in (*SKIPPED, "late")})

    def taken(self) -> dict[str, int]:
        """Return rows that are no line, by reason, and late ones, since the last call."""
        return self._told.taken((*SKIPPED, "late"))

    def save(self) -> None:
        """Save the cursor if it moved and nothing is under way."""
        if self._apart and self._backlog is not None and not self._backlog.is_open:
            self._save_together()
            return
        if not self._unsaved or self._in_flight:
            return
        cursor, path = self._rows.cursor(), self._store
        if self._apart and self._backlog is not None:
            cursor, path = self._backlog.noted_in(cursor), self._live
        self._unsaved = not cursor.save_if_room(path)
        self._saved_at = time.monotonic()

    def _save_together(self) -> None:
        """Go on with one cursor: the backlog is done."""
        if self._in_flight:
            return
        if self._rows.cursor().save_if_room(self._store):
            self._live.unlink(missing_ok=True)
            self._apart = self._unsaved = False
            log.info("the store has caught up: all of the journal is written")
        self._saved_at = time.monotonic()
