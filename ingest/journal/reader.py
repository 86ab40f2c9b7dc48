"""Read a journal by whole records from a cursor on, while its writer appends.

A reader never passes the durable end it is given. What it cannot read it reports with its place
and skips; nothing is skipped in silence.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self, TypeVar, cast

from ingest.journal.columns import Frames
from ingest.journal.errors import CursorAhead, OffsetGone
from ingest.journal.record import (
    CONTROL,
    HEADER_BYTES,
    Entry,
    EventLines,
    Header,
    SeriesRows,
    decode,
    parse_header,
    payload_is_good,
)
from ingest.journal.segments import (
    Damage,
    Segment,
    behind,
    identity,
    next_good,
    read_marker,
    segments,
)
from rules.readings import Body, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from rules.readings import Control

Found = TypeVar("Found", EventLines, SeriesRows)
_CHUNK_BYTES = 4 << 20


class JournalReader:
    """Reads on from ``next_offset``; ``damage`` lists what was skipped, in order.

    Arrays of what it returns are read-only views that keep alive what was read with them: 4 MiB, or
    as much as the last record was long.
    """

    def __init__(self, folder: Path, *, start: int = 0) -> None:
        self.folder = folder
        self.next_offset = start
        self.damage: list[Damage] = []
        self.time_ns = 0  # kept by controls()
        self._file = -1
        self._segment = Segment(-1, folder)
        self._journal: int | None = None
        self._at = 0
        self._chunk = b""
        self._chunk_at = 0
        self._last_bytes = 0

    def read(
        self, *, until: int, max_rows: int = 100_000, max_bytes: int = 64 << 20
    ) -> list[Record]:
        """Return the next whole records with ``offset < until``; [] when there are none.

        ``until`` is the durable end. At least one record is returned where there is one, however
        large; after it, reading stops before ``max_rows`` or ``max_bytes`` would be passed.

        Raises
        ------
        OffsetGone
            Retention has removed the offset; it names the oldest one held.
        UnknownFormat
            A newer program wrote this.
        """
        entries = self._entries(until=until, max_rows=max_rows, max_bytes=max_bytes)
        return [Record(offset, cast("Body", entry)) for offset, entry in entries]

    def events(self, *, until: int, max_rows: int = 100_000) -> list[tuple[int, EventLines]]:
        """Return (offset, lines) of the next records of an event log; other kinds are left out."""
        entries = self._entries(until=until, max_rows=max_rows, max_bytes=64 << 20)
        return [(offset, entry) for offset, entry in entries if isinstance(entry, EventLines)]

    def series(self, *, until: int, max_rows: int = 100_000) -> list[tuple[int, SeriesRows]]:
        """Return (offset, rows) of the next records of a series log; other kinds are left out."""
        entries = self._entries(until=until, max_rows=max_rows, max_bytes=64 << 20)
        return [(offset, entry) for offset, entry in entries if isinstance(entry, SeriesRows)]

    def controls(self, *, until: int, most: int = 10_000) -> list[tuple[int, int, Control]]:
        """Return (offset, time, record) of the Control records among the next ``most``.

        The time is the newest one received up to there; ``time_ns`` is that of all passed.
        """
        held: list[tuple[int, int, Control]] = []
        self._chunk = b""
        while most and (found := self._find(until)) is not None:
            data, at, header = found
            self.time_ns = header.time_ns
            if header.kind == CONTROL:
                record = cast("Control", decode(data, at, header))
                held.append((header.offset, header.time_ns, record))
            self._at += header.total
            self.next_offset += 1
            most -= 1
        return held

    def frames(self, *, until: int, max_rows: int = 100_000) -> list[tuple[int, Frames]]:
        """Return (offset, frames) of the next records of a raw log or a quarantine."""
        entries = self._entries(until=until, max_rows=max_rows, max_bytes=64 << 20)
        return [(offset, entry) for offset, entry in entries if isinstance(entry, Frames)]

    def _entries(self, *, until: int, max_rows: int, max_bytes: int) -> list[tuple[int, Entry]]:
        held: list[tuple[int, Entry]] = []
        rows = size = 0
        self._chunk = b""  # what lies beyond the last durable end may have changed since
        while (found := self._find(until)) is not None:
            data, at, header = found
            rows, size = rows + header.rows, size + header.total
            if held and (rows > max_rows or size > max_bytes):
                break
            held.append((header.offset, decode(data, at, header)))
            self._last_bytes = header.total
            self._at += header.total
            self.next_offset += 1
        return held

    # -------------------------------------------------------------- finding a record

    def _find(self, until: int) -> tuple[bytes, int, Header] | None:
        """Return where the next record stands, without passing it, or None."""
        while self.next_offset < until:
            if self._file < 0 and not self._open():
                return None
            data, at = self._window(HEADER_BYTES)
            header = parse_header(data, at, journal=self._journal)
            if header is not None and header.offset == self.next_offset:
                data, at = self._window(header.total)
                if payload_is_good(data, at, header):
                    return data, at, header
            if not self._go_on(until):
                return None
        return None

    def _window(self, need: int) -> tuple[bytes, int]:
        """Return bytes that hold ``need`` of them from the current place on, if the file does."""
        start = self._at - self._chunk_at
        if start < 0 or start + need > len(self._chunk):
            # a record is mostly as long as the last: read once then, with the next one's header
            size = max(_CHUNK_BYTES, max(need, self._last_bytes) + HEADER_BYTES)
            # and no more than there is: room for 4 MiB asked for at each small read and given back
            # but for a few bytes cuts the heap to pieces, and it grows by a hundred MiB an hour
            size = min(size, max(os.fstat(self._file).st_size - self._at, 0))
            self._chunk = os.pread(self._file, size, self._at)
            self._chunk_at, start = self._at, 0
        return self._chunk, start

    def _open(self) -> bool:
        """Open the segment that should hold the next offset and go to its place in it."""
        held = segments(self.folder)
        at_or_before = [s for s in held if s.first <= self.next_offset]
        if not held:
            return False
        if not at_or_before:
            raise OffsetGone(
                f"{self.folder}: record {self.next_offset} was removed by retention; the oldest "
                f"one held is {held[0].first}",
                oldest=held[0].first,
            )
        segment = at_or_before[-1]
        try:
            self._file = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # retention was quicker: the next try sees the new oldest
            return self._open()
        self._segment, self._at, self._chunk = segment, 0, b""
        if self._journal is None:
            self._journal = identity(self.folder)
        self._seek()
        return True

    def _seek(self) -> None:
        """Go over the headers before the next offset; damage there was another reading's."""
        offset = self._segment.first
        while offset < self.next_offset:
            data, at = self._window(HEADER_BYTES)
            header = parse_header(data, at, journal=self._journal)
            if header is None or header.offset < offset:
                found = self._search(self._rest(), 1, lowest=offset, below=self.next_offset)
                if found is None:
                    return
                self._at += found[0]
                continue
            if header.offset >= self.next_offset:
                return
            offset = header.offset + 1
            self._at += header.total

    def _rest(self) -> bytes:
        """Return the segment from the current place to its end."""
        size = os.fstat(self._file).st_size
        return os.pread(self._file, max(0, size - self._at), self._at)

    # -------------------------------------------------------------- ends and damage

    def _search(
        self, rest: bytes, start: int, *, lowest: int, below: int
    ) -> tuple[int, Header] | None:
        return next_good(rest, start, journal=self._journal, lowest=lowest, below=below)

    def _go_on(self, until: int) -> bool:
        """Pass the end of a segment or damage; return False at the journal's end."""
        rest = self._rest()
        following = next((s for s in segments(self.folder) if s.first > self._segment.first), None)
        if following is not None and following.first == self.next_offset:
            self._leave()
            return True
        below = min(until, following.first) if following is not None else until
        start = behind(rest, 0, self.next_offset, journal=self._journal)
        found = self._search(rest, start, lowest=self.next_offset, below=below)
        if found is not None:
            if found[1].offset > self.next_offset:
                self._lost(found[1].offset - 1, "damaged")
            self._at += found[0]
            return True
        if following is not None:
            self._lost(below - 1, "the end of the segment is damaged")
            self._leave()
            return True
        marker = read_marker(self.folder)
        durable = min(until, marker.offset if marker else 0)
        if durable <= self.next_offset:
            return False  # the caller's ``until`` was more than there is
        self._lost(durable - 1, "the synced end is damaged")
        self._leave()
        return True

    def _lost(self, last: int, reason: str) -> None:
        self.damage.append(Damage(self._segment.path, self._at, self.next_offset, last, reason))
        self.next_offset = last + 1

    def _leave(self) -> None:
        os.close(self._file)
        self._file = -1

    def close(self) -> None:
        """Give the open segment back; reading opens it again."""
        if self._file >= 0:
            self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Do not leak the descriptor of a reader that was only dropped."""
        self.close()


def compare_cursor(folder: Path, offset: int, durable: int) -> None:
    """Check a cursor against the journal's durable end, as every reader should at its start.

    Raises
    ------
    CursorAhead
        The reader has seen records that the journal does not hold.
    """
    if offset > durable:
        raise CursorAhead(
            f"{folder}: a reader stands at {offset}, but the journal ends at {durable}; its tail "
            "was lost (was an old copy restored?). Restore the journal, or remove the cursor and "
            "what was made from it"
        )


def last_events(folder: Path, *, until: int) -> tuple[int, EventLines] | None:
    """Return (offset, lines) of the newest event record below ``until``, or None."""
    return _last(folder, until, lambda reader: reader.events(until=until))


def last_series(folder: Path, *, until: int) -> tuple[int, SeriesRows] | None:
    """Return (offset, rows) of the newest series record below ``until``, or None."""
    return _last(folder, until, lambda reader: reader.series(until=until))


def _last(
    folder: Path, until: int, read: Callable[[JournalReader], list[tuple[int, Found]]]
) -> tuple[int, Found] | None:
    for segment in reversed(segments(folder)):
        if segment.first >= until:
            continue
        with JournalReader(folder, start=segment.first) as reader:
            newest = None
            while some := read(reader):
                newest = some[-1]
        if newest is not None:
            return newest
    return None
