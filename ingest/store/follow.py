"""Read a journal on behind its writer, and judge its rows: what the store and archive share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import structlog

from ingest.journal import JournalReader, OffsetGone, WakeClient, compare_cursor, durable_end
from ingest.journal.segments import read_marker
from ingest.store import metrics
from ingest.store.errors import RegistryMissing
from rules.judge import Judge
from rules.readings import Readings, position
from rules.registry_file import registry_from_bytes

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.journal import EventLines, SeriesRows
    from ingest.journal.cursor import Extra
    from rules.judge import Verdicts
    from rules.readings import Control, Record
    from rules.registry import Registry

log: Any = structlog.get_logger("store")

Got = TypeVar("Got")
WAIT_S = 0.2  # how long one wait lasts at most, so that a stop is seen
POLL_S = 0.02  # where nobody wakes us
RECOVERY_S = 2.0  # how long an end before our cursor may be that of a writer still recovering
_JUDGE = "judge."


class Follower:
    """Follows one folder from ``start`` on; never passes its durable end.

    Records that retention took or damage destroyed are counted, logged with their place, and
    passed: there is nothing to wait for.

    Raises
    ------
    CursorAhead
        The journal ends before ``start``.
    """

    def __init__(self, folder: Path, *, start: int, wake: Path | None = None) -> None:
        self._folder = folder
        self._reader = JournalReader(folder, start=start)
        self._wake = WakeClient(wake) if wake else None
        self._end = _end_of(folder, start)
        self._told_damage = 0
        compare_cursor(folder, start, self._end)

    @property
    def offset(self) -> int:
        """Return the first offset not yet read."""
        return self._reader.next_offset

    def lag(self) -> int:
        """Return how many durable records are not yet read."""
        marker = read_marker(self._folder)
        self._end = max(self._end, marker.offset if marker else 0)
        return max(self._end - self.offset, 0)

    def wait(self, timeout_s: float) -> bool:
        """Return whether there is something to read, after ``timeout_s`` at the latest."""
        if self._end > self.offset:
            return True
        if self._wake is None:
            return self._poll(timeout_s)
        told = self._wake.wait(timeout_s)
        if told is not None:
            self._end = max(self._end, told)
        return self.lag() > 0

    def _poll(self, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while self.lag() == 0:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(left_s, POLL_S))
        return True

    def read(self, *, max_rows: int) -> list[Record]:
        """Return the next whole records, [] when there are none."""
        return self._read(lambda end: self._reader.read(until=end, max_rows=max_rows))

    def events(self, *, max_rows: int) -> list[tuple[int, EventLines]]:
        """Return the next records of an event log, [] when there are none."""
        return self._read(lambda end: self._reader.events(until=end, max_rows=max_rows))

    def series(self, *, max_rows: int) -> list[tuple[int, SeriesRows]]:
        """Return the next records of a series log, [] when there are none."""
        return self._read(lambda end: self._reader.series(until=end, max_rows=max_rows))

    def controls(self, *, until: int) -> list[tuple[int, int, Control]]:
        """Return (offset, time, record) of Control records among those passed, all below until."""
        return self._read(lambda end: self._reader.controls(until=min(until, end)))

    @property
    def time_ns(self) -> int:
        """Return the time of what ``controls`` passed."""
        return self._reader.time_ns

    def _read(self, read: Callable[[int], list[Got]]) -> list[Got]:
        try:
            return read(self._end)
        except OffsetGone as error:
            self._pass_over(error)
            return []
        finally:
            self._tell_damage()

    def _pass_over(self, error: OffsetGone) -> None:
        lost = error.oldest - self._reader.next_offset
        metrics.LOST.inc(lost)
        log.error("records were removed before they were read", lost=lost, reason=str(error))
        self._reader.close()
        self._reader = JournalReader(self._folder, start=error.oldest)
        self._told_damage = 0

    def _tell_damage(self) -> None:
        for damage in self._reader.damage[self._told_damage :]:
            metrics.LOST.inc(damage.last - damage.first + 1)
            log.error("the journal is damaged", place=str(damage))
        self._told_damage = len(self._reader.damage)

    def close(self) -> None:
        """Give the files and the socket back."""
        self._reader.close()
        if self._wake:
            self._wake.close()


def _end_of(folder: Path, start: int) -> int:
    """Return the durable end; a writer that is just recovering gets time to say it."""
    until = time.monotonic() + RECOVERY_S
    while True:
        end = durable_end(folder) if folder.is_dir() else 0
        if end >= start or time.monotonic() >= until:
            return end
        time.sleep(0.05)


def collect(
    follower: Follower, *, max_rows: int, interval_s: float, stop: threading.Event
) -> list[Record]:
    """Return records of about ``max_rows`` rows, or what came within ``interval_s`` of the first.

    [] when nothing came within WAIT_S, or the program stops before anything came.
    """
    held: list[Record] = []
    rows = 0
    until = time.monotonic() + WAIT_S
    while rows < max_rows and not stop.is_set():
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        if not follower.wait(min(left_s, WAIT_S)):
            continue
        some = follower.read(max_rows=max_rows - rows)
        if not held and some:
            until = time.monotonic() + interval_s
        held += some
        rows += sum(len(r.body) for r in some if isinstance(r.body, Readings))
    return held


class RowJudge:
    """The Judge over records as they come; it makes room for channels when they first appear."""

    def __init__(self, channels: int, saved: Extra | None = None) -> None:
        self._judge = Judge(channels)
        state = {k.removeprefix(_JUDGE): v for k, v in (saved or {}).items() if k[:6] == _JUDGE}
        if state:
            arrays: Any = state
            self._judge.restore(arrays)

    def mark(
        self, parts: list[tuple[int, Readings]]
    ) -> tuple[Readings, NDArray[np.int64], Verdicts]:
        """Judge the rows of whole records, given with their offsets; also return each row's g."""
        rows = Readings.concatenate([part for _, part in parts])
        g = np.concatenate(
            [position(offset) + np.arange(len(part)) for offset, part in parts]
            or [np.empty(0, np.int64)]
        )
        if len(rows):
            self._judge.grow(int(rows.channel.max()) + 1)
        return rows, g, self._judge.mark(rows, g)

    def saved(self) -> Extra:
        """Return the state, named so that it can stand in a cursor beside other things."""
        return {_JUDGE + name: array for name, array in self._judge.state().items()}


def registry_at(data: Path, content_hash: str, *, known: Registry) -> Registry:
    """Return the registry a Control record names; its text is kept in the data folder.

    Raises
    ------
    RegistryMissing
        The text is gone; without it rows cannot be named. Says where it must be.
    """
    if content_hash == known.content_hash:
        return known
    path = data / "registry" / f"{content_hash}.json"
    try:
        return registry_from_bytes(path.read_bytes())
    except FileNotFoundError as error:
        raise RegistryMissing(
            f"{path}: the registry named by the journal is missing, so its channels have no "
            "names; restore the file from a backup of the data folder"
        ) from error
