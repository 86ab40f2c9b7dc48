"""Which channels are to be doubted now: what came late, what is marked suspect, what stays away.

By what was received lately; in memory, like the hot buffer beside it. Devices that say nothing at
all are told by alarms of the dead-man rules instead.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.judge import JUDGED, LATE
from rules.registry import IN_SERVICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lifeline.site import Site
    from rules.readings import Readings

LATE_NS: Final = 3_600 * 10**9  # how long a late reading is news
MINUTE_NS: Final = 60 * 10**9
OLD_INTERVALS: Final = 3  # without a reading: what is known of a channel is of before
SUSPECT, FAIL = 3, 4
NEVER: Final = -(2**62)
_COLUMNS: Final[dict[str, tuple[Any, int]]] = {
    "late_at_ns": (np.int64, NEVER),  # received, of the newest late reading
    "late_event_ns": (np.int64, NEVER),  # measured
    "late_rows": (np.int64, 0),  # since start
    "event_ns": (np.int64, NEVER),  # measured, of the newest judged reading
    "received_ns": (np.int64, NEVER),
    "flag": (np.uint8, 0),
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """A channel row and what is wrong: ``late``, ``suspect``, ``fail``, ``old``. Times Unix ns."""

    row: int
    why: str
    event_ns: int
    received_ns: int
    count: int = 0  # of late readings since the page's process began


class SensorHealth:
    """The newest judged and the newest late reading of each channel."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._columns = _columns(0)
        self._site: Site | None = None
        self._serving: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._patience_ns: NDArray[np.int64] = np.zeros(0, np.int64)

    def put(self, rows: Readings, verdict: NDArray[np.uint8]) -> None:
        """Take readings in journal order, as they were judged."""
        known = rows.channel >= 0
        with self._lock:
            self._grow(int(rows.channel.max(initial=-1)) + 1)
            held = self._columns
            at = np.flatnonzero(known & (verdict == LATE))
            if len(at):
                channel = rows.channel[at]
                held["late_at_ns"][channel] = rows.receive_ns[at]
                held["late_event_ns"][channel] = rows.judged_ns[at]
                np.add.at(held["late_rows"], channel, 1)
            at = np.flatnonzero(known & (verdict == JUDGED))
            channel = rows.channel[at]  # of several the last remains
            held["event_ns"][channel] = rows.judged_ns[at]
            held["received_ns"][channel] = rows.receive_ns[at]
            held["flag"][channel] = np.where(rows.usable[at], rows.qc_flag[at], FAIL)

    def counts(
        self, site: Site, now_ns: int, seen: NDArray[np.bool_], resting: NDArray[np.bool_]
    ) -> tuple[int, int]:
        """Return how many channels in service and seen are late, and how many are bad."""
        late, bad, old = self._told(site, now_ns, seen, resting)
        return int(late.sum()), int((bad | old).sum())

    def doubts(
        self, site: Site, now_ns: int, seen: NDArray[np.bool_], resting: NDArray[np.bool_]
    ) -> tuple[list[Doubt], list[Doubt]]:
        """Return late channels, newest first, and bad ones: failed, suspect, longest away."""
        late, bad, old = self._told(site, now_ns, seen, resting)
        with self._lock:
            held = {name: column.copy() for name, column in self._columns.items()}
        lates = [
            Doubt(
                row,
                "late",
                int(held["late_event_ns"][row]),
                int(held["late_at_ns"][row]),
                int(held["late_rows"][row]),
            )
            for row in np.flatnonzero(late).tolist()
        ]
        bads = []
        for row in np.flatnonzero(bad | old).tolist():
            why = ("fail" if held["flag"][row] == FAIL else "suspect") if bad[row] else "old"
            bads.append(Doubt(row, why, int(held["event_ns"][row]), int(held["received_ns"][row])))
        order = {"fail": 0, "suspect": 1, "old": 2}
        return (
            sorted(lates, key=lambda each: (-each.received_ns, each.row)),
            sorted(bads, key=lambda each: (order[each.why], each.event_ns, each.row)),
        )

    def _told(
        self, site: Site, now_ns: int, seen: NDArray[np.bool_], resting: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks over channels: late, flagged bad, old though the device speaks.

        ``resting`` are devices that are known to be silent: their channels are told by them.
        """
        with self._lock:
            self._follow(site)
            n = len(self._serving)
            held = {name: column[:n] for name, column in self._columns.items()}
            wanted = self._serving & seen
            late = wanted & (held["late_at_ns"] > now_ns - LATE_NS)
            heard = wanted & (held["event_ns"] != NEVER)
            bad = heard & ((held["flag"] == SUSPECT) | (held["flag"] == FAIL))
            old = heard & ~bad & (held["received_ns"] < now_ns - self._patience_ns)
        if resting.any():
            device = site.registry.channels.device
            old &= ~((device >= 0) & resting[np.maximum(device, 0)])
        return late, bad, old

    def _follow(self, site: Site) -> None:
        """Take a site up: what is in service, and how long each may stay away."""
        if site is self._site:
            return
        channels, devices = site.registry.channels, site.registry.devices
        self._grow(len(channels.id))
        serving = np.array([state == IN_SERVICE for state in channels.state], np.bool_)
        self._serving = channels.alive & serving
        every = np.maximum(channels.interval_ns, MINUTE_NS)
        if len(devices.id):
            own = devices.interval_ns[np.maximum(channels.device, 0)]
            every = np.maximum(every, np.where(channels.device >= 0, own, 0))
        self._patience_ns = OLD_INTERVALS * every
        self._site = site

    def _grow(self, channels: int) -> None:
        held = len(self._columns["flag"])
        if channels > held:
            grown = _columns(max(channels, 2 * held))
            for name, column in self._columns.items():
                grown[name][:held] = column
            self._columns = grown


def _columns(n: int) -> dict[str, NDArray[Any]]:
    return {name: np.full(n, fill, kind) for name, (kind, fill) in _COLUMNS.items()}
