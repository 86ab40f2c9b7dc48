"""When something holds by the local clock: hours of the week, and seasons of the year.

What the wall clock shows decides: on the day the clocks go back an hour of the night comes twice,
and both times it is night; the hour that is left out in spring was nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.civil_time import DAY_NS, month_day, zone_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE_NS: Final = 60_000_000_000
DAY_MINUTES: Final = 1_440
WEEK_MINUTES: Final = 7 * DAY_MINUTES
_THURSDAY: Final = 3  # 1970-01-01, counted from Monday


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of the local week, and seasons; what both allow holds."""

    name: str
    zone: str  # as civil_time.zone_of reads it
    edges: tuple[int, ...]  # minutes of the week from Monday 0:00, rising: on, off, on, off, …
    seasons: tuple[tuple[int, int], ...] = ()  # month × 100 + day, first and last; () = all year

    def active(self, t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each time (Unix ns, any shape) whether the schedule holds then."""
        local = zone_of(self.zone).local(t_ns)
        minute = (local // MINUTE_NS + _THURSDAY * DAY_MINUTES) % WEEK_MINUTES
        place = np.searchsorted(np.array(self.edges, np.int64), minute, "right")
        held: NDArray[np.bool_] = (place & 1).astype(np.bool_)
        if self.seasons:
            day = month_day(local // DAY_NS)
            inside = np.zeros(held.shape, np.bool_)
            for first, last in self.seasons:
                after, before = day >= first, day <= last
                inside |= (after & before) if first <= last else (after | before)
            held &= inside
        return held

    def switches(self, from_ns: int, to_ns: int) -> list[int]:
        """Return when it begins or ends to hold in (from, to], by whole minutes, Unix ns."""
        minutes = np.arange(from_ns // MINUTE_NS, to_ns // MINUTE_NS + 1, dtype=np.int64)
        held = self.active(minutes * MINUTE_NS)
        changed = np.flatnonzero(held[1:] != held[:-1]) + 1
        moments: list[int] = (minutes[changed] * MINUTE_NS).tolist()
        return moments


def week_edges(
    times: list[tuple[int, int]], weekdays: list[int], *, whole: int = DAY_MINUTES
) -> tuple[int, ...]:
    """Return the edges of hours on some days of the week (Monday 0).

    ``times`` are (from, to) in minutes of the day; one that ends before it begins, or when it
    begins, goes on into the next day and belongs to the day it began on.
    """
    on = np.zeros(WEEK_MINUTES, np.bool_)
    for day in weekdays:
        for begin, end in times:
            length = (end - begin) % whole or whole
            on[(day * whole + begin + np.arange(length)) % WEEK_MINUTES] = True
    step = np.diff(np.concatenate(([False], on, [False])).astype(np.int8))
    return tuple(np.flatnonzero(step).tolist())
