"""Follow the journal (site, hot buffer, age of data), event log (ledger, watchdog) and scores."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import structlog

from ingest.journal import (
    Cursor,
    EventLines,
    JournalReader,
    OffsetGone,
    WakeClient,
    durable_end,
)
from ingest.journal.segments import segments
from lifeline import metrics
from lifeline.coverage import CalibrationWatch
from lifeline.ledger import Unavailable
from rules.events import Event, EventType, decode
from rules.judge import Judge
from rules.readings import Block, Control, Readings, position

if TYPE_CHECKING:
    import threading

    from lifeline.console.desk import Desk
    from rules.readings import Record

LOG = structlog.get_logger("tail")
POLL_S = 0.2
BACK_SEGMENTS = 3
"""How many journal segments are read at start to warm the hot buffer; the archive has the rest."""
KEPT_BLINDS = 20
REMEMBER_S = 30.0
EVENT_ROWS = 2_000  # lines of events read at a time
QUIET_S = 2.0
"""Records without events move the cursor this often, not with a transaction each."""


class Tail:
    """One thread's work: bring the desk up to what the disk holds, again and again."""

    def __init__(self, desk: Desk, stop: threading.Event) -> None:
        self._desk = desk
        self._stop = stop
        self._journal_folder = desk.data / "journal"
        self._events_folder = desk.data / "events"
        self._series_folder = desk.data / "series"
        self._judge = Judge(0)
        self._calibration = CalibrationWatch(desk.clock, desk.settings.zone)
        self._journal: JournalReader | None = None
        self._events: JournalReader | None = None
        self._series: JournalReader | None = None
        self._remembered_s = self._applied_s = 0.0

    def run(self) -> None:
        """Work until stopped; the event log's wake-up or POLL_S, whichever is first."""
        desk = self._desk
        # A shorter way than polling, where the engine runs; its answer is only a hint.
        with WakeClient(desk.data / "run" / "events.sock") as wake:
            while not self._stop.is_set():
                try:
                    moved = self.step()
                    if not desk.stand_in.active:
                        desk.flow.problems.pop("ledger", None)
                except Unavailable as error:
                    moved = False
                    desk.flow.problems["ledger"] = str(error)
                    desk.bell.ring()
                if not moved:
                    wake.wait(POLL_S)
        for reader in (self._journal, self._events, self._series):
            if reader is not None:
                reader.close()

    def step(self) -> bool:
        """Read what is new of both; return whether there was anything.

        The journal goes first: an event's site and simulation mark stand in it before the event.
        """
        if self._desk.stand_in.wanted:
            self._stand_in(self._desk.stand_in.wanted)
        seen = self._follow_journal()
        self._calibration.look(self._desk.keeper.site)
        told = self._follow_events()
        self._desk.flow.behind = told == 2
        self._follow_series()
        return seen or told > 0

    # ── journal ──────────────────────────────────────────────────────────────────────────────

    def _follow_journal(self) -> bool:
        if not self._journal_folder.is_dir():
            return False
        if self._journal is None:
            self._journal = self._start_journal()
        until = durable_end(self._journal_folder)
        records = _read(self._journal, until)
        if records:
            before = dict(self._desk.keeper.state)
            self._take(records)
            due = time.monotonic() - self._remembered_s > REMEMBER_S
            if due or dict(self._desk.keeper.state) != before:
                self._remember()
        self._report(self._journal, "journal")
        return bool(records)

    def _start_journal(self) -> JournalReader:
        """Go on with the site as last known, from a few segments back for the hot buffer."""
        known = self._desk.ledger.cursor("journal")
        if known.extra:
            self._desk.keeper.restore(known.extra)
        held = segments(self._journal_folder)
        start = held[-BACK_SEGMENTS:][0].first if held else 0
        # Whatever Control records were not seen before must be, however far back they are.
        start = min(start, max(known.position, held[0].first if held else 0))
        if (site := self._desk.keeper.site) is not None:
            self._desk.watchdog.follow(site)
        self._desk.bell.ring()
        return JournalReader(self._journal_folder, start=start)

    def _remember(self) -> None:
        desk = self._desk
        if self._journal is not None:
            at = self._journal.next_offset
            self._remembered_s = time.monotonic()
            try:
                desk.ledger.move_cursor("journal", through=at, position=at, extra=desk.keeper.state)
            except Unavailable as error:
                self._stand_in(str(error))
                return
            Cursor(at).save_if_room(desk.data / "cursors" / "serve")  # for retention

    def _take(self, records: list[Record]) -> None:
        desk, flow = self._desk, self._desk.flow
        for record in records:
            body = record.body
            if isinstance(body, Readings):
                self._keep(record.offset, body)
                if len(body):
                    flow.last_receive_ns = max(flow.last_receive_ns, int(body.receive_ns[-1]))
            elif isinstance(body, Block):
                flow.last_receive_ns = max(flow.last_receive_ns, body.receive_ns)
            elif isinstance(body, Control):
                at_ns = flow.last_receive_ns
                if desk.keeper.take(body, at_ns=at_ns) and desk.keeper.site is not None:
                    desk.watchdog.follow(desk.keeper.site)
                desk.bell.ring()
        flow.journal_offset = records[-1].offset + 1

    def _keep(self, offset: int, rows: Readings) -> None:
        top = int(rows.channel.max(initial=-1)) + 1
        if top > self._judge.channels:
            site = self._desk.keeper.site
            known = len(site.registry.channels.id) if site is not None else 0
            self._judge.grow(max(top, known))
        g = position(offset) + np.arange(len(rows), dtype=np.int64)
        verdict = self._judge.mark(rows, g).verdict
        kept = self._desk.hot.put(rows, verdict)
        self._desk.sensors.put(rows, verdict)
        metrics.HOT_ROWS.inc(kept)

    # ── event log ────────────────────────────────────────────────────────────────────────────

    def _follow_events(self) -> int:
        """Apply the next records; return 0 nothing, 1 some, 2 some and there may be more."""
        if not self._events_folder.is_dir():
            return 0
        desk = self._desk
        if self._events is None:
            start = desk.ledger.cursor("events").position
            self._events = JournalReader(self._events_folder, start=start)
        if desk.stand_in.active and desk.stand_in.writable():
            self._catch_up()
        reader = self._events
        came_from = reader.next_offset
        found = reader.events(until=durable_end(self._events_folder), max_rows=EVENT_ROWS)
        self._report(reader, "events")
        if not found:
            return 0
        lines = [each for _, each in found]
        try:
            try:
                self._apply(lines, reader.next_offset)
            except Unavailable as error:
                if desk.stand_in.active:
                    raise
                self._stand_in(str(error))
                self._apply(lines, reader.next_offset)
        except Unavailable:
            # Nothing was written: the same records come again.
            reader.close()
            self._events = JournalReader(self._events_folder, start=came_from)
            raise
        desk.flow.event_offset = reader.next_offset
        return 2 if sum(len(each.lines) for each in lines) >= EVENT_ROWS // 2 else 1

    def _stand_in(self, cause: str) -> None:
        """Go on from memory, and say so."""
        self._desk.stand_in.begin(cause)
        said = f"{cause}; notifications go on, commands wait 台账不可写：通知照常，操作暂不受理"
        self._desk.flow.problems["ledger"] = said
        self._desk.bell.ring()

    def _catch_up(self) -> None:
        """Give the ledger what its copy has taken; where it fails again the copy stays in force."""
        desk = self._desk
        at, until = desk.ledger.cursor("events").position, desk.flow.event_offset
        with closing(JournalReader(self._events_folder, start=at)) as reader:
            while reader.next_offset < until:
                found = reader.events(until=until, max_rows=EVENT_ROWS)
                if not found:
                    break
                through = max(lines.through for _, lines in found)
                events = [event for _, lines in found for event in self._decoded(lines)]
                desk.ledger.apply(
                    events, through, position=reader.next_offset, simulation=desk.keeper.simulation
                )
        desk.stand_in.end()
        desk.bell.ring()

    def _decoded(self, lines: EventLines) -> list[Event]:
        events: list[Event] = []
        for line in lines.lines:
            try:
                events.append(decode(line))
            except ValueError as error:
                metrics.READER_DAMAGE.labels("event line").inc()
                self._desk.flow.problems["event line"] = str(error)[:300]
        return events

    def _apply(self, found: list[EventLines], next_offset: int) -> None:
        desk = self._desk
        events = [event for lines in found for event in self._decoded(lines)]
        if not events and time.monotonic() - self._applied_s < QUIET_S:
            return  # after a restart the same silence is read again
        self._applied_s = time.monotonic()
        desk.stand_in.current.apply(
            events,
            max(lines.through for lines in found),
            position=next_offset,
            simulation=desk.keeper.simulation,
        )
        if events:
            desk.bell.ring()
        for event in events:
            if event.type is EventType.HEARTBEAT:
                desk.watchdog.hear(event)
            elif event.type is EventType.BLIND:
                desk.flow.blinds = [*desk.flow.blinds, (event.onset_ns, event.event_ns)][
                    -KEPT_BLINDS:
                ]

    # ── scores ───────────────────────────────────────────────────────────────────────────────

    def _follow_series(self) -> None:
        """Take what rules expect of channels, from what the engine's series log still has."""
        if not self._series_folder.is_dir():
            return
        if self._series is None:
            held = segments(self._series_folder)
            start = held[-BACK_SEGMENTS:][0].first if held else 0
            self._series = JournalReader(self._series_folder, start=start)
        try:
            found = self._series.series(until=durable_end(self._series_folder))
        except OffsetGone as gone:  # it is for charts: what is gone is a shorter past
            self._series.next_offset = gone.oldest
            return
        self._report(self._series, "series")
        for _, rows in found:
            self._desk.outlook.put(rows.series)

    # ── damage ───────────────────────────────────────────────────────────────────────────────

    def _report(self, reader: JournalReader, log: str) -> None:
        while reader.damage:
            damage = reader.damage.pop(0)
            metrics.READER_DAMAGE.labels(log).inc()
            self._desk.flow.problems[log] = f"damaged, skipped: {damage}"[:300]
            LOG.error("damage skipped", log=log, damage=str(damage))


def _read(reader: JournalReader, until: int) -> list[Record]:
    try:
        return reader.read(until=until, max_rows=100_000)
    except OffsetGone as gone:
        LOG.warning("retention was faster than serve", error=str(gone))
        metrics.READER_DAMAGE.labels("retention").inc()
        reader.next_offset = gone.oldest
        return []
