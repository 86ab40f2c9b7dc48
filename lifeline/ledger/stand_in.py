"""While the ledger cannot be written, a copy in memory takes its place: notifications go on.

The copy has what the next events need: cursors, open alarms, what is pending in the outbox, and the
last number given. It takes the same events in the same order, so a message it sends has the number
the ledger will give it. Nobody else may write the ledger meanwhile, nor after it can be written
again until it has taken the same events; then it is told what has been delivered. If we are killed
in between, the messages are sent again, under the same numbers.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from sqlalchemy import insert, select, update

from lifeline import metrics
from lifeline.ledger import outbox
from lifeline.ledger.errors import Unavailable
from lifeline.ledger.tables import ALARM, CURSOR, EVENT, OUTBOX

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifeline.ledger.ledger import Ledger

LOG: Any = structlog.get_logger("ledger")
PROBE_S: Final = 1.0
ENDED_ALARMS: Final = 10_000  # the newest: an event may still be about one of them
COPIED_ROWS: Final = 500  # at a time: all alarms as objects at once would stay with the process
_NUMBERS: Final = itertools.count()


class StandIn:
    """The ledger, or its copy while that is in force; see the module's head.

    ``current`` is for readers and for the outbox, from any thread. `begin`, `writable` and `end`
    are for the one thread that applies events.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._copy: Ledger | None = None
        self.wanted = ""  # why another thread asks for the copy
        self._alive: sqlite3.Connection | None = None  # a memory database ends with its last one
        self._lock = threading.Lock()
        self._probed_s = 0.0

    @property
    def active(self) -> bool:
        """Say whether the copy is in force."""
        return self._copy is not None

    @property
    def current(self) -> Ledger:
        """Return the copy where it is in force, else the ledger."""
        return self._copy or self._ledger

    def begin(self, cause: str) -> None:
        """Put the copy in force.

        Raises
        ------
        Unavailable
            The ledger cannot be read either: there is nothing to stand in with.
        """
        with self._lock:
            if self._copy is not None:
                return
            self.wanted = ""
            self._ledger.hold()
            try:
                self._copy = self._copied()
            except Unavailable:
                self._forget()
                self._ledger.release()
                raise
            self._probed_s = time.monotonic()
        metrics.LEDGER_DOWN_SINCE.set(time.time())
        LOG.error(
            "the ledger cannot be written; notifications and the page go on from memory",
            cause=cause,
        )

    def writable(self) -> bool:
        """Ask the ledger now and then whether it can be written again."""
        if time.monotonic() - self._probed_s < PROBE_S:
            return False
        try:
            with self._ledger.write() as connection:
                connection.execute(update(CURSOR).values(through=CURSOR.c.through))
        except Unavailable:
            self._probed_s = time.monotonic()
            return False
        return True

    def end(self) -> None:
        """Tell the ledger, which has taken the same events, what was delivered; go on with it.

        Raises
        ------
        Unavailable
            It cannot be written again; the copy stays in force.
        """
        with self._lock:
            copy = self._copy
            if copy is None:
                return
            with copy.read() as connection:
                rows = connection.execute(select(OUTBOX)).all()
            with self._ledger.write() as connection:
                for row in rows:
                    outbox.take_over(connection, row)
            self._forget()
            self._ledger.release()
        metrics.LEDGER_DOWN_SINCE.set(0)
        LOG.info("the ledger is written again, and has taken what came meanwhile")

    def close(self) -> None:
        """Give the copy back; what it knew is lost, and is made again by a next start."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._copy is not None:
            self._copy.close()
        if self._alive is not None:
            self._alive.close()
        self._copy = self._alive = None

    def _copied(self) -> Ledger:
        file = f"file:/stand-in-{next(_NUMBERS)}?vfs=memdb"
        self._alive = sqlite3.connect(file, uri=True, check_same_thread=False)
        copy = self._ledger.like(f"sqlite:///{file}&uri=true")
        with self._ledger.read() as old, copy.write() as new:
            for table, query in _needed():
                _copy(old, new, table, query)
        return copy


def _needed() -> tuple[tuple[Any, Any], ...]:
    ended = select(ALARM).where(ALARM.c.ended.is_(True)).order_by(ALARM.c.seq.desc())
    return (
        (CURSOR, select(CURSOR)),
        (EVENT, select(EVENT).order_by(EVENT.c.seq.desc()).limit(1)),
        (ALARM, select(ALARM).where(ALARM.c.ended.is_(False))),
        (ALARM, ended.limit(ENDED_ALARMS)),
        (OUTBOX, select(OUTBOX).where(OUTBOX.c.status == "pending")),
    )


def _copy(old: Connection, new: Connection, table: Any, query: Any) -> None:
    for rows in old.execute(query).mappings().partitions(COPIED_ROWS):
        new.execute(insert(table), [dict(row) for row in rows])
