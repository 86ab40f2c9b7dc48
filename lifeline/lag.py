"""How far each reader is, and since when: the time of the oldest record it has not done.

All from what stands on disk, so it can be asked while the city runs and after it has stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Gauge
from sqlalchemy import func, select

from ingest.journal import Cursor, JournalError, JournalReader, OffsetGone, durable_end
from ingest.overload import told as progress_told
from ingest.store.errors import ManifestDamaged
from ingest.store.manifest import Manifest
from lifeline.ledger import LedgerError
from lifeline.ledger.tables import COMMAND, EVENT, OUTBOX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifeline.ledger import Ledger

LOG: Any = structlog.get_logger("lag")
RECORDS = Gauge(
    "lifeline_reader_lag_records", "What a reader has not done yet; NaN: cannot be told", ["reader"]
)
SINCE = Gauge(
    "lifeline_reader_behind_since_seconds",
    "Unix time of the oldest that a reader has not done; 0 = it has done all",
    ["reader"],
)
JOURNAL_READERS = ("engine", "store", "store-live", "store-waveforms")
_PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """One reader. ``unit`` says what is counted; ``trouble`` why it cannot be told."""

    reader: str
    of: str  # journal, events, series, outbox, commands
    at: int
    behind: int
    since_ns: int = 0  # receive time of the oldest that is not done; 0 where all is done
    trouble: str = ""


def lags(data: Path, ledger: Ledger | None) -> list[Lag]:
    """Return every reader there is of a data folder; one that cannot be told says why."""
    return [*_followers(data), *(_of_ledger(data, ledger) if ledger is not None else ())]


def measure(data: Path, ledger: Ledger) -> list[Lag]:
    """Return the same and set the gauges."""
    held = lags(data, ledger)
    for lag in held:
        told = not lag.trouble
        RECORDS.labels(lag.reader).set(lag.behind if told else float("nan"))
        SINCE.labels(lag.reader).set(lag.since_ns / 1e9 if told else float("nan"))
        if lag.trouble:
            LOG.warning("a reader's place cannot be told", reader=lag.reader, cause=lag.trouble)
    return held


def engine_now(data: Path) -> Lag | None:
    """Return how far the engine says that it is, None where it never ran; no ledger is asked."""
    at = progress_told(data / "run")
    return None if at is None else _told("engine", data, "journal", lambda: at)


def _followers(data: Path) -> Iterator[Lag]:
    cursors = data / "cursors"
    for name in JOURNAL_READERS:
        if (cursors / name).exists():
            yield _told(name, data, "journal", lambda name=name: Cursor.load(cursors / name).offset)  # type: ignore[misc]
    if (cursors / "store-events").exists():
        yield _told(
            "store-events", data, "events", lambda: Cursor.load(cursors / "store-events").offset
        )
    if (cursors / "store-series").exists():
        yield _told(
            "store-series", data, "series", lambda: Cursor.load(cursors / "store-series").offset
        )
    if (data / "archive").is_dir():
        yield _told("archive", data, "journal", lambda: Manifest.load(data / "archive").next_offset)


def _of_ledger(data: Path, ledger: Ledger) -> Iterator[Lag]:
    yield _told("ledger", data, "events", lambda: ledger.cursor("events").position)
    yield _told("serve", data, "journal", lambda: ledger.cursor("journal").position)
    outbox = select(func.count(), func.min(EVENT.c.event_ns)).select_from(
        OUTBOX.join(EVENT, OUTBOX.c.seq == EVENT.c.seq)
    )
    yield _waiting("notifier", "outbox", ledger, outbox.where(OUTBOX.c.status == _PENDING))
    commands = select(func.count(), func.min(COMMAND.c.wall_ns))
    waiting = commands.where(COMMAND.c.mirrored_offset.is_(None))
    yield _waiting("commands", "commands", ledger, waiting)


def _told(reader: str, data: Path, log: str, place: Callable[[], int]) -> Lag:
    folder = data / log
    try:
        at = place()
        end = durable_end(folder) if folder.is_dir() else 0
        behind = max(end - at, 0)
        since_ns = _since(data, log, at) if behind else 0
    except (JournalError, ManifestDamaged, LedgerError, OSError) as error:
        return Lag(reader=reader, of=log, at=-1, behind=-1, trouble=str(error))
    return Lag(reader=reader, of=log, at=at, behind=behind, since_ns=since_ns)


def _since(data: Path, log: str, at: int) -> int:
    """Return the time of the oldest not done; of an engine's record, that of what it is about."""
    if log == "journal":
        return _time_of(data / log, at)
    try:
        with JournalReader(data / log, start=at) as reader:
            found: Any = (reader.events if log == "events" else reader.series)(until=at + 1)
    except OffsetGone as gone:
        return _since(data, log, gone.oldest)
    return _time_of(data / "journal", max(found[0][1].through - 1, 0)) if found else 0


def _time_of(folder: Path, offset: int) -> int:
    """Return the time in the head of a record, or of the oldest one behind it that is held."""
    try:
        with JournalReader(folder, start=offset) as reader:
            reader.controls(until=offset + 1, most=1)
            return reader.time_ns
    except OffsetGone as gone:
        return _time_of(folder, gone.oldest)


def _waiting(reader: str, of: str, ledger: Ledger, query: Any) -> Lag:
    try:
        with ledger.read() as connection:
            count, oldest_ns = connection.execute(query).one()
    except LedgerError as error:
        return Lag(reader=reader, of=of, at=-1, behind=-1, trouble=str(error))
    return Lag(reader=reader, of=of, at=0, behind=int(count), since_ns=int(oldest_ns or 0))
