"""The journal's readings as points of their bucket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from ingest.journal import Cursor
from ingest.store import metrics
from ingest.store.corrections import TYPE as CORRECTION
from ingest.store.corrections import load
from ingest.store.follow import Follower, RowJudge, collect, registry_at
from ingest.store.lines import LineEncoder, Lines
from ingest.store.sending import Tally
from rules.judge import JUDGED, LATE
from rules.readings import Control, Readings, texts_named

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from ingest.store.sending import Sender
    from ingest.store.settings import InfluxSettings
    from rules.readings import Record
    from rules.registry import Registry

log: Any = structlog.get_logger("store")

MEND_ROWS = 10_000
SKIPPED = ("not_finite", "unknown", "duplicates", "conflicts")
SAVE_EVERY_S = 1.0  # a cursor costs a sync; what was sent since is only sent again


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
        self._unsaved = self._in_flight = False
        self._named: list[str] = []  # corrections that come after the lines read last
        self.newest_ns = 0  # judged time written
        self._told = Tally()

    def close(self) -> None:
        """Give the files back."""
        self.follower.close()

    def pump(self, sender: Sender, settings: InfluxSettings, stop: threading.Event) -> None:
        """Write what is new, or wait for more.

        Raises
        ------
        Stopped
            Before the server had answered for all; the cursor stands where it was.
        """
        first = self.follower.offset
        records = collect(
            self.follower,
            max_rows=settings.batch_rows,
            interval_s=settings.flush_interval_s,
            stop=stop,
        )
        if not records:
            self.save()
            return
        self._in_flight = True  # until it is answered for, the cursor must not move
        lines = self.lines(records)
        sender.send(lines, f"journal {first}..{self.follower.offset - 1}")
        self._count(lines)
        while self._named:
            self.mend(self._named.pop(0), sender)
        self.done()
        if stop.is_set():
            self.save()

    def mend(self, name: str, sender: Sender) -> None:
        """Write a correction's points anew; InfluxDB keeps the last of a series and time.

        Where a measurement became none, or the other way, the point is of another series (tag
        ``faulty``): then the channel's points of that time are deleted first.
        """
        held = load(self._data, name)
        ids = self.registry.channels.id
        for row in np.unique(held.channel[held.crossed]).tolist():
            if row >= len(ids):
                continue
            times = held.judged_ns[held.channel == row]
            sender.remove(f'channel="{ids[row]}"', int(times.min()), int(times.max()) + 1)
        rows = held.readings()
        verdict = np.where(held.late, LATE, JUDGED).astype(np.uint8)
        for begin in range(0, len(held), MEND_ROWS):
            part = slice(begin, begin + MEND_ROWS)
            lines = self._encoder.encode(rows.take(part), verdict[part])
            sender.send(lines, f"correction {name[:12]}")
        log.info("correction written", hash=name, rows=len(held))

    def _count(self, lines: Lines) -> None:
        for reason in SKIPPED:
            metrics.SKIPPED.labels(reason).inc(getattr(lines, reason))
        metrics.LATE.inc(lines.late)
        self._told.add(**{name: getattr(lines, name) for name in (*SKIPPED, "late")})

    def taken(self) -> dict[str, int]:
        """Return rows that are no line, by reason, and late ones, since the last call."""
        return self._told.taken((*SKIPPED, "late"))

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
            elif isinstance(body, Control) and (named := texts_named(body).get("registry")):
                done.append(self._encode(run))
                run = []
                self._change(named)
            elif isinstance(body, Control) and body.type == CORRECTION:
                self._named.append(str(body.data["hash"]))
        done.append(self._encode(run))
        return Lines.sum(done)

    def _encode(self, run: list[tuple[int, Readings]]) -> Lines:
        rows, _, verdicts = self._judge.mark(run)
        self.newest_ns = max(self.newest_ns, int(rows.judged_ns.max(initial=0)))
        return self._encoder.encode(rows, verdicts.verdict)

    def _change(self, content_hash: str) -> None:
        changed = registry_at(self._data, content_hash, known=self.registry)
        if changed is not self.registry:
            self._encoder = LineEncoder(changed)

    def done(self) -> None:
        """All that was read is answered for: the cursor may move; saved now and then."""
        self._unsaved, self._in_flight = True, False
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Save the cursor if it moved and nothing is under way."""
        if not self._unsaved or self._in_flight:
            return
        extra = self._judge.saved() | {"registry": self.registry.content_hash}
        self._unsaved = not Cursor(self.follower.offset, extra).save_if_room(self._path)
        self._saved_at = time.monotonic()
