"""What each slot of a day, a week or a year was like: values of its newest periods, per track.

docs/kinds/statistics.md, seasonal. A track has up to three profiles, the longest period first; a
profile has slots of civil time, and of each remembers one value a period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.civil_time import DAY_NS, zone_of
from rules.engine.baseline import medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks

BIAS: Final = 2**62
"""Added to numbers of visits and periods where 0 means none."""
WEEK_NS: Final = 7 * DAY_NS
MONDAY_NS: Final = 4 * DAY_NS  # 1970-01-01 was a Thursday


class Profiles:
    """F profiles of T tracks. Their slots stand side by side, and so do the slots' values."""

    def __init__(self, tracks: Tracks) -> None:
        count = len(tracks)
        self.slot_ns = tracks.own("slot_ns").astype(np.int64)
        self.period_ns = tracks.own("period_ns").astype(np.int64)  # [T, F], 0 = none
        self.keep = tracks.own("keep").astype(np.int64)  # [T, F] values a slot
        self.least = np.maximum(tracks.own("least"), 1)
        self.anchor_ns = np.where(self.period_ns == WEEK_NS, MONDAY_NS, 0)
        self._lay_zones(tracks)
        self._lay_calendars(tracks)
        whole = np.maximum(self.period_ns, 1)
        self.regular = np.where(self.period_ns > 0, -(-whole // self.slot_ns[:, None]), 0)  # slots
        extra = np.where(self.feasts, -(-DAY_NS // self.slot_ns), 0)[:, None]  # of holidays
        slots = np.where(self.period_ns > 0, self.regular + extra, 0)
        cells = slots * self.keep
        # where the slots, and the values, of each profile begin
        self.slots_from = np.cumsum(slots, axis=1) - slots
        self.cells_from = np.cumsum(cells, axis=1) - cells
        shortest = np.where(self.period_ns > 0, self.period_ns, BIAS).min(axis=1, initial=BIAS)
        self.lap_ns = np.where(self.feasts, np.minimum(shortest, DAY_NS), shortest)
        self.state: dict[str, NDArray[Any]] = {
            # newest period of each slot + BIAS, 0 = never visited
            "newest": np.zeros((count, int(slots.sum(axis=1).max(initial=0))), np.int64),
            "ring": np.full((count, int(cells.sum(axis=1).max(initial=0))), np.nan),
            # where in the ring the open visit's mean will stand, by profile; −1 = no such profile
            "target": np.full(self.period_ns.shape, -1),
        }

    def _lay_zones(self, tracks: Tracks) -> None:
        names = tracks.option("zone")
        number = {name: i for i, name in enumerate(sorted(set(names)))}
        self.zones = [zone_of(name) for name in number]
        self.zone = np.array([number[name] for name in names], np.int64)

    def _lay_calendars(self, tracks: Tracks) -> None:
        """Take the holidays of each track's rule: days since 1970, rising."""
        has = tracks.option("holidays")
        rules = [tracks.rules[n] for n in tracks.rule.tolist()]
        calendars = [r.calendar if some else () for r, some in zip(rules, has, strict=True)]
        number = {days: i for i, days in enumerate(sorted(set(calendars)))}
        self.calendars = [np.array(days, np.int64) for days in number]
        self.calendar = np.array([number[days] for days in calendars], np.int64)
        self.feasts = np.array(has, np.int64) > 0

    def visit(self, own: NDArray[np.int64] | slice, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of visits at judged times of tracks."""
        slot_ns = self.slot_ns[own]
        if len(self.zones) == 1:
            return self.zones[0].local(t) // slot_ns
        number, zone = np.empty(len(t), np.int64), self.zone[own]
        for i, each in enumerate(self.zones):
            at = np.flatnonzero(zone == i)
            number[at] = each.local(t[at]) // slot_ns[at]
        return number

    def lap(self, track: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers of spans of civil time within which no slot is visited twice."""
        # days and weeks begin at local midnight, and so do laps: a week's by its own anchor
        lap_ns = self.lap_ns[track]
        anchor_ns = np.where(lap_ns == WEEK_NS, MONDAY_NS, 0)
        lap: NDArray[np.int64] = (number * self.slot_ns[track] - anchor_ns) // lap_ns
        return lap

    def _holiday(self, track: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell visits of days that are holidays for their track."""
        found = np.zeros(len(track), np.bool_)
        calendar = self.calendar[track]
        for i, days in enumerate(self.calendars):
            if len(days):
                at = np.flatnonzero(calendar == i)
                day = number[at] * self.slot_ns[track[at]] // DAY_NS
                place = np.minimum(np.searchsorted(days, day), len(days) - 1)
                found[at] = days[place] == day
        return found

    def _place(
        self, track: NDArray[np.int64], number: NDArray[np.int64], f: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return slot and period (+ BIAS, 0 = counted) of visits in profile f, and first value."""
        slot_ns, period_ns = self.slot_ns[track], self.period_ns[track, f]
        begin = number * slot_ns
        since = begin - self.anchor_ns[track, f]
        period = since // period_ns
        slot = (since - period * period_ns) // slot_ns
        feast = self._holiday(track, number)
        slot = np.where(feast, self.regular[track, f] + begin % DAY_NS // slot_ns, slot)
        cell = self.cells_from[track, f] + slot * self.keep[track, f]
        return slot + self.slots_from[track, f], np.where(feast, 0, period + BIAS), cell

    def open(
        self, track: NDArray[np.int64], number: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Begin visits that share no slot: location and scale of each, and where its mean will be.

        The longest profile that is warm decides; NaN where none is.
        """
        location, scale = np.full(len(track), np.nan), np.full(len(track), np.nan)
        target = np.full((len(track), self.period_ns.shape[1]), -1)
        for f in range(target.shape[1]):
            of = np.flatnonzero(self.period_ns[track, f] > 0)
            if not len(of):
                continue
            mine = track[of]
            held, count, target[of, f] = self._roll(mine, number[of], f)
            better = (count >= self.least[mine]) & np.isnan(location[of])
            at = of[better]
            if len(at):
                location[at], scale[at] = medians(held[better], count[better])
        return location, scale, target

    def _roll(
        self, track: NDArray[np.int64], number: NDArray[np.int64], f: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Forget what is too old as visits begin.

        Returns the values left, [n, K], how many, and where in the ring each visit's mean will be.
        """
        newest, ring = self.state["newest"], self.state["ring"]
        slot, period, cell = self._place(track, number, f)
        before = newest[track, slot]
        period = np.where(period == 0, np.where(before == 0, BIAS, before + 1), period)
        keep = self.keep[track, f]
        back = period <= before
        since = np.where(back, period, before + 1)
        # what is K periods old stays until the visit is over and its mean takes the place
        many = np.where(back, before - period + 1, period - since)  # huge where it is the first
        each = np.arange(int(keep.max()))
        inside = each < keep[:, None]
        at = np.where(inside, cell[:, None] + each, 0)
        gone = (each - since[:, None]) % keep[:, None] < many[:, None]
        held = np.where(gone | ~inside, np.nan, ring[track[:, None], at])
        row = np.broadcast_to(track[:, None], at.shape)
        ring[row[inside], at[inside]] = held[inside]
        newest[track, slot] = period
        return held, np.count_nonzero(held == held, axis=1), cell + period % keep  # noqa: PLR0124 - NaN

    def close(
        self, track: NDArray[np.int64], target: NDArray[np.int64], mean: NDArray[np.float64]
    ) -> None:
        """Remember the means of visits that are over, NaN = nothing, where ``open`` said."""
        for f in range(target.shape[1]):
            of = np.flatnonzero(target[:, f] >= 0)
            self.state["ring"][track[of], target[of, f]] = mean[of]

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place: rules of another size may have made it wider, or narrower."""
        held = self.state[name]
        width = min(held.shape[1], column.shape[1])
        held[:, :width] = column[:, :width]


def means(total: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return total over count, NaN where there is none, or none that is finite."""
    mean = total / count
    mean[~np.isfinite(mean)] = np.nan
    return mean
