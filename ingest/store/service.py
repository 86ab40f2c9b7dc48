"""The store: journal and event log into InfluxDB, each point once.

Two inputs, two cursors. A batch is read, judged, encoded and written; only after the server's
answer for all of it does the cursor move, together with the judge's state at that place. What was
sent after the last saved cursor is sent again after a crash, and is the same points again.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import structlog

from ingest.journal import Cursor
from ingest.store import metrics
from ingest.store.follow import Follower, RowJudge, collect, registry_at
from ingest.store.influx import InfluxWriter, Stopped
from ingest.store.lines import LineEncoder, Lines, event_lines
from ingest.store.refused import RefusedLines
from rules import events
from rules.readings import Control, Readings

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from ingest.journal import EventLines
    from ingest.store.settings import InfluxSettings
    from rules.events import Event
    from rules.readings import Record
    from rules.registry import Registry

log: Any = structlog.get_logger("store")

SAVE_EVERY_S = 1.0  # a cursor costs a sync; what was sent since is only sent again
EVENT_RECORDS = 5_000  # lines of events read at a time


class ReadingsInput:
    """The journal's rows as lines; ``cursor`` is what is answered for."""

    def __init__(self, data: Path, registry: Registry) -> None:
        self._data = data
        self._path = data / "cursors" / "store"
        self._cursor = Cursor.load(self._path)
        saved = self._cursor.extra
        named = str(saved.get("registry", registry.content_hash))
        self._encoder = LineEncoder(registry_at(data, named, known=registry))
        self._judge = RowJudge(len(self.registry.channels.id), saved)
        self.follower = Follower(
            data / "journal", start=self._cursor.offset, wake=data / "run" / "journal.sock"
        )
        self._saved_at = time.monotonic()
        self._unsaved = False

    @property
    def registry(self) -> Registry:
        """Return the registry in force at the cursor."""
        return self._encoder.registry

    def lines(self, records: list[Record]) -> Lines:
        """Return the lines of records, each run of rows named by the registry of its time."""
        done: list[Lines] = []
        run: list[tuple[int, Readings]] = []
        for record in records:
            body = record.body
            if isinstance(body, Readings):
                run.append((record.offset, body))
            elif isinstance(body, Control) and body.type == "registry":
                done.append(self._encode(run))
                run = []
                self._change(str(body.data["hash"]))
        done.append(self._encode(run))
        return Lines.sum(done)

    def _encode(self, run: list[tuple[int, Readings]]) -> Lines:
        rows, _, verdicts = self._judge.mark(run)
        return self._encoder.encode(rows, verdicts.verdict)

    def _change(self, content_hash: str) -> None:
        changed = registry_at(self._data, content_hash, known=self.registry)
        if changed is not self.registry:
            self._encoder = LineEncoder(changed)

    def done(self) -> None:
        """All that was read is answered for: the cursor may move; saved now and then."""
        self._unsaved = True
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Save the cursor if it moved."""
        if not self._unsaved:
            return
        extra = self._judge.saved() | {"registry": self.registry.content_hash}
        self._unsaved = not Cursor(self.follower.offset, extra).save_if_room(self._path)
        self._saved_at = time.monotonic()


class EventsInput:
    """The event log's lines as points of ``alarm_state``."""

    def __init__(self, data: Path) -> None:
        self._path = data / "cursors" / "store-events"
        self.follower = Follower(data / "events", start=Cursor.load(self._path).offset)

    def read(self) -> list[tuple[int, EventLines]]:
        """Return the next records, [] when there are none."""
        return self.follower.events(max_rows=EVENT_RECORDS) if self.follower.wait(0.0) else []

    def done(self) -> None:
        """Save how far the server has answered."""
        Cursor(self.follower.offset).save_if_room(self._path)


def run_store(
    *, data: Path, registry: Registry, settings: InfluxSettings, stop: threading.Event
) -> None:
    """Write until ``stop`` is set; returns within the server's time-out, with cursors saved.

    ``registry`` is the one in force where the journal names none.

    Raises
    ------
    TokenUnreadable
        At the start; later it is waited for.
    CursorAhead, CursorDamaged, RegistryMissing
        The data folder does not fit together; each says what to do.
    """
    with contextlib.ExitStack() as stack:
        writer = InfluxWriter(settings, stop=stop)
        stack.callback(writer.close)
        refused = RefusedLines(data / "quarantine" / "store")
        stack.callback(refused.close)
        readings, alarms = ReadingsInput(data, registry), EventsInput(data)
        stack.callback(readings.follower.close)
        stack.callback(alarms.follower.close)
        metrics.LAG.labels("journal").set_function(readings.follower.lag)
        metrics.LAG.labels("events").set_function(alarms.follower.lag)
        with contextlib.suppress(Stopped):
            while not stop.is_set():
                _pump_events(alarms, readings.registry, writer, refused, settings, stop)
                _pump_readings(readings, writer, refused, settings, stop)
            readings.save()  # not after Stopped: what it interrupted has no answer


def _pump_readings(
    source: ReadingsInput,
    writer: InfluxWriter,
    refused: RefusedLines,
    settings: InfluxSettings,
    stop: threading.Event,
) -> None:
    first = source.follower.offset
    records = collect(
        source.follower,
        max_rows=settings.batch_rows,
        interval_s=settings.flush_interval_s,
        stop=stop,
    )
    if not records:
        source.save()
        return
    lines = source.lines(records)
    written = writer.write(lines.body, lines.count)
    place = f"{settings.bucket} journal {first}..{source.follower.offset - 1}"
    refused.keep(written, path=place, stop=stop)
    _count(lines)
    source.done()
    if stop.is_set():
        source.save()


def _count(lines: Lines) -> None:
    for reason in ("not_finite", "unknown", "duplicates", "conflicts"):
        metrics.SKIPPED.labels(reason).inc(getattr(lines, reason))
    metrics.LATE.inc(lines.late)


def _pump_events(
    source: EventsInput,
    registry: Registry,
    writer: InfluxWriter,
    refused: RefusedLines,
    settings: InfluxSettings,
    stop: threading.Event,
) -> None:
    while (some := source.read()) and not stop.is_set():
        lines = event_lines(_decoded(some), simulation=registry.simulation)
        written = writer.write(lines.body, lines.count)
        place = f"{settings.bucket} events {some[0][0]}..{some[-1][0]}"
        refused.keep(written, path=place, stop=stop)
        source.done()


def _decoded(records: list[tuple[int, EventLines]]) -> Iterator[Event]:
    for offset, held in records:
        for line in held.lines:
            try:
                yield events.decode(line)
            except ValueError as error:
                metrics.SKIPPED.labels("no_event").inc()
                log.warning("a line of the event log is no event", offset=offset, reason=str(error))
