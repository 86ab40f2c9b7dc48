"""What is usual for a channel: location and scale over a window of true time, in bounded state.

The window is cut into SLOTS slots of equal time; of each slot one row is kept, at a place within
the slot that jumps about from slot to slot so that nothing periodic hides from it. Location and
scale come from the kept rows of the closed slots, so they stay the same within a slot and are
computed afresh, from the kept rows in a fixed order, whenever a slot opens: see
docs/kinds/statistics.md.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks

SLOTS: Final = 128
LEAST: Final = 8  # kept rows below which nothing is known
NO_SLOT: Final = -(2**62)
MAD_TO_SIGMA: Final = 1.4826  # of a normal distribution
_GOLDEN: Final = 0x9E3779B97F4A7C15
_NAN: Final = float("nan")


class Baseline:
    """The slots of T tracks. ``own`` names tracks by their places, each once."""

    def __init__(self, tracks: Tracks) -> None:
        count = len(tracks)
        window_ns = tracks.own("window_ns").astype(np.int64)
        self.slot_ns = np.maximum(-(-window_ns // SLOTS), 1)
        self.warmup = -(-tracks.own("warmup_ns").astype(np.int64) // self.slot_ns)  # slots
        self.robust = tracks.own("robust").astype(np.bool_)
        self.state: dict[str, NDArray[Any]] = {
            "slot": np.full(count, NO_SLOT),  # the open slot
            "shift": np.zeros(count, np.int64),  # slot number less t // slot_ns
            "loose": np.zeros(count, np.bool_),  # a clock epoch: the next row opens the next slot
            "begin": np.full(count, NO_SLOT),  # slot of the first row learned
            "warm": np.zeros(count, np.bool_),
            "kept": np.full(count, np.nan),  # row kept of the open slot
            "location": np.full(count, np.nan),  # NaN until warm
            "scale": np.full(count, np.nan),
            "ring": np.full((count, SLOTS), np.nan),  # rows kept of the closed slots
        }

    def forget(self, own: NDArray[np.int64]) -> None:
        """Let the next row open the next slot, whatever its time: a clock epoch."""
        self.state["loose"][own] = True

    def slots(
        self, place: slice | NDArray[np.int64], own: NDArray[np.int64], t: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the slot of one row a track, and open it where it is not the open one."""
        state = self.state
        number = t // self.slot_ns[place]
        if state["loose"][place].any():
            self._tie(own, number)
        slot: NDArray[np.int64] = number + state["shift"][place]
        opens = np.flatnonzero(slot != state["slot"][place])
        if len(opens):
            self._open(own[opens], slot[opens])
        return slot

    def _tie(self, own: NDArray[np.int64], number: NDArray[np.int64]) -> None:
        """Go on with the next slot after an epoch, in whatever time the clock now tells."""
        state = self.state
        loose = state["loose"][own] & (state["slot"][own] != NO_SLOT)
        state["loose"][own] = False
        tied = own[loose]
        state["shift"][tied] = state["slot"][tied] + 1 - number[loose]

    def learn(
        self,
        place: slice | NDArray[np.int64],
        t: NDArray[np.int64],
        slot: NDArray[np.int64],
        x: NDArray[np.float64],
        learned: NDArray[np.bool_],
    ) -> None:
        """Keep rows that are learned where their slot has none yet, or until its mark."""
        state = self.state
        kept = state["kept"][place]
        slot_ns = self.slot_ns[place]
        within = t - (slot - state["shift"][place]) * slot_ns
        take = learned & ((kept != kept) | (within <= marks(slot, slot_ns)))  # noqa: PLR0124 - NaN
        state["kept"][place] = np.where(take, x + 0.0, kept)
        begin = state["begin"][place]
        state["begin"][place] = np.where(learned & (begin == NO_SLOT), slot, begin)

    def _open(self, own: NDArray[np.int64], slot: NDArray[np.int64]) -> None:
        """Close the open slots of tracks, empty those in between, and look at what is kept."""
        state = self.state
        last = state["slot"][own]
        ahead = np.where(last == NO_SLOT, 1, slot - last)
        ring = state["ring"][own]
        rows = np.arange(len(own))
        ring[rows, last & (SLOTS - 1)] = state["kept"][own]
        far = np.flatnonzero(ahead > 1)
        if len(far):
            since = (np.arange(SLOTS) - last[far, None] - 1) & (SLOTS - 1)
            skipped = since < ahead[far, None] - 1
            skipped |= ahead[far, None] > SLOTS
            ring[far] = np.where(skipped, np.nan, ring[far])
        count = (ring == ring).sum(axis=1)  # noqa: PLR0124 - NaN
        warm, begin = state["warm"][own], state["begin"][own]
        anew = (count < LEAST) & (warm | (count == 0))
        ring[anew] = np.nan
        begin[anew] = NO_SLOT
        ripe = (begin != NO_SLOT) & (slot - begin >= self.warmup[own])
        warm = (count >= LEAST) & (warm | ripe)
        location, scale = np.full(len(own), np.nan), np.full(len(own), np.nan)
        for robust, summary in ((True, medians), (False, means)):
            of = np.flatnonzero(warm & (self.robust[own] == robust))
            if len(of):
                order = (slot[of, None] + np.arange(SLOTS)) & (SLOTS - 1)
                held = ring[of[:, None], order] if not robust else ring[of]
                location[of], scale[of] = summary(held, count[of])
        state["ring"][own], state["slot"][own], state["kept"][own] = ring, slot, np.nan
        state["warm"][own], state["begin"][own] = warm, begin
        state["location"][own], state["scale"][own] = location, scale


