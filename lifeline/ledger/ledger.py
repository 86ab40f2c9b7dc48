"""The ledger: every event once, alarms as a projection, commands, outbox, cursors.

Exactly once: events, projection, outbox and cursor move in one transaction. Events below the
cursor are not written again but compared: what a re-run gives differently is recorded and raises
an alarm of its own. SQLite in WAL mode by default; PostgreSQL by another URL.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError

from ingest.crash_points import reach
from lifeline import metrics
from lifeline.ledger import columns, commands, outbox, own
from lifeline.ledger.book import (
    Choose,
    Compose,
    Outlet,
    Writing,
    Written,
    append,
    called,
    everyone,
    facts,
)
from lifeline.ledger.cursors import Cursor, cursor_of, move
from lifeline.ledger.errors import HELD, Unavailable
from lifeline.ledger.floods import USUAL_FLOOD, load
from lifeline.ledger.rerun import new_and_differing
from lifeline.ledger.tables import (
    ALARM,
    EVENT,
    METADATA,
    MISMATCH,
    OUTBOX,
    open_database,
)
from rules.alarm_forms import alarm_of
from rules.events import Event, EventType, decode
from rules.incidents.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from rules.alarms import Alarm
    from rules.flood import Flood, FloodLimits
    from rules.plan import CallStep

MISMATCH_RULE = "ledger-mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one ``apply`` did."""

    new: int = 0
    compared: int = 0
    mismatches: int = 0
    alarms: tuple[Alarm, ...] = ()


