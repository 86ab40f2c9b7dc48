"""What another channel last said at a position of the journal: for rules on waveforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.judge import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.readings import Readings

ACCEPTED = (1, 2, 3)  # QARTOD flags of a companion's readings


class Companions:
    """The last usable, finite, judged value of the channels named; 16 bytes a channel."""

    def __init__(self, channels: NDArray[np.int64], count: int) -> None:
        self.channels = np.unique(channels[channels >= 0])
        self._place = np.full(count + 1, -1)
        self._place[self.channels] = np.arange(len(self.channels))
        self.state: dict[str, NDArray[Any]] = {
            "value": np.full(len(self.channels), np.nan),
            "judged_ns": np.full(len(self.channels), NEVER),
        }
        none = np.zeros(0, np.int64)
        self._new = (none, none, np.zeros(0), none)  # key, g, value, time; sorted by key and g

    def take(self, rows: Readings, g: NDArray[np.int64], judged: NDArray[np.bool_]) -> None:
        """Look at the rows of a batch; they are remembered by ``roll``."""
        if not len(self.channels) or not len(rows):
            return
        key = self._place[rows.channel]
        chosen = judged & (key >= 0) & rows.usable & np.isfinite(rows.value)
        chosen &= np.isin(rows.qc_flag, ACCEPTED)
        at = np.flatnonzero(chosen)
        at = at[np.argsort(key[at], kind="stable")]
        self._new = (key[at], g[at], rows.value[at], rows.judged_ns[at])

    def at(
        self, channel: NDArray[np.int64], g: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return (value, its time) that stood before each position; NaN where nothing did."""
        key = self._place[channel]
        known = key >= 0
        value = np.full(len(key), np.nan)
        t = np.full(len(key), NEVER)
        value[known] = self.state["value"][key[known]]
        t[known] = self.state["judged_ns"][key[known]]
        keys, positions, values, times = self._new
        for i in np.flatnonzero(known).tolist() if len(keys) else ():
            first, stop = np.searchsorted(keys, [key[i], key[i] + 1])
            before = first + int(np.searchsorted(positions[first:stop], g[i]))
            if before > first:
                value[i], t[i] = values[before - 1], times[before - 1]
        return value, t

    def roll(self) -> None:
        """Remember the last row of each channel."""
        key, _, value, t = self._new
        if len(key):
            last = np.append(key[1:] != key[:-1], True)
            self.state["value"][key[last]] = value[last]
            self.state["judged_ns"][key[last]] = t[last]
            none = np.zeros(0, np.int64)
            self._new = (none, none, np.zeros(0), none)
