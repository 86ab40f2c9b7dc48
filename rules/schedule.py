"""When something holds: hours of the week and seasons of the year, and official warnings.

What the wall clock shows decides: on the day the clocks go back an hour of the night comes twice,
and both times it is night; the hour that is left out in spring was nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.civil_time import DAY_NS, month_day, zone_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.standing import StandingWarnings

MINUTE_NS: Final = 60_000_000_000
DAY_MINUTES: Final = 1_440
WEEK_MINUTES: Final = 7 * DAY_MINUTES
_THURSDAY: Final = 3  # 1970-01-01, counted from Monday


@dataclass(frozen=True, slots=True)
class Warned:
    """Official warnings of one of some hazards, at least so bad."""

    hazards: tuple[str, ...]  # words of bulletins.HAZARDS; () = any
    at_least: int  # severity 1 … 4; one whose issuer gives no level counts as the worst

    def fits(self, hazard: str, severity: int) -> bool:
        """Tell whether a warning is among them."""
        return (not self.hazards or hazard in self.hazards) and (
            severity == 0 or severity >= self.at_least
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of the local week, seasons, official warnings; what all of them allow holds."""

    name: str
    zone: str  # as civil_time.zone_of reads it
    edges: tuple[int, ...]  # minutes of the week from Monday 0:00, rising: on, off, on, off, …
    seasons: tuple[tuple[int, int], ...] = ()  # month × 100 + day, first and last; () = all year
    warned: Warned | None = field(default=None, repr=False)
    """Only while such a warning holds. Not in the repr, which older snapshots hashed."""

    def active(
        self,
        t_ns: NDArray[np.int64],
        standing: StandingWarnings | None = None,
        asset: NDArray[np.int64] | None = None,
    ) -> NDArray[np.bool_]:
        """Tell of each time (Unix ns, any shape) whether the schedule holds then.

        What depends on warnings holds where ``standing`` says so, at the rows ``asset`` (as
        ``t_ns``); never where nobody knows of any.
        """
        held = self._hours(t_ns)
        if self.warned is None:
            return held
        if standing is None or asset is None:
            return np.zeros(held.shape, np.bool_)
        return held & standing.holds(self.warned, asset, t_ns)

    def _hours(self, t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        if self.edges == (0, WEEK_MINUTES) and not self.seasons:
            return np.ones(t_ns.shape, np.bool_)
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

    def switches(
        self, from_ns: int, to_ns: int, standing: StandingWarnings | None = None, asset: int = -1
    ) -> list[int]:
        """Return when it begins or ends to hold in (from, to], Unix ns; hours by whole minutes."""
        if self.warned is not None and standing is None:
            return []
        minutes = np.arange(from_ns // MINUTE_NS, to_ns // MINUTE_NS + 1, dtype=np.int64)
        held = self._hours(minutes * MINUTE_NS)
        changed = np.flatnonzero(held[1:] != held[:-1]) + 1
        moments: list[int] = (minutes[changed] * MINUTE_NS).tolist()
        if self.warned is None or standing is None:
            return moments
        edges = [t for t in standing.edges(self.warned) if from_ns < t <= to_ns]
        times = np.array(sorted({*moments, *edges}), np.int64)
        where = np.full(len(times), asset)
        turned = self.active(times, standing, where) != self.active(times - 1, standing, where)
        found: list[int] = times[turned].tolist()
        return found


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
