"""Kind ``threshold``: the score is the value; beyond the range it is infinite and latched.

The largest gain is the hot filter: a channel none of whose slots has a run, a latch or a value at
or beyond its lowest limit needs nothing but its last value remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rules.engine.part import Part, moving_rows, runs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.lifecycle import SlotRows
    from rules.engine.slots import Slots
    from rules.engine.tracks import Tracks


class Threshold:
    """Limits of a channel's quiet zone, and the last value each acceptance class took."""

    kernel: ClassVar[str] = "threshold"

    def __init__(self, tracks: Tracks, classes: int) -> None:
        channels = len(tracks.pointer) - 1
        self.quiet_above = np.full(channels, np.inf)  # [C] a value >= this is hot
        self.quiet_below = np.full(channels, -np.inf)  # [C] a value <= this is hot
        np.minimum.at(self.quiet_above, tracks.channel, tracks.quiet_high)
        np.maximum.at(self.quiet_below, tracks.channel, tracks.quiet_low)
        self.last_value = np.full((classes, channels), np.nan)  # [acceptance classes, C]

    def rows(self, part: Part, slots: Slots) -> SlotRows | None:
        """Return the rows of slots that have something to do, by way of the hot channels."""
        hot = self._hot(part, slots)
        chosen = np.flatnonzero(hot)
        if not len(chosen):
            return None
        tracks = slots.tracks[self.kernel]
        every = len(chosen) == len(hot)
        runs = runs_of(part, tracks, finite=False, chosen=None if every else chosen)
        if runs is None:
            return None
        return moving_rows(part, slots, tracks, runs, runs.value)

    def _hot(self, part: Part, slots: Slots) -> NDArray[np.bool_]:
        """Tell segments with a value at or beyond a limit, or a slot in motion; bool[s]."""
        segments, at = part.segments, part.segments.at
        hot: NDArray[np.bool_] = slots.busy_channels[at] > 0
        high, low = self.quiet_above[at], self.quiet_below[at]
        if segments.single:
            return hot | (part.value >= high) | (part.value <= low)
        length = segments.length
        beyond = part.value >= np.repeat(high, length)
        beyond |= part.value <= np.repeat(low, length)
        found = np.flatnonzero(beyond)
        hot[np.searchsorted(segments.start, found, side="right") - 1] = True
        return hot

    def remember(self, part: Part) -> None:
        """Keep the last value of each channel and acceptance class, for late findings."""
        segments, value = part.segments, part.value
        missing = np.isnan(value)
        any_missing = bool(missing.any())
        for number, mask in enumerate(part.accepted):
            if mask is None and not any_missing:
                self.last_value[number, segments.at] = value[segments.stop - 1]
                continue
            taken = ~missing if mask is None else mask[segments.order] & ~missing
            places = np.where(taken, np.arange(len(segments.order)), -1)
            last = np.maximum.reduceat(places, segments.start)
            found = last >= segments.start
            self.last_value[number, segments.key[found]] = value[last[found]]
