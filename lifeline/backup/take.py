"""``lifeline backup``: a copy of a running city's data folder that holds together.

What follows the journal is copied before the journal: cursors, ledger, snapshots, archive, event
log; then the journal up to its durable end, and last the texts its records name. So no reader in
the copy stands beyond what the copy of its log holds.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest.journal.segments import (
    MARKER_NAME,
    durable_end,
    has_writer,
    marker_bytes,
    read_marker,
    segments,
)
from ingest.store.manifest import NAME as MANIFEST
from ingest.store.manifest import Manifest
from lifeline.backup.shelf import Generation, Item, Shelf, reusable
from lifeline.errors import BackupDamaged, Missing
from lifeline.migrations import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG: Any = structlog.get_logger("backup")
EVERYTHING: Final = 1 << 62
TEXTS: Final = ("registry", "rules", "corrections", "photos")
"""Rooms whose files never change: each is named by the hash of what it holds."""
SITE: Final = ("city.toml", "map.geojson", "registry", "rules", "mappings")
"""What a city's folder holds beside its data; secrets are named by city.toml and never copied."""
SIDE_LOGS: Final = ("quarantine", "quarantine/store", "raw")
LEDGER: Final = "ledger.sqlite"
TRIES: Final = 5  # to list files of which one is replaced meanwhile


def back_up(
    data: Path,
    shelf_folder: Path,
    *,
    site: Path | None = None,
    ledger_url: str = "",
    archive: bool = True,
    raw: bool = True,
    keep: int = 7,
    tell: Callable[[str, int], None] = lambda _path, _size: None,
) -> Generation:
    """Copy a data folder, running or not, to a shelf as a new generation; keep the newest ``keep``.

    ``tell`` hears of each file's bytes as they go. Without ``archive`` the copy holds no history,
    and its archive goes on from where this one stands.

    Raises
    ------
    Missing
        There is no data folder, its ledger is PostgreSQL, the shelf lies within it or cannot be
        written, or retention took what the copy needs.
    Occupied
        Another backup writes to the shelf.
    """
    _check(data, shelf_folder, ledger_url)
    try:
        with Shelf(shelf_folder) as shelf:
            taking = _Taking(data, shelf, _known(shelf), tell)
            taking.all(site=site, archive=archive, raw=raw)
            generation = taking.generation()
            shelf.add(generation)
            shelf.prune(keep)
    except OSError as error:
        said = f"{error.filename or shelf_folder}: {error.strerror}; make room or mend it and run"
        raise Missing(f"{said} the backup again: what it has copied stays") from error
    return generation


def _known(shelf: Shelf) -> dict[str, Item]:
    """Return what the newest generation spares us from reading again."""
    if not shelf.names():
        return {}
    try:
        return reusable(shelf.load().items)
    except BackupDamaged as error:
        LOG.error("an older generation is damaged; all is read anew", reason=str(error))  # noqa: TRY400
        return {}


def _check(data: Path, shelf: Path, ledger_url: str) -> None:
    if not (data / "journal").is_dir():
        raise Missing(f"{data}: no data folder of ours (no journal/); name another with --data")
    if ledger_url and not ledger_url.startswith("sqlite"):
        raise Missing(
            f"the ledger is a server's database ({ledger_url.split(':', 1)[0]}), which only its "
            "own program copies whole: first pg_dump --format=custom --file=ledger.dump DATABASE, "
            "then this command without --ledger; restore the dump with pg_restore before starting"
        )
    if shelf.resolve().is_relative_to(data.resolve()):
        raise Missing(f"{shelf}: lies within {data}; a backup belongs onto another disk")