class Ledger:
    """Open (and create) the ledger at a database URL.

    ``now_ns`` is the site's Clock (alarm times); ``wall_ns`` a person's time, for the undo.
    Every call waits at most ``wait_s`` for a lock, then raises Unavailable.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_s: float = 5.0,
        now_ns: Callable[[], int] = time.time_ns,
        wall_ns: Callable[[], int] = time.time_ns,
        outlets: tuple[Outlet, ...] = (),
        compose: Compose = facts,
        choose: Choose = everyone,
        outbox_limit: int = 100_000,
        flood: FloodLimits = USUAL_FLOOD,
        places: Callable[[], Places] = Places,
    ) -> None:
        self.url = url
        self.now_ns = now_ns
        self.wall_ns = wall_ns
        self._wait_s = wait_s
        self.writing = Writing(
            outlets=outlets,
            compose=compose,
            choose=choose,
            outbox_limit=outbox_limit,
            flood=flood,
            places=places,
        )
        self._gate = threading.RLock()  # one writer at a time; `hold` keeps it for long
        self._engine = open_database(url, wait_s=wait_s)
        try:
            with self.write() as connection:
                METADATA.create_all(connection)
                columns.bring_up(connection)
        except Unavailable:
            self.counts()  # made before, and can be read: it may be written later

    def like(self, url: str) -> Ledger:
        """Return another ledger that writes as this one does."""
        names = {each.name for each in fields(self.writing)} - {"shelf"}
        same = {name: getattr(self.writing, name) for name in names}
        same |= {"now_ns": self.now_ns, "wall_ns": self.wall_ns}
        return Ledger(url, wait_s=self._wait_s, **same)

    def hold(self) -> None:
        """Let only this thread write until it calls `release`."""
        self._gate.acquire()

    def release(self) -> None:
        """Let everybody write again."""
        self._gate.release()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Hold the one writing transaction; all of it or none of it happens.

        Raises
        ------
        Unavailable
            The database is locked, full or gone; or it is held by another thread.
        """
        if not self._gate.acquire(timeout=self._wait_s):
            raise Unavailable(HELD)
        try:
            with self._engine.begin() as connection:
                yield connection
                reach("ledger-before-commit")
            reach("ledger-after-commit")
        except DBAPIError as error:
            raise self._unavailable(error) from error
        finally:
            self._gate.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Hold a reading transaction, which waits for no writer; same errors as `write`."""
        try:
            with self._engine.connect().execution_options(reading=True) as connection:
                yield connection
        except DBAPIError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: DBAPIError) -> Unavailable:
        metrics.LEDGER_FAILURES.inc()
        return Unavailable(
            f"ledger {self._engine.url.render_as_string(hide_password=True)}: {error.orig} "
            f"(waited up to {self._wait_s:g} s); look for another program that holds it, "
            "and at the free space of its disk"
        )

    # ── events in ────────────────────────────────────────────────────────────────────────────

    def apply(
        self,
        events: Sequence[Event],
        through: int,
        *,
        position: int = 0,
        since: int | None = None,
        reader: str = "events",
        simulation: bool = False,
    ) -> Applied:
        """Take the events of journal records in [``since``, ``through``), exactly once.

        ``position`` is where the reader goes on in its own log. Events below the cursor are
        compared with what stands here; given ``since``, so is their absence. What rules on trial
        say (``shadow``) is nobody's alarm and stays in the event log.
        """
        events = [event for event in events if not event.shadow]
        written = Written((), 0, {})
        with self.write() as connection:
            known = cursor_of(connection, reader)
            fresh, found = new_and_differing(connection, events, known.through, since)
            if fresh:
                written = append(connection, fresh, simulation=simulation, writing=self.writing)
            if found:
                self._record(connection, found, simulation=simulation)
            move(connection, reader, max(known.through, through), position, known.extra)
        self._count(fresh, found, written)
        return Applied(
            new=len(fresh),
            compared=len(events) - len(fresh),
            mismatches=len(found),
            alarms=written.alarms,
        )

    def _record(
        self, connection: Connection, found: list[dict[str, str]], *, simulation: bool
    ) -> None:
        """Note what a re-run gave differently, and raise one alarm about it while none stands."""
        wall_ns = self.wall_ns()
        connection.execute(insert(MISMATCH), [row | {"wall_ns": wall_ns} for row in found])
        own.raise_once(
            connection,
            self.writing,
            MISMATCH_RULE,
            found[0],
            severity=3,
            now_ns=self.now_ns(),
            simulation=simulation,
        )

    def own_alarm(
        self, rule: str, wrong: str, *, severity: int = 2, simulation: bool = False
    ) -> bool:
        """Raise a maintenance alarm about ourselves while ``wrong`` says what, clear it by "".

        Return whether anything changed; the same word again changes nothing.
        """
        now_ns = self.now_ns()
        with self.write() as connection:
            if not wrong:
                return own.clear(
                    connection, self.writing, rule, now_ns=now_ns, simulation=simulation
                )
            return own.raise_once(
                connection,
                self.writing,
                rule,
                {"found": wrong},
                severity=severity,
                now_ns=now_ns,
                simulation=simulation,
            )

    @staticmethod
    def _count(fresh: list[Event], found: list[dict[str, str]], written: Written) -> None:
        for event in fresh:
            metrics.EVENTS.labels(event.type.value).inc()
        for row in found:
            metrics.MISMATCHES.labels(row["kind"]).inc()
        for status, rows in written.outbox.items():
            metrics.OUTBOX.labels(status).inc(rows)

    def cursor(self, reader: str = "events") -> Cursor:
        """Return where a reader stands; the beginning if it never moved."""
        with self.read() as connection:
            return cursor_of(connection, reader)

    def move_cursor(
        self, reader: str, *, through: int, position: int = 0, extra: Mapping[str, Any]
    ) -> None:
        """Note where a reader stands that writes nothing else here."""
        with self.write() as connection:
            move(connection, reader, through, position, extra)

    # ── alarms out ───────────────────────────────────────────────────────────────────────────

    def open_alarms(self, *, limit: int = 5_000) -> list[Alarm]:
        """Return the alarms that are not over, worst and newest first."""
        return [a for a, _ in self.list(limit=limit)]

    def list(
        self,
        *,
        ended: bool | None = False,
        min_severity: int = 0,
        rule: str = "",
        subject: str = "",
        word: str = "",
        limit: int | None = 500,
    ) -> list[tuple[Alarm, bool]]:
        """Return alarms with their simulation mark; ``subject`` matches as a prefix."""
        query = select(ALARM.c.state, ALARM.c.simulation)
        if ended is not None:
            query = query.where(ALARM.c.ended.is_(ended))
        if rule:
            query = query.where(ALARM.c.rule == rule)
        if subject:
            query = query.where(ALARM.c.subject.startswith(subject, autoescape=True))
        if word:
            query = query.where(ALARM.c.word == word)
        query = query.where(ALARM.c.max_severity >= min_severity)
        query = query.order_by(
            ALARM.c.severity.desc(), ALARM.c.max_severity.desc(), ALARM.c.seq.desc()
        ).limit(limit)
        with self.read() as connection:
            rows = connection.execute(query).all()
        return [(alarm_of(r.state), bool(r.simulation)) for r in rows]

    def alarm(self, alarm_id: str) -> tuple[Alarm, bool] | None:
        """Return one alarm and its simulation mark, or None."""
        with self.read() as connection:
            return commands.find(connection, alarm_id)

    def events_of(self, alarm_id: str, *, limit: int = 200) -> tuple[tuple[int, Event], ...]:
        """Return the numbered events of an alarm, oldest first."""
        return self._events(EVENT.c.alarm_id == alarm_id, limit)

    def events_of_type(self, kind: EventType, *, limit: int = 50) -> tuple[tuple[int, Event], ...]:
        """Return the newest events of a type, oldest first."""
        return self._events(EVENT.c.type == kind.value, limit)

    def _events(self, where: Any, limit: int) -> tuple[tuple[int, Event], ...]:
        query = (
            select(EVENT.c.seq, EVENT.c.body).where(where).order_by(EVENT.c.seq.desc()).limit(limit)
        )
        with self.read() as connection:
            rows = connection.execute(query).all()
        return tuple((r.seq, decode(r.body.encode())) for r in reversed(rows))

    def flood(self) -> Flood:
        """Return the flood as it was at the last announcement."""
        with self.read() as held:
            return load(held)

    def counts(self) -> dict[str, int]:
        """Return how many rows each table holds, and how many wait."""
        with self.read() as connection:
            counts = {
                t.name: int(connection.execute(select(func.count()).select_from(t)).scalar_one())
                for t in (EVENT, ALARM, OUTBOX, MISMATCH)
            }
            query = select(OUTBOX.c.status, func.count()).group_by(OUTBOX.c.status)
            for status, rows in connection.execute(query):
                counts[f"outbox_{status}"] = rows
        return counts

    # ── commands (lifeline/ledger/commands.py) ───────────────────────────────────────────────

    def acknowledge(
        self, alarm_id: str, by: str, comment: str, expected_seq: int | None, command: str
    ) -> Alarm:
        """Acknowledge an alarm for ``by``; the same ``command`` again gives the same answer.

        Raises
        ------
        Unknown, Conflict, Refused, Unavailable
        """
        with self.write() as connection:
            order = self._order(alarm_id, by, command, comment=comment, expected_seq=expected_seq)
            return commands.acknowledge(connection, self.writing, order)

    def _order(self, alarm_id: str, by: str, command: str, **said: Any) -> commands.Order:
        said |= {"now_ns": self.now_ns(), "wall_ns": self.wall_ns()}
        return commands.Order(alarm_id=alarm_id, by=by, command=command, **said)

    def revoke(self, alarm_id: str, by: str, command: str) -> Alarm:
        """Undo an acknowledgement within `commands.UNDO_S`; errors as `acknowledge`."""
        order = self._order(alarm_id, by, command)
        with self.write() as connection:
            return commands.revoke(connection, self.writing, order)

    def reset(self, alarm_id: str, by: str, reason: str, command: str) -> Alarm:
        """Order the RESET of an over-range alarm after a re-test; errors as `acknowledge`."""
        with self.write() as connection:
            return commands.reset(connection, self._order(alarm_id, by, command, comment=reason))

    def call(
        self, alarm_id: str, step: CallStep, *, number: int, call_seq: int, simulation: bool
    ) -> None:
        """Note a step of an escalation, with its messages; nothing where the alarm is gone."""
        with self.write() as connection:
            found = commands.find(connection, alarm_id)
            if found is not None:
                said = {"step": number, "call_seq": call_seq, "to": list(step.to)}
                how: dict[str, Any] = {"simulation": simulation, "writing": self.writing}
                called(connection, found[0], said, now_ns=self.now_ns(), **how)

    # ── outbox ───────────────────────────────────────────────────────────────────────────────

    def due(self, *, channel: str = "", limit: int = 100) -> tuple[Any, ...]:
        """Return pending outbox rows whose time has come, oldest first."""
        with self.read() as connection:
            return outbox.due(connection, channel=channel, wall_ns=self.wall_ns(), limit=limit)

    def due_again(self, channel: str) -> None:
        """Let all that was put off be due: its receiver is there again."""
        with self.write() as connection:
            outbox.due_again(connection, channel)

    def settle(
        self, seq: int, channel: str, *, status: str, reason: str = "", next_wall_ns: int = 0
    ) -> None:
        """Note what became of one attempt: delivered, given_up, or pending until a time."""
        with self.write() as connection:
            outbox.settle(
                connection, seq, channel, status=status, reason=reason, next_wall_ns=next_wall_ns
            )
