"""Keep the journal within its bounds: its oldest segments go when nobody needs them any more.

Needed is what the archive has not taken, what the InfluxDB writer has not written, what the page's
process has not passed (registry, rules and corrections stand in it), and what an engine restored
from the second-newest snapshot would read. On a full disk the backlog of the InfluxDB writer and
of the page may go, loudly; what the engine or the archive need never does. The engine's scores go
as soon as the writer has them.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import structlog
from prometheus_client import Counter, Gauge

from ingest.journal import ALL_READ, Cursor, JournalError, retain
from ingest.store.errors import ManifestDamaged
from ingest.store.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.journal import Retained

LOG: Any = structlog.get_logger("retention")
LOST = Counter(
    "lifeline_journal_unread_removed_total",
    "Journal records removed before InfluxDB or the page had them",
)
DISK_FREE = Gauge("lifeline_data_disk_free_bytes", "Free on the disk of the data folder")
DISK_SIZE = Gauge("lifeline_data_disk_size_bytes", "Size of the disk of the data folder")
EVERY_S = 60.0


class Clock(Protocol):
    """What tells the time."""

    def now_ns(self) -> int:
        """Return Unix nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much is kept. Below ``min_free_bytes`` the store's backlog goes."""

    keep_ns: int
    max_bytes: int | None = None
    min_free_bytes: int = 256 << 20
    store: bool = False  # whether an InfluxDB writer reads along


def keep_journal(data: Path, bounds: Bounds, *, now_ns: int) -> Retained:
    """Remove what may go, once.

    Raises
    ------
    JournalError, ManifestDamaged, OSError
        A reader's place cannot be told; then nothing is removed.
    """
    always = min(_engine_from(data), Manifest.load(data / "archive").next_offset)
    store = _store_from(data) if bounds.store else always
    return retain(
        data / "journal",
        keep_from=min(always, store, _page_from(data, always)),
        max_bytes=bounds.max_bytes,
        max_age_ns=bounds.keep_ns,
        now_ns=now_ns,
        min_free_bytes=bounds.min_free_bytes,
        spare_from=always,
    )


def keep_series(data: Path, bounds: Bounds) -> Retained:
    """Remove what the InfluxDB writer has taken of the engine's scores; without one, all.

    The last segment always stays: it says how far the engine has told.
    """
    needed = _series_from(data) if bounds.store else ALL_READ
    return retain(
        data / "series", keep_from=needed, max_bytes=1, min_free_bytes=bounds.min_free_bytes
    )


def _series_from(data: Path) -> int:
    """Return what the slower of both readers still needs: of scores, of computed channels."""
    needed = Cursor.load(data / "cursors" / "store-series").offset
    # not there before the first start of a writer that reads them apart, which begins at the other
    if (features := data / "cursors" / "store-features").exists():
        needed = min(needed, Cursor.load(features).offset)
    return needed


def _store_from(data: Path) -> int:
    """Return the lowest offset that a reader of the InfluxDB writer still needs."""
    offsets = [Cursor.load(data / "cursors" / "store").offset]
    alarms = Cursor.load(data / "cursors" / "store-events").extra
    if "journal" in alarms:  # acknowledgements, registry and rules
        offsets.append(int(alarms["journal"]))
    if (waveforms := data / "cursors" / "store-waveforms").exists():
        offsets.append(Cursor.load(waveforms).offset)
    return min(offsets)


def _page_from(data: Path, default: int) -> int:
    """Return the offset the page's process has passed; where none ever ran, nobody waits for it."""
    path = data / "cursors" / "serve"
    return Cursor.load(path).offset if path.exists() else default


def _engine_from(data: Path) -> int:
    """Return the offset of the second-newest snapshot: the newest may prove damaged."""
    offsets = sorted(int(path.stem) for path in (data / "snapshots").glob("*.snap"))
    return offsets[-2] if len(offsets) > 1 else 0


class Retention(threading.Thread):
    """Does it each minute until stopped; what cannot be done is said and tried again."""

    def __init__(
        self, data: Path, bounds: Bounds, *, clock: Clock, every_s: float = EVERY_S
    ) -> None:
        super().__init__(name="retention", daemon=True)
        self._data, self._bounds, self._clock, self._every_s = data, bounds, clock, every_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look each ``every_s``."""
        self.weigh()
        while not self._stopping.wait(self._every_s):
            self.look()

    def look(self) -> None:
        """Remove what may go and say what went."""
        self.weigh()
        try:
            done = keep_journal(self._data, self._bounds, now_ns=self._clock.now_ns())
            lost = keep_series(self._data, self._bounds).forced
        except (JournalError, ManifestDamaged, OSError) as error:
            LOG.warning("the journal is not tidied", reason=str(error))
            return
        if lost is not None:
            LOG.error("scores went before InfluxDB had them: the disk is full", first_last=lost)
        if done.forced is not None:
            LOST.inc(done.forced[1] - done.forced[0] + 1)
            LOG.critical(str(done))
        elif done.removed:
            LOG.info(str(done), oldest_offset=done.oldest_offset)

    def weigh(self) -> None:
        """Tell how full the disk is, so that somebody acts before it is full."""
        try:
            disk = shutil.disk_usage(self._data)
        except OSError as error:
            LOG.warning("the disk's size is not told", reason=str(error))
            return
        DISK_FREE.set(disk.free)
        DISK_SIZE.set(disk.total)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()