@dataclass(slots=True)
class _Taking:
    """One run: collects the items in the order that keeps them consistent."""

    data: Path
    shelf: Shelf
    known: dict[str, Item]
    tell: Callable[[str, int], None]
    items: dict[str, Item] = field(default_factory=dict)
    copied_bytes: int = 0
    ends: dict[str, int] = field(default_factory=dict)

    def all(self, *, site: Path | None, archive: bool, raw: bool) -> None:
        """Copy everything; see the module's head for the order."""
        for path in _files(self.data / "cursors"):
            self.file(path, self._name(path))
        self.ledger()
        self.some(lambda: _snapshots(self.data), settled=True)
        self.archive(whole=archive)
        for name in ("series", "events"):
            self.log(name)
        self.log("journal")
        self.check_snapshot()
        for room in TEXTS:
            self.some(lambda room=room: _files(self.data / room), settled=True)  # type: ignore[misc]
        for name in SIDE_LOGS if raw else SIDE_LOGS[:-1]:
            self.log(name)
        self.file(self.data / "VERSION", "data/VERSION")
        for path in _site_files(site) if site is not None else ():
            self.file(path, f"site/{path.relative_to(site)}")  # type: ignore[arg-type]

    def generation(self) -> Generation:
        """Return what was taken."""
        return Generation(
            made=datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ"),
            program=version("city-lifeline"),
            data_version=version_of(self.data),
            journal_end=self.ends.get("journal", 0),
            events_end=self.ends.get("events", 0),
            items=tuple(self.items.values()),
            copied_bytes=self.copied_bytes,
        )

    def _name(self, path: Path) -> str:
        return f"data/{path.relative_to(self.data)}"

    # -------------------------------------------------------------- files

    def file(
        self, path: Path, name: str, *, limit: int = EVERYTHING, settled: bool = False
    ) -> None:
        """Take a file's first bytes under a name; one that is ``settled`` is read but once."""
        with path.open("rb") as source:
            now = os.fstat(source.fileno())
            before = self.known.get(name)
            if (
                settled
                and before is not None
                and (before.size_bytes, before.mtime_ns) == (now.st_size, now.st_mtime_ns)
                and self.shelf.holds(before)
            ):
                self.items[name] = before
                self.tell(name, before.size_bytes)
                return
            said, size, fresh = self.shelf.put(
                source, limit=limit, tell=lambda went: self.tell(name, went)
            )
        if limit != EVERYTHING and size < limit:
            raise Missing(f"{path}: has {size} bytes, {limit} were durable; look at the disk")
        self.copied_bytes += size if fresh else 0
        self.items[name] = Item(
            path=name, sha256=said, size_bytes=size, mtime_ns=now.st_mtime_ns if settled else 0
        )

    def some(self, listed: Callable[[], list[Path]], *, settled: bool) -> None:
        """Take what is listed; where one goes away meanwhile, list again."""
        for attempt in range(TRIES):
            taken: list[str] = []
            try:
                for path in listed():
                    self.file(path, self._name(path), settled=settled)
                    taken.append(self._name(path))
            except FileNotFoundError:
                for name in taken:
                    del self.items[name]
                if attempt + 1 == TRIES:
                    raise
            else:
                return

    def aside(self, name: str, data: bytes) -> None:
        """Take bytes that stand in no file as they are."""
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            said, size, fresh = self.shelf.put(
                file, limit=EVERYTHING, tell=lambda went: self.tell(name, went)
            )
        self.copied_bytes += size if fresh else 0
        self.items[name] = Item(path=name, sha256=said, size_bytes=size)

    # -------------------------------------------------------------- rooms

    def ledger(self) -> None:
        """Take the ledger by SQLite's own backup: one moment of it, while serve writes on."""
        path = self.data / LEDGER
        if not path.exists():
            return
        with tempfile.TemporaryDirectory(dir=self.shelf.folder) as folder:
            copy = Path(folder) / LEDGER
            try:
                with (
                    contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
                    contextlib.closing(sqlite3.connect(copy)) as target,
                ):
                    source.backup(target)
                    target.execute("PRAGMA journal_mode = DELETE")  # one file, no WAL beside it
            except sqlite3.Error as error:
                raise Missing(
                    f"{path}: SQLite cannot copy it ({error}); if it is damaged, stop the program "
                    "and restore it: the event log has all events"
                ) from error
            self.file(copy, f"data/{LEDGER}")

    def archive(self, *, whole: bool) -> None:
        """Take the files a manifest names; compaction may replace some meanwhile: then again."""
        folder = self.data / "archive"
        for attempt in range(TRIES):
            manifest = Manifest.load(folder)
            if not manifest.state:
                return
            if not whole:
                manifest = replace(manifest, files=())
            manifest = replace(manifest, retired=())
            try:
                self.file(folder / manifest.state, f"data/archive/{manifest.state}")
                for held in manifest.files:
                    self.file(folder / held.name, f"data/archive/{held.name}", settled=True)
            except FileNotFoundError:
                for name in [n for n in self.items if n.startswith("data/archive/")]:
                    del self.items[name]
                if attempt + 1 == TRIES:
                    raise
            else:
                self.aside(f"data/archive/{MANIFEST}", manifest.to_bytes())
                return

    def log(self, name: str) -> None:
        """Take a folder of the journal's format up to its durable end."""
        folder = self.data / name
        if not folder.is_dir():
            return
        marker = read_marker(folder)
        if not has_writer(folder):
            # What a scan finds counts; a writer that comes now only appends.
            self.ends[name] = durable_end(folder)
            for segment in segments(folder):
                self._segment(name, segment.path)
        elif marker is not None:
            self.ends[name] = marker.offset
            for segment in segments(folder):
                if segment.first < marker.segment:
                    self._segment(name, segment.path)
                elif segment.first == marker.segment and marker.size:
                    self.file(segment.path, self._name(segment.path), limit=marker.size)
        if marker is not None:
            self.aside(f"data/{name}/{MARKER_NAME}", marker_bytes(marker))

    def _segment(self, name: str, path: Path) -> None:
        """Take a segment that never changes again; the oldest ones may go before we come."""
        try:
            self.file(path, self._name(path), settled=True)
        except FileNotFoundError:
            prefix = f"data/{name}/"
            if any(n.startswith(prefix) and n.endswith(path.suffix) for n in self.items):
                said = f"{path}: was removed by retention while its neighbours were copied"
                raise Missing(f"{said}; make room on the disk and run the backup again") from None

    def check_snapshot(self) -> None:
        """See that an engine started from the copy finds all it would read.

        Raises
        ------
        Missing
            Retention passed the snapshot's place while the backup ran.
        """
        places = [int(Path(n).stem) for n in self.items if n.startswith("data/snapshots/")]
        held = [
            int(Path(n).stem)
            for n in self.items
            if n.startswith("data/journal/") and n.endswith(".seg")
        ]
        if held and min(held) > max(places, default=0):
            raise Missing(
                f"{self.data / 'journal'}: begins at {min(held)}, the copied snapshot needs "
                f"{max(places, default=0)}: retention was quicker; run the backup again"
            )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_file() and not _is_aside(p))


def _is_aside(path: Path) -> bool:
    return path.name.endswith(".new") or path.name.startswith(".")


def _snapshots(data: Path) -> list[Path]:
    return sorted((data / "snapshots").glob("*.snap"))


def _site_files(site: Path) -> Iterator[Path]:
    for name in SITE:
        path = site / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not _is_aside(p))
