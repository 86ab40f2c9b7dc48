"""The last hours of every channel in memory, for trends: one ring a channel, by whole columns."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.judge import DUPLICATE, HEARD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.readings import Readings

_COLUMNS: dict[str, Any] = {
    "event_ns": np.int64,
    "receive_ns": np.int64,
    "value": np.float64,
    "qc_flag": np.uint8,
    "verdict": np.uint8,
}
ROW_BYTES = sum(np.dtype(t).itemsize for t in _COLUMNS.values())


@dataclass(frozen=True, slots=True)
class Points:
    """Readings of one channel by event time, rising."""

    event_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    qc_flag: NDArray[np.uint8]
    verdict: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.event_ns)


class HotBuffer:
    """Rings of at most ``depth`` readings a channel, together at most ``max_bytes``.

    A full ring forgets its oldest; the archive has them. Safe to read while another thread puts.
    """

    def __init__(
        self, channels: int = 0, *, depth: int = 8_192, max_bytes: int = 128 << 20
    ) -> None:
        self._most = depth
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.depth = 0
        self._columns: dict[str, NDArray[Any]] = {}
        self._written = np.zeros(0, np.int64)  # readings ever put, a channel
        self._allocate(channels)

    def _allocate(self, channels: int) -> None:
        old, written, old_depth = self._columns, self._written, self.depth
        self.depth = max(16, min(self._most, self._max_bytes // (ROW_BYTES * max(1, channels))))
        self._columns = {k: np.zeros((channels, self.depth), t) for k, t in _COLUMNS.items()}
        self._written = np.zeros(channels, np.int64)
        for row in np.nonzero(written)[0]:
            kept = min(int(written[row]), old_depth, self.depth)
            places = np.arange(written[row] - kept, written[row]) % old_depth
            for name, column in self._columns.items():
                column[row, :kept] = old[name][row, places]
            self._written[row] = kept

    def put(self, rows: Readings, verdict: NDArray[np.uint8]) -> int:
        """Take the readings that are not duplicates, in journal order; return how many."""
        keep = (rows.channel >= 0) & (verdict != DUPLICATE) & (verdict != HEARD)
        channel = rows.channel[keep].astype(np.int64)
        if len(channel) == 0:
            return 0
        order = np.argsort(channel, kind="stable")
        channel = channel[order]
        starts = np.flatnonzero(np.r_[True, channel[1:] != channel[:-1]])
        counts = np.diff(np.r_[starts, len(channel)])
        rank = np.arange(len(channel)) - np.repeat(starts, counts)
        columns = {
            "event_ns": rows.judged_ns[keep][order],
            "receive_ns": rows.receive_ns[keep][order],
            "value": rows.value[keep][order],
            "qc_flag": np.where(rows.usable[keep], rows.qc_flag[keep], 4)[order],
            "verdict": verdict[keep][order],
        }
        with self._lock:
            if channel[-1] >= len(self._written):
                self._allocate(int(channel[-1]) + 1)
            fits = rank >= np.repeat(counts, counts) - self.depth  # of a flood, the newest
            place = (self._written[channel] + rank) % self.depth
            for name, column in self._columns.items():
                column[channel[fits], place[fits]] = columns[name][fits]
            self._written[channel[starts]] += counts
        return len(channel)

    def read(self, channel: int, from_ns: int, to_ns: int) -> tuple[Points, int]:
        """Return the readings of [``from_ns``, ``to_ns``] and since when the ring is whole.

        The second is the event time of the oldest reading held, or 2**62 if there is none.
        """
        with self._lock:
            if not 0 <= channel < len(self._written) or self._written[channel] == 0:
                empty = {k: np.empty(0, t) for k, t in _COLUMNS.items()}
                return Points(**empty), 2**62
            held = min(int(self._written[channel]), self.depth)
            columns = {k: c[channel, :held].copy() for k, c in self._columns.items()}
        event_ns = columns["event_ns"]
        order = np.argsort(event_ns, kind="stable")
        order = order[(event_ns[order] >= from_ns) & (event_ns[order] <= to_ns)]
        return Points(**{k: c[order] for k, c in columns.items()}), int(event_ns.min())

    def recent(self, channel: int, count: int) -> Points:
        """Return the newest ``count`` readings put, by event time: cheap at any depth."""
        with self._lock:
            known = 0 <= channel < len(self._written)
            written = int(self._written[channel]) if known else 0
            places = np.arange(max(0, written - min(count, self.depth)), written)
            if len(places) == 0:
                return Points(**{k: np.empty(0, t) for k, t in _COLUMNS.items()})
            columns = {k: c[channel, places % self.depth] for k, c in self._columns.items()}
        order = np.argsort(columns["event_ns"], kind="stable")
        return Points(**{k: c[order] for k, c in columns.items()})

    def last(self, channel: int) -> tuple[int, float] | None:
        """Return (event_ns, value) of the reading put last, or None."""
        with self._lock:
            if not 0 <= channel < len(self._written) or self._written[channel] == 0:
                return None
            at = int(self._written[channel] - 1) % self.depth
            held = self._columns
            return int(held["event_ns"][channel, at]), float(held["value"][channel, at])


def thin(points: Points, max_points: int) -> Points:
    """Return at most about ``max_points``, keeping each bucket's lowest and highest value.

    A peak that broke a limit is never thinned away; averaging would hide it.
    """
    n = len(points)
    if n <= max_points:
        return points
    buckets = max(1, max_points // 2)
    bucket = np.arange(n) * buckets // n
    value = np.where(np.isnan(points.value), 0.0, points.value)
    low = np.lexsort((value, bucket))
    edges = np.searchsorted(bucket[low], np.arange(buckets))
    last = np.r_[edges[1:], n] - 1
    chosen = np.unique(np.r_[low[edges], low[last], 0, n - 1])
    return Points(**{k: getattr(points, k)[chosen] for k in _COLUMNS})
