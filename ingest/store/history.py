"""Questions to the archive, answered by DuckDB over the files the manifest names."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow.parquet as pq

from ingest.store import tables
from ingest.store.manifest import NAME, ArchiveFile, Manifest
from rules.judge import JUDGED, LATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from rules.readings import Record

TRIES = 3  # a compaction may remove a file between reading the manifest and opening it

_ROWS = f"""
    FROM read_parquet($files)
    WHERE channel = $channel AND judged_ns >= $from_ns AND judged_ns < $to_ns
      AND verdict IN ({JUDGED}, {LATE})
"""
_SPAN = "SELECT count(*), min(judged_ns), max(judged_ns)" + _ROWS
_ALL = 'SELECT judged_ns, value, qc_flag, verdict, receive_ns, "offset", "row"' + _ROWS
_EXTREMES = f"""
    WITH rows AS ({_ALL} AND NOT isnan(value)),
    packed AS (
        SELECT value, (judged_ns - $low) // $width AS bucket,
            struct_pack(
                t := judged_ns, v := value, q := qc_flag, d := verdict, c := receive_ns,
                o := "offset", r := "row"
            ) AS point
        FROM rows
    ),
    chosen AS (
        SELECT arg_min(point, value) AS p FROM packed GROUP BY bucket
        UNION
        SELECT arg_max(point, value) AS p FROM packed GROUP BY bucket
    )
    SELECT p.t, p.v, p.q, p.d, p.c, p.o, p.r FROM chosen
"""  # noqa: S608 - of our own constants


@dataclass(frozen=True, slots=True)
class Trend:
    """One channel's rows by measured time, all columns of one length.

    ``event_ns`` is the judged time, as in events; ``verdict`` tells late rows from judged ones.
    """

    event_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    qc_flag: NDArray[np.uint8]
    verdict: NDArray[np.uint8]
    receive_ns: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.event_ns)


class History:
    """Reads an archive folder while its writer works; may be used from several threads."""

    def __init__(self, folder: Path, *, threads: int = 1, memory_mb: int = 256) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._database: Any = duckdb.connect(
            ":memory:", config={"threads": threads, "memory_limit": f"{memory_mb}MB"}
        )
        self._database.execute("SET enable_progress_bar = false")
        self._stamp: tuple[int, int] | None = None
        self._manifest = Manifest()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def manifest(self) -> Manifest:
        """Return the archive's manifest as it is now."""
        try:
            found = (self._folder / NAME).stat()
        except FileNotFoundError:
            return Manifest()
        stamp = (found.st_ino, found.st_mtime_ns)
        with self._lock:
            if stamp != self._stamp:
                self._manifest, self._stamp = Manifest.load(self._folder), stamp
            return self._manifest

    def counts(self) -> dict[str, int]:
        """Return how many rows are archived: rows, judged, duplicates, late, conflicts."""
        return self.manifest().counts()

    def trend(self, channel: int, from_ns: int, to_ns: int, max_points: int) -> Trend:
        """Return the judged and late rows with from_ns ≤ judged time < to_ns, by time.

        Beyond ``max_points`` rows (at least 2) the lowest and the highest of each of max_points/2
        equal parts of the time they span stand for all; NaN is left out there.
        """
        asked = {"channel": channel, "from_ns": from_ns, "to_ns": to_ns}
        points = self._reading(lambda files: self._trend(files, asked, max(max_points, 2)), asked)
        if points is None:
            none = np.empty(0, np.int64)
            points = dict.fromkeys((*Trend.__slots__, "offset", "row", "judged_ns"), none)
        order = np.lexsort((points["row"], points["offset"], points["judged_ns"]))
        return Trend(
            points["judged_ns"][order],
            points["value"][order].astype(np.float64),
            points["qc_flag"][order].astype(np.uint8),
            points["verdict"][order].astype(np.uint8),
            points["receive_ns"][order],
        )

    def records(self, *, first: int = 0, until: int | None = None) -> Iterator[Record]:
        """Yield the journal's records first ≤ offset < until, exactly as they were archived."""
        offset = first
        while True:
            files = [f for f in self.manifest().files if f.last >= offset]
            if not files or (until is not None and files[0].first >= until):
                return
            for record in tables.records(self._table(files[0])):
                if record.offset >= offset and (until is None or record.offset < until):
                    yield record
            offset = files[0].last + 1

    def _table(self, file: ArchiveFile) -> Any:
        return pq.ParquetFile(self._folder / file.name).read()

    def _reading(self, ask: Any, span: dict[str, int]) -> Any:
        """Ask over the files that may hold the span; again if one was just replaced."""
        for attempt in range(TRIES):
            files = [
                str(self._folder / f.name)
                for f in self.manifest().files
                if f.from_ns < span["to_ns"] and f.to_ns >= span["from_ns"]
            ]
            if not files:
                return None
            try:
                return ask(files)
            except duckdb.IOException:
                if attempt + 1 == TRIES:
                    raise
        return None

    def _trend(self, files: list[str], asked: dict[str, int], most: int) -> Any:
        cursor = self._database.cursor()
        with_files = asked | {"files": files}
        count, low, high = cursor.execute(_SPAN, with_files).fetchone()
        if count <= most:
            return cursor.execute(_ALL, with_files).fetchnumpy()
        width = (high - low) // (most // 2) + 1
        return _renamed(
            cursor.execute(_EXTREMES, with_files | {"low": low, "width": width}).fetchnumpy()
        )


def _renamed(columns: dict[str, Any]) -> dict[str, Any]:
    names = ("judged_ns", "value", "qc_flag", "verdict", "receive_ns", "offset", "row")
    return dict(zip(names, columns.values(), strict=True))
