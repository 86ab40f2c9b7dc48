"""Kind ``threshold``: the score is the value; beyond the range it is infinite and latched.

The largest gain is the hot filter: a channel none of whose slots has a run, a latch or a value at
or beyond its lowest limit needs nothing but its last value remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.engine.part import Part, slot_rows, spread, take_accepted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.lifecycle import SlotRows
    from rules.engine.slots import Slots


class Threshold:
    """Limits of a channel's quiet zone, and the last value each acceptance class took."""

    def __init__(self, slots: Slots, channels: int) -> None:
        self._slots = slots
        self.quiet_above = np.full(channels, np.inf)  # [C] a value >= this is hot
        self.quiet_below = np.full(channels, -np.inf)  # [C] a value <= this is hot
        self.last_value = np.full((len(slots.accept_flags), channels), np.nan)
        p = slots.parameters
        first, stop = int(slots.pointer["threshold"][0]), int(slots.pointer["threshold"][-1])
        self._edge = np.minimum(p.lowest, np.nextafter(p.range_at, np.inf))  # [S] of each slot
        edge = self._edge[first:stop]
        channel, high = p.channel[first:stop], p.sign[first:stop] > 0
        np.minimum.at(self.quiet_above, channel[high], edge[high])
        np.maximum.at(self.quiet_below, channel[~high], -edge[~high])

    def rows(self, part: Part) -> SlotRows | None:
        """Return the rows of slots that have something to do."""
        slots = self._slots
        hot = self._hot(part)
        chosen = np.flatnonzero(hot)
        if not len(chosen):
            return None
        laid = spread(part, slots, "threshold", None if len(chosen) == len(hot) else chosen)
        if laid is None:
            return None
        laid = take_accepted(part, slots, laid, finite=False)
        slot = laid.slot[laid.owner]
        score = part.rows.value[laid.at] * slots.parameters.sign[slot]
        beyond = score >= self._edge[slot]
        moving = slots.state.busy[laid.slot]  # by its own state, or by a row of this part
        moving[laid.owner[beyond]] = True
        if not moving.all():
            laid, kept = laid.of_slots(moving)
            score, slot = score[kept], slot[kept]
        over = score > slots.parameters.range_at[slot]
        if over.any():
            score[over] = np.inf
        return slot_rows(part, laid, score, over)

    def _hot(self, part: Part) -> NDArray[np.bool_]:
        """Tell segments with a value at or beyond a limit, or a slot in motion; bool[s]."""
        segments, value = part.segments, part.rows.value
        hot = self._slots.busy_slots[segments.at] > 0
        if segments.single and len(segments.order) == len(value):
            at = segments.at
            return hot | (value >= self.quiet_above[at]) | (value <= self.quiet_below[at])
        channel = part.rows.channel
        beyond = (value >= self.quiet_above[channel]) | (value <= self.quiet_below[channel])
        if beyond.any():
            sorted_beyond = beyond[segments.order]
            if segments.single:
                hot |= sorted_beyond
            else:
                hot |= np.logical_or.reduceat(sorted_beyond, segments.start)
        return hot

    def remember(self, part: Part) -> None:
        """Keep the last value of each channel and acceptance class, for late findings."""
        segments, value = part.segments, part.rows.value
        missing = np.isnan(value)
        any_missing = bool(missing.any())
        at = segments.at
        for number, mask in enumerate(part.accepted):
            if mask is None and not any_missing:
                self.last_value[number, at] = value[segments.order[segments.stop - 1]]
                continue
            taken = ~missing if mask is None else mask & ~missing
            places = np.where(taken[segments.order], np.arange(len(segments.order)), -1)
            last = np.maximum.reduceat(places, segments.start)
            found = last >= 0
            self.last_value[number, segments.key[found]] = value[segments.order[last[found]]]
