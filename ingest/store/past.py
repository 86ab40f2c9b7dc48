"""What was journaled, read again as columns: from the archive, and from a journal's records.

An archive file becomes columns without an object a record, so a month of a city is read at the
speed of Parquet. The records it was made from are the same: positions, receive times,
ticks, waveforms and commands stand where they stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq

from ingest.store import tables
from ingest.store.manifest import BLOCK, CONTROL, TICK, Manifest
from rules.engine.deadman import Heard
from rules.engine.lifecycle import Ticks
from rules.engine.taking import Columns, columns_of
from rules.readings import READINGS_DTYPES, ROW_BITS, Block, Control, Readings, Record, Tick

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.store.manifest import ArchiveFile

PIECE_ROWS: Final = 100_000  # larger ones are slower per row: the working set leaves the cache
END_NS: Final = 2**62
_parquet: Any = pq


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole records in journal order: side by side with their waveforms, or one Control."""

    columns: Columns | None = None
    blocks: tuple[Record, ...] = ()
    control: Record | None = None

    @property
    def rows(self) -> int:
        """Return the number of readings."""
        return 0 if self.columns is None else len(self.columns.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which part of the past: from_ns ≤ received < to_ns, and only some channels if they are named.

    With channels named, ticks and commands come too, but no waveforms.
    """

    from_ns: int = 0
    to_ns: int = END_NS
    channels: NDArray[np.int32] | None = None


def archived(folder: Path, span: Span, manifest: Manifest | None = None) -> Iterator[Piece]:
    """Yield an archive's records in the span, by its manifest of now or of a moment before."""
    for file in (manifest or Manifest.load(folder)).files:
        held = _parquet.ParquetFile(folder / file.name)
        lowest, highest = _received(held, file)
        if highest < span.from_ns:
            continue
        if lowest >= span.to_ns:
            return
        marks = file.counts["controls"] + file.counts["blocks"] > 0
        names = [*tables.NUMBERS, *(("note", "samples") if marks else ())]
        if span.channels is None:
            table = held.read(columns=names)
        else:
            wanted = [*span.channels.tolist(), tables.MARK]
            chosen = [("channel", "in", wanted)]
            table = _parquet.read_table(folder / file.name, columns=names, filters=chosen)
        yield from _File(table, span).pieces()


def archived_controls(folder: Path) -> Iterator[tuple[int, Control]]:
    """Yield (received, command) of all Control records of an archive."""
    for file in Manifest.load(folder).files:
        if file.counts["controls"]:
            chosen = [("verdict", "==", CONTROL)]
            table = _parquet.read_table(folder / file.name, filters=chosen)
            times = tables.column(table, "receive_ns")
            for record, at_ns in zip(tables.records(table), times.tolist(), strict=True):
                if isinstance(record.body, Control):
                    yield at_ns, record.body


def _received(held: Any, file: ArchiveFile) -> tuple[int, int]:
    """Return the lowest and highest receive time in a file, from its statistics."""
    meta = held.metadata
    if not file.rows:
        return END_NS, -1
    at = held.schema_arrow.names.index("receive_ns")
    stats = [meta.row_group(i).column(at).statistics for i in range(meta.num_row_groups)]
    return min(s.min for s in stats), max(s.max for s in stats)


class _File:
    """One file's table, brought into the journal's order piece by piece."""

    def __init__(self, table: Any, span: Span) -> None:
        self._table = table
        self._column = {name: tables.column(table, name) for name in tables.NUMBERS}
        g = (self._column["offset"] << ROW_BITS) | self._column["row"]
        self._order: NDArray[np.int64] | None = None
        if not (g[1:] > g[:-1]).all():
            self._order = np.argsort(g)
            g = g[self._order]
        self._g = g
        received = self._taken("receive_ns", slice(None))
        self._from, self._to = np.searchsorted(received, [span.from_ns, span.to_ns]).tolist()
        self._whole = span.channels is None

    def _taken(self, name: str, part: slice) -> NDArray[Any]:
        column = self._column[name]
        return column[part] if self._order is None else column[self._order[part]]

    def pieces(self) -> Iterator[Piece]:
        """Yield the file's records: commands by themselves, the others side by side."""
        verdict = self._taken("verdict", slice(None))
        controls = np.flatnonzero(verdict[self._from : self._to] == CONTROL) + self._from
        begin = self._from
        for at in [*controls.tolist(), self._to]:
            while begin < at:
                stop = self._record_end(min(begin + PIECE_ROWS, at), at)
                yield self._piece(begin, stop, verdict[begin:stop])
                begin = stop
            if at < self._to:
                yield Piece(control=self._record(at))
            begin = at + 1

    def _record_end(self, at: int, most: int) -> int:
        """Return the first place at or after ``at`` where a record begins."""
        if at >= most:
            return most
        record = self._g[at - 1] >> ROW_BITS
        return int(min(np.searchsorted(self._g, (record + 1) << ROW_BITS), most))

    def _piece(self, begin: int, stop: int, verdict: NDArray[np.uint8]) -> Piece:
        part, g = slice(begin, stop), self._g[begin:stop]
        is_row = verdict < TICK
        ticks = verdict == TICK
        received = self._taken("receive_ns", part)
        plain = bool(is_row.all())
        columns = {name: self._taken(name, part) for name in READINGS_DTYPES}
        if not plain:
            columns = {name: column[is_row] for name, column in columns.items()}
        rows = Readings.of(columns)
        heard = is_row | (verdict == BLOCK)
        device = rows.device if plain else self._taken("device", part)[heard]
        return Piece(
            Columns(
                rows=rows,
                g=g if plain else g[is_row],
                ticks=Ticks(received[ticks], g[ticks]),
                heard=Heard(device.astype(np.int64), received[heard], g[heard]),
                next_offset=int(g[-1] >> ROW_BITS) + 1,
            ),
            self._blocks(begin, verdict),
        )

    def _blocks(self, begin: int, verdict: NDArray[np.uint8]) -> tuple[Record, ...]:
        if not self._whole:
            return ()
        return tuple(self._record(begin + i) for i in np.flatnonzero(verdict == BLOCK).tolist())

    def _record(self, at: int) -> Record:
        place = at if self._order is None else int(self._order[at])
        return next(tables.records(self._table.slice(place, 1)))


def of_records(records: Iterable[Record], span: Span) -> Iterator[Piece]:
    """Yield a journal's records in the span; they come in journal order."""
    held: list[Record] = []
    rows = 0
    for record in records:
        if (at_ns := received_ns(record)) >= span.to_ns:
            break
        if 0 <= at_ns < span.from_ns:
            continue
        if isinstance(record.body, Control):
            yield from _side_by_side(held, span)
            yield Piece(control=record)
            held, rows = [], 0
            continue
        held.append(record)
        rows += len(record.body) if isinstance(record.body, Readings) else 1
        if rows >= PIECE_ROWS:
            yield from _side_by_side(held, span)
            held, rows = [], 0
    yield from _side_by_side(held, span)


def _side_by_side(records: list[Record], span: Span) -> Iterator[Piece]:
    if not records:
        return
    columns = columns_of(records)
    if span.channels is None:
        yield Piece(columns, tuple(r for r in records if isinstance(r.body, Block)))
        return
    chosen = np.isin(columns.rows.channel, span.channels)
    rows, g = columns.rows.take(chosen), columns.g[chosen]
    heard = Heard(rows.device.astype(np.int64), rows.receive_ns, g)
    yield Piece(Columns(rows, g, columns.ticks, heard, columns.next_offset))


def received_ns(record: Record) -> int:
    """Return when a record was over, −1 for a command, which has no time of its own."""
    body = record.body
    if isinstance(body, Tick):
        return body.tick_ns
    if isinstance(body, Block):
        return body.receive_ns
    if isinstance(body, Readings) and len(body):
        return int(body.receive_ns[-1])
    return -1
