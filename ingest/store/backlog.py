"""What the live reader left behind, written in the journal's order beside it.

The backlog begins at the cursor ``store``, which is this thread's while it is open, and ends where
the live reader began again; that end stands in the cursor ``store-live``. Corrections that the live
reader has made meanwhile are made again at the end: the backlog may have written the old points
over them.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest.journal import Cursor
from ingest.store.follow import WAIT_S
from ingest.store.journal_rows import JournalRows

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.journal.cursor import Extra
    from ingest.store.sending import Sender
    from ingest.store.settings import InfluxSettings
    from rules.registry import Registry

log: Any = structlog.get_logger("store")

SAVE_EVERY_S: Final = 1.0
UNTIL, AGAIN = "until", "again"


class Backlog:
    """One stretch of the journal; the live reader opens it, `pump` writes it."""

    def __init__(self, data: Path, registry: Registry) -> None:
        self._data, self._registry = data, registry
        self._path = data / "cursors" / "store"
        self._lock = threading.Lock()
        self._opened = threading.Event()
        self._first = self._until = 0  # an end of 0: there is none
        self._again: list[str] = []
        self._rows: JournalRows | None = None
        self._saved_s = 0.0

    # -------------------------------------------------------------- the live reader's thread

    def found(self, store: Cursor, live: Cursor) -> Cursor:
        """Return where the live reader goes on, from both cursors of a start."""
        if live.offset <= store.offset:
            return store
        again = str(live.extra.pop(AGAIN, ""))
        until = int(live.extra.pop(UNTIL, 0))
        if until > store.offset or again:
            self._again = again.split(",") if again else []
            self._open(store.offset, max(until, store.offset))
        return live

    def leave(self, first: int, until: int) -> None:
        """Take everything up to ``until`` that was not answered for."""
        with self._lock:
            if not self._until:
                self._open(first, until)
            self._until = max(self._until, until)

    def _open(self, first: int, until: int) -> None:
        log.warning(
            "readings are left behind: they are written later, live ones go on", first=first
        )
        self._first, self._until = first, until
        self._opened.set()

    def correct_again(self, named: list[str]) -> None:
        """Take corrections that must hold when all is written."""
        with self._lock:
            if self._until:
                self._again += named

    def noted_in(self, cursor: Cursor) -> Cursor:
        """Return the live reader's cursor with what the next start must know of the backlog."""
        with self._lock:
            more: Extra = {UNTIL: self._until, AGAIN: ",".join(self._again)}
        return Cursor(cursor.offset, cursor.extra | more)

    # -------------------------------------------------------------- any thread

    @property
    def is_open(self) -> bool:
        """Say whether something is not written yet."""
        return bool(self._until)

    def lag(self) -> int:
        """Return how many records are not written yet."""
        rows, until = self._rows, self._until
        return max(until - (rows.follower.offset if rows else self._first), 0) if until else 0

    # -------------------------------------------------------------- its own thread

    def pump(self, sender: Sender, settings: InfluxSettings, stop: threading.Event) -> None:
        """Write the next of it, or wait until there is one.

        Raises
        ------
        Stopped
            Before the server had answered for all; the cursor stands where it was.
        """
        if not self._opened.wait(WAIT_S):
            return
        if self._rows is None:
            self._rows = JournalRows(self._data, self._registry, Cursor.load(self._path))
        rows = self._rows
        if rows.follower.offset >= self._until:
            self._close(rows, sender)
            return
        first = rows.follower.offset
        if not rows.follower.wait(WAIT_S):
            return
        records = rows.follower.read(max_rows=settings.batch_rows)
        if not records:
            return  # passed over what retention took
        sender.send(rows.lines(records), f"journal {first}..{rows.follower.offset - 1}")
        while rows.named:
            rows.mend(rows.named[0], sender)
            rows.named.pop(0)
        if stop.is_set() or time.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self._save(rows)

    def _close(self, rows: JournalRows, sender: Sender) -> None:
        """Make corrections again; then there is no backlog, unless it has grown meanwhile."""
        while self._again:
            rows.mend(self._again[0], sender)
            with self._lock:
                self._again.pop(0)
        self._save(rows)
        with self._lock:
            if rows.follower.offset < self._until or self._again:
                return
            self._until = 0
            self._opened.clear()
            self._rows = None
        rows.close()

    def _save(self, rows: JournalRows) -> None:
        rows.cursor().save_if_room(self._path)
        self._saved_s = time.monotonic()

    def close(self) -> None:
        """Give the files back."""
        if self._rows is not None:
            self._rows.close()
