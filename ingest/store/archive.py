"""The archive: the journal as Parquet files that DuckDB queries, each record once.

A file is written aside, synced, renamed to ``<first>-<last offset>.parquet`` and then named by the
manifest, whose replacement is the one step that counts. After a kill the manifest says where to go
on; files it does not name are removed. Small files become larger ones, sixteen at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from ingest.crash_points import reach
from ingest.journal import Cursor
from ingest.store import metrics, tables
from ingest.store.errors import ArchiveLocked
from ingest.store.follow import Follower, RowJudge, collect
from ingest.store.manifest import ArchiveFile, Manifest, sync_folder
from rules.readings import Readings

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from rules.readings import Record
    from rules.registry import Registry

log: Any = structlog.get_logger("archive")

READ_EVERY_S = 0.2
RETRY_S = 5.0
ROW_GROUP = 64 * 1024
MAX_TIER = 4
STATE = "state-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """When a file is rolled, how files are compacted, how long replaced ones stay."""

    roll_s: float = 60.0
    roll_rows: int = 500_000
    fan_in: int = 16
    compact_rows: int = 1_000_000  # a compacted file is not larger than this
    grace_s: float = 60.0
    read_rows: int = 100_000  # taken from the journal at a time
    keep_ns: int | None = None  # city time; None keeps all
    max_bytes: int | None = None


class Archive:
    """The writer's side of an archive folder. What is added stands in memory until ``roll``."""

    def __init__(self, folder: Path, *, channels: int, limits: ArchiveLimits) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.manifest = Manifest.load(folder)
        self._limits = limits
        self._remove_leftovers()
        state = Cursor.load(folder / self.manifest.state) if self.manifest.state else Cursor()
        self._judge = RowJudge(channels, state.extra)
        self._parts: list[Any] = []
        self._next = self.manifest.next_offset
        self._time_ns = self.manifest.files[-1].to_ns if self.manifest.files else 0
        self.rows = 0

    def add(self, records: list[Record]) -> None:
        """Judge records and hold them until the next roll."""
        runs = [(r.offset, r.body) for r in records if isinstance(r.body, Readings)]
        marks = [r for r in records if not isinstance(r.body, Readings)]
        if runs:
            rows, g, verdicts = self._judge.mark(runs)
            self._hold(tables.of_readings(rows, g, verdicts.verdict))
            if len(rows):
                self._time_ns = int(rows.receive_ns[-1])
        if marks:
            self._hold(tables.of_marks(marks, time_ns=self._time_ns))
        if records:
            self._next = records[-1].offset + 1

    def _hold(self, table: Any) -> None:
        self._parts.append(table)
        self.rows += table.num_rows

    def roll(self) -> None:
        """Write what is held as one file and name it in the manifest; then tidy up.

        Raises
        ------
        OSError
            The disk did not take it: open the archive again, and read from its next offset.
        """
        if self._next == self.manifest.next_offset:
            return
        first, last = self.manifest.next_offset, self._next - 1
        table = tables.joined(self._parts) if self._parts else tables.SCHEMA.empty_table()
        file = self._write(table, first=first, last=last, tier=0)
        state = f"{STATE}{self._next:020d}"
        Cursor(self._next, self._judge.saved()).save(self.folder / state)
        old = self.manifest.state
        self._publish(self.manifest.with_rolled(file, next_offset=self._next, state=state))
        self._parts, self.rows = [], 0
        for name, count in file.counts.items():
            metrics.ARCHIVED.labels(name).inc(count)
        if old and old != state:
            (self.folder / old).unlink(missing_ok=True)
        if self._compact():
            while self._compact():
                pass
            # it held a whole file, and the next one is hours away
            pa.default_memory_pool().release_unused()
        self._expire()
        self._remove_retired()

    def _publish(self, manifest: Manifest) -> None:
        manifest.save(self.folder)
        self.manifest = manifest
        metrics.ARCHIVE_FILES.set(len(manifest.files))

    def _write(self, table: Any, *, first: int, last: int, tier: int) -> ArchiveFile:
        name = f"{first:020d}-{last:020d}.parquet"
        aside = self.folder / (name + ".new")
        pq.write_table(
            table,
            aside,
            compression="zstd",
            row_group_size=ROW_GROUP,
            write_statistics=tables.WITH_STATISTICS,
        )
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        reach("archive-aside")
        aside.replace(self.folder / name)
        sync_folder(self.folder)
        reach("archive-renamed")
        times = tables.column(table, "judged_ns")
        return ArchiveFile(
            name=name,
            first=first,
            last=last,
            rows=table.num_rows,
            from_ns=int(times.min()) if len(times) else 0,
            to_ns=int(times.max()) if len(times) else 0,
            tier=tier,
            counts=tables.counts(table),
        )

    def _compact(self) -> bool:
        """Make the newest files of one tier into one of the next; True if there were enough."""
        members = self.manifest.files[-self._limits.fan_in :]
        tier = members[-1].tier
        if (
            len(members) < self._limits.fan_in
            or tier >= MAX_TIER
            or any(f.tier != tier for f in members)
            or sum(f.rows for f in members) > self._limits.compact_rows
        ):
            return False
        whole = pa.concat_tables([pq.ParquetFile(self.folder / f.name).read() for f in members])
        file = self._write(
            tables.by_channel(whole), first=members[0].first, last=members[-1].last, tier=tier + 1
        )
        manifest = self.manifest.with_compacted(file, members=len(members), now_s=time.time())
        self._publish(manifest)
        metrics.COMPACTIONS.inc()
        return True

    def _expire(self) -> None:
        """Let the oldest files go that are too old or too much; the newest always stays."""
        files = self.manifest.files
        oldest_ns = files[-1].to_ns - self._limits.keep_ns if self._limits.keep_ns else None
        sizes = [(self.folder / f.name).stat().st_size for f in files]
        total, most = sum(sizes), self._limits.max_bytes
        gone = 0
        for file, size in zip(files[:-1], sizes, strict=False):
            too_old = oldest_ns is not None and file.to_ns < oldest_ns
            if not (too_old or (most is not None and total > most)):
                break
            total, gone = total - size, gone + 1
        if not gone:
            return
        self._publish(self.manifest.without_oldest(gone, now_s=time.time()))
        metrics.ARCHIVE_EXPIRED.inc(gone)
        log.info("archive: oldest files removed", files=gone, first=self.manifest.files[0].first)

    def _remove_retired(self) -> None:
        now_s = time.time()
        held = self.manifest.retired
        kept = tuple(r for r in held if 0 <= now_s - r.since_s < self._limits.grace_s)
        if len(kept) == len(held):
            return
        for gone in set(held) - set(kept):
            (self.folder / gone.name).unlink(missing_ok=True)
        self._publish(replace(self.manifest, retired=kept))

    def _remove_leftovers(self) -> None:
        """Remove what a kill left: files no manifest names."""
        named = {f.name for f in self.manifest.files} | {r.name for r in self.manifest.retired}
        named.add(self.manifest.state)
        for path in self.folder.iterdir():
            ours = path.suffix in (".parquet", ".new") or path.name.startswith(STATE)
            if ours and path.name not in named:
                log.info("removed a leftover", file=path.name)
                path.unlink()


