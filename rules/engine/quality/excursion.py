"""Excursions: suspect at once, confirmed or withdrawn by a later row. docs/kinds/quality.md 7.

As in the lifecycle, a *virtual row* at the head of each run holds what is carried from before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.quality.checks import Marks, Words, elapsed
from rules.engine.slots import NO_NS
from rules.readings import QC_GOOD, QC_SUSPECT
from rules.segments import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Runs
    from rules.engine.quality.checks import Rows, Tracks

OUTSIDE, OVER = 0, -1


class Excursions:
    """Open excursions of T tracks, their newest rows held back until they are decided."""

    def __init__(
        self, tracks: Tracks, most: NDArray[np.int64], width_ns: NDArray[np.int64] | None
    ) -> None:
        """Take ``most`` rows [T] and, where time bounds them too, ``width_ns`` [T]."""
        self._tracks, self._most = tracks, most
        self._width = None if width_ns is None else width_ns.view(np.uint64)
        count, held = len(tracks), int(most.max())
        self.state: dict[str, NDArray[Any]] = {
            "run": np.full(count, OVER),  # rows of the open excursion, OUTSIDE or OVER
            "since_ns": np.full(count, NO_NS),
            "held_g": np.zeros((count, held), np.int64),  # the newest rows, the last one last
            "held_flag": np.zeros((count, held), np.uint8),  # what they are once confirmed
        }

    def look(
        self,
        runs: Runs,
        rows: Rows,
        inside: NDArray[np.bool_],
        final: NDArray[np.uint8],
        breaks: NDArray[np.bool_],
    ) -> Words | None:
        """Return the words of runs whose rows are ``inside`` or not, all [r]."""
        run = self.state["run"]
        place = runs.place
        if not inside.any() and not (run[place] > 0).any():
            run[place] = OUTSIDE
            return None
        moving = run[place] != OUTSIDE
        moving |= np.maximum.reduceat(inside, runs.start)
        if not moving.all():
            chosen = moving[runs.segment]
            runs = runs.keep(chosen)
            inside, final, breaks = inside[chosen], final[chosen], breaks[chosen]
        return self._decide(_Extended(self, runs, rows.g, (inside, final, breaks)), rows)

    def _decide(self, e: _Extended, rows: Rows) -> Words | None:
        """Find the rows of open excursions, and those that decide; keep what stays open."""
        begins = e.inside.copy()
        begins[1:] &= ~e.inside[:-1] | e.breaks[1:] | e.virtual[1:]
        count = np.arange(len(e.inside))
        start = np.maximum.accumulate(np.where(begins, count, 0))
        carried = e.virtual[start]
        own = e.own
        position = count - start + np.where(carried, self.state["run"][own], 1)
        since = np.where(carried, self.state["since_ns"][own], e.t[start])
        known = np.where(carried, self.state["run"][own] > 0, ~e.breaks[start])
        brief = known & (position <= self._most[own])
        if self._width is not None:
            within = e.virtual | (elapsed(e.t, since) <= self._width[own])
            brief &= within
        alive = e.inside & brief
        # a row decides what the row before it left open
        decides = np.zeros(len(alive), np.bool_)
        decides[1:] = alive[:-1] & ~alive[1:] & ~e.breaks[1:] & ~e.virtual[1:]
        at = np.flatnonzero(decides)
        confirmed = ~e.inside[at]
        if self._width is not None:
            confirmed &= elapsed(e.t[at], since[at - 1]) <= self._width[own[at]]
        later = self._marks(e, at, position[at - 1], confirmed, rows)
        self._carry(e, alive, position, since)
        said = np.flatnonzero(alive & ~e.virtual)
        if not len(said) and later is None:
            return None
        flag = np.full(len(said), QC_SUSPECT, np.uint8)
        return Words(e.row[said], own[said], flag, later)

    def _marks(
        self,
        e: _Extended,
        at: NDArray[np.int64],
        length: NDArray[np.int64],
        confirmed: NDArray[np.bool_],
        rows: Rows,
    ) -> Marks | None:
        """Return a mark for each of the ``length`` rows before each of the rows ``at``."""
        if not len(at):
            return None
        place = ranges(e.held_at[at] - length, length)
        own = np.repeat(e.own[at], length)
        final = np.where(np.repeat(confirmed, length), e.held_flag[place], QC_GOOD)
        return Marks(
            at=np.repeat(rows.g[e.row[at]], length),
            g=e.held_g[place],
            channel=self._tracks.channel[own],
            rule=self._tracks.rule[own],
            flag=final.astype(np.uint8),
        )

    def _carry(
        self,
        e: _Extended,
        alive: NDArray[np.bool_],
        position: NDArray[np.int64],
        since: NDArray[np.int64],
    ) -> None:
        """Remember where each track stands after its last row."""
        state, last, own = self.state, e.last, e.runs.own
        state["run"][own] = np.where(
            alive[last], position[last], np.where(e.inside[last], OVER, OUTSIDE)
        )
        state["since_ns"][own] = np.where(alive[last], since[last], NO_NS)
        width = state["held_g"].shape[1]
        newest = e.held_at[last][:, None] - np.arange(width - 1, -1, -1)
        state["held_g"][own] = e.held_g[newest]
        state["held_flag"][own] = e.held_flag[newest]


class _Extended:
    """Rows of runs with a virtual row at the head of each; and the held rows before them."""

    def __init__(
        self,
        excursions: Excursions,
        runs: Runs,
        g: NDArray[np.int64],
        told: tuple[NDArray[np.bool_], NDArray[np.uint8], NDArray[np.bool_]],
    ) -> None:
        inside, final, breaks = told
        state = excursions.state
        self.runs = runs
        length = runs.length + 1
        n = int(length.sum())
        first = np.cumsum(length) - length
        self.last = first + length - 1
        self.virtual = np.zeros(n, np.bool_)
        self.virtual[first] = True
        real = np.flatnonzero(~self.virtual)
        self.own = np.repeat(runs.own, length)
        self.inside = np.empty(n, np.bool_)
        self.inside[first], self.inside[real] = state["run"][runs.own] != OUTSIDE, inside
        self.breaks = np.zeros(n, np.bool_)
        self.breaks[real] = breaks
        self.t = np.zeros(n, np.int64)
        self.t[real] = runs.t
        self.row = np.zeros(n, np.int64)
        self.row[real] = runs.at
        width = state["held_g"].shape[1]
        # each run's held rows, then its own: a row's place is that of its run's head, and on
        begin = runs.start + width * np.arange(len(runs.own))
        self.held_at = np.repeat(begin + width - 1 - first, length) + np.arange(n)
        total = len(runs.t) + width * len(runs.own)
        self.held_g = np.empty(total, np.int64)
        self.held_flag = np.empty(total, np.uint8)
        held = begin[:, None] + np.arange(width)
        self.held_g[held], self.held_flag[held] = (
            state["held_g"][runs.own], state["held_flag"][runs.own],
        )  # fmt: skip
        self.held_g[self.held_at[real]] = g[runs.at]
        self.held_flag[self.held_at[real]] = final