def marks(slot: NDArray[np.int64], slot_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return up to which time within its slot a later row replaces the one kept.

    The golden ratio's multiples spread evenly and never fall in step with anything periodic.
    """
    part = (slot.astype(np.uint64) * np.uint64(_GOLDEN)) >> np.uint64(48)
    return (slot_ns >> 16) * part.astype(np.int64)


def medians(
    held: NDArray[np.float64], count: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return median and 1.4826 times the median deviation of rows [n, k], NaN = none."""
    held = np.sort(held, axis=1)
    location = _middle(held, count)
    deviation = np.abs(held - location[:, None])
    deviation.sort(axis=1)
    return location, MAD_TO_SIGMA * _middle(deviation, count)


def _middle(ordered: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the medians of the first ``count`` of each row; halved first, so never infinite."""
    row = np.arange(len(ordered))
    below, above = ordered[row, (count - 1) >> 1], ordered[row, count >> 1]
    middle: NDArray[np.float64] = np.where(count & 1, above, below * 0.5 + above * 0.5)
    return middle


def means(
    held: NDArray[np.float64], count: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of rows [n, k] in their order, NaN = none."""
    none = held != held  # noqa: PLR0124 - NaN
    mean = np.add.accumulate(np.where(none, 0.0, held), axis=1)[:, -1] / count
    d = np.where(none, 0.0, held - mean[:, None])
    return mean, np.sqrt(np.add.accumulate(d * d, axis=1)[:, -1] / (count - 1))


class One:
    """One track taken out of a Baseline, for many rows of it one after another."""

    def __init__(self, baseline: Baseline, track: int) -> None:
        self._baseline, self._track = baseline, track
        state = baseline.state
        self.slot_ns = int(baseline.slot_ns[track])
        self.warmup, self.robust = int(baseline.warmup[track]), bool(baseline.robust[track])
        self.slot, self.shift = int(state["slot"][track]), int(state["shift"][track])
        self.begin, self.warm = int(state["begin"][track]), bool(state["warm"][track])
        self.kept = float(state["kept"][track])
        self.location, self.scale = float(state["location"][track]), float(state["scale"][track])
        self.ring: list[float] = state["ring"][track].tolist()
        self.ordered = sorted(x for x in self.ring if x == x)  # noqa: PLR0124 - NaN

    def put_back(self) -> None:
        """Write the track into its Baseline."""
        state, track = self._baseline.state, self._track
        for name in ("slot", "shift", "begin", "warm", "kept", "location", "scale", "ring"):
            state[name][track] = getattr(self, name)

    def learn(
        self,
        x: NDArray[np.float64],
        early: NDArray[np.bool_],
        learned: Sequence[int] | NDArray[np.int64],
    ) -> None:
        """Keep of the learned rows of the open slot the last early one, else the first of all.

        ``early`` tells rows until the slot's mark; there is none after one that is not.
        """
        if not len(learned):
            return
        if self.begin == NO_SLOT:
            self.begin = self.slot
        last = bisect_left(learned, int(np.count_nonzero(early))) - 1
        if last >= 0:
            self.kept = float(x[learned[last]]) + 0.0
        elif self.kept != self.kept:
            self.kept = float(x[learned[0]]) + 0.0

    def open(self, slot: int) -> None:
        """Close the open slot, empty those in between, and look at what is kept."""
        ahead = 1 if self.slot == NO_SLOT else slot - self.slot
        if ahead > SLOTS:
            self._empty()
        else:
            self._put(self.slot, self.kept)
            for skipped in range(self.slot + 1, self.slot + ahead):
                self._put(skipped, _NAN)
        count = len(self.ordered)
        if count < LEAST and (self.warm or count == 0):
            self._empty()
            self.begin = NO_SLOT
        ripe = self.begin != NO_SLOT and slot - self.begin >= self.warmup
        self.warm = count >= LEAST and (self.warm or ripe)
        self.slot, self.kept = slot, _NAN
        if not self.warm:
            self.location = self.scale = _NAN
        elif self.robust:
            self.location, self.scale = _median_of(self.ordered)
        else:
            self.location, self.scale = self._mean(count)

    def _empty(self) -> None:
        self.ring, self.ordered = [_NAN] * SLOTS, []

    def _put(self, slot: int, x: float) -> None:
        at = slot & (SLOTS - 1)
        old = self.ring[at]
        if old == old:  # noqa: PLR0124 - NaN
            del self.ordered[bisect_left(self.ordered, old)]
        if x == x:  # noqa: PLR0124 - NaN
            insort(self.ordered, x)
        self.ring[at] = x

    def _mean(self, count: int) -> tuple[float, float]:
        oldest = self.slot & (SLOTS - 1)
        held = [x for x in self.ring[oldest:] + self.ring[:oldest] if x == x]  # noqa: PLR0124 - NaN
        total = 0.0
        for x in held:
            total += x
        mean, squares = total / count, 0.0
        for x in held:
            squares += (x - mean) * (x - mean)
        return mean, sqrt(squares / (count - 1))


def _median_of(ordered: list[float]) -> tuple[float, float]:
    """Return what ``medians`` does of one row, already in order.

    The deviations below and above the median are two lists in order; the middle ones of both
    together lie where a bisection finds them.
    """
    count = len(ordered)
    half = count >> 1
    low, high = ordered[(count - 1) >> 1], ordered[half]
    location = high if count & 1 else low * 0.5 + high * 0.5
    above = _smallest(ordered, location, half)
    if count & 1:
        return location, MAD_TO_SIGMA * above
    below = _smallest(ordered, location, half - 1)
    return location, MAD_TO_SIGMA * (below * 0.5 + above * 0.5)


def _smallest(ordered: list[float], location: float, rank: int) -> float:
    """Return the deviation from ``location`` that has ``rank`` (from 0) among all of them.

    The rank + 1 smallest deviations are next to each other in order: the shortest such piece.
    """
    a, b = 0, len(ordered) - rank - 1
    while a < b:  # first piece whose left end deviates no more than what follows its right end
        middle = (a + b) >> 1
        if location - ordered[middle] > ordered[middle + rank + 1] - location:
            a = middle + 1
        else:
            b = middle
    return max(location - ordered[a], ordered[a + rank] - location)
