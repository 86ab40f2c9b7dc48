"""The journal: what arrived, in order, on disk before it is acknowledged (docs/journal.md)."""

from ingest.journal.columns import Frames
from ingest.journal.cursor import Cursor
from ingest.journal.errors import (
    BufferFull,
    CursorAhead,
    CursorDamaged,
    JournalError,
    JournalFailed,
    JournalFull,
    JournalLocked,
    OffsetGone,
    RecordTooLarge,
    TimeWentBack,
    UnknownFormat,
)
from ingest.journal.files import OS_FILES, FileLayer
from ingest.journal.reader import JournalReader, compare_cursor, last_events, last_series
from ingest.journal.record import EventLines, SeriesRows
from ingest.journal.retention import ALL_READ, Retained, retain
from ingest.journal.segments import Damage, durable_end
from ingest.journal.wake import WakeClient, WakeServer, socket_address
from ingest.journal.writer import JournalWriter

__all__ = [
    "ALL_READ",
    "OS_FILES",
    "BufferFull",
    "Cursor",
    "CursorAhead",
    "CursorDamaged",
    "Damage",
    "EventLines",
    "FileLayer",
    "Frames",
    "JournalError",
    "JournalFailed",
    "JournalFull",
    "JournalLocked",
    "JournalReader",
    "JournalWriter",
    "OffsetGone",
    "RecordTooLarge",
    "Retained",
    "SeriesRows",
    "TimeWentBack",
    "UnknownFormat",
    "WakeClient",
    "WakeServer",
    "compare_cursor",
    "durable_end",
    "last_events",
    "last_series",
    "retain",
    "socket_address",
]
