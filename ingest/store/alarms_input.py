"""Event log and Control records as points: alarms, their state by asset, figures, limits.

Both are read in the journal's order, so an acknowledgement meets the alarm it was given for. The
engine's own cursor says how far the event log is complete where it holds no newer event.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest.journal import Cursor, CursorDamaged
from ingest.store import metrics
from ingest.store.alarm_book import HOUR_NS, AlarmBook
from ingest.store.follow import Follower, registry_at
from ingest.store.limits import Limits
from ingest.store.points import point
from ingest.store.schema import EVENTS
from ingest.store.site_at import SiteAt
from rules import events
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ingest.journal import EventLines
    from ingest.store.sending import Sender
    from rules.alarms import Alarm
    from rules.events import Event
    from rules.plan import Plan
    from rules.readings import Control
    from rules.registry import Registry

    Say = Callable[[Alarm, Registry, Plan], tuple[str, str]]

log: Any = structlog.get_logger("store")

EVENT_RECORDS: Final = 5_000  # lines of events read at a time


class AlarmsInput:
    """Two readers that move together, the book they fill, and how far the server has answered."""

    def __init__(self, data: Path, registry: Registry, *, say: Say | None) -> None:
        self._path = data / "cursors" / "store-events"
        self._engine = data / "cursors" / "engine"
        self._say = say
        cursor = Cursor.load(self._path)
        saved: dict[str, Any] = dict(cursor.extra)
        known = registry_at(data, saved.get("registry", registry.content_hash), known=registry)
        self.site = SiteAt(data, known, rules=saved.get("rules", ""))
        self._book = AlarmBook(self.site)
        self._limits = Limits(self.site)
        if "book" in saved:
            self._book.restore(saved["book"])
        self._hour = saved.get("hour", -1)
        self.newest_ns = saved.get("time", 0)
        self._told_ns = self.newest_ns  # limits were written for all hours until then
        self._changed = False  # the site, since limits were written
        self._warned = False  # an official warning came since
        self.site.warnings.restore(json.loads(saved.get("warnings", "[]")))
        self.follower = Follower(
            data / "events", start=cursor.offset, wake=data / "run" / "events.sock"
        )
        self._journal = Follower(data / "journal", start=saved.get("journal", 0))

    def close(self) -> None:
        """Give the files back."""
        self.follower.close()
        self._journal.close()

    def pump(self, sender: Sender, wait_s: float) -> None:
        """Write what is new, or wait for more.

        Raises
        ------
        Stopped
            Before the server had answered for all; the cursor stands where it was.
        """
        complete = self._engine_offset()  # read before the log: what it counts is in there
        first = self.follower.offset
        records = self.follower.events(max_rows=EVENT_RECORDS) if self.follower.lag() else []
        until = records[-1][1].through if records else self._journal.offset
        if not self.follower.lag():
            until = max(until, complete)
        controls = self._controls(until)
        if not records and not controls and self._journal.time_ns <= self.newest_ns:
            self.follower.wait(wait_s)
            return
        points = [*self._merged(records, controls), *self._regular()]
        if points:
            sender.send_points(points, f"events {first}..{self.follower.offset - 1}")
        if points or records or controls:
            self._save()

    def _engine_offset(self) -> int:
        try:
            return Cursor.load(self._engine).offset
        except CursorDamaged:  # the engine says so itself; events alone tell the place meanwhile
            return 0

    def _controls(self, until: int) -> list[tuple[int, int, Control]]:
        """Return the Control records below ``until``."""
        held: list[tuple[int, int, Control]] = []
        while self._journal.offset < until:
            self._journal.lag()
            before = self._journal.offset
            held += self._journal.controls(until=until)
            if self._journal.offset == before:
                break
        return held

    def _merged(
        self, records: list[tuple[int, EventLines]], controls: list[tuple[int, int, Control]]
    ) -> Iterator[bytes]:
        """Yield the points of events and records in the journal's order."""
        waiting = iter([*controls, (1 << 62, 0, None)])
        offset, time_ns, control = next(waiting)
        for event in self._events(records):
            while control is not None and offset <= event.offset:
                yield from self._take_control(offset, time_ns, control)
                offset, time_ns, control = next(waiting)
            yield from self._take(event)
        while control is not None:
            yield from self._take_control(offset, time_ns, control)
            offset, time_ns, control = next(waiting)

    def _take_control(self, offset: int, time_ns: int, control: Control) -> Iterator[bytes]:
        if control.type in ("ack", "operate"):
            event = self._book.operated(control, offset, time_ns)
            if event is not None:
                yield from self._take(event)
        if control.type == "warning":
            self._warned |= self.site.warnings.take(control.data, time_ns)
        if self.site.take(control):
            self._changed = True
            self._limits.forget()

    def _take(self, event: Event) -> Iterator[bytes]:
        self.newest_ns = max(self.newest_ns, event.receive_ns)
        step = self._book.take(event)
        yield from step.points
        if event.type is not EventType.HEARTBEAT:  # one each 30 s, and no alarm
            yield self._point(event, step.alarm)

    def _events(self, records: list[tuple[int, EventLines]]) -> Iterator[Event]:
        for offset, held in records:
            for line in held.lines:
                try:
                    event = events.decode(line)
                except ValueError as error:
                    metrics.SKIPPED.labels("no_event").inc()
                    said = "a line of the event log is no event"
                    log.warning(said, offset=offset, reason=str(error))
                    continue
                if not event.shadow:  # a rule on trial is no alarm, on no dashboard
                    yield event

    def _point(self, event: Event, alarm: Alarm | None) -> bytes:
        """Return the point of an event.

        Level and type are tags, since two steps of one alarm may carry the same event time (a tick
        may raise a level on a sample that raised a lower one); so each event is a point of its own,
        and writing it again changes nothing.
        """
        where = self.site.tags(event.subject)
        tagged = {
            "asset": where.get("asset", ""),
            "channel": event.subject,
            "district": where.get("district", ""),
            "domain": where.get("domain", ""),
            "level": str(event.severity),
            "rule": event.rule,
            "side": "high" if event.side > 0 else "low",
            "sim": where["sim"],
            "type": event.type.value,
        }
        fields: dict[str, bool | int | float | str | None] = {
            "alarm": event.alarm_id,
            "announce": event.announce,
            "confirmed": event.confirmed,
            "onset_ns": event.onset_ns,
            "previous": event.previous,
            "receive_ns": event.receive_ns,
            "severity": event.severity,
            "limit": _number(event.limit),
            "score": _number(event.score),
            "value": _number(event.value),
        }
        if self._say is not None and alarm is not None and self.site.plan is not None:
            text, text_zh = self._say(alarm, self.site.registry, self.site.plan)
            fields |= {"text": text, "text_zh": text_zh}
        return point(EVENTS, tagged, fields, event.event_ns)

    def _regular(self) -> Iterator[bytes]:
        """Yield limits and states that are due: a site that changed, or another hour."""
        self.newest_ns = max(self.newest_ns, self._journal.time_ns)
        now_ns, hour = self.newest_ns, self.newest_ns // HOUR_NS
        if now_ns <= 0:
            return
        yield from self._book.advance(now_ns)
        if self._told_ns > 0 and not self._changed:
            yield from self._limits.switched(self._told_ns, now_ns)
            if self._warned:
                yield from self._limits.warned(now_ns)
        self._told_ns = now_ns
        if self._changed or hour != self._hour:
            begun = self._hour < 0 or self._changed
            at_ns = now_ns if begun else hour * HOUR_NS
            yield from self._limits.at(at_ns)
            yield from self._book.assets(at_ns)
        self._hour, self._changed, self._warned = hour, False, False

    def _save(self) -> None:
        """Save how far the server has answered, and what is known there."""
        extra = {
            "book": self._book.saved(),
            "hour": self._hour,
            "journal": self._journal.offset,
            "registry": self.site.registry.content_hash,
            "rules": self.site.rules,
            "time": self.newest_ns,
            "warnings": json.dumps(self.site.warnings.lasting(self.newest_ns - 24 * HOUR_NS)),
        }
        Cursor(self.follower.offset, extra).save_if_room(self._path)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