def run_archive(
    *,
    data: Path,
    registry: Registry,
    stop: threading.Event,
    roll_s: float = 60.0,
    limits: ArchiveLimits | None = None,
) -> None:
    """Archive the journal until ``stop`` is set; what was read is rolled before it returns.

    A disk that refuses is waited for: the journal holds what is not archived.

    Raises
    ------
    ArchiveLocked, ManifestDamaged, CursorAhead, CursorDamaged
        Each says what to do.
    """
    chosen = replace(limits or ArchiveLimits(), roll_s=roll_s)
    folder = data / "archive"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        while not stop.is_set():
            try:
                _follow(data, len(registry.channels.id), chosen, stop)
            except OSError as error:
                metrics.ARCHIVE_ERRORS.inc()
                log.warning(
                    "the archive cannot be written; the journal holds what is missing",
                    reason=str(error),
                    next_try_s=RETRY_S,
                )
                stop.wait(RETRY_S)


def _follow(data: Path, channels: int, limits: ArchiveLimits, stop: threading.Event) -> None:
    archive = Archive(data / "archive", channels=channels, limits=limits)
    follower = Follower(
        data / "journal",
        start=archive.manifest.next_offset,
        wake=data / "run" / "journal.sock",
    )
    cursor = data / "cursors" / "archive"  # for those who ask how far each reader is
    metrics.ARCHIVE_LAG.set_function(
        lambda: follower.lag() + follower.offset - archive.manifest.next_offset
    )
    with contextlib.closing(follower):
        due_s = time.monotonic() + limits.roll_s
        while not stop.is_set():
            interval_s = min(READ_EVERY_S, max(due_s - time.monotonic(), 0.0))
            records = collect(follower, max_rows=limits.read_rows, interval_s=interval_s, stop=stop)
            archive.add(records)
            if archive.rows >= limits.roll_rows or time.monotonic() >= due_s:
                _roll(archive, cursor)
                due_s = time.monotonic() + limits.roll_s
        _roll(archive, cursor)


def _roll(archive: Archive, cursor: Path) -> None:
    archive.roll()
    if Cursor.load(cursor).offset != archive.manifest.next_offset:
        Cursor(archive.manifest.next_offset).save(cursor)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ArchiveLocked(f"{folder}: another process writes this archive; stop it") from None
    else:
        yield
    finally:
        os.close(handle)
