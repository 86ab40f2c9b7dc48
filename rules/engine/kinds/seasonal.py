"""Kind ``seasonal``: deviation from what is usual at this hour of the day, day of the week or year.

docs/kinds/statistics.md. Rows of one slot of civil time are a visit; visits are worked through
together as long as none of a track's has a slot in common with another, so as whole days or weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from rules.engine.kinds.zscore import deviations
from rules.engine.profiles import BIAS, Profiles, means
from rules.segments import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks


@dataclass(frozen=True, slots=True)
class Visits:
    """Runs of rows of one track and slot of civil time, track by track in order of time."""

    track: NDArray[np.int64]  # [v]
    number: NDArray[np.int64]  # local time of its begin over the slot's length
    start: NDArray[np.int64]  # [v] first row
    length: NDArray[np.int64]
    turn: NDArray[np.int64]  # visits of a track with one turn share no slot


class Seasonal:
    """The open visit of T tracks, and what their profiles remember."""

    kernel: ClassVar[str] = "seasonal"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ("median", "sigma")

    def __init__(self, tracks: Tracks) -> None:
        self.profiles = Profiles(tracks)
        self.floor = tracks.own("floor").astype(np.float64)
        self.exclude = tracks.own("exclude").astype(np.float64)  # NaN: everything is learned
        count = len(tracks)
        self.state: dict[str, NDArray[Any]] = {
            "visit": np.zeros(count, np.int64),  # number of the open visit + BIAS; 0 = none
            "sum": np.zeros(count),  # of the rows learned in it
            "learned": np.zeros(count, np.int64),
            "location": np.full(count, np.nan),  # of its slot, NaN while not warm
            "scale": np.full(count, np.nan),
        }
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the deviation of each row before it is learned, then learn it."""
        score = np.empty(len(runs.t))
        self.aux = np.empty((len(runs.t), 2))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if runs.single and self._within(runs, score):
                return score
            visits = self._visits(runs)
            last = int(visits.turn.max())
            if last == 0:
                self._take(visits, runs.value, score)
            else:
                order = np.argsort(visits.turn, kind="stable")
                edge = np.searchsorted(visits.turn[order], np.arange(last + 2))
                for turn in range(last + 1):
                    self._take(
                        _chosen(visits, order[edge[turn] : edge[turn + 1]]), runs.value, score
                    )
        return score

    def _within(self, runs: Runs, score: NDArray[np.float64]) -> bool:
        """Score and learn one row a track, if every one of them belongs to the open visit."""
        state, place, x = self.state, runs.place, runs.value
        number = self.profiles.visit(place, runs.t)
        if not (state["visit"][place] == number + BIAS).all():
            return False
        location, scale, floor = state["location"][place], state["scale"][place], self.floor[place]
        score[:] = deviations(x - location, scale, floor)
        self._tell(slice(None), location, np.maximum(scale, floor))
        taken = ~(np.abs(score) >= self.exclude[place])
        state["sum"][place] += np.where(taken, x, 0.0)
        state["learned"][place] += taken
        return True

    def _visits(self, runs: Runs) -> Visits:
        """Cut runs into visits, and tell which can be worked through together."""
        own = runs.own[runs.segment]
        number = self.profiles.visit(own, runs.t)
        new = np.ones(len(own), np.bool_)
        new[1:] = (own[1:] != own[:-1]) | (number[1:] != number[:-1])
        start = np.flatnonzero(new)
        track, number = own[start], number[start]
        length = np.diff(np.append(start, len(own)))
        turn = np.zeros(len(start), np.int64)
        if len(start) > len(runs.own):
            lap = self.profiles.lap(track, number)
            same = track[1:] == track[:-1]
            turns = np.zeros(len(start), np.int64)
            turns[1:] = same & ((lap[1:] != lap[:-1]) | (number[1:] < number[:-1]))
            total = np.cumsum(turns)
            head = np.append(True, ~same)
            turn = total - np.maximum.accumulate(np.where(head, total, 0))
        return Visits(track, number, start, length, turn)

    def _take(self, visits: Visits, value: NDArray[np.float64], score: NDArray[np.float64]) -> None:
        """Score and learn visits that share no slot; each track's in order of time."""
        state, profiles = self.state, self.profiles
        track, number = visits.track, visits.number
        head = np.append(True, track[1:] != track[:-1])
        tail = np.append(head[1:], True)
        first = track[head]
        goes_on = state["visit"][first] == number[head] + BIAS
        left = first[~goes_on & (state["visit"][first] != 0)]
        if len(left):
            mean = means(state["sum"][left], state["learned"][left])
            profiles.close(left, profiles.state["target"][left], mean)
        opens = np.ones(len(track), np.bool_)
        opens[head] = ~goes_on
        location, scale = np.empty(len(track)), np.empty(len(track))
        kept = track[~opens]
        location[~opens], scale[~opens] = state["location"][kept], state["scale"][kept]
        target = profiles.state["target"][track]
        location[opens], scale[opens], target[opens] = profiles.open(track[opens], number[opens])
        total, learned = np.zeros(len(track)), np.zeros(len(track), np.int64)
        total[~opens], learned[~opens] = state["sum"][kept], state["learned"][kept]
        rows = ranges(visits.start, visits.length)
        of = np.repeat(np.arange(len(track)), visits.length)
        x, floor = value[rows], self.floor[track][of]
        score[rows] = deviations(x - location[of], scale[of], floor)
        self._tell(rows, location[of], np.maximum(scale[of], floor))
        taken = ~(np.abs(score[rows]) >= self.exclude[track][of])
        total = _sums(total, np.where(taken, x, 0.0), visits.length)
        learned += np.bincount(of[taken], minlength=len(track))
        done = np.flatnonzero(~tail)
        if len(done):
            profiles.close(track[done], target[done], means(total[done], learned[done]))
        at = track[tail]
        state["visit"][at] = number[tail] + BIAS
        state["sum"][at], state["learned"][at] = total[tail], learned[tail]
        state["location"][at], state["scale"][at] = location[tail], scale[tail]
        profiles.state["target"][at] = target[tail]

    def _tell(
        self,
        rows: NDArray[np.int64] | slice,
        location: NDArray[np.float64],
        sigma: NDArray[np.float64],
    ) -> None:
        """Note what rows were compared with."""
        assert self.aux is not None  # noqa: S101 - set by score
        self.aux[rows, 0], self.aux[rows, 1] = location + 0.0, sigma

    def forget(self, own: NDArray[np.int64]) -> None:
        """Keep everything: a visit of an earlier period tells how far the clock went back."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {**self.state, **self.profiles.state}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place; it may have another width."""
        if name in self.state:
            self.state[name] = column
        else:
            self.profiles.restore(name, column)


def _chosen(visits: Visits, at: NDArray[np.int64]) -> Visits:
    return Visits(*(getattr(visits, name)[at] for name in Visits.__slots__))


def _sums(
    carried: NDArray[np.float64], x: NDArray[np.float64], length: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return carried + the rows of each visit, added one by one in their order.

    Visits of nearly one length lie side by side, so that whatever else is in the batch, each sum is
    that of its own rows in their own order.
    """
    if (length == 1).all():
        return carried + x
    out = np.empty(len(carried))
    start = np.cumsum(length) - length
    width = 1
    left = np.ones(len(length), np.bool_)
    while left.any():
        of = np.flatnonzero(left & (length <= width))
        left[of] = False
        step = max(1, CELLS // (width + 1))
        for begin in range(0, len(of), step):
            at = of[begin : begin + step]
            table = np.zeros((len(at), width + 1))
            table[:, 0] = carried[at]
            place = ranges(np.ones(len(at), np.int64), length[at])
            table[np.repeat(np.arange(len(at)), length[at]), place] = x[
                ranges(start[at], length[at])
            ]
            out[at] = np.add.accumulate(table, axis=1)[:, -1]
        width *= 2
    return out


CELLS: Final = 1 << 20  # values summed at once: bounds memory
