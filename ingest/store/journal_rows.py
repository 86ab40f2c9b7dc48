"""The journal's rows from a place on, as lines: what judges and names them moves along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from ingest.journal import Cursor
from ingest.store.corrections import TYPE as CORRECTION
from ingest.store.corrections import load
from ingest.store.follow import Follower, RowJudge, registry_at
from ingest.store.lines import LineEncoder, Lines
from rules.judge import JUDGED, LATE
from rules.readings import Control, Readings, texts_named

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.store.sending import Sender
    from rules.readings import Record
    from rules.registry import Registry

log: Any = structlog.get_logger("store")

MEND_ROWS = 10_000


class JournalRows:
    """Reads from a cursor on; ``cursor()`` is the place reached, with the state there.

    ``named`` are the corrections met, as "hash registry", for the caller to mend and take out.
    """

    def __init__(self, data: Path, registry: Registry, cursor: Cursor) -> None:
        self._data = data
        named = str(cursor.extra.get("registry", registry.content_hash))
        self._encoder = LineEncoder(registry_at(data, named, known=registry))
        self._judge = RowJudge(len(self.registry.channels.id), cursor.extra)
        self.follower = Follower(
            data / "journal", start=cursor.offset, wake=data / "run" / "journal.sock"
        )
        self.named: list[str] = []
        self.newest_ns = 0  # judged time

    def close(self) -> None:
        """Give the files back."""
        self.follower.close()

    @property
    def registry(self) -> Registry:
        """Return the registry in force at this place."""
        return self._encoder.registry

    def cursor(self) -> Cursor:
        """Return the place and the state there."""
        extra = self._judge.saved() | {"registry": self.registry.content_hash}
        return Cursor(self.follower.offset, extra)

    def lines(self, records: list[Record]) -> Lines:
        """Return the lines of records, each run of rows named by the registry of its time."""
        done: list[Lines] = []
        run: list[tuple[int, Readings]] = []
        for record in records:
            if isinstance(record.body, Readings):
                run.append((record.offset, record.body))
            elif isinstance(record.body, Control):
                done.append(self._encode(run))
                run = []
                self._control(record.body)
        done.append(self._encode(run))
        return Lines.sum(done)

    def pass_over(self, records: list[Record]) -> None:
        """Judge rows and follow registries without making lines."""
        run: list[tuple[int, Readings]] = []
        for record in records:
            if isinstance(record.body, Readings):
                run.append((record.offset, record.body))
            elif isinstance(record.body, Control):
                self._judge.mark(run)
                run = []
                self._control(record.body)
        self._judge.mark(run)

    def _encode(self, run: list[tuple[int, Readings]]) -> Lines:
        rows, _, verdicts = self._judge.mark(run)
        self.newest_ns = max(self.newest_ns, int(rows.judged_ns.max(initial=0)))
        return self._encoder.encode(rows, verdicts.verdict)

    def _control(self, control: Control) -> None:
        if named := texts_named(control).get("registry"):
            changed = registry_at(self._data, named, known=self.registry)
            if changed is not self.registry:
                self._encoder = LineEncoder(changed)
        elif control.type == CORRECTION:
            self.named.append(f"{control.data['hash']} {self.registry.content_hash}")

    def mend(self, named: str, sender: Sender) -> None:
        """Write a correction's points anew; InfluxDB keeps the last of a series and time.

        Where a measurement became none, or the other way, the point is of another series (tag
        ``faulty``): then the channel's points of that time are deleted first.
        """
        name, registry_hash = named.split(" ")
        registry = registry_at(self._data, registry_hash, known=self.registry)
        encoder = self._encoder if registry is self.registry else LineEncoder(registry)
        held = load(self._data, name)
        ids = registry.channels.id
        for row in np.unique(held.channel[held.crossed]).tolist():
            if row >= len(ids):
                continue
            times = held.judged_ns[held.channel == row]
            sender.remove(f'channel="{ids[row]}"', int(times.min()), int(times.max()) + 1)
        rows = held.readings()
        verdict = np.where(held.late, LATE, JUDGED).astype(np.uint8)
        for begin in range(0, len(held), MEND_ROWS):
            part = slice(begin, begin + MEND_ROWS)
            sender.send(encoder.encode(rows.take(part), verdict[part]), f"correction {name[:12]}")
        log.info("correction written", hash=name, rows=len(held))
